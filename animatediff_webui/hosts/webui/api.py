"""What API clients see: the routes below /animatediff/v1, and errors as status 422."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from animatediff_webui.core.parameters import json_schema

if TYPE_CHECKING:
    from .motion_modules import ModuleLibrary

ROOT = "/animatediff/v1"
API_VERSION = 1


class AnimateDiffError(HTTPException):
    """A request that cannot be carried out as asked.

    The WebUI shows an exception's class and text on the page, and answers with an HTTPException's status.
    """

    def __init__(self, sentence: str) -> None:
        # A request may hold half characters, which the answer cannot be encoded with.
        self.sentence = sentence.encode("utf-8", "backslashreplace").decode("utf-8")
        super().__init__(status_code=422, detail=self.sentence)

    def __str__(self) -> str:
        return self.sentence


def add_routes(app: FastAPI, library: ModuleLibrary, credentials: str | None = None) -> None:
    """GET modules, schema and version; `credentials` is what --api-auth says ("user:password,...")."""
    dependencies = [Depends(_checked_by(credentials))] if credentials else []

    @app.get(f"{ROOT}/modules", dependencies=dependencies)
    def modules() -> list[dict[str, object]]:
        return [describe_file(name, path) for name, path in library.paths().items()]

    @app.get(f"{ROOT}/schema", dependencies=dependencies)
    def schema() -> dict[str, object]:
        return json_schema()

    @app.get(f"{ROOT}/version", dependencies=dependencies)
    def extension_version() -> dict[str, object]:
        return {"version": installed_version(), "api": API_VERSION}


def describe_file(name: str, path: Path) -> dict[str, object]:
    """A motion module for a list, as JSON has it; its folder stays private."""
    return {"name": name, "size": path.stat().st_size}


def installed_version() -> str:
    """This extension's version, from its pyproject.toml where it is a folder and not an installed package."""
    try:
        return version("animatediff-webui")
    except PackageNotFoundError:
        return project_version(Path(__file__).parents[3] / "pyproject.toml")


def project_version(pyproject: Path) -> str:
    """The version a pyproject.toml states (tomllib is newer than the oldest Python in use)."""
    for line in pyproject.read_text("utf-8").splitlines() if pyproject.is_file() else ():
        key, _, value = line.partition("=")
        if key.strip() == "version":
            return value.strip().strip('"')
    return "unknown"


def _checked_by(credentials: str) -> Callable[[HTTPBasicCredentials], None]:
    """A dependency that lets the users of --api-auth pass, and no one else."""
    passwords = dict(pair.split(":", 1) for pair in credentials.split(",") if ":" in pair)

    def check(given: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008  (FastAPI's way)
        password = passwords.get(given.username)
        if password is None or not secrets.compare_digest(given.password.encode(), password.encode()):
            raise HTTPException(401, "Incorrect username or password", headers={"WWW-Authenticate": "Basic"})

    return check
