"""What uploads use of botocore."""
