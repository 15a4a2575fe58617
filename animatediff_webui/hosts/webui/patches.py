"""What is changed on the host's objects, and put back whatever happens.

Nothing else of the adapter assigns to what is the host's. A change is made to one object, is undone by
identity, and leaves alone what others have put there meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, MutableMapping
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import IO, Protocol, TypeVar

from PIL import Image

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")
Function = Callable[..., object]
_MISSING = object()


@contextmanager
def replaced(owner: object, name: str, value: object) -> Generator[None, None, None]:
    """`owner.name` is `value` inside, on this object alone; afterwards it is what it was."""
    before = _own(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        _put_back(owner, name, before)


@contextmanager
def replaced_item(values: MutableMapping[K, V], key: K, value: V) -> Generator[None, None, None]:
    """`values[key]` is `value` inside; afterwards it is what it was, or gone if it was not there."""
    was_there = key in values
    before = values.get(key)
    values[key] = value
    try:
        yield
    finally:
        if was_there:
            values[key] = before  # pyright: ignore[reportArgumentType]: it was in there
        else:
            values.pop(key, None)


@contextmanager
def wrapped(
    owner: object, name: str, wrap: Callable[[Callable[..., R]], Callable[..., R]]
) -> Generator[None, None, None]:
    """Inside, `wrap(original)` takes the place of the method or function `owner.name`.

    Where somebody has wrapped ours meanwhile, theirs stays; to whoever still holds ours, it is the original
    from then on.
    """
    before = _own(owner, name)
    original: Callable[..., R] = getattr(owner, name)
    current = wrap(original)

    def call(*args: object, **kwargs: object) -> R:
        return current(*args, **kwargs)

    setattr(owner, name, call)
    try:
        yield
    finally:
        current = original
        if getattr(owner, name, None) is call:
            _put_back(owner, name, before)


def telling(called_with: object, tell: Callable[[Exception], None]) -> Callable[[Function], Function]:
    """A wrap for a callback that the host makes, and whose errors it swallows: `tell` gets them, too, of
    calls whose first argument is `called_with`."""

    def wrap(original: Function) -> Function:
        def call(first: object, *args: object, **kwargs: object) -> object:
            try:
                return original(first, *args, **kwargs)
            except Exception as error:  # of any kind: so does the host
                if first is called_with:
                    tell(error)
                raise

        return call

    return wrap


def replaced_function(module: ModuleType, name: str, function: Function) -> Callable[[], None]:
    """Put a function in the place of one of the host's modules, where it has no callback; returns the undo.

    For as long as the extension is loaded: the host tells when it no longer is.
    """
    original = getattr(module, name)
    setattr(module, name, function)

    def undo() -> None:
        if getattr(module, name) is function:
            setattr(module, name, original)

    return undo


Save = Callable[[Callable[..., None], "str | IO[bytes]", "str | None", dict[str, object]], None]


def saved_by(picture: Image.Image, save: Save) -> Image.Image:
    """A copy of `picture` that writes itself by `save(still, file, format, options)`.

    The host wants a picture, and what it sends to the page or to a client is what the picture writes.
    `still` writes the copy as it is.
    """
    copy = picture.copy()
    still = copy.save

    def save_copy(fp: str | IO[bytes], format: str | None = None, **params: object) -> None:
        save(still, fp, format, params)

    setattr(copy, "save", save_copy)  # noqa: B010  (a method, for this one picture)
    return copy


def give_class(answer: object, cls: type) -> None:
    """Make an object of the host one of `cls`, a subclass of its own class that adds methods alone.

    For what has to outlive `copy.copy`: a method that is put on the object goes along to its copies, but
    still acts on the first of them.
    """
    if not issubclass(cls, type(answer)):
        raise TypeError(f"Expected a subclass of {type(answer).__name__}, found {cls.__name__}.")
    answer.__class__ = cls


class Number(Protocol):
    """gradio's component for a number; `preprocess` makes of what the page sends what functions get."""

    def preprocess(self, payload: float | None) -> float | None: ...


def empty_at_zero(number: Number) -> None:
    """Let 0 in a number's field be read as empty: gradio 3 shows empty ones as 0, and sends that.

    Not a subclass: the host keeps the values of components of exactly gradio's classes in ui-config.json.
    """
    read = number.preprocess

    def read_payload(payload: float | None) -> float | None:
        return read(payload) or None

    setattr(number, "preprocess", read_payload)  # noqa: B010  (on this component alone)


def is_being_processed(p: object) -> bool:
    """Whether the host is at work on the request `p`, further up the stack or in another thread.

    The only thing that tells a request which somebody makes in the middle of another one, to mend a face for
    example, from one that follows another which failed.
    """
    for frame in sys._current_frames().values():  # pyright: ignore[reportPrivateUsage]: documented as such
        above: FrameType | None = frame
        while above is not None:
            if above.f_code.co_name == "process_images" and above.f_locals.get("p") is p:
                return True
            above = above.f_back
    return False


def _own(owner: object, name: str) -> object:
    """What this very object, not its class, has under `name`: attribute or buffer."""
    for values in (vars(owner), vars(owner).get("_buffers", {})):
        if name in values:
            return values[name]
    return _MISSING


def _put_back(owner: object, name: str, before: object) -> None:
    if before is not _MISSING:
        setattr(owner, name, before)
    elif _own(owner, name) is not _MISSING:
        delattr(owner, name)
