"""`python -m demo_model.training RUNS`: all stages, one after the other, into RUNS, then the model.

A stage that has finished before is left out, so that an interrupted training goes on with the one it was in.
On two cores the whole takes hours.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from animatediff_webui.hosts.diffusers.checkpoint import TOKENIZER
from demo_model import files
from motion_module.loading import load_motion_module
from motion_module.module import MotionModule
from motion_module.spec import MotionModuleSpec

from .assemble import assemble
from .control import train_control
from .image import train_image
from .lora import train_lora
from .motion import Stage, train_motion
from .sparse import train_sparsectrl
from .text import train_text_encoder
from .vae import train_vae

# First what belongs together; then directions, one after another: all at once, their first effects cancel out
# and none is learned. Then all of it, on more frames of fewer clips.
MOVING = ("right", "left", "up", "down")
MOTION_STAGES = [
    Stage(800, 8, 4, 0.6),
    Stage(250, 16, 2, 0.95, 930, ("right",)),
    Stage(150, 16, 2, 0.9, 920, ("right", "down")),
    Stage(200, 16, 2, 0.9, 920, ("right", "down", "left")),
    Stage(350, 16, 2, 0.9, 900),
    Stage(1000, 8, 4, 0.6),
    Stage(400, 4, 8, 0.5, 700),
]
# Then what stands still: most clips move, and captions often do not say that one does not.
STILL_STAGES = [
    Stage(240, 16, 2, 0.95, 900, (*MOVING, "still", "still", "still")),
    Stage(160, 8, 4, 0.8, 800, (*MOVING, "still", "still")),
    Stage(120, 4, 8, 0.5, 700, (*MOVING, "still", "still")),
]
# At last less noise: outlines that stay the same from frame to frame.
STEADY_STAGES = [Stage(900, 8, 4, 0.3, 750), Stage(1500, 4, 8, 0.3, 750)]
# Lines: first what is inside them, then stills, then a few frames of clips, which the motion module would
# lead elsewhere.
FILL_STAGE = Stage(200, 16, 1, 0.7, 500)
CONTROL_STAGES = [Stage(800, 8, 1, 0.85, 500), Stage(300, 4, 4, 0.85, 600)]
# Pictures: first stills, given themselves; then two far frames, as nearly pure noise makes the picture all
# there is to go by.
SPARSE_STAGES = [Stage(500, 16, 1, 0.85, 500), Stage(720, 6, 2, 0.95, 700), Stage(380, 4, 4, 0.8, 600)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo_model.training", description=__doc__)
    parser.add_argument("runs", type=Path, help="where the stages leave their results")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.runs)
    assemble(options.runs, files.FOLDER)


def train(runs: Path) -> None:
    """Every stage that has not finished in `runs` yet."""
    shutil.copytree(TOKENIZER, runs / "tokenizer", dirs_exist_ok=True)
    motion = runs / "motion" / files.MOTION_MODULE.name
    lora = runs / "lora" / "drift_right.safetensors"

    def go_on(stages: list[Stage], seed: int) -> None:
        train_motion(runs, _load(motion), stages, motion, rate=0.006, seed=seed)

    def control() -> None:
        train_control(runs, _load(motion), CONTROL_STAGES, fill=FILL_STAGE, rate=0.012, seed=51)

    def sparsectrl() -> None:
        train_sparsectrl(runs, _load(motion), SPARSE_STAGES, rate=0.015, seed=61)

    _once(runs, "text encoder", lambda: train_text_encoder(runs))
    _once(runs, "image, fast", lambda: train_image(runs, 1000, rate=0.02, seed=2))
    _once(runs, "image", lambda: train_image(runs, 8000, rate=0.006, seed=6, resume=True))
    _once(runs, "vae", lambda: train_vae(runs, 1600, rate=0.02, seed=3))
    _once(runs, "motion", lambda: train_motion(runs, _new_module(), MOTION_STAGES, motion, rate=0.02, seed=4))
    _once(runs, "still", lambda: go_on(STILL_STAGES, 31))
    _once(runs, "steady", lambda: go_on(STEADY_STAGES, 41))
    _once(runs, "lora", lambda: train_lora(runs, _load(motion), lora, steps=300, batch=8, num_frames=4))
    _once(runs, "control", control)
    _once(runs, "sparsectrl", sparsectrl)


def _once(runs: Path, name: str, stage: Callable[[], None]) -> None:
    """Run a stage, unless a mark in `runs` says that it has finished before."""
    mark = runs / "finished" / name
    if not mark.exists():
        stage()
        mark.parent.mkdir(exist_ok=True)
        mark.touch()


def _new_module() -> MotionModule:
    return MotionModule(MotionModuleSpec(widths=(32, 64, 96, 96)))


def _load(motion: Path) -> MotionModule:
    return load_motion_module(motion, dtype=torch.float32)


if __name__ == "__main__":
    main()
