"""Runs tasks: the code that a Lambda function and a local worker share."""
