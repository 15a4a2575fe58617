"""Frames in, files out: lazy readers, one writer per format, interpolation, and the names of the outputs.

Nothing here knows a host. Frames are PIL images in RGB and travel one at a time; ffmpeg is the binary that
the package imageio-ffmpeg brings, and is looked for only when a format needs it.
"""

from .animation import WrittenFile, write_animation
from .errors import FfmpegError, MediaError, MissingPackageError, UnreadableMediaError
from .infotext import read_infotext
from .interpolation import interpolate
from .naming import reserved_stem
from .options import WriterOptions
from .playback import in_order
from .readers import FrameSource, read_frames
from .writers import FORMATS, Format, format_named

__all__ = [
    "FORMATS",
    "FfmpegError",
    "Format",
    "FrameSource",
    "MediaError",
    "MissingPackageError",
    "UnreadableMediaError",
    "WriterOptions",
    "WrittenFile",
    "format_named",
    "in_order",
    "interpolate",
    "read_frames",
    "read_infotext",
    "reserved_stem",
    "write_animation",
]
