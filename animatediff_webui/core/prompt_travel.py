"""Prompt travel: a text with keyframes becomes distinct prompts and, per frame, a blend of two of them.

    head prompt (any lines, optional)
    0: closed mouth
    50%: open mouth <lora:zoom-in:0.8>
    1.5s: a smile
    tail prompt (any lines, optional)

A keyframe line begins with a frame number, a percentage of the clip (100% is the last frame) or a time, and a
colon. Keyframes ascend and follow each other; blank lines do not count. A frame's prompt is head, keyframe
text and tail, joined by ", ". LoRA tags on keyframe lines are taken out and kept as strengths per keyframe;
elsewhere they stay in the prompts. The schedule `"0": "text", "8": "text"` (braces optional) is read too.

"16:9 photo" is no keyframe: where a prompt has one single line that looks like a keyframe, and a digit
directly follows its colon, that line is ordinary text. (Two such lines, "0:1girl" and "8:2girls", are
keyframes.) A text without keyframes is one prompt for all frames, unchanged.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from .errors import PromptTravelError

if TYPE_CHECKING:
    import torch

    from .parameters import Blending, Easing

_POSITION = r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9}(?=\s*[%s]))?)\s*(?P<unit>[%s]?)"
_KEYFRAME_LINE = re.compile(rf"\s*(?P<position>{_POSITION})\s*:(?P<text>.*)")
_JSON_START = re.compile(rf'\s*\{{?\s*"\s*{_POSITION}\s*"\s*:\s*"')
_JSON_STRING = r'"((?:\\.|[^"\\])*)"'
_JSON_ENTRY = re.compile(rf"\s*{_JSON_STRING}\s*:\s*{_JSON_STRING}\s*(,?)", re.S)
_LORA_TAG = re.compile(r"\s*<(?:lora|lyco):(?P<name>[^:<>]+)(?::(?P<rest>[^<>]*))?>", re.I)
_NO_COMMA_AFTER = re.compile(r"\b(?:BREAK|AND)$")
_NO_COMMA_BEFORE = re.compile(r"(?:BREAK|AND)\b")
SLERP_THRESHOLD = 0.9995


@dataclass(frozen=True)
class LoraTag:
    """A `<lora:name:strength>` of a keyframe; `text` is the tag as written."""

    name: str
    strength: float
    text: str


@dataclass(frozen=True)
class Keyframe:
    """From where on a prompt counts; `prompt` is its index in `PromptTrack.prompts`, `line` counts from 1."""

    frame: int
    prompt: int
    line: int
    loras: tuple[LoraTag, ...] = ()


class Blend(NamedTuple):
    """One frame's mix of two prompts (or keyframes), by their indices: 0 is all left, 1 all right."""

    left: int
    right: int
    position: float


@dataclass(frozen=True)
class PromptTrack:
    """What each frame is told: the distinct prompts and, per frame, a blend of two."""

    text: str
    prompts: tuple[str, ...]
    keyframes: tuple[Keyframe, ...]
    keyframe_blends: tuple[Blend, ...]

    @property
    def num_frames(self) -> int:
        return len(self.keyframe_blends)

    @property
    def is_travelling(self) -> bool:
        """Whether frames differ in their prompt."""
        return len(self.prompts) > 1

    @property
    def blends(self) -> tuple[Blend, ...]:
        """Per frame, the blend of two prompts."""
        return tuple(self._prompt_blend(blend) for blend in self.keyframe_blends)

    @property
    def keyframe_loras(self) -> tuple[tuple[int, tuple[LoraTag, ...]], ...]:
        """Frame and tags of each keyframe that has LoRA tags."""
        return tuple((keyframe.frame, keyframe.loras) for keyframe in self.keyframes if keyframe.loras)

    @property
    def lora_strengths(self) -> dict[str, tuple[float, ...]]:
        """Each keyframe LoRA's strength per frame, blended like the prompts; without a tag it is 0."""
        names = dict.fromkeys(tag.name for _, tags in self.keyframe_loras for tag in tags)
        return {name: self._strengths(name) for name in names}

    def extended(self, num_frames: int) -> PromptTrack:
        """This track for a longer clip: the last frame holds."""
        missing = max(0, num_frames - self.num_frames)
        blends = self.keyframe_blends + self.keyframe_blends[-1:] * missing
        return PromptTrack(self.text, self.prompts, self.keyframes, blends)

    def _prompt_blend(self, blend: Blend) -> Blend:
        left, right = self.keyframes[blend.left].prompt, self.keyframes[blend.right].prompt
        return Blend(left, right, 0.0 if left == right else blend.position)

    def _strengths(self, name: str) -> tuple[float, ...]:
        at = [sum(tag.strength for tag in keyframe.loras if tag.name == name) for keyframe in self.keyframes]
        return tuple(
            at[blend.left] * (1 - blend.position) + at[blend.right] * blend.position
            for blend in self.keyframe_blends
        )


@dataclass(frozen=True)
class _Entry:
    """A keyframe as written."""

    position: str
    text: str
    line: int


