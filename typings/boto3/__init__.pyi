"""What uploads use of boto3, which publishes no types."""

class S3Client:
    def upload_file(
        self, Filename: str, Bucket: str, Key: str, ExtraArgs: dict[str, str] | None = None
    ) -> None: ...

def client(service_name: str, *, endpoint_url: str | None = None) -> S3Client: ...
