"""The host's HTTP API, as far as a client needs it to animate, after the host's modules/api/api.py."""

from __future__ import annotations

import base64
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from animatediff_webui.core.fields import json_value
from animatediff_webui.core.parameters import FIELDS

SCRIPT = "animatediff"
PASSED_ON = ("prompt", "negative_prompt", "seed", "steps", "cfg_scale", "width", "height", "batch_size")


def build_app(webui: Any, credentials: str | None = None) -> FastAPI:
    """The host's own routes, and the extension's."""
    app = FastAPI()
    webui.host.api.add_routes(app, webui.extension.modules, credentials)

    @app.exception_handler(HTTPException)
    def tell(_request: Request, error: HTTPException) -> JSONResponse:
        said = {"error": type(error).__name__, "detail": error.detail, "body": "", "errors": str(error)}
        return JSONResponse(said, error.status_code)

    @app.get("/sdapi/v1/scripts")
    def scripts() -> dict[str, list[str]]:
        return {"txt2img": [SCRIPT], "img2img": [SCRIPT]}

    @app.post("/sdapi/v1/txt2img")
    def txt2img(payload: dict[str, Any]) -> dict[str, Any]:
        fields = {name: payload[name] for name in PASSED_ON}
        processed = webui.run(script_arguments(payload), **fields).processed
        return {"images": [encode(image) for image in processed.images], "info": processed.js()}

    return app


def script_arguments(payload: dict[str, Any]) -> list[Any]:
    """The page's defaults, those in front replaced by what the client sent."""
    arguments = [json_value(field.default) for field in FIELDS]
    for name, sent in payload["alwayson_scripts"].items():
        if name.lower() != SCRIPT:
            raise HTTPException(422, f"Script '{name}' not found")
        arguments[: len(sent["args"])] = sent["args"]
    return arguments


def encode(image: Any) -> str:
    """A picture as base64; text is, already."""
    if isinstance(image, str):
        return image
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@contextmanager
def serving(app: FastAPI) -> Iterator[int]:
    """The port of this machine at which `app` answers inside."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
