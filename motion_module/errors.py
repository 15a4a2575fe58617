"""The errors of this package: one sentence each, with what was expected, what was found and what to do."""

from __future__ import annotations


class MotionModuleError(ValueError):
    """Something about a motion module, or what was asked of it, is wrong."""


class NotAMotionModuleError(MotionModuleError):
    """The file is something else; the message says what was looked for, and what the file seems to be."""


class NotAMotionLoraError(MotionModuleError):
    """The file is no LoRA, or one that changes nothing of a UNet."""


class BrokenMotionModuleError(MotionModuleError):
    """The file is a motion module, but keys are missing or shapes disagree; the message names the key."""


class IncompatibleBaseModelError(MotionModuleError):
    """The motion module was made for another kind of UNet; the message names both."""
