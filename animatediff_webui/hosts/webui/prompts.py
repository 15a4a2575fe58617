"""A clip's prompts, one per frame, as the host shall encode them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from animatediff_webui.core.plan import Plan
from animatediff_webui.core.prompt_travel import PromptTrack

from .host_types import Styles, Texts
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

    @property
    def joins_prompts(self) -> bool:
        """Whether `AND` may join some of them."""
        return any("AND" in prompt for prompt in self.prompts)


@dataclass(frozen=True)
class PromptReader:
    """Reads prompts of one request: `style_names` are those of `styles` that the user chose for it."""

    make_plan: Callable[[str, str], Plan]
    library: LoraLibrary
    styles: Styles
    style_names: list[str]

    def read(self, written: tuple[Texts, Texts], styled: tuple[str, str], picture: int) -> ClipPrompts:
        """The prompts of the clip that begins at this picture of the request.

        `written` are the prompt and the negative prompt as they were sent, `styled` what the host has made of
        them by now. Raises PromptTravelError and UserError.
        """
        positive, negative = (_text_of(texts, picture) for texts in written)
        return read_prompts(
            self.make_plan,
            read_text(positive, styled[0], self._style),
            read_text(negative, styled[1], self._style_negative),
            self.library,
        )

    def _style(self, prompt: str) -> str:
        return self.styles.apply_styles_to_prompt(prompt, self.style_names)

    def _style_negative(self, prompt: str) -> str:
        return self.styles.apply_negative_styles_to_prompt(prompt, self.style_names)


def _text_of(texts: Texts, picture: int) -> str:
    return texts[picture] if isinstance(texts, list) else texts


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
    keyframe_loras = _read_keyframe_loras(plan.prompt_track, library)
    prompts = plan.prompt_track.per_frame(distinct)
    # The host reads the tags of the first prompt, for all frames.
    prompts[0] += keyframe_loras.for_host
    return ClipPrompts(
        plan,
        tuple(prompts),
        tuple(plan.negative_prompt_track.per_frame(negatives)),
        {**loras, **keyframe_loras.travelling},
        keyframe_loras.notes,
    )


@dataclass(frozen=True)
class _KeyframeLoras:
    """Of the tags on keyframe lines: the LoRAs that travel, and the others as text for the host."""

    travelling: Mapping[str, ActiveLora]
    for_host: str
    notes: tuple[str, ...]


def _read_keyframe_loras(track: PromptTrack, library: LoraLibrary) -> _KeyframeLoras:
    travelling: dict[str, ActiveLora] = {}
    for_host: list[str] = []
    notes: list[str] = []
    texts = {tag.name: tag.text for _, tags in reversed(track.keyframe_loras) for tag in tags}
    for name, strengths in track.lora_strengths.items():
        lora, text = library.find(name), texts[name]
        if lora is None:
            for_host.append(text)
        else:
            travelling[name] = ActiveLora(lora, strengths)
        if lora is None or lora.spatial:
            notes.append(
                f"{text} stands on a keyframe, but only motion LoRAs can change over the frames: it applies "
                "to the whole clip."
            )
    return _KeyframeLoras(travelling, "".join(for_host), tuple(notes))
