"""The recipe of the embedded model, each stage a step or two long."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from demo_model import files as embedded
from demo_model.training import __main__ as recipe
from demo_model.training.assemble import assemble
from demo_model.training.motion import pick_frames
from demo_model.training.run import Journal, seeded
from standalone import Animator


def shortened(monkeypatch):
    """The recipe's own stages with the recipe's own settings, but hardly any steps."""
    text, image, vae = recipe.train_text_encoder, recipe.train_image, recipe.train_vae
    motion, lora = recipe.train_motion, recipe.train_lora
    control, sparse = recipe.train_control, recipe.train_sparsectrl

    def shorten(stages):
        return [replace(stage, steps=1, batch=1, num_frames=min(2, stage.num_frames)) for stage in stages]

    short = {
        "train_text_encoder": lambda runs: text(runs, steps=2, batch=4),
        "train_image": lambda runs, steps, **how: image(runs, 1, batch=2, **how),
        "train_vae": lambda runs, steps, **how: vae(runs, 1, batch=1, **how),
        "train_motion": lambda runs, module, stages, save, **how: motion(
            runs, module, shorten(stages), save, **how
        ),
        "train_lora": lambda runs, module, save, **how: lora(
            runs, module, save, **{**how, "steps": 1, "batch": 1, "num_frames": 2}
        ),
        "train_control": lambda runs, module, stages, fill, **how: control(
            runs, module, shorten(stages), fill=shorten([fill])[0], **how
        ),
        "train_sparsectrl": lambda runs, module, stages, **how: sparse(runs, module, shorten(stages), **how),
    }
    for name, stage in short.items():
        monkeypatch.setattr(recipe, name, stage)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        shortened(monkeypatch)
        recipe.train(folder)
    return folder


@pytest.fixture(scope="module")
def model(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    assemble(runs, folder)
    return folder


@pytest.mark.slow
def test_what_the_stages_leave_is_a_model_that_draws(model):
    module = model / "motion" / embedded.MOTION_MODULE.name
    lora = model / "lora" / "drift_right.safetensors"
    animator = Animator(checkpoint=model, motion_module=module, lora_folders=[lora.parent])
    settings = {"steps": 1, "seed": 1, "video_length": 2, "batch_size": 2}
    clip = animator.generate("a red circle moving right <lora:drift_right:1>", **settings)
    assert [frame.size for frame in clip.frames()] == [(128, 128)] * clip.plan.num_frames
    assert clip.notes == ()


@pytest.mark.slow
def test_assembled_model_is_small_and_in_half_precision(model):
    files = list(model.rglob("*.safetensors"))
    dtypes = {tensor.dtype for file in files for tensor in load_file(file).values()}
    assert dtypes == {torch.float16}
    assert sum(file.stat().st_size for file in files) < 32 * 10**6


@pytest.mark.slow
def test_finished_stages_are_not_trained_again(runs, monkeypatch):
    for name in dir(recipe):
        if name.startswith("train_"):
            monkeypatch.delattr(recipe, name)
    recipe.train(runs)


def test_seed_repeats_a_stages_draws():
    draws = [(pick_frames(seeded(3), 4).tolist(), torch.rand(3).tolist()) for _ in range(2)]
    assert draws[0] == draws[1]


def test_journal_prints_the_means_since_it_last_did(capsys):
    journal = Journal("stage", every=2)
    for value in (1.0, 3.0, 5.0, 6.0, 9.0):
        journal.note(loss=torch.tensor(value))
    assert capsys.readouterr().out == "stage 2: loss 2.00000\nstage 4: loss 5.50000\n"
