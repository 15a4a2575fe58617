"""From a sampled clip to files: what is checked before sampling, and what is said of each file."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from animatediff_webui.core.formats import FORMATS
from animatediff_webui.media import naming
from animatediff_webui.media.errors import MediaError, WritingStoppedError

if TYPE_CHECKING:
    from animatediff_webui.hosts.diffusers.clip import Clip
    from animatediff_webui.media.animation import WrittenFile
    from animatediff_webui.session import Session

BYTES_PER_PIXEL = 3


def check_output(session: Session, folder: Path, size: tuple[int, int]) -> None:
    """MediaError where a clip of this size could not be written below `folder`."""
    naming.check_output(folder, session.plan.parameters.output.request_id)
    frame = size[0] * size[1] * BYTES_PER_PIXEL
    free = _free(folder)
    if free < frame:
        raise MediaError(
            f"There are {_bytes(free)} left in {folder}, less than one frame takes ({_bytes(frame)}): make "
            "room, or choose another folder."
        )
    # Frames wait where there is more room, until all are there.
    plan = session.plan
    num_waiting = plan.num_frames + (plan.num_shown if plan.num_shown > len(plan.played_frames) else 0)
    waiting, most = frame * num_waiting, max(free, _free(Path(tempfile.gettempdir())))
    if waiting > most:
        raise MediaError(
            f"The clip's frames take {_bytes(waiting)} until they are written, but there are only "
            f"{_bytes(most)} left in {folder} and in {tempfile.gettempdir()}: make room, or ask for fewer or "
            "smaller frames."
        )


def save_clip(clip: Clip, folder: Path) -> bool:
    """Write the clip and say what was written; whether a signal ended it early.

    Where decoding fails, the frames that were ready are kept, and the error goes on.
    """
    if clip.stopped_at_step is not None:
        step = f"step {clip.stopped_at_step} of {clip.session.num_steps}"
        print(f"Stopped at {step}: saving the clip as far as it is.", file=sys.stderr)
    try:
        clip.save(folder)
    except (WritingStoppedError, KeyboardInterrupt):
        kept = "the files hold the frames that were ready" if clip.session.files else "no frame was ready"
        print(f"Stopped while writing: {kept}.", file=sys.stderr)
        return True
    finally:
        for file in clip.session.files:
            _describe(file, clip)
    return clip.stopped_at_step is not None


def _describe(file: WrittenFile, clip: Clip) -> None:
    if file.error is not None:
        print(f"error: {file.error}", file=sys.stderr)
        return
    plan = clip.plan
    whole = plan.num_shown
    if file.path.name.endswith("-beyond"):
        whole = len(plan.extra_frames)
    elif FORMATS[file.format].holds_every_frame:
        whole = plan.num_frames
    is_whole = file.num_frames == whole
    count = f"{file.num_frames} frames" if is_whole else f"{file.num_frames} of {whole} frames"
    seconds = file.num_frames / float(plan.fps)
    facts = f"{clip.width} x {clip.height}, {float(plan.fps):g} fps, {seconds:.2f} s, seed {clip.seed}"
    print(f"{file.path}  {count}, {facts}", flush=True)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _bytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"
