"""The errors of the core: the user can mend all of them, so each is one sentence that says how."""

from __future__ import annotations


class UserError(ValueError):
    """The request cannot be carried out as asked; the message says what was found and what to do."""


class ParameterError(UserError):
    """A parameter has an unknown name, a wrong type or a value that is not allowed."""


class UnsupportedError(ParameterError):
    """A valid parameter asks for something this host cannot do yet."""


class PromptTravelError(UserError):
    """A prompt schedule is malformed; the message names the line."""


class LoraTagError(UserError):
    """A LoRA tag of a prompt cannot be read."""


class InfotextError(UserError):
    """The animation's field of an infotext cannot be read."""


class ScheduleError(UserError):
    """A schedule of numbers is malformed; the message is the part of a sentence that follows its name."""