def parse_prompt_travel(
    text: str,
    num_frames: int,
    fps: float | Fraction = 8.0,
    looped: bool = False,
    *,
    easing: Easing = "linear",
) -> PromptTrack:
    """The track of a prompt over `num_frames` frames; `looped` blends the last keyframe into the first.

    Raises PromptTravelError, naming the line.
    """
    head, entries, tail = _split_json(text) if _JSON_START.match(text) else _split_lines(text)
    if not entries:
        return PromptTrack(text, (text,), (Keyframe(0, 0, 1),), (Blend(0, 0, 0.0),) * num_frames)
    indices: dict[str, int] = {}
    keyframes: list[Keyframe] = []
    for entry in entries:
        frame = _frame_index(entry, num_frames, fps)
        if keyframes and frame <= keyframes[-1].frame:
            raise PromptTravelError(
                f"Line {entry.line}: keyframe {_named(entry, frame)} does not come after keyframe "
                f"{keyframes[-1].frame}: sort the keyframes, one per frame{_hint(entry)}."
            )
        prompt, loras = _without_loras(entry)
        index = indices.setdefault(_join(*head, prompt, *tail), len(indices))
        keyframes.append(Keyframe(frame, index, entry.line, loras))
    frames = [keyframe.frame for keyframe in keyframes]
    blends = tuple(_blend_at(frame, frames, num_frames, looped, easing) for frame in range(num_frames))
    return PromptTrack(text, tuple(indices), tuple(keyframes), blends)


def blend_embeddings(embeddings: torch.Tensor, track: PromptTrack, how: Blending = "slerp") -> torch.Tensor:
    """Per frame `f ...` the blend of the prompts' embeddings `p ...`: `(p n c)` of tokens or `(p c)` pooled.

    "slerp" turns the whole embedding of a prompt, taken as one vector, where the angle is large enough;
    "linear", and where the two are nearly parallel or opposite, is the weighted mean. A frame right on a
    keyframe gets that keyframe's embedding unchanged.
    """
    if len(embeddings) != len(track.prompts):
        raise ValueError(f"Expected embeddings of {len(track.prompts)} prompts, found {len(embeddings)}.")
    blends = track.blends
    flat = embeddings.flatten(1).float()
    left = flat[[blend.left for blend in blends]]
    right = flat[[blend.right for blend in blends]]
    position = flat.new_tensor([blend.position for blend in blends])[:, None]
    from_left, from_right = 1 - position, position
    if how == "slerp":
        squares = left.square().sum(dim=1, keepdim=True) * right.square().sum(dim=1, keepdim=True)
        cosine = (left * right).sum(dim=1, keepdim=True) / squares.sqrt().clamp_min(1e-12)
        turns = cosine.abs() < SLERP_THRESHOLD
        angle = cosine.clamp(-SLERP_THRESHOLD, SLERP_THRESHOLD).acos()
        from_left = (from_left * angle).sin().div(angle.sin()).where(turns, from_left)
        from_right = (from_right * angle).sin().div(angle.sin()).where(turns, from_right)
    blended = from_left * left + from_right * right
    return blended.reshape(-1, *embeddings.shape[1:]).to(embeddings.dtype)


def pad_embeddings(embeddings: Sequence[torch.Tensor], empty_chunk: torch.Tensor) -> torch.Tensor:
    """Embeddings `(n_i c)` of prompts of different lengths as one `(p n c)`.

    The shorter ones are continued with `empty_chunk` `(m c)`, the embedding of the empty prompt, as often as
    needed: that is what a text encoder that works in chunks of m tokens gives for "nothing more".
    Raises ValueError where the missing length is no whole number of chunks.
    """
    longest = max(len(embedding) for embedding in embeddings)
    padded = embeddings[0].new_empty((len(embeddings), longest, *embeddings[0].shape[1:]))
    for row, embedding in zip(padded, embeddings, strict=True):
        length = len(embedding)
        chunks, rest = divmod(longest - length, len(empty_chunk))
        if rest:
            raise ValueError(
                f"Expected lengths that differ by whole chunks of {len(empty_chunk)} tokens, found {length} "
                f"and {longest}: encode all prompts with the same chunking."
            )
        row[:length] = embedding
        row[length:] = empty_chunk.repeat(chunks, 1)
    return padded


