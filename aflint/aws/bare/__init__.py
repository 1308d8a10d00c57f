"""What functions call SQS and S3 with: a cold start loads no aiobotocore."""
