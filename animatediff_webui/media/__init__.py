"""Frames in, files out: lazy readers, one writer per format, interpolation, and the names of the outputs.

Nothing here knows a host. Frames are PIL images in RGB and travel one at a time. Videos are read by PyAV, and
written by the ffmpeg that the package imageio-ffmpeg brings; both are looked for only when they are needed.
"""

from .animation import Playback, WrittenFile, write_animation
from .errors import FfmpegError, MediaError, MissingPackageError, UnreadableMediaError
from .interpolation.methods import interpolate
from .naming import reserved_stem
from .options import WriterOptions
from .readers import FrameSource, read_frames, read_picture
from .readers.infotext import read_infotext
from .sound import Sound
from .sources import ClipSource, opened_source
from .writers import format_named

__all__ = [
    "ClipSource",
    "FfmpegError",
    "FrameSource",
    "MediaError",
    "MissingPackageError",
    "Playback",
    "Sound",
    "UnreadableMediaError",
    "WriterOptions",
    "WrittenFile",
    "format_named",
    "interpolate",
    "opened_source",
    "read_frames",
    "read_infotext",
    "read_picture",
    "reserved_stem",
    "write_animation",
]
