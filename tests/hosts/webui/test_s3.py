"""Uploads to a stand-in for S3, and to what is none."""

from __future__ import annotations

import socket
import sys
import threading

import boto3
import pytest
from moto import mock_aws

from animatediff_webui.hosts.webui.s3 import upload_later
from animatediff_webui.media import WrittenFile

BUCKET = "clips"


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    """No one's own, and no second attempts."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def store():
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def silent_server():
    """Accepts connections, and never answers until it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def written(folder, name="00001-7.gif", mime="image/gif"):
    path = folder / "2030-01-31" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"picture")
    return WrittenFile(path, mime.split("/")[1].upper(), mime)


def upload(files, bucket=BUCKET, **where):
    upload_later(files, bucket, **where).join(60)


def running_upload():
    return next((thread for thread in threading.enumerate() if thread.name == "animatediff-s3"), None)


def run_with_upload(webui, **settings):
    webui.options.update({"animatediff_s3_enable": True, "animatediff_s3_bucket": BUCKET})
    webui.options.update({f"animatediff_s3_{name}": value for name, value in settings.items()})
    return webui.run({"format": ["GIF", "MP4"]})


@pytest.mark.parametrize("folder", ["", "shows/2030"])
def test_uploaded_files_lie_under_folder_and_day_with_their_type(store, tmp_path, folder):
    upload([written(tmp_path), written(tmp_path, "00001-7.mp4", "video/mp4")], folder=folder)
    kinds = {"00001-7.gif": "image/gif", "00001-7.mp4": "video/mp4"}
    expected = {"/".join(filter(None, (folder, "2030-01-31", name))): kind for name, kind in kinds.items()}
    found = [entry["Key"] for entry in store.list_objects_v2(Bucket=BUCKET)["Contents"]]
    objects = {key: store.get_object(Bucket=BUCKET, Key=key) for key in found}
    assert {key: stored["ContentType"] for key, stored in objects.items()} == expected
    assert {stored["Body"].read() for stored in objects.values()} == {b"picture"}


def test_run_uploads_the_files_it_wrote(store, webui):
    run_with_upload(webui, folder="shows")
    if (thread := running_upload()) is not None:
        thread.join(60)
    found = [entry["Key"] for entry in store.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert [key.rsplit(".", 1)[1] for key in found] == ["gif", "mp4"]
    assert all(key.startswith("shows/20") for key in found)


def test_bucket_that_does_not_exist_is_one_sentence(store, tmp_path, caplog):
    upload([written(tmp_path)], "another")
    (record,) = caplog.records
    assert "another failed" in record.message
    assert "NoSuchBucket" in record.message


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "no address"])
def test_endpoint_that_cannot_be_reached_is_one_sentence(tmp_path, caplog, endpoint):
    upload([written(tmp_path)], endpoint=endpoint)
    (record,) = caplog.records
    assert endpoint in record.message


def test_run_does_not_wait_for_a_server_that_does_not_answer(silent_server, webui, caplog):
    endpoint = f"http://127.0.0.1:{silent_server.getsockname()[1]}"
    p = run_with_upload(webui, endpoint=endpoint)
    thread = running_upload()
    assert len(p.processed.images) == 2
    assert thread.is_alive()
    silent_server.close()
    thread.join(60)
    assert BUCKET in caplog.text


def test_upload_without_boto3_names_the_package(monkeypatch, caplog, tmp_path):
    monkeypatch.setitem(sys.modules, "boto3", None)
    upload([written(tmp_path)])
    assert "boto3 is not installed" in caplog.text
