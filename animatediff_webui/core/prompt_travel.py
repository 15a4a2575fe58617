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
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from .easings import EASINGS
from .errors import LoraTagError, PromptTravelError
from .frame_rate import DEFAULT_FPS
from .lora_tags import LoraTag, take_lora_tags
from .positions import POSITION, named, read_position

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_KEYFRAME_LINE = re.compile(rf"(?P<position>{POSITION})\s*:(?P<text>.*)")
_JSON_KEY = re.compile(rf'"\s*{POSITION}\s*"\s*:\s*"')
_JSON_STRING = r'"((?:\\.|[^"\\])*)"'
_JSON_ENTRY = re.compile(rf"{_JSON_STRING}\s*:\s*{_JSON_STRING}\s*(,?)", re.S)
_GAPS = re.compile(r"[ \t]+(?=,)|(?<=,)(?:[ \t]*,)+|[ \t]+(?=[ \t])")
_NO_COMMA_AFTER = re.compile(r"\b(?:BREAK|AND)$")
_NO_COMMA_BEFORE = re.compile(r"(?:BREAK|AND)\b")
_LONGEST_WORD = len(" BREAK")
SLERP_THRESHOLD = 0.9995


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

    def of(self, values: Sequence[float]) -> float:
        """The weighted mean of two of these numbers."""
        return values[self.left] * (1 - self.position) + values[self.right] * self.position


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
        return tuple(map(self._prompt_blend, self.keyframe_blends))

    @property
    def keyframe_loras(self) -> tuple[tuple[int, tuple[LoraTag, ...]], ...]:
        """Frame and tags of each keyframe that has LoRA tags."""
        return tuple((keyframe.frame, keyframe.loras) for keyframe in self.keyframes if keyframe.loras)

    @property
    def lora_strengths(self) -> dict[str, tuple[float, ...]]:
        """Each keyframe LoRA's strength per frame, blended like the prompts; without a tag it is 0."""
        strengths: dict[str, tuple[float, ...]] = {}
        for _, tags in self.keyframe_loras:
            for tag in tags:
                strengths[tag.name] = self._strengths(tag.name)
        return strengths

    def extended(self, num_frames: int) -> PromptTrack:
        """This track for a longer clip: the last frame holds."""
        missing = max(0, num_frames - self.num_frames)
        blends = self.keyframe_blends + self.keyframe_blends[-1:] * missing
        return PromptTrack(self.text, self.prompts, self.keyframes, blends)

    def per_frame(self, values: Sequence[T]) -> list[T]:
        """Of each frame, the value of the prompt on its left, for hosts that encode one prompt per frame.

        `values` are those of `prompts`; each of them is there, as each prompt has its own keyframe.
        """
        return [values[blend.left] for blend in self.blends]

    def per_prompt(self, values: Sequence[T]) -> list[T]:
        """Of each prompt, the value of a frame that has it on its left: the inverse of `per_frame`."""
        per_prompt = [values[0]] * len(self.prompts)
        for frame, blend in reversed(list(enumerate(self.blends))):
            per_prompt[blend.left] = values[frame]
        return per_prompt

    def blended(self, values: Sequence[float]) -> list[float]:
        """Of each frame, the mean of its prompts' numbers."""
        return [blend.of(values) for blend in self.blends]

    def _prompt_blend(self, blend: Blend) -> Blend:
        left, right = self.keyframes[blend.left].prompt, self.keyframes[blend.right].prompt
        return Blend(left, right, 0.0 if left == right else blend.position)

    def _strengths(self, name: str) -> tuple[float, ...]:
        at_keyframes: list[float] = []
        for keyframe in self.keyframes:
            at_keyframes.append(sum(tag.strength for tag in keyframe.loras if tag.name == name))
        return tuple(blend.of(at_keyframes) for blend in self.keyframe_blends)


@dataclass(frozen=True)
class _Entry:
    """A keyframe as written."""

    position: str
    text: str
    line: int


@dataclass(frozen=True)
class _Text:
    """A line that is no keyframe."""

    text: str
    line: int


@dataclass(frozen=True)
class _Schedule:
    """A text taken apart: lines for all frames before and after the keyframes, and those."""

    entries: Sequence[_Entry] = ()
    head: Sequence[str] = ()
    tail: Sequence[str] = ()


