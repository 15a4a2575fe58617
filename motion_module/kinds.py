"""What kinds of weights files there are: how each is told, and where it belongs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from motion_module.errors import shorten
from motion_module.names import BLOCK, NAMINGS, NUMBER, PREFIX

LORA_WEIGHT = r"[._]lora[._](?:down|up|A|B)(?:\.\w+)?\.weight"
TEMPORAL = rf"(?:motion_modules|temporal_attentions)[._]{NUMBER}[._]"
MOTION_LAYER = (
    rf"{PREFIX}{BLOCK}\."
    rf"(?:motion_modules\.{NUMBER}(?:\.temporal_transformer)?|temporal_attentions\.{NUMBER})\."
)


@dataclass(frozen=True)
class Kind:
    """A row of the registry. keys: patterns, for each of which the file has a key.

    title: with its article. advice: where such a file belongs. forms and example: whose names are known, and
    a file's name, for the sentence to somebody who was to choose one.
    """

    title: str
    keys: tuple[str, ...]
    advice: str = ""
    forms: str = ""
    example: str = ""

    def owns(self, keys: Collection[str]) -> bool:
        """Whether the file with these keys is of the kind."""
        return all(any(re.fullmatch(pattern, key) for key in keys) for pattern in self.keys)


SPARSECTRL_ENCODER = Kind(
    "a SparseCtrl encoder, which is a ControlNet",
    (
        rf"{PREFIX}controlnet_(?:cond_embedding|down_blocks|mid_block)\..+|input_hint_block\..+",
        rf"{MOTION_LAYER}.+",
    ),
    "put it with the ControlNet models, and choose it in a ControlNet unit",
)
ELSEWHERE = "nothing here runs it: use the program it was made for"
UNET_BLOCK = r"(?:model\.diffusion_model\.)?(?:input_blocks|middle_block|output_blocks)\..+"
FANCYVIDEO = Kind(
    "FancyVideo's, which has embeddings of its own",
    (rf"{PREFIX}fps_embedding\.linear\.weight", rf"{MOTION_LAYER}.+"),
    ELSEWHERE,
)
MOTIONCTRL = Kind("MotionCtrl's", (rf"{MOTION_LAYER}.+\.cc_projection\.weight",), ELSEWHERE)
CAMERACTRL = Kind(
    "CameraCtrl",
    (rf"{PREFIX}encoder_down_conv_blocks\.{NUMBER}\..+|{MOTION_LAYER}.+\.qkv_merge\.weight",),
    "choose it as the camera model, beside a motion module",
    "CameraCtrl's own names",
    "CameraCtrl.ckpt",
)
PORTRAIT_ANIMATOR = Kind(
    "Hallo or another network that animates a portrait",
    (rf"{PREFIX}(?:denoising_unet|reference_unet)\..+",),
    ELSEWHERE,
)
STABLE_VIDEO_DIFFUSION = Kind(
    "Stable Video Diffusion",
    (
        rf"{UNET_BLOCK}\.time_(?:stack|mixer)\..+"
        rf"|{PREFIX}{BLOCK}\.attentions\.{NUMBER}\.(?:temporal_transformer_blocks|time_mixer)\..+",
    ),
    ELSEWHERE,
)
TEXT_TO_VIDEO = Kind(
    "a text-to-video UNet such as ZeroScope's or AnimateAnything's",
    (rf"{UNET_BLOCK}\.temopral_conv\..+|{PREFIX}{BLOCK}\.temp_(?:attentions|convs)\..+",),
    ELSEWHERE,
)
COGVIDEO = Kind(
    "CogVideo, or FlashVideo, which is made like it",
    (
        r"(?:model\.diffusion_model\.)?(?:transformer\.layers|mixins\.adaln_layer)\..+"
        r"|(?:transformer\.)?patch_embed\.text_proj\.weight",
    ),
    ELSEWHERE,
)
VIDEO_TRANSFORMER = Kind(
    "a video model of another kind, such as Wan, HunyuanVideo or LTX-Video",
    (
        rf"(?:model\.diffusion_model\.)?(?:blocks\.{NUMBER}\.(?:self|cross)_attn\..+|patchify_proj\.weight"
        r"|txt_in\.individual_token_refiner\..+)",
    ),
    ELSEWHERE,
)
RUN_ELSEWHERE = (SPARSECTRL_ENCODER, FANCYVIDEO, MOTIONCTRL, CAMERACTRL, PORTRAIT_ANIMATOR)
"""What has temporal layers, and is no motion module."""
MOTION_LORA = Kind("a motion LoRA", (rf".+[._]{TEMPORAL}.+{LORA_WEIGHT}",), "choose it as a LoRA")
LORA = Kind(
    "a LoRA",
    (rf".+{LORA_WEIGHT}",),
    "choose it as a LoRA",
    "official, diffusers, PEFT and flattened names",
    "v2_lora_PanLeft.ckpt",
)
LORAS = (MOTION_LORA, LORA)
LYCORIS = Kind(
    "a LyCORIS (LoHa or LoKr)",
    (r".+\.(?:hada_w[12]_[ab]|lokr_w[12](?:_[ab])?)(?:\.weight)?",),
    "choose it as a LoRA",
)
MOTION_MODULE = Kind(
    "a motion module",
    (rf"{MOTION_LAYER}(?:norm|proj_in|proj_out|transformer_blocks)\..+",),
    "choose it as the motion module",
    ", ".join(naming.name for naming in NAMINGS),
    "v3_sd15_mm.ckpt",
)
IMAGE_CHECKPOINT = Kind(
    "an image checkpoint",
    (r"model\.diffusion_model\.(?:input_blocks|middle_block|output_blocks|time_embed|label_emb|out)\..+",),
    "choose it as the checkpoint",
    "ldm names",
    "v1-5-pruned-emaonly.safetensors",
)
OTHER_IMAGE_MODEL = Kind(
    "an image model of another kind, such as Flux or SD3",
    (r"(?:model\.diffusion_model\.|transformer\.)?(?:double_blocks|joint_blocks|transformer_blocks)\..+",),
    "choose an SD1.5 or SDXL checkpoint",
)
CONTROLNET = Kind(
    "a ControlNet",
    (
        r"control_model\..+|(?:.+\.)?input_hint_block\..+"
        rf"|{PREFIX}controlnet_(?:cond_embedding|down_blocks|mid_block)\..+",
    ),
    "choose it in a ControlNet unit",
)
DIFFUSERS_UNET = Kind(
    "a UNet of diffusers, which is a part of an image checkpoint",
    (rf"{PREFIX}{BLOCK}\.(?:resnets|attentions)\..+",),
    "choose the whole checkpoint",
)
VAE = Kind(
    "a VAE",
    (
        r"(?:first_stage_model\.)?(?:encoder|decoder)\."
        r"(?:conv_in|conv_out|norm_out|conv_norm_out|mid|down|up|mid_block|down_blocks|up_blocks)\..+",
    ),
    "choose it as the VAE",
    "ldm and diffusers names",
    "vae-ft-mse-840000-ema-pruned.safetensors",
)
TEXT_ENCODER = Kind(
    "a text encoder",
    (
        r"(?:.+\.)?text_model\.(?:embeddings|encoder|final_layer_norm)\..+"
        rf"|(?:.+\.)?transformer\.resblocks\.{NUMBER}\..+|encoder\.block\.{NUMBER}\.layer\..+",
    ),
    "choose the whole checkpoint it belongs to",
)
TEXTUAL_INVERSION = Kind(
    "a textual inversion",
    (r"emb_params|clip_[gl]|<.+>",),
    "put it with the embeddings, and write its name in the prompt",
)
IP_ADAPTER = Kind("an IP-Adapter", (r"(?:ip_adapter|image_proj)\..+",), "choose it in a ControlNet unit")
UNKNOWN = Kind("weights of an unknown kind", ())
KINDS = (
    *RUN_ELSEWHERE,
    MOTION_LORA,
    LORA,
    LYCORIS,
    MOTION_MODULE,
    STABLE_VIDEO_DIFFUSION,
    TEXT_TO_VIDEO,
    COGVIDEO,
    VIDEO_TRANSFORMER,
    IMAGE_CHECKPOINT,
    CONTROLNET,
    DIFFUSERS_UNET,
    OTHER_IMAGE_MODEL,
    VAE,
    TEXT_ENCODER,
    IP_ADAPTER,
    TEXTUAL_INVERSION,
    UNKNOWN,
)
"""The first that owns a file's keys counts, so that a whole stands before its parts."""


def detect_kind(keys: Iterable[str]) -> Kind:
    """What kind of file has these keys."""
    keys = list(keys)
    return next(kind for kind in KINDS if kind.owns(keys))


def explain_misfit(keys: Iterable[str], name: str, wanted: Kind) -> str:
    """Why the file with these keys is not of the wanted kind, and what it is instead."""
    keys, shown = list(keys), shorten(name)
    kind = detect_kind(keys)
    if kind is UNKNOWN:
        reason = "it holds no tensors"
        if keys:
            reason = f"none of its {len(keys)} tensors is named as one's are (tried: {wanted.forms})"
        return f"{shown} is not {wanted.title}: {reason}: choose {wanted.title}, such as {wanted.example}."
    return f"{shown} is not {wanted.title} but {kind.title}: {kind.advice}."
