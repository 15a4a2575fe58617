"""The API as a client sees it that many programs use: webuiapi, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from webuiapi import AnimateDiff, WebUIApi

from tests.hosts.webui.api_server import build_app, serving

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


@pytest.fixture
def client(webui):
    with serving(build_app(webui)) as port:
        yield WebUIApi(port=port)


def draw(client, **said):
    animation = AnimateDiff(**{"model": "mm.safetensors", "batch_size": 4, **said}) if said else None
    return client.txt2img(prompt="a cat", steps=2, width=64, height=64, seed=7, animatediff=animation)


def test_client_gets_the_videos_in_order_then_the_frames(client):
    result = draw(client, video_length=6, format=["WEBP", "GIF", "Frame"])
    kinds = [image.format for image in result.images]
    assert kinds == ["WEBP", "GIF"] + 6 * ["PNG"]
    assert [image.n_frames for image in result.images[:2]] == [6, 6]
    files = [(file["format"], file["mime"], file["error"]) for file in result.info["animatediff"]]
    assert files == [("WEBP", "image/webp", None), ("GIF", "image/gif", None)]
    assert all(file["name"].startswith("00001-7.") for file in result.info["animatediff"])


def test_client_that_wants_no_animation_gets_the_hosts_picture(client):
    result = draw(client)
    assert [image.format for image in result.images] == ["PNG"]
    assert "animatediff" not in result.info


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"fps": 0}, ["fps", "0"]),
        ({"model": "mm_sd15_v3.safetensors"}, ["mm_sd15_v3.safetensors", "mm.safetensors"]),
        ({"format": ["BMP"]}, ["format", "BMP", "GIF"]),
    ],
)
def test_refused_request_is_answered_with_422_and_one_sentence(client, said, words):
    with pytest.raises(RuntimeError) as caught:
        draw(client, **said)
    status, body = caught.value.args
    answer = json.loads(body)
    assert status == 422
    assert answer["error"] == "AnimateDiffError"
    assert all(word in answer["detail"] for word in words)
    assert "\n" not in answer["detail"]
    assert len(draw(client, video_length=4).images) == 1


def test_modules_are_listed_by_the_names_that_requests_use(client):
    listed = client.custom_get("animatediff/v1/modules")
    assert [module["name"] for module in listed] == ["broken.ckpt", "mm.safetensors", "sub/wide.safetensors"]
    assert all(module["size"] > 0 for module in listed)


def test_schema_has_every_key_that_the_client_sends(client):
    schema = client.custom_get("animatediff/v1/schema")
    assert set(AnimateDiff().to_dict(is_img2img=True)) <= set(schema["properties"])
    assert schema["properties"]["overlap"]["default"] == -1


def test_version_is_the_projects(client):
    answer = client.custom_get("animatediff/v1/version")
    assert f'version = "{answer["version"]}"' in PYPROJECT.read_text("utf-8")
    assert answer["api"] == 1


@pytest.mark.parametrize(("user", "status"), [(None, 401), (("me", "wrong"), 401), (("me", "secret"), 200)])
def test_routes_ask_for_the_hosts_password(webui, user, status):
    with serving(build_app(webui, credentials="me:secret")) as port:
        session = WebUIApi(port=port).session
        session.auth = user
        for route in ("modules", "schema", "version"):
            assert session.get(f"http://127.0.0.1:{port}/animatediff/v1/{route}").status_code == status
