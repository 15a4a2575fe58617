"""What the adapter touches of its hosts: a table that `record_hosts` and the contract test read.

The names themselves stand once, elsewhere: in `typings/modules` (modules), in `host_types` (objects), in the
door's script (callbacks) and in the stand-in for a host. A row says where in a host's folder they are. A fork
that keeps something in another place, or has what the others lack, gets rows of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.fingerprints.python_names import (
    ATTRIBUTE,
    Names,
    attributes_assigned,
    command_line_options_in,
    names_in_class,
    names_in_module,
    options_in,
)

ROOT = Path(__file__).parents[2]
TYPINGS = ROOT / "typings"
ADAPTER = ROOT / "animatediff_webui" / "hosts" / "webui"
PROTOCOLS = ADAPTER / "host_types.py"
PATCHERS = ADAPTER / "backends" / "patchers.py"
STAND_IN = ROOT / "tests" / "hosts" / "webui" / "fake_host"
DOOR = ROOT / "scripts" / "animatediff.py"
Reader = Callable[[Path], Names]
"""Reads some of a host's names, given the host's folder."""


def class_of(file: str, class_name: str) -> Reader:
    return lambda host: names_in_class(host / file, class_name) if (host / file).is_file() else {}


def module_of(file: str) -> Reader:
    return lambda host: names_in_module(host / file) if (host / file).is_file() else {}


def attributes_from(read: Callable[[Path], Iterable[str]], *files: str) -> Reader:
    """What `read` finds in those of the files that a host has."""

    def read_all(host: Path) -> Names:
        there = [host / file for file in files if (host / file).is_file()]
        return dict.fromkeys((name for file in there for name in read(file)), ATTRIBUTE)

    return read_all


def assigned_to(variable: str, *files: str) -> Reader:
    return attributes_from(lambda file: attributes_assigned(file, variable), *files)


@dataclass(frozen=True)
class Place:
    """A module or a class of the hosts.

    `protocol` is what the file `types` calls it; `also` are names that some hosts lack, so that the adapter
    asks for them; `more` reads what is not in the file itself. `only` are the hosts that have the place, if
    not all of them.
    """

    file: str
    class_name: str = ""
    protocol: str = ""
    also: tuple[str, ...] = ()
    more: tuple[Reader, ...] = ()
    types: Path = PROTOCOLS
    only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How fingerprints call it, as the host's own code does: `processing.Processed`."""
        module = self.file.removeprefix("modules/").removeprefix("repositories/").removesuffix(".py")
        module = module.replace("/", ".")
        return f"{module}.{self.class_name}" if self.class_name else module

    def needed(self) -> Names:
        """What the adapter takes for granted."""
        names = _public(TYPINGS / self.file.replace(".py", ".pyi"), self.class_name)
        return names | (names_in_class(self.types, self.protocol) if self.protocol else {})

    def imitated(self) -> Names:
        """What the stand-in has of it; names with an underscore are the stand-in's own."""
        return _public(STAND_IN / self.file, self.class_name)

    def found(self, host: Path) -> Names:
        """What a host has of it."""
        own = class_of(self.file, self.class_name) if self.class_name else module_of(self.file)
        names: Names = {}
        for read in (*self.more, own):
            names |= read(host)
        return names


def _public(file: Path, class_name: str) -> Names:
    if not file.is_file():
        return {}
    names = names_in_class(file, class_name) if class_name else names_in_module(file, imported=False)
    return {name: value for name, value in names.items() if not name.startswith("_")}


