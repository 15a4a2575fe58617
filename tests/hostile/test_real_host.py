"""What clients of a running WebUI can do to it (`--webui-url`): it is as it was, and draws what it drew."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.hostile import payloads
from tests.hostile.budget import rounds
from tests.hostile.refusals import check_sentence

PICTURE = {
    "prompt": "a cat", "negative_prompt": "", "steps": 2, "width": 64, "height": 64, "seed": 1,
    "sampler_name": "Euler a", "cfg_scale": 7,
}  # fmt: skip
TRAVEL = "0: a cat\n6: a dog"
CLIP = {"enable": True, "video_length": 12, "batch_size": 8, "format": ["GIF"]}
SCRIPT = "AnimateDiff"


class Client:
    """One of the host's API."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.model = self._working_module()

    def call(self, path: str, body: object = None, seconds: float = 600) -> tuple[int, Any]:
        """The status, and what the answer holds."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def picture(self, **fields: object) -> tuple[int, Any]:
        return self.call("/sdapi/v1/txt2img", {**PICTURE, **fields})

    def clip(self, values: object = None, **fields: object) -> tuple[int, Any]:
        """`values` change the clip's arguments, or, if they are no dict, are the arguments."""
        sent = {**CLIP, "model": self.model, **(values or {})} if isinstance(values, dict | None) else values
        return self.raw(sent, **{"prompt": TRAVEL, **fields})

    def raw(self, sent: object, **fields: object) -> tuple[int, Any]:
        return self.picture(**fields, alwayson_scripts={SCRIPT: {"args": [sent]}})

    def drawn(self) -> list[object]:
        """A picture and a clip, the same each time."""
        answers = self.picture(seed=5), self.clip(seed=5)
        return [(status, answer.get("images")) for status, answer in answers]

    def options(self) -> object:
        return self.call("/sdapi/v1/options")[1]

    def start(self, **fields: object) -> Running:
        return Running(lambda: self.clip({"video_length": 24}, steps=20, **fields))

    def wait_for_work(self) -> None:
        """Until the host is in the middle of sampling."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            state = self.call("/sdapi/v1/progress?skip_current_image=true")[1]["state"]
            if state["job_count"] and state["sampling_step"] > 1:
                return
            time.sleep(0.05)
        pytest.fail("the host did not begin")

    def _working_module(self) -> str | None:
        """The smallest motion module that fits the checkpoint."""
        listed = self.call("/animatediff/v1/modules")[1]
        names = [each["name"] for each in sorted(listed, key=lambda each: each["size"])]
        for self.model in names:
            if self.clip({"video_length": 8})[0] == 200:
                return self.model
        pytest.fail(f"none of the motion modules fits the checkpoint: {names}")


class Running:
    """A request under way."""

    def __init__(self, call: Callable[[], tuple[int, Any]]) -> None:
        self.found: list[tuple[int, Any]] = []
        self._thread = threading.Thread(target=lambda: self.found.append(call()))
        self._thread.start()

    def wait(self) -> tuple[int, Any]:
        self._thread.join(600)
        return self.found[0]


@pytest.fixture(scope="module")
def client(request) -> Client:
    url = request.config.getoption("--webui-url")
    if not url:
        pytest.skip("no --webui-url")
    return Client(url)


@pytest.fixture
def unchanged(client):
    """Whatever a test does, the host draws what it drew, and its options are what they were."""
    options, drawn = client.options(), client.drawn()
    assert [status for status, _ in drawn] == [200, 200]
    yield
    assert client.drawn() == drawn
    assert client.options() == options


REFUSED = {
    "fps": {"fps": 0}, "rate": {"fps": 1e9}, "format": {"format": ["DOC"]}, "none": {"format": []},
    "length": {"video_length": 10**9}, "window": {"batch_size": 10**12}, "module": {"model": "no such.ckpt"},
    "outside": {"model": "../../etc/passwd"}, "name": {"fpz": 1}, "half a letter": {"\ud800": 1},
    "request id": {"request_id": "../x"}, "picture": {"last_frame": "data:image/png;base64,AAAA"},
    "kind": {"overlap": "much"}, "list": [1, 2],
}  # fmt: skip


def check_refused(status: int, answer: Any) -> None:
    assert status == 422, (status, str(answer)[:300])
    check_sentence(answer["detail"])


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_arguments_are_answered_with_422_and_one_sentence(name, client):
    check_refused(*client.clip(REFUSED[name]))


@pytest.mark.parametrize("prompt", ["0: a\n99: b", "8: a\n2: b", "0: a <lora:x:much>\n4: b"])
def test_wrong_schedules_are_answered_with_422_and_one_sentence(prompt, client, unchanged):
    check_refused(*client.clip(prompt=prompt))


def test_requests_by_chance_are_carried_out_or_refused(client, unchanged, request, record_property):
    random, counts = Random(14), dict[int, int]()
    for _ in rounds(request.config, 0.2, 2000):
        sent = payloads.payload(random)
        try:
            json.dumps(sent)
        except (TypeError, ValueError, RecursionError):
            continue
        if "[[[[[[[[" in str(sent):  # the host itself runs out of stack on these
            continue
        if isinstance(sent, dict) and isinstance(sent.get("video_length"), int):
            sent["video_length"] %= 24
        status, answer = client.raw(sent, steps=1)
        assert status in (200, 422), (status, sent, str(answer)[:300])
        counts[status] = counts.get(status, 0) + 1
    record_property("requests by chance", counts)


@pytest.mark.parametrize("button", ["interrupt", "skip"])
def test_buttons_end_the_clip_and_keep_it(button, client, unchanged):
    running = client.start()
    client.wait_for_work()
    assert client.call(f"/sdapi/v1/{button}", {})[0] == 200
    status, answer = running.wait()
    assert status == 200
    assert "interrupted at step" in answer["info"]
    assert Image.open(io.BytesIO(base64.b64decode(answer["images"][0]))).n_frames == 24


def test_a_client_that_goes_away_leaves_nothing(client, unchanged):
    place = urlsplit(client.url)
    arguments = {"args": [{**CLIP, "model": client.model}]}
    body = json.dumps({**PICTURE, "steps": 5, "alwayson_scripts": {SCRIPT: arguments}}).encode()
    head = f"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((place.hostname or "", place.port or 80)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        client.wait_for_work()


def test_several_clients_at_once_get_what_each_would_alone(client, unchanged):
    seeds = (11, 12, 13)
    running = [Running(lambda seed=seed: client.clip(seed=seed)) for seed in seeds]
    together = [each.wait()[1]["images"] for each in running]
    assert together == [client.clip(seed=seed)[1]["images"] for seed in seeds]


def test_another_checkpoint_in_the_middle_of_a_clip_leaves_both_as_they_are(client, unchanged):
    now = client.options()["sd_model_checkpoint"]
    checkpoints = client.call("/sdapi/v1/sd-models")[1]
    by_size = sorted(checkpoints, key=lambda each: os.path.getsize(each["filename"]))
    others = [each["title"] for each in by_size if each["model_name"] not in str(now).split(".")[0]]
    if not others:
        pytest.skip("the host has no other checkpoint")
    running = client.start()
    client.wait_for_work()
    client.call("/sdapi/v1/options", {"sd_model_checkpoint": others[0]})
    assert running.wait()[0] in (200, 500)
    assert client.call("/sdapi/v1/options", {"sd_model_checkpoint": now})[0] == 200


def test_every_clip_of_a_batch_is_answered(client, unchanged):
    status, answer = client.clip(n_iter=2, batch_size=2)
    assert status == 200
    assert len(answer["images"]) == 4


def test_memory_stays_flat(client, record_property, request):
    """What the host's process holds; the first runs fill caches."""
    used = []
    for index in rounds(request.config, 0.2, 60):
        assert client.clip(seed=index, steps=1)[0] == 200
        used.append(client.call("/sdapi/v1/memory")[1]["ram"]["used"])
    half = len(used) // 2
    record_property("memory of the host, MB", [round(each / 2**20) for each in used[:: max(1, half // 2)]])
    if half > 10:
        assert used[-1] < used[half] * 1.05
