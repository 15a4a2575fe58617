"""The adapter beside a stand-in for the WebUI, which is on the path for these tests alone."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from motion_module import MotionModule, MotionModuleSpec, alphas_cumprod, betas, write_motion_module
from motion_module.schedules import BetaSchedule
from tests.fingerprints.published import camera_ctrl
from tests.motion_module.ldm_unet import LdmConfig, UNetModel
from tests.motion_module.samples import random_tensors

FAKE_HOST = Path(__file__).parent / "fake_host"
ROOT = Path(__file__).parents[3]
NAMES = (
    "shared", "processing", "scripts", "sd_models", "sd_samplers", "sd_samplers_common", "extra_networks",
    "hashes", "prompt_parser", "img2img", "paths", "ui_tempdir", "sd_unet", "images", "extensions",
    "script_callbacks",
)  # fmt: skip
HOSTS_PACKAGES = ("modules", "gradio", "backend", "ldm_patched", "modules_forge")
ADAPTER = (
    "run", "api", "batch", "extension", "output", "controlnet.argument", "sampling", "request", "backends",
)  # fmt: skip
UNET = LdmConfig(channel_mult=(1, 1, 1, 1), context_dim=24)
TOKENS = 4
"""A chunk of tokens; a prompt has one for every six words."""


@pytest.fixture(scope="package")
def host():
    """The fake host's modules, and the adapter's under their own names."""
    before = set(sys.modules)
    sys.path.append(str(FAKE_HOST))
    try:
        found = {name: importlib.import_module(f"modules.{name}") for name in NAMES}
        package = "animatediff_webui.hosts.webui"
        found |= {name.split(".")[-1]: importlib.import_module(f"{package}.{name}") for name in ADAPTER}
        yield SimpleNamespace(**found)
    finally:
        sys.path.remove(str(FAKE_HOST))
        for name in set(sys.modules) - before:
            if name.split(".")[0] in HOSTS_PACKAGES or ".hosts.webui" in name:
                del sys.modules[name]


class FakeModel(nn.Module):
    """An SD1.x model as the host holds it; `calls` are the rows and conditionings of `apply_model`."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.model = nn.Module()
        self.model.diffusion_model = UNetModel(UNET)
        self.register_buffer("alphas_cumprod", alphas_cumprod(BetaSchedule.SCALED_LINEAR))
        self.alphas_cumprod_original = self.alphas_cumprod
        self.cond_stage_model_empty_prompt = self.get_learned_conditioning([""])
        self.calls = []
        self.eval().requires_grad_(False)

    def get_learned_conditioning(self, texts):
        return torch.stack([embedding(text) for text in texts])

    def apply_model(self, x, t, cond):
        context = torch.cat(cond["c_crossattn"], 1)
        self.calls.append(SimpleNamespace(rows=len(x), context=context, alphas=self.alphas_cumprod))
        assert len(context) == len(x) == len(t)
        return self.model.diffusion_model(x, t, context)

    def encode_first_stage(self, image):
        small = nn.functional.avg_pool2d(image, 8)
        return torch.cat([small, small.mean(1, keepdim=True)], 1)

    def decode_first_stage(self, x):
        return nn.functional.interpolate(x[:, :3], scale_factor=8)


