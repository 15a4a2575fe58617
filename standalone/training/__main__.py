"""`python -m standalone.training RUNS`: all stages, one after the other, into RUNS, then the model.

A stage whose result lies in RUNS already is left out, so that an interrupted training goes on. On two cores
the whole takes hours.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

import torch

from motion_module import MotionModule, MotionModuleSpec, load_motion_module
from standalone import embedded
from standalone.training.assemble import assemble
from standalone.training.image import train_image
from standalone.training.lora import train_lora
from standalone.training.motion import Stage, train_motion
from standalone.training.text import train_text_encoder
from standalone.training.vae import train_vae

# First what belongs together; then directions, one after another: all at once, their first effects cancel out
# and none is learned. At last all of it, on more frames of fewer clips.
MOTION_STAGES = [
    Stage(800, 8, 4, 0.6),
    Stage(250, 16, 2, 0.95, 930, ("right",)),
    Stage(150, 16, 2, 0.9, 920, ("right", "down")),
    Stage(200, 16, 2, 0.9, 920, ("right", "down", "left")),
    Stage(350, 16, 2, 0.9, 900),
    Stage(1000, 8, 4, 0.6),
    Stage(400, 4, 8, 0.5, 700),
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m standalone.training", description=__doc__)
    parser.add_argument("runs", type=Path, help="where the stages leave their results")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.runs)
    assemble(options.runs, embedded.FOLDER)


def train(runs: Path) -> None:
    """Every stage that `runs` does not have yet."""
    shutil.copytree(embedded.TOKENIZER, runs / "tokenizer", dirs_exist_ok=True)
    if not (runs / "text_encoder").exists():
        train_text_encoder(runs)
    if not (runs / "unet").exists():
        train_image(runs, 1000, rate=0.02, seed=2)
        train_image(runs, 8000, rate=0.006, seed=6, resume=True)
    if not (runs / "vae").exists():
        train_vae(runs, 1600, rate=0.02, seed=3)
    motion = runs / "motion" / embedded.MOTION_MODULE.name
    if not motion.exists():
        module = MotionModule(MotionModuleSpec(widths=(32, 64, 96, 96)))
        train_motion(runs, module, MOTION_STAGES, motion, rate=0.02, seed=4)
    lora = runs / "lora" / "drift_right.safetensors"
    if not lora.exists():
        module = load_motion_module(motion, dtype=torch.float32)
        train_lora(runs, module, lora, steps=300, batch=8, num_frames=4)


if __name__ == "__main__":
    main()