def _split_lines(text: str) -> tuple[list[str], list[_Entry], list[str]]:
    """Head lines, keyframes and tail lines of a schedule written line by line."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    matches = {number: found for number, line in lines if (found := _KEYFRAME_LINE.fullmatch(line))}
    if len(matches) == 1 and next(iter(matches.values()))["text"][:1].isdigit():
        matches = {}
    if not matches:
        return [], [], []
    head = [line for number, line in lines if number < min(matches)]
    tail = [(number, line) for number, line in lines if number > min(matches) and number not in matches]
    if tail and tail[0][0] < max(matches):
        number = next(number for number in matches if number > tail[0][0])
        raise PromptTravelError(
            f"Line {number}: keyframe {matches[number]['position']} follows line {tail[0][0]}, which is no "
            "keyframe: put text for all frames before the first or after the last keyframe."
        )
    entries = [_Entry(found["position"], found["text"].strip(), number) for number, found in matches.items()]
    return head, entries, [line for _, line in tail]


def _split_json(text: str) -> tuple[list[str], list[_Entry], list[str]]:
    """The keyframes of a schedule written as `"0": "text", "8": "text"`, with or without braces."""
    body = text.rstrip()
    if body.lstrip().startswith("{"):
        body = body.replace("{", " ", 1).removesuffix("}").rstrip()
    entries: list[_Entry] = []
    at, comma = 0, True
    while at < len(body):
        found = _JSON_ENTRY.match(body, at)
        start = at + len(body[at:]) - len(body[at:].lstrip())
        line = body.count("\n", 0, start) + 1
        if found is None or not comma:
            raise PromptTravelError(
                f'Line {line}: expected an entry such as "8": "text", separated by commas, found '
                f"{body[start : start + 30]!r}."
            )
        position, text = (_unescaped(part, line).strip() for part in found.group(1, 2))
        entries.append(_Entry(position, text, line))
        comma, at = bool(found[3]), found.end()
    return [], entries, []


def _unescaped(text: str, line: int) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except json.JSONDecodeError as error:
        raise PromptTravelError(
            f"Line {line}: {text[:30]!r} has a backslash that JSON does not know: write it twice."
        ) from error


def _frame_index(entry: _Entry, num_frames: int, fps: float | Fraction) -> int:
    """The frame that a keyframe's position means; halves round up."""
    found = re.fullmatch(_POSITION, entry.position)
    if found is None:
        raise PromptTravelError(
            f'Line {entry.line}: {entry.position!r} is no keyframe: use "8", "50%" or "1.5s".'
        )
    number, last = Fraction(found["number"]), num_frames - 1
    if found["unit"] == "%":
        number = number * last / 100
    elif found["unit"] == "s":
        number = number * Fraction(fps)
    frame = math.floor(number + Fraction(1, 2))
    if frame > last:
        raise PromptTravelError(
            f"Line {entry.line}: keyframe {_named(entry, frame)} is past the last frame ({last}): use 0 to "
            f"{last}, or raise the number of frames{_hint(entry)}."
        )
    return frame


def _named(entry: _Entry, frame: int) -> str:
    return str(frame) if entry.position == str(frame) else f"{entry.position} (frame {frame})"


def _hint(entry: _Entry) -> str:
    """For lines such as "16:9 photo" among keyframes."""
    if not entry.text[:1].isdigit():
        return ""
    return "; if this line is no keyframe, begin it with another word"


def _without_loras(entry: _Entry) -> tuple[str, tuple[LoraTag, ...]]:
    """The text without its LoRA tags, and the tags."""
    tags = tuple(_lora_tag(found, entry.line) for found in _LORA_TAG.finditer(entry.text))
    return _LORA_TAG.sub("", entry.text).lstrip(", ") if tags else entry.text, tags


def _lora_tag(found: re.Match[str], line: int) -> LoraTag:
    """A tag; of `<lora:name:te:unet>`, the last number is the strength in the UNet, which is what travels."""
    numbers = [part for part in (found["rest"] or "1").split(":") if "=" not in part]
    named = dict(part.split("=", 1) for part in (found["rest"] or "").split(":") if "=" in part)
    text = named.get("unet") or named.get("te") or (numbers[1] if len(numbers) > 1 else (numbers or ["1"])[0])
    try:
        strength = float(text)
    except ValueError:
        strength = math.nan
    if not math.isfinite(strength):
        raise PromptTravelError(
            f"Line {line}: {found[0].strip()} has the strength {text!r}, but it must be a number: write "
            f"<lora:{found['name']}:0.8>."
        )
    return LoraTag(found["name"].strip(), strength, found[0].strip())


def _join(*parts: str) -> str:
    """Parts joined by ", ", but with a space beside BREAK and AND, and without doubled commas."""
    joined = ""
    for part in (part.strip().rstrip(",").rstrip() for part in parts):
        if joined and part:
            words = _NO_COMMA_AFTER.search(joined) or _NO_COMMA_BEFORE.match(part)
            joined += " " if words else ", "
        joined += part
    return joined


def _blend_at(frame: int, keyframes: Sequence[int], num_frames: int, looped: bool, easing: Easing) -> Blend:
    """The two keyframes (by index) that `frame` lies between, and how far it is on its way."""
    before = bisect_right(keyframes, frame) - 1
    last = len(keyframes) - 1
    if before in (-1, last) and not looped:
        only = max(before, 0)
        return Blend(only, only, 0.0)
    left, right = (last, 0) if before == -1 else (before, (before + 1) % (last + 1))
    if left == right:
        return Blend(left, right, 0.0)
    length = (keyframes[right] - keyframes[left]) % num_frames
    position = ((frame - keyframes[left]) % num_frames) / length
    return Blend(left, right, _eased(position, easing))


def _eased(position: float, easing: Easing) -> float:
    if easing == "hold":
        return 0.0
    return position if easing == "linear" else position * position * (3 - 2 * position)
