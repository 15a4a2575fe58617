"""A clip's prompts, one per frame, as the host shall encode them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from animatediff_webui.core.plan import Plan
from animatediff_webui.core.prompt_travel import PromptTrack

from .loras import ActiveLora, LoraLibrary

Style = Callable[[str], str]


@dataclass(frozen=True)
class PromptText:
    """A prompt as the user wrote it, and what the host's styles make of it."""

    text: str
    style: Style

    def distinct(self, track: PromptTrack) -> list[str]:
        """The track's prompts, each with the styles, which belong to all keyframes, not to the last line."""
        return [self.style(prompt) for prompt in track.prompts]


@dataclass(frozen=True)
class ClipPrompts:
    """`prompts` and `negatives` are per frame, without the tags of our LoRAs; `notes` are for the user."""

    plan: Plan
    prompts: tuple[str, ...]
    negatives: tuple[str, ...]
    loras: Mapping[str, ActiveLora]
    notes: tuple[str, ...] = ()


def read_text(written: str, styled: str, style: Style) -> PromptText:
    """The text to look for keyframes in.

    `styled` is what the host has by now. Where that is the styles put on what was `written`, the latter
    counts; where another extension has changed it, it counts as it is.
    """
    return PromptText(written, style) if style(written) == styled else PromptText(styled, lambda text: text)


def read_prompts(
    make_plan: Callable[[str, str], Plan], positive: PromptText, negative: PromptText, library: LoraLibrary
) -> ClipPrompts:
    """The prompts of every frame. Raises PromptTravelError and UserError."""
    plan = make_plan(positive.text, negative.text)
    distinct, loras = library.take(positive.distinct(plan.prompt_track))
    negatives, _ = library.take(negative.distinct(plan.negative_prompt_track))
    travelling, for_all, notes = _keyframe_loras(plan.prompt_track, library)
    prompts = _per_frame(distinct, plan.prompt_track)
    return ClipPrompts(
        plan,
        # The host reads the tags of the first prompt, for all frames.
        (prompts[0] + for_all, *prompts[1:]),
        tuple(_per_frame(negatives, plan.negative_prompt_track)),
        {**loras, **travelling},
        notes,
    )


def _per_frame(distinct: Sequence[str], track: PromptTrack) -> list[str]:
    """Each frame gets the prompt on its left: so every prompt is there, on its own keyframe at least."""
    return [distinct[blend.left] for blend in track.blends]


def _keyframe_loras(
    track: PromptTrack, library: LoraLibrary
) -> tuple[dict[str, ActiveLora], str, tuple[str, ...]]:
    """Of the tags on keyframe lines: those that travel, the others as text for the host, and what to say."""
    travelling: dict[str, ActiveLora] = {}
    others: dict[str, str] = {}
    texts = {tag.name: tag.text for _, tags in reversed(track.keyframe_loras) for tag in tags}
    for name, strengths in track.lora_strengths.items():
        lora = library.find(name)
        if lora is None or lora.spatial:
            others[name] = texts[name]
        if lora is not None:
            travelling[name] = ActiveLora(lora, strengths)
    notes = tuple(
        f"{text} stands on a keyframe, but only motion LoRAs can change over the frames: it applies to the "
        "whole clip."
        for text in others.values()
    )
    hosts = "".join(text for name, text in others.items() if name not in travelling)
    return travelling, hosts, notes