_LDM = "repositories/stable-diffusion-stability-ai/ldm/models/diffusion/ddpm.py"
_PROCESSING = "modules/processing.py"
_REQUEST = (assigned_to("p", _PROCESSING, "modules/api/api.py"),)
_BACKEND = ADAPTER / "backends" / "backend.py"
AUTOMATIC1111 = ("1.6.1", "1.8.0", "1.10.1")
_CONTROL = ADAPTER / "controlnet"
_CONTROLNET = "extensions-builtin/sd_forge_controlnet"
_HOOKS = ("add_conditioning_modifier",)  # which puts it into the options that the adapter puts it into
_LINKED = ("transformer_options", "advanced_mask_weighting", "advanced_frame_weighting")
_FORGE, _PATCHED = ("forge",), ("reforge", "classic")
FORKS = (*_FORGE, *_PATCHED)
_LDMS = (*AUTOMATIC1111, *_PATCHED)
PLACES = (
    *(
        Place(f"modules/{name}.py")
        for name in (
            "api/api", "devices", "extensions", "extra_networks", "hashes", "img2img", "paths", "processing",
            "prompt_parser", "rng", "script_callbacks", "scripts", "sd_samplers", "sd_samplers_cfg_denoiser",
            "sd_samplers_common", "sd_unet", "shared", "ui_components", "ui_tempdir",
        )
    ),
    Place("modules/images.py", also=("read",)),
    Place("modules/sd_models.py", also=("apply_alpha_schedule_override",)),
    Place("modules/sd_models_xl.py", also=("apply_model",)),
    Place(_PROCESSING, "StableDiffusionProcessing", "Request", more=_REQUEST),
    Place(_PROCESSING, "StableDiffusionProcessingTxt2Img", "TextRequest", more=_REQUEST),
    Place(_PROCESSING, "StableDiffusionProcessingImg2Img", "ImageRequest", more=_REQUEST),
    Place(_PROCESSING, "Processed", "Processed"),
    Place("modules/prompt_parser.py", "ScheduledPromptConditioning", "ScheduledCond"),
    Place("modules/prompt_parser.py", "ComposableScheduledPromptConditioning", "PromptPart"),
    Place("modules/prompt_parser.py", "MulticondLearnedConditioning", "Conds"),
    Place("modules/rng.py", "ImageRNG", "NoiseGenerator"),
    Place("modules/sd_samplers_cfg_denoiser.py", "CFGDenoiser", "Denoiser"),
    Place("modules/sd_samplers_kdiffusion.py", "KDiffusionSampler", "Sampler"),
    Place("modules/sd_samplers_common.py", "Sampler"),
    Place("modules/scripts.py", "Script", "Script"),
    Place(
        "modules/scripts.py", "ScriptRunner", "ScriptRunner", also=("process_before_every_sampling",)
    ),
    Place("modules/scripts.py", "PostprocessImageArgs", "PostprocessedImage"),
    Place("modules/scripts.py", "ScriptClassData", "ScriptData"),
    Place("modules/script_callbacks.py", "CFGDenoiserParams"),
    Place("modules/script_callbacks.py", "ImageGridLoopParams", "GridCells"),
    Place("modules/extensions.py", "Extension", "Extension"),
    Place("modules/shared_state.py", "State", "State"),
    Place("modules/styles.py", "StyleDatabase", "Styles"),
    Place("modules/options.py", "OptionInfo", "SettingRow"),
    Place(
        "modules/options.py", "Options", "Options", also=("sd_noise_schedule", "use_downcasted_alpha_bar"),
        more=(attributes_from(options_in, "modules/shared_options.py", "modules/shared.py"),),
    ),
    Place(
        "modules/cmd_args.py", "Namespace", "CommandLine",
        also=("lora_dir", "lowvram", "lyco_dir_backcompat"),
        more=(
            attributes_from(
                command_line_options_in, "modules/cmd_args.py", "extensions-builtin/Lora/preload.py"
            ),
        ),
    ),
    Place("modules/sd_models.py", "CheckpointInfo", "Checkpoint"),
    Place("modules/sd_models.py", "SdModelData", "LoadedModels"),
    Place(
        "modules/sd_models_types.py", "WebuiSdModel", "SdModel",
        also=("alphas_cumprod_original", "lowvram", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod"),
        more=(
            class_of(_LDM, "LatentDiffusion"),
            assigned_to("sd_model", "modules/sd_models.py", "modules/lowvram.py"),
            assigned_to("model", "modules/sd_models.py"),
        ),
        only=_LDMS,
    ),
    Place(_LDM, "DiffusionWrapper", "DiffusionWrapper", only=_LDMS),
    Place("backend/memory_management.py", only=_FORGE),
    Place("backend/memory_management.py", "LoadedModel", "LoadedModel", types=PATCHERS, only=_FORGE),
    Place("backend/modules/k_prediction.py", only=_FORGE),
    Place("backend/modules/k_prediction.py", "Prediction", "Prediction", types=_BACKEND, only=_FORGE),
    Place("backend/modules/k_model.py", "KModel", "KModel", types=_BACKEND, only=_FORGE),
    Place("backend/patcher/unet.py", "UnetPatcher", "Patcher", types=PATCHERS, only=_FORGE, also=_HOOKS),
    Place("backend/diffusion_engine/base.py", "ForgeObjects", "ForgeObjects", types=PATCHERS, only=_FORGE),
    Place(
        "backend/diffusion_engine/sd15.py", "StableDiffusion", "DiffusionEngine", types=_BACKEND, only=_FORGE
    ),
    Place("modules_forge/main_thread.py", only=_PATCHED),
    Place("ldm_patched/modules/model_management.py", only=_PATCHED),
    Place(
        "ldm_patched/modules/model_management.py", "LoadedModel", "LoadedModel", types=PATCHERS, only=_PATCHED
    ),
    Place(
        "ldm_patched/modules/model_base.py", "BaseModel", "BaseModel",
        types=ADAPTER / "backends" / "ldm_patched.py", only=_PATCHED,
    ),
    Place(f"{_CONTROLNET}/scripts/controlnet.py", "ControlNetForForgeOfficial", "IntegratedScript", more=(
        class_of("modules/scripts.py", "Script"),
        assigned_to("self", f"{_CONTROLNET}/scripts/controlnet.py"),
    ), types=_CONTROL / "integrated.py", only=FORKS),
    Place(
        f"{_CONTROLNET}/scripts/controlnet.py", "ControlNetCachedParameters", "UnitParams",
        types=_CONTROL / "integrated.py", only=FORKS,
    ),
    Place(
        f"{_CONTROLNET}/lib_controlnet/external_code.py", "ControlNetUnit", "Unit",
        also=("batch_image_dir", "batch_mask_dir", "image_fg", "mask_image_fg"),
        types=_CONTROL / "integrated.py", only=FORKS,
    ),
    Place(
        "backend/patcher/controlnet.py", "ControlNet", "LinkedControl", also=_LINKED,
        more=(assigned_to("cnet", "backend/patcher/controlnet.py"),),
        types=_CONTROL / "linked.py", only=_FORGE,
    ),
    Place(
        "ldm_patched/modules/controlnet.py", "ControlNet", "LinkedControl", also=_LINKED[1:],
        more=(assigned_to("cnet", "modules_forge/controlnet.py"),),
        types=_CONTROL / "linked.py", only=_PATCHED,
    ),
    Place(
        "modules_forge/unet_patcher.py", "UnetPatcher", "Patcher", types=PATCHERS, only=_PATCHED,
        also=_HOOKS, more=(class_of("ldm_patched/modules/model_patcher.py", "ModelPatcher"),),
    ),
)  # fmt: skip

CALLS = (
    "setup_prompts", "process", "init", "ImageRNG", "before_process_batch", "parse_extra_network_prompts",
    "activate", "process_batch", "setup_conds", "apply_alpha_schedule_override", "sample",
    "postprocess_image", "postprocess_image_after_composite", "postprocess",
)  # fmt: skip
"""Calls of one generation whose order the adapter relies on, in `processing.process_images_inner`."""


def callbacks() -> Names:
    """The methods that the door's script defines for the host to call."""
    names = names_in_class(DOOR, "AnimateDiffScript")
    return {name: value for name, value in names.items() if value != ATTRIBUTE}


def touched(place: Place) -> set[str]:
    """Every name of a place that a fingerprint holds, where the host has it."""
    hooks = callbacks() if place.name == "scripts.Script" else {}
    return {*place.needed(), *place.imitated(), *place.also, *hooks}
