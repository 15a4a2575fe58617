"""Hosts that things go wrong in: what each holds, how it is run, and where it can be broken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import diffusers
import torch
from torch import nn

from tests.hosts.webui.conftest import UNET, FakeModel, WebUI, embedding
from tests.hosts.webui.forks import ForgeCheckpoint, LdmPatchedCheckpoint

Break = Callable[[], None]
CLIP = {"video_length": 6, "batch_size": 4, "overlap": 2, "format": ["GIF", "PNG"]}
"""Two windows a step."""
STEPS = 3
QUICK = {"video_length": 4, "batch_size": 4, "format": ["GIF"], "steps": 1}
TRAVEL = "0: a circle\n3: a star"


class Host(Protocol):
    """One that runs in this process. `before_window` is called in the middle of a clip, from inside."""

    folder: Path
    before_window: Break

    def run(self, *, quick: bool = False) -> None:
        """A clip to files; what goes wrong is raised. quick: a smaller one."""
        ...

    def state(self) -> object:
        """All that a run might leave changed."""
        ...

    def pictures(self) -> list[bytes]:
        """What it draws, the same each time."""
        ...

    def breaking(self, part: str, action: Break) -> Any:
        """Inside, `action` is called in the middle of that part's work."""
        ...

    def interrupt(self) -> None: ...
    def skip(self) -> None: ...
    def nest(self) -> None:
        """Ask for another clip, in the middle of one."""
        ...

    def swap(self) -> None:
        """Let the checkpoint be another one, in the middle of a clip."""
        ...


def state_of(modules: Mapping[str, nn.Module]) -> dict[str, object]:
    """Weights, buffers, hooks and methods of every layer."""
    return {name: _state_of(module) for name, module in modules.items()}


def _state_of(module: nn.Module) -> object:
    values = hashlib.sha256()
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        values.update(name.encode() + str(value.dtype).encode())
        values.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    layers = dict(module.named_modules())
    hooks = {
        name: sum(len(vars(layer)[kind]) for kind in vars(layer) if kind.endswith("_hooks"))
        for name, layer in layers.items()
    }
    own = {name: sorted(vars(layer)) for name, layer in layers.items()}
    kinds = {name: type(layer).__qualname__ for name, layer in layers.items()}
    return values.hexdigest(), hooks, own, kinds


@contextmanager
def hooked(layer: nn.Module, action: Break) -> Generator[None, None, None]:
    handle = layer.register_forward_hook(lambda *_: action())
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def replaced(owner: object, name: str, change: Callable[[Any], Any]) -> Generator[None, None, None]:
    """Inside, an attribute is what `change` makes of it."""
    original, was_own = getattr(owner, name), name in vars(owner)
    setattr(owner, name, change(original))
    try:
        yield
    finally:
        if was_own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)


def followed_by(action: Break) -> Callable[[Any], Any]:
    """A function that does something else once it is done."""

    def change(original: Any) -> Any:
        def call(*args: Any, **keywords: Any) -> Any:
            result = original(*args, **keywords)
            action()
            return result

        return call

    return change


