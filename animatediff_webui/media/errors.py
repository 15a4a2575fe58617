"""The errors of media: one sentence each, with what was found and what to do."""

from __future__ import annotations

from animatediff_webui.core.errors import UserError


class MediaError(UserError):
    """Frames cannot be read or written as asked."""


class UnreadableMediaError(MediaError):
    """A file is missing, damaged, of an unknown kind, or not a local one."""


class MissingPackageError(MediaError):
    """A format needs a package that is not installed; the message names it."""


class WritingStoppedError(MediaError):
    """Writing was asked to stop; the files hold the frames that were ready."""


class FfmpegError(MediaError):
    """ffmpeg failed; the message holds the reason it gave."""
