"""The same request to two running WebUIs, of which the first has this extension."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator

from benchmarks.measuring import alternate
from benchmarks.options import Options
from benchmarks.results import Result

FRAMES = (16, 24, 48)
SECONDS = 3600


def run(options: Options) -> Iterator[Result]:
    """One result a number of frames; none without two addresses."""
    for num_frames in FRAMES if len(options.urls) == 2 else ():
        ours, theirs = (_request(url, options.model, num_frames) for url in options.urls)
        timings = alternate({"ours": ours, "theirs": theirs}, options.rounds)
        figures = {"s": timings["theirs"].seconds, "ours, s": timings["ours"].seconds}
        ratio = timings["ours"].seconds / timings["theirs"].seconds
        yield Result("WebUI", f"64x64 pixels, {num_frames} frames", options.urls[1], ratio, figures)


def _request(url: str, model: str, num_frames: int) -> Callable[[], object]:
    animation = {"enable": True, "video_length": num_frames, "batch_size": 16, "format": ["GIF"]}
    if model:
        animation["model"] = model
    payload = {
        "prompt": "a red circle",
        "width": 64,
        "height": 64,
        "steps": 4,
        "seed": 1,
        "alwayson_scripts": {"AnimateDiff": {"args": [animation]}},
    }
    request = urllib.request.Request(
        f"{url.rstrip('/')}/sdapi/v1/txt2img",
        json.dumps(payload).encode(),
        {"Content-Type": "application/json"},
    )

    def send() -> None:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            answer.read()

    return send
