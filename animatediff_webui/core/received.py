"""Small files that a request brings along: base64 or a data URL in place of a path."""

from __future__ import annotations

import base64
import binascii
import re

from .errors import ParameterError

MAX_ENCODED_BYTES = 64 * 2**20
_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w=.+-]+)*;base64,")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{16,}={0,2}\s*")
_HEAD = 64
_SIGNATURES = (
    (0, b"GIF8"), (0, b"RIFF"), (0, b"\x89PNG"), (4, b"ftyp"), (0, b"\x1aE\xdf\xa3"), (0, b"\xff\xd8\xff"),
)  # fmt: skip
"""How files begin that a source may be: GIF, WEBP and AVI, PNG, MP4, MOV and AVIF, WEBM and MKV, JPEG."""


def is_received_file(text: str) -> bool:
    """Whether `text` is a file itself rather than a path: a data URL, or base64 that begins as one does."""
    if text.startswith("data:"):
        return True
    head = "".join(text[: 2 * _HEAD].split())[:_HEAD]
    if not _BASE64.fullmatch(head) or len(text) <= _HEAD:
        return False
    begin = base64.b64decode(head[: len(head) // 4 * 4])
    return any(begin[place : place + len(mark)] == mark for place, mark in _SIGNATURES)


def decode_base64(text: str, name: str, kind: str = "picture") -> bytes:
    """The bytes in base64 or in a data URL. Raises ParameterError, naming the parameter `name`.

    `kind` is what it should be, in the sentence.
    """
    if len(text) > MAX_ENCODED_BYTES:
        raise ParameterError(
            f"{name} is {len(text) / 2**20:.0f} MiB of base64; at most {MAX_ENCODED_BYTES // 2**20} MiB are "
            f"accepted: send a smaller {kind}."
        )
    header = _DATA_URL.match(text)
    body = text[header.end() :] if header else text
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ParameterError(
            f"{name} is neither base64 nor a data URL (it begins with {text[:24]!r}); web addresses and file "
            f"names are not accepted: send the {kind}'s bytes as base64."
        ) from error
