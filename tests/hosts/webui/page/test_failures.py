"""What a page hears of hosts that work in one thread, as reForge and Forge Classic do."""

from __future__ import annotations

import pytest


@pytest.fixture
def main_thread(webui):
    from modules_forge import main_thread

    return main_thread


def test_page_hears_why_a_request_is_refused(webui, main_thread):
    p = webui.request({}, prompt="0: a cat\n9: a dog")
    with pytest.raises(webui.host.api.AnimateDiffError, match="past the last frame"):
        main_thread.run_and_wait_result(webui.host.processing.process_images, p)


def test_page_hears_what_ends_a_clip_and_not_what_ends_a_picture(webui, main_thread):
    hook = webui.model.model.diffusion_model.out[0].register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main_thread.run_and_wait_result(webui.host.processing.process_images, webui.request({}))
    picture = webui.request([False])
    assert main_thread.run_and_wait_result(webui.host.processing.process_images, picture) is None
    hook.remove()


def test_what_is_done_is_answered(webui, main_thread):
    answer = main_thread.run_and_wait_result(lambda number, *, by: number * by, 6, by=7)
    assert answer == 42


def test_host_that_tells_its_page_is_left_alone(webui, main_thread, monkeypatch):
    from animatediff_webui.hosts.webui.page.failures import show_failures

    ours = main_thread.run_and_wait_result
    undo = show_failures(lambda _: True)
    assert main_thread.run_and_wait_result is not ours
    undo()
    assert main_thread.run_and_wait_result is ours
    monkeypatch.setattr(main_thread, "last_exception", None, raising=False)
    show_failures(lambda _: True)
    assert main_thread.run_and_wait_result is ours
