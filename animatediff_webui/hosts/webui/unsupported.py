"""What the WebUI cannot do yet, by API name, in words that go before "is not possible in the WebUI yet"."""

from __future__ import annotations

from collections.abc import Mapping

NOT_HERE: Mapping[str, str] = {
    "video_source": "making an animation from a video",
    "video_path": "making an animation from a folder of frames",
    "mask_path": "taking masks from a folder",
    "video_start": "making an animation from a part of a video",
    "video_end": "making an animation from a part of a video",
    "video_stride": "making an animation from every n-th frame of a video",
    "audio": "copying a video's sound",
    "interp": "putting frames in between",
}
