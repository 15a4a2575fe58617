"""What is borrowed of a request for as long as it is ours, and what goes wrong meanwhile.

The host swallows what script callbacks raise, but not what the request's own methods raise: an error in a
callback is kept, and raised by the next of them that the host calls.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from modules import shared

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.notes import NOTE_KEY
from animatediff_webui.core.parameters import Parameters
from animatediff_webui.media.sources import opened_source
from animatediff_webui.session import Session
from motion_module.errors import MotionModuleError

from .api import AnimateDiffError
from .backends import find_backend
from .controlnet.argument import REFUSED, AnimateDiffArgument, build_argument
from .controlnet.failures import told_failures
from .host_types import PostprocessedImage, Request
from .loras import LoraLibrary
from .output import SampledClip, read_infotext, write_clip
from .patches import is_being_processed, wrapped
from .prompts import PromptReader
from .readable import readable_path
from .request import Prepared, forget_record, notes_for_user, prepare, reshaped, write_record
from .sampling import ClipSampling, read_pass_prompts, replaced_prompts
from .settings import Settings

if TYPE_CHECKING:
    from .motion_modules import ModuleLibrary

logger = logging.getLogger(__name__)
Function: TypeAlias = "Callable[..., object]"
USER_ERRORS = (UserError, MotionModuleError)
_HEARD = ("init", "setup_conds", "sample")
"""Methods of the request that the host calls, in this order, outside of callbacks."""


class Run:
    """One request of ours, from `before_process` until it is given back as it was."""

    def __init__(self, p: Request) -> None:
        self.p = p
        self.is_over = False
        self.argument: AnimateDiffArgument | None = None
        """What ControlNet is told; None as long as there is nothing to tell."""
        self.pictures: list[PostprocessedImage] = []
        """Of the clip that is being made, as the host hands them round: other scripts may change them yet."""
        self.sessions: list[Session] = []
        """Of each clip that was begun, in order."""
        self._prepared: Prepared | None = None
        self._sampling: ClipSampling | None = None
        self._error: Exception | None = None
        self._notes: list[str] = []
        self._written: set[int] = set()
        self._request, self._batch = ExitStack(), ExitStack()
        self._request.enter_context(wrapped(p, "close", self._closing))

    @property
    def prepared(self) -> Prepared:
        """What was asked for; only of a request that was not refused."""
        if self._prepared is None:
            raise RuntimeError("Expected a request that was prepared, found one that was refused.")
        return self._prepared

    @property
    def is_refused(self) -> bool:
        return self._error is not None

    # Phases

    def begin(
        self, parameters: Parameters, settings: Settings, modules: ModuleLibrary, loras: LoraLibrary
    ) -> None:
        """Make the request one for clips. Raises the user's errors."""
        readable = partial(readable_path, is_api=self.p.is_api)
        clip = self._request.enter_context(opened_source(parameters, readable))
        self._prepared = prepared = prepare(self.p, parameters, settings, clip, modules, loras)
        self.argument = build_argument(prepared.parameters, prepared.plan)
        self._request.enter_context(reshaped(self.p, prepared))
        self._request.enter_context(told_failures(self.p, self._refuse))
        write_record(self.p, prepared)
        for note in notes_for_user(prepared):
            self.tell(note)

    def begin_clip(self, number: int, loras: LoraLibrary) -> None:
        """Give every frame of clip `number` its prompt. Raises the user's errors."""
        p, prepared = self.p, self.prepared
        p.extra_generation_params.pop(NOTE_KEY, None)
        find_backend(shared.sd_model)  # the host encodes prompts next, which some forks cannot do for us
        picture = number * prepared.plan.num_frames
        reader = PromptReader(prepared.plan_with, loras, shared.prompt_styles, p.styles)
        prompts = read_pass_prompts(p, reader, picture)
        for note in prompts.notes:
            self.tell(note)
        session = Session(prompts.first.plan, p.steps, int(p.all_seeds[picture]), is_stopped=is_stopped)
        session.sound, session.interpolation = prepared.source.clip.sound, prepared.interpolation
        self.sessions.append(session)
        self._sampling = ClipSampling(p, prepared, prompts, session)
        self._batch.close()
        self._batch.enter_context(replaced_prompts(p, prompts, picture))

    def wrap_request(self) -> None:
        """Let the clip be sampled by the request's own methods, for this one batch."""
        if self._sampling is None or self.is_refused:
            return
        self._batch.close()
        methods = {**self._sampling.methods, "sample": self._ending_batch(self._sampling.sample)}
        for name, method in methods.items():
            if hasattr(self.p, name):
                self._batch.enter_context(wrapped(self.p, name, self._taking(method)))

    def finish_clip(self) -> None:
        """Write the clip whose pictures are there, so that nothing that goes wrong later can lose it."""
        frames, self.pictures = tuple(picture.image for picture in self.pictures), []
        number = len(self.sessions) - 1
        if self.sessions and len(frames) == self.sessions[number].plan.num_frames:
            clip = SampledClip(frames, read_infotext(frames[0]), self.sessions[number])
            self.write(number, clip, self.tell)

    def write(self, number: int, clip: SampledClip, say: Callable[[str], None]) -> None:
        """Write a clip where the host saves its pictures, once."""
        if number not in self._written:
            self._written.add(number)
            write_clip(clip, Path(self.p.outpath_samples), self.prepared.settings, say)

    def tell(self, sentence: str) -> None:
        """Say something to the user, below the pictures."""
        self._notes.append(sentence)
        self.p.comment(sentence)

    def give_back(self, *, is_complete: bool) -> None:
        """Give the request back as it was, also in what infotexts and comments say if nothing came of it."""
        self.is_over, self.argument = True, None
        self._batch.close()
        self._request.close()
        if not is_complete:
            forget_record(self.p)
            for note in self._notes:
                self.p.comments.pop(note, None)

    # Errors

    @contextmanager
    def keeping_errors(self) -> Generator[None, None, None]:
        """Inside a callback: what is raised is logged, and kept for where the host hears it."""
        try:
            yield
        except Exception as error:  # of any kind: the host would swallow it
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        if not isinstance(error, USER_ERRORS):
            logger.error("AnimateDiff: an error ends the request.", exc_info=error)
        self._error, self.argument = error, REFUSED

        def fail(*args: object, **kwargs: object) -> object:
            raise error

        self._batch.close()
        for name in _HEARD:
            self._batch.enter_context(wrapped(self.p, name, lambda original: self._heard(fail)))

    def _ending_batch(self, method: Function) -> Function:
        """`method`, after which the request's own methods are back.

        So copies that others make of the request from then on, to mend faces for example, are not ours.
        """

        def call(*args: object, **kwargs: object) -> object:
            with self._batch:
                return method(*args, **kwargs)

        return call

    def _taking(self, method: Function) -> Callable[[Function], Function]:
        """`method`, which gets the request's own one first, as what takes its place until it has sampled."""

        def wrap(original: Function) -> Function:
            def call(*args: object, **kwargs: object) -> object:
                return method(original, *args, **kwargs)

            return self._heard(call)

        return wrap

    def _heard(self, function: Function) -> Function:
        """`function` as a method of the request: where it raises, the host skips all callbacks to come."""

        def call(*args: object, **kwargs: object) -> object:
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                self.give_back(is_complete=False)
                if isinstance(error, USER_ERRORS):
                    raise AnimateDiffError(str(error)) from error
                raise

        return call

    def _closing(self, original: Function) -> Function:
        """What the host calls when it is done with the request, whether it came to an end or not."""

        def close() -> object:
            if is_being_processed(self.p):
                return None  # a copy that somebody made of the request
            self.give_back(is_complete=False)
            return original()

        return close


def is_stopped() -> bool:
    """Whether "Interrupt" or "Skip" was clicked."""
    return shared.state.interrupted or shared.state.skipped