def parse_prompt_travel(
    text: str,
    num_frames: int,
    fps: float | Fraction = DEFAULT_FPS,
    looped: bool = False,
    *,
    easing: str = "linear",
) -> PromptTrack:
    """The track of a prompt over `num_frames` frames; `looped` blends the last keyframe into the first.

    Raises PromptTravelError, naming the line.
    """
    body = text.lstrip()
    schedule = _split_json(text) if _JSON_KEY.match(body.removeprefix("{").lstrip()) else _split_lines(text)
    if not schedule.entries:
        return PromptTrack(text, (text,), (Keyframe(0, 0, 1),), (Blend(0, 0, 0.0),) * num_frames)
    prompts, keyframes = _read_keyframes(schedule, num_frames, fps)
    frames = [keyframe.frame for keyframe in keyframes]
    ease = EASINGS[easing]
    blends = tuple(_blend_at(frame, frames, num_frames, looped, ease) for frame in range(num_frames))
    return PromptTrack(text, prompts, keyframes, blends)


def _read_keyframes(
    schedule: _Schedule, num_frames: int, fps: float | Fraction
) -> tuple[tuple[str, ...], tuple[Keyframe, ...]]:
    """The distinct prompts, and the keyframes that name them."""
    head, tail = _join(*schedule.head), _join(*schedule.tail)
    indices: dict[str, int] = {}
    keyframes: list[Keyframe] = []
    for entry in schedule.entries:
        frame = _frame_index(entry, num_frames, fps)
        if keyframes and frame <= keyframes[-1].frame:
            raise PromptTravelError(
                f"Line {entry.line}: keyframe {named(entry.position, frame)} does not come after keyframe "
                f"{keyframes[-1].frame}: sort the keyframes, one per frame{_hint(entry)}."
            )
        prompt, loras = _without_loras(entry)
        index = indices.setdefault(_join(head, prompt, tail), len(indices))
        keyframes.append(Keyframe(frame, index, entry.line, loras))
    return tuple(indices), tuple(keyframes)


def blend_embeddings(embeddings: torch.Tensor, track: PromptTrack, blending: str = "slerp") -> torch.Tensor:
    """Per frame `f ...` the blend of the prompts' embeddings `p ...`: `(p n c)` of tokens or `(p c)` pooled.

    `blending` is a name of `BLENDINGS`. A frame right on a keyframe gets that keyframe's embedding unchanged.
    """
    if len(embeddings) != len(track.prompts):
        raise ValueError(f"Expected embeddings of {len(track.prompts)} prompts, found {len(embeddings)}.")
    blends = track.blends
    flat = embeddings.flatten(1).float()
    left, right, position = zip(*blends, strict=True)
    positions = flat.new_tensor(position)[:, None]
    blended = BLENDINGS[blending](flat[list(left)], flat[list(right)], positions)
    return blended.reshape(-1, *embeddings.shape[1:]).to(embeddings.dtype)


def blend_keyframes(
    embeddings: torch.Tensor, keyframes: Sequence[int], num_frames: int, *, looped: bool = False
) -> torch.Tensor:
    """Per frame `f ...` the blend of the embeddings `k ...` that belong to the ascending `keyframes`.

    Before the first and after the last one the nearest holds, or, if `looped`, they blend round the end.
    """
    schedule = "\n".join(f"{frame}: keyframe {frame}" for frame in keyframes)
    return blend_embeddings(embeddings, parse_prompt_travel(schedule, num_frames, looped=looped))


