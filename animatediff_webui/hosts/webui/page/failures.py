"""What ended a request, for the page of hosts that work in one thread and keep it to themselves."""

from __future__ import annotations

from collections.abc import Callable

from animatediff_webui.hosts.webui.patches import replaced_function


def show_failures(is_ours: Callable[[Exception], bool]) -> Callable[[], None]:
    """Let the page say what ended a request, where `is_ours(error)`; returns what undoes it.

    reForge and Forge Classic print what is raised in their main thread and answer with None, which their page
    says is not iterable. There is no callback for it, so the function that hands work to that thread is
    wrapped for as long as the extension is loaded.
    """
    try:
        from modules_forge import main_thread
    except ImportError:  # AUTOMATIC1111's WebUI works in the page's own thread
        return _undo_nothing
    if hasattr(main_thread, "last_exception"):  # Forge tells its page
        return _undo_nothing
    original = main_thread.run_and_wait_result

    def run_and_wait_result(func: Callable[..., object], *args: object, **kwargs: object) -> object:
        failures: list[Exception] = []

        def work(*args: object, **kwargs: object) -> object:
            try:
                return func(*args, **kwargs)
            except Exception as error:
                if is_ours(error):
                    failures.append(error)
                raise

        answer = original(work, *args, **kwargs)
        if failures:
            raise failures.pop()  # kept by nobody: what it has of the model's memory has to go
        return answer

    return replaced_function(main_thread, "run_and_wait_result", run_and_wait_result)


def _undo_nothing() -> None:
    pass
