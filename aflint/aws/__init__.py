"""AWS's services: aiobotocore for the driver, a bare client for tasks, the connections of both."""