def embedding(text):
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    chunks = max(1, -(-len(text.split()) // 6))
    return torch.randn(TOKENS * chunks, UNET.context_dim, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="session")
def module_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    write_module(folder / "mm.safetensors", MotionModuleSpec(widths=UNET.widths))
    (folder / "sub").mkdir()
    write_module(folder / "sub" / "wide.safetensors", MotionModuleSpec(widths=(64, 64, 64, 64)))
    (folder / "broken.ckpt").write_bytes(b"no weights")
    return folder


def write_greys(folder, greys):
    """A folder of plain pictures, numbered as they come."""
    folder.mkdir(parents=True)
    for index, grey in enumerate(greys):
        Image.new("RGB", (64, 64), (grey, grey, grey)).save(folder / f"{index}.png")
    return folder


def write_module(path, spec, seed=3):
    torch.manual_seed(seed)
    module = MotionModule(spec)
    for name, weight in module.named_parameters():
        if name.endswith("proj_out.weight"):
            nn.init.normal_(weight, std=0.3)
    write_motion_module(module, path)


def write_camera(path, widths):
    parts = camera_ctrl(widths).values()
    save_file({key: value for part in parts for key, value in random_tensors(part).items()}, path)


def load_scripts(host, names="*.py"):
    """The extension's scripts, executed as the host does it, by path and in the order of their names.

    Returns the modules, by file name, and registers nothing: the host takes `Script` classes out of them.
    """
    before, loaded = sys.path, {}
    for path in sorted((ROOT / "scripts").glob(names)):
        sys.path = [str(ROOT), *(place for place in before if place not in ("", str(ROOT)))]
        host.scripts.current_basedir = str(ROOT)
        try:
            spec = importlib.util.spec_from_file_location(path.name, path)
            loaded[path.name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded[path.name])
        finally:
            sys.path, host.scripts.current_basedir = before, ""
    return loaded


def registered_scripts(host, modules):
    """The classes that the host makes scripts of."""
    classes = [
        each for module in modules.values() for each in vars(module).values() if isinstance(each, type)
    ]
    return [each for each in classes if issubclass(each, host.scripts.Script)]


def unload_scripts(host):
    """As "Reload UI" begins: extensions undo what they did, and all callbacks are forgotten."""
    for callback in reversed(host.script_callbacks.callbacks.get("script_unloaded", [])):
        callback()
    host.script_callbacks.callbacks.clear()


class WebUI:
    """A running host: `run` is a request to it, as a client of the API makes one."""

    def __init__(self, host, folder, module_folder):
        self.host, self.folder = host, folder
        self.model = host.shared.sd_model = FakeModel()
        self.options = host.shared.opts.data
        self.options["animatediff_model_path"] = str(module_folder)
        host.paths.models_path = str(folder / "models")
        self.loras = folder / "models" / "Lora"
        self.loras.mkdir(parents=True)
        modules = load_scripts(host)
        self.extension = modules["animatediff.py"].extension
        self.extension.folder = folder  # which holds no motion modules
        (script_class,) = registered_scripts(host, modules)
        script = script_class()
        script.args_from, script.args_to = 1, 41  # in front is the number of the script chosen in the list
        self.runner = host.scripts.ScriptRunner()
        self.runner.alwayson_scripts = [script]
        host.scripts.scripts_img2img = self.runner

    def request(self, values=None, *, is_img2img=False, **fields):
        processing = self.host.processing
        kind = "StableDiffusionProcessingImg2Img" if is_img2img else "StableDiffusionProcessingTxt2Img"
        p = getattr(processing, kind)(**{"prompt": "a cat", "outpath_samples": str(self.folder), **fields})
        args = (
            [{"enable": True, "batch_size": 4, "format": ["GIF"], **values}]
            if isinstance(values, dict)
            else values
        )
        p.scripts, p.script_args, p.is_api = self.runner, (0, *(args or [False])), True
        return p

    def run(self, values=None, **fields):
        p = self.request(values, **fields)
        self.host.shared.state.begin()
        self.model.calls.clear()
        p.processed = self.host.processing.process_images(p)
        return p

    def samples(self, values=None, **fields):
        return self.run(values, **fields).last_samples


@pytest.fixture
def webui(host, tmp_path, module_folder, monkeypatch):
    options = dict(host.shared.opts.data)
    for name in ("cached_c", "cached_uc"):
        monkeypatch.setattr(host.processing.StableDiffusionProcessing, name, [None, None])
    host.extra_networks.activated.clear()
    host.hashes.calculated.clear()
    yield WebUI(host, tmp_path, module_folder)
    unload_scripts(host)
    host.shared.opts.data.clear()
    host.shared.opts.data.update(options)
    host.shared.prompt_styles.styles.clear()


def schedule_of(module_schedule):
    return (1 - betas(module_schedule)).cumprod(0).float()


def clean(model):
    """Everything that a run borrows of a model."""
    hooks = sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())
    weights = hashlib.sha256()
    for value in model.state_dict().values():
        weights.update(value.numpy().tobytes())
    forwards = [name for name, each in model.named_modules() if "forward" in vars(each)]
    return hooks, forwards, sorted(vars(model)), id(model.alphas_cumprod), weights.hexdigest()