class Standalone:
    """An animator of the diffusers family."""

    def __init__(self, animator: Any, folder: Path) -> None:
        self.animator, self.folder = animator, folder
        self.before_window: Break = lambda: None
        self._session: Any = None

    def run(self, *, quick: bool = False) -> None:
        settings = QUICK if quick else {**CLIP, "steps": STEPS}
        clip = self.animator.generate(TRAVEL, seed=1, **settings, on_window=self._listen)
        clip.save(self.folder)

    def state(self) -> object:
        pipeline = self.animator.pipeline
        parts = {
            "unet": pipeline.unet, "vae": pipeline.vae, "text encoder": pipeline.text_encoder,
            "motion module": self.animator.module,
        }  # fmt: skip
        return state_of(parts), dict(pipeline.scheduler.config), sorted(vars(pipeline))

    def pictures(self) -> list[bytes]:
        clip = self.animator.generate("a circle", seed=5, steps=2, video_length=2, batch_size=2)
        return [frame.tobytes() for frame in clip.frames()]

    def breaking(self, part: str, action: Break) -> Any:
        pipeline = self.animator.pipeline
        if part == "sampler":
            scheduler = diffusers.DPMSolverMultistepScheduler
            return replaced(scheduler, "step", followed_by(action))
        layers = {
            "unet": pipeline.unet.mid_block, "vae": pipeline.vae.decoder.mid_block,
            "text encoder": next(iter(pipeline.text_encoder.modules())),
        }  # fmt: skip
        return hooked(layers[part], action)

    def interrupt(self) -> None:
        self._session.stop()

    skip = interrupt

    def nest(self) -> None:
        self.animator.generate("a star", seed=2, steps=1)

    def swap(self) -> None:
        """The files are written anew; what is loaded is loaded."""
        for path in Path(self.animator.options.checkpoint).rglob("*.safetensors"):
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data[: len(data) // 2])

    def _listen(self, session: Any, _denoised: Any) -> None:
        self._session = session
        self.before_window()


CHECKPOINTS: Mapping[str, Callable[[], Any]] = {
    "a1111": FakeModel,
    "forge": lambda: ForgeCheckpoint(UNET, embedding),
    "reforge and classic": lambda: LdmPatchedCheckpoint(UNET, embedding),
}
"""What the families of WebUIs have in memory."""


def state_of_checkpoint(checkpoint: Any) -> object:
    """Its model, and the patchers that the forks have around it."""
    if isinstance(checkpoint, nn.Module):
        return state_of({"": checkpoint}), id(checkpoint.alphas_cumprod), sorted(vars(checkpoint))
    structs = checkpoint.forge_objects_original, checkpoint.forge_objects_after_applying_lora
    patchers = [
        (id(each.unet), each.unet.model_options, list(each.unet.extra_model_patchers_during_sampling))
        for each in structs
    ]
    schedule = id(getattr(checkpoint, "alphas_cumprod", None))
    return state_of({"": checkpoint.real}), patchers, schedule, sorted(vars(checkpoint))


class FakeWebUI:
    """A stand-in for the WebUI of a family."""

    def __init__(self, webui: WebUI, family: str) -> None:
        self.webui, self.folder, self.new_checkpoint = webui, webui.folder, CHECKPOINTS[family]
        webui.model = webui.host.shared.sd_model = self.new_checkpoint()
        self.before_window: Break = lambda: None
        self.request: Any = None
        self._unchanged = self._find_unchanged()

    def run(self, *, quick: bool = False) -> None:
        steps = QUICK["steps"] if quick else STEPS
        self.request = self.webui.request(CLIP, prompt=TRAVEL, steps=steps)
        self.webui.host.shared.state.begin()
        try:
            with hooked(self.unet.out[0], lambda: self.before_window()):
                self.webui.host.processing.process_images(self.request)
        except BaseException:
            self.request.close()
            assert (self.request.extra_generation_params, self.request.comments) == ({}, {})
            raise
        self.request.close()  # as the host does

    def state(self) -> object:
        shared = self.webui.host.shared
        fresh = self.webui.request(CLIP, prompt=TRAVEL, steps=STEPS)
        request = fresh if self.request is None else self.request
        fields = {name: vars(request)[name] for name in self._unchanged}
        is_same = shared.sd_model is self.webui.model
        return state_of_checkpoint(self.webui.model), is_same, dict(shared.opts.data), fields

    def pictures(self) -> list[bytes]:
        plain, clip = self.webui.samples(seed=5), self.webui.samples({"video_length": 4}, seed=5)
        return [each.numpy().tobytes() for each in (plain, clip)]

    def breaking(self, part: str, action: Break) -> Any:
        if part == "unet":
            return hooked(self.unet.middle_block, action)
        if part == "sampler":
            return replaced(self.webui.host.sd_samplers_common.Sampler, "sample", followed_by(action))
        method = {"vae": "decode_first_stage", "text encoder": "get_learned_conditioning"}[part]
        return replaced(self.webui.model, method, followed_by(action))

    def interrupt(self) -> None:
        self.webui.host.shared.state.interrupted = True

    def skip(self) -> None:
        self.webui.host.shared.state.skipped = True

    def nest(self) -> None:
        nested = self.webui.request([False], prompt="a face")
        self.webui.host.processing.process_images(nested)

    def swap(self) -> None:
        self.other = self.new_checkpoint()
        self.others_state = state_of_checkpoint(self.other)
        self.webui.host.shared.sd_model = self.other

    @property
    def unet(self) -> Any:
        model = self.webui.model
        return model.model.diffusion_model if isinstance(model, nn.Module) else model.real.diffusion_model

    def _find_unchanged(self) -> list[str]:
        """The request's attributes that the host itself leaves alone, but for those with what we tell it."""
        request = self.webui.request([False], prompt="a", steps=STEPS)
        before = dict(vars(request))
        self.webui.host.processing.process_images(request)
        request.close()
        after = vars(request)
        told = ("extra_generation_params", "comments")
        return [name for name, value in before.items() if after.get(name) is value and name not in told]
