"""What the WebUI's script callbacks do: find out whether a request is ours, and hand it to its run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modules import hashes, paths, scripts, shared

from animatediff_webui.core.parameters import Parameters, parse_parameters
from animatediff_webui.core.plan import build_plan

from .answer import AnsweredClips, answer, read_frames
from .api import AnimateDiffError
from .arguments import read_arguments
from .controlnet.argument import AnimateDiffArgument, build_argument
from .host_types import PostprocessedImage, Processed, Request
from .loras import LoraLibrary
from .motion_modules import ModuleLibrary
from .output import SampledClip
from .patches import is_being_processed
from .request import forget_record
from .run import USER_ERRORS, Run
from .settings import read_settings


class Extension:
    """This extension, in the host: what both of its script instances, txt2img's and img2img's, share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules = ModuleLibrary(
            self._module_folders, lambda path, name: hashes.sha256(str(path), f"animatediff/{name}")
        )
        self.loras = LoraLibrary(self._lora_folders)
        self._run: Run | None = None
        self._answered: tuple[float, AnsweredClips] = (0.0, AnsweredClips())

    def before_process(self, p: Request, args: Sequence[object]) -> None:
        """Begin a run if the request asks for one."""
        if self._is_nested(p):
            return
        self._end_run()
        forget_record(p)
        raw = read_arguments(args)
        if raw is None:
            return
        run = Run(p)
        with run.keeping_errors():
            settings = read_settings(shared.opts)
            parameters = parse_parameters(raw, defaults=settings.defaults())
            if parameters.enable:
                run.begin(parameters, settings, self.modules, self.loras)
            else:
                run.give_back(is_complete=False)
        self._run = None if run.is_over else run

    def before_process_batch(self, p: Request, batch_number: int) -> None:
        """Write the clip before, and begin the next one."""
        run = self._run_of(p)
        if run is not None and not run.is_refused:
            with run.keeping_errors():
                run.finish_clip()
                run.begin_clip(batch_number, self.loras)

    def process_batch(self, p: Request) -> None:
        """Take over, after every other script has had its say about the prompts."""
        run = self._run_of(p)
        if run is not None:
            with run.keeping_errors():
                run.wrap_request()

    def postprocess_image(self, p: Request, picture: PostprocessedImage) -> None:
        """The last word of hosts before 1.9, which paste it into what is around a mask afterwards."""
        is_last_word = not hasattr(scripts.Script, "postprocess_image_after_composite")
        if is_last_word and not (p.overlay_images or p.color_corrections):
            self.postprocess_image_after_composite(p, picture)

    def postprocess_image_after_composite(self, p: Request, picture: PostprocessedImage) -> None:
        """Remember a frame."""
        run = self._run_of(p)
        if run is not None:
            run.pictures.append(picture)

    def postprocess(self, p: Request, processed: Processed) -> None:
        """Write what is not written yet, answer with the clips, and give the request back as it was."""
        run = self._run_of(p)
        if run is None:
            return
        try:
            if not run.is_refused:
                self._finish(run, processed)
        finally:
            run.give_back(is_complete=True)
            self._run = None

    def is_failure(self, error: Exception) -> bool:
        """Whether `error`, which has just been raised, ended a request of ours."""
        return isinstance(error, AnimateDiffError) or self._run is not None

    def controlnet_argument(self, p: Request, args: Sequence[object]) -> AnimateDiffArgument | None:
        """What sd-webui-controlnet is told about a request; it asks before the run has begun, too."""
        run = self._run_of(p)
        if run is not None:
            return run.argument
        raw = None if self._is_nested(p) else read_arguments(args)
        try:
            parameters = parse_parameters(raw, defaults=read_settings(shared.opts).defaults())
        except USER_ERRORS:
            return None
        if not parameters.enable:
            return None
        return build_argument(parameters, build_plan(parameters, module=None, num_steps=p.steps))

    def default_parameters(self) -> Parameters:
        """What the page starts with, as Settings have it."""
        try:
            return read_settings(shared.opts).defaults()
        except USER_ERRORS:
            return Parameters()  # the run itself says what is wrong

    def _finish(self, run: Run, processed: Processed) -> None:
        def say(sentence: str) -> None:
            processed.comments += f"{sentence}\n"

        found = zip(read_frames(processed, run.prepared.plan.num_frames), run.sessions, strict=False)
        clips = [SampledClip(frames, infotext, session) for (frames, infotext), session in found]
        for number, clip in enumerate(clips):
            run.write(number, clip, say)
        answer(run.p, processed, clips, self._answered_clips())

    def _answered_clips(self) -> AnsweredClips:
        """Those of the job under way."""
        job = shared.state.time_start
        if self._answered[0] != job:
            self._answered = (job, AnsweredClips())
        return self._answered[1]

    def _run_of(self, p: Request) -> Run | None:
        run = self._run
        return run if run is not None and run.p is p and not run.is_over else None

    def _is_nested(self, p: Request) -> bool:
        """Whether a run of ours is on, and `p` is a request that an extension makes in the middle of it."""
        run = self._run
        return run is not None and run.p is not p and is_being_processed(run.p)

    def _end_run(self) -> None:
        """Take leave of a run whose request the host has given up on without a word."""
        run, self._run = self._run, None
        if run is not None and not run.is_over:
            run.give_back(is_complete=False)

    def _module_folders(self) -> list[Path]:
        models = Path(paths.models_path) / "AnimateDiff"
        return [*read_settings(shared.opts).model_folders, models, self.folder / "model"]

    def _lora_folders(self) -> list[Path]:
        named = (getattr(shared.cmd_opts, name, None) for name in ("lora_dir", "lyco_dir_backcompat"))
        return [Path(folder) for folder in (*named, Path(paths.models_path) / "Lora") if folder]
