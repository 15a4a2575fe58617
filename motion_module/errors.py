"""The errors of this package: one sentence each, with what was expected, what was found and what to do."""

from __future__ import annotations


class MotionModuleError(ValueError):
    """Something about a weights file, or what was asked of a motion module, is wrong."""


class WrongKindError(MotionModuleError):
    """The file holds weights of another kind than asked for; the message says which, and where it belongs."""


class NotAMotionModuleError(WrongKindError):
    """The file is something else; the message says what was looked for, and what the file seems to be."""


class NotAMotionLoraError(WrongKindError):
    """The file is no LoRA, or one that changes nothing of a UNet."""


class UnreadableFileError(NotAMotionModuleError):
    """The file cannot be read as weights at all: no permission, damaged, a program, or of another format."""


class BrokenMotionModuleError(MotionModuleError):
    """The file is a motion module or LoRA, but lacks keys, or has shapes or values that none can have; the
    message names the key."""


class IncompatibleBaseModelError(MotionModuleError):
    """The motion module was made for another kind of UNet; the message names both."""


def shorten(text: object, limit: int = 200) -> str:
    """One line of at most `limit` letters, for what a sentence quotes."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