def _lerp(left: torch.Tensor, right: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """The weighted mean."""
    return (1 - position) * left + position * right


def _slerp(left: torch.Tensor, right: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """A turn of the whole embedding, taken as one vector; the weighted mean where two are nearly parallel.

    (Shoemake, Animating rotation with quaternion curves, 1985.)
    """
    squares = left.square().sum(dim=1, keepdim=True) * right.square().sum(dim=1, keepdim=True)
    cosine = (left * right).sum(dim=1, keepdim=True) / squares.sqrt().clamp_min(1e-12)
    turns = cosine.abs() < SLERP_THRESHOLD
    angle = cosine.clamp(-SLERP_THRESHOLD, SLERP_THRESHOLD).acos()
    from_left = ((1 - position) * angle).sin().div(angle.sin()).where(turns, 1 - position)
    from_right = (position * angle).sin().div(angle.sin()).where(turns, position)
    return from_left * left + from_right * right


BLENDINGS: Mapping[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "slerp": _slerp,
    "linear": _lerp,
}
"""How two embeddings `f c` are mixed at positions `f 1`, 0 being all left and 1 all right."""


def pad_embeddings(embeddings: Sequence[torch.Tensor], empty_chunk: torch.Tensor) -> torch.Tensor:
    """Embeddings `(n_i c)` of prompts of different lengths as one `(p n c)`.

    The shorter ones are continued with `empty_chunk` `(m c)`, the embedding of the empty prompt, as often as
    needed: that is what a text encoder that works in chunks of m tokens gives for "nothing more".
    Raises ValueError where the missing length is no whole number of chunks.
    """
    longest = max(map(len, embeddings))
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


def _split_lines(text: str) -> _Schedule:
    """A schedule written line by line."""
    lines = list(filter(None, map(_read_line, text.splitlines(), count(1))))
    entries = [line for line in lines if isinstance(line, _Entry)]
    if not entries or (len(entries) == 1 and entries[0].text[:1].isdigit()):
        return _Schedule()
    first = lines.index(entries[0])
    head, tail = lines[:first], lines[first + len(entries) :]
    for line, entry in zip(lines[first:], entries, strict=False):
        if isinstance(line, _Text):
            raise PromptTravelError(
                f"Line {entry.line}: keyframe {entry.position} follows line {line.line}, which is no "
                "keyframe: put text for all frames before the first or after the last keyframe."
            )
    return _Schedule(entries, [line.text for line in head], [line.text for line in tail])


def _read_line(text: str, line: int) -> _Entry | _Text | None:
    """A keyframe, or text for all frames; None for a blank line."""
    stripped = text.strip()
    if not stripped:
        return None
    match = _KEYFRAME_LINE.fullmatch(stripped)
    if match is None:
        return _Text(stripped, line)
    return _Entry(match["position"], match["text"].strip(), line)


def _split_json(text: str) -> _Schedule:
    """A schedule written as `"0": "text", "8": "text"`, with or without braces."""
    body = text.rstrip()
    if body.lstrip().startswith("{"):
        body = body.replace("{", " ", 1).removesuffix("}").rstrip()
    entries: list[_Entry] = []
    line, at, comma = 1, 0, True
    while at < len(body):
        start = _skip_blanks(body, at)
        line += body.count("\n", at, start)
        match = _JSON_ENTRY.match(body, start)
        if match is None or not comma:
            raise PromptTravelError(
                f'Line {line}: expected an entry such as "8": "text", separated by commas, found '
                f"{body[start : start + 30]!r}."
            )
        position, prompt = _unescaped(match[1], line), _unescaped(match[2], line)
        entries.append(_Entry(position.strip(), prompt.strip(), line))
        comma, at = bool(match[3]), match.end()
        line += body.count("\n", start, at)
    return _Schedule(entries)


def _skip_blanks(text: str, at: int) -> int:
    """Where the next character that is no blank stands."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _unescaped(text: str, line: int) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except json.JSONDecodeError as error:
        raise PromptTravelError(
            f"Line {line}: {text[:30]!r} has a backslash that JSON does not know: write it twice."
        ) from error


def _frame_index(entry: _Entry, num_frames: int, fps: float | Fraction) -> int:
    """The frame that a keyframe's position means; halves round up."""
    position, last = read_position(entry.position), num_frames - 1
    if position is None:
        raise PromptTravelError(
            f'Line {entry.line}: {entry.position!r} is no keyframe: use "8", "50%" or "1.5s".'
        )
    frame = position.index(num_frames, fps)
    if frame > last:
        raise PromptTravelError(
            f"Line {entry.line}: keyframe {named(entry.position, frame)} is past the last frame ({last}): "
            f"use 0 to {last}, or raise the number of frames{_hint(entry)}."
        )
    return frame


def _hint(entry: _Entry) -> str:
    """For lines such as "16:9 photo" among keyframes."""
    if not entry.text[:1].isdigit():
        return ""
    return "; if this line is no keyframe, begin it with another word"


def _without_loras(entry: _Entry) -> tuple[str, tuple[LoraTag, ...]]:
    """The text without its LoRA tags, and the tags."""
    try:
        text, tags = take_lora_tags(entry.text)
    except LoraTagError as error:
        raise PromptTravelError(f"Line {entry.line}: {error}") from error
    return close_gaps(text) if tags else entry.text, tags


def close_gaps(prompt: str) -> str:
    """A prompt from which words were cut: without doubled blanks and commas, and none at its ends."""
    return _GAPS.sub("", prompt).strip(" \t,")


def _join(*parts: str) -> str:
    """Parts joined by ", ", but with a space beside BREAK and AND, and without doubled commas."""
    joined: list[str] = []
    for text in parts:
        part = text.strip().rstrip(",").rstrip()
        if joined and part:
            words = _NO_COMMA_AFTER.search(joined[-1][-_LONGEST_WORD:]) or _NO_COMMA_BEFORE.match(part)
            joined.append(" " if words else ", ")
        if part:
            joined.append(part)
    return "".join(joined)


def _blend_at(
    frame: int, keyframes: Sequence[int], num_frames: int, looped: bool, ease: Callable[[float], float]
) -> Blend:
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
    return Blend(left, right, ease(position))
