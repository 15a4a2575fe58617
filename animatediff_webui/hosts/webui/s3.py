"""Finished files copied to S3, in the background: never a reason for a run to wait or to fail."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from animatediff_webui.media.animation import WrittenFile

logger = logging.getLogger(__name__)


def upload_later(
    files: Sequence[WrittenFile], bucket: str, *, folder: str = "", endpoint: str | None = None
) -> threading.Thread:
    """Upload `files` under `folder` of `bucket` by a thread of its own, which is returned.

    Credentials come from the standard AWS environment or profile. What goes wrong is logged in one sentence.
    """
    thread = threading.Thread(
        target=_upload, args=(tuple(files), bucket, folder, endpoint), name="animatediff-s3", daemon=True
    )
    thread.start()
    return thread


def _upload(files: Sequence[WrittenFile], bucket: str, folder: str, endpoint: str | None) -> None:
    try:
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        logger.warning(
            "AnimateDiff: nothing was uploaded to S3, because boto3 is not installed: pip install boto3."
        )
        return
    try:
        client = boto3.client("s3", endpoint_url=endpoint)
        for file in files:
            # File names are numbered anew every day, in a folder of that day.
            key = "/".join(filter(None, (folder, file.path.parent.name, file.path.name)))
            client.upload_file(str(file.path), bucket, key, ExtraArgs={"ContentType": file.mime})
    # ValueError: what boto3 says of an endpoint that is no address.
    except (Boto3Error, BotoCoreError, ClientError, OSError, ValueError) as error:
        logger.warning("AnimateDiff: the upload to the S3 bucket %s failed: %s", bucket, error)
