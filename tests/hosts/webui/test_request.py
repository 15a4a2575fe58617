"""A request is as it was, whatever becomes of it: every attribute that it had, and what is in its lists."""

from __future__ import annotations

from contextlib import closing, suppress

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

RECORD = ("AnimateDiff", "AnimateDiff note")
PICTURES = [Image.new("RGB", (64, 64), colour) for colour in ("red", "lime", "blue", "white", "black", "red")]
MASK = Image.new("L", (64, 64), 255)

TEXTS = st.sampled_from(["a cat", "0: a cat\n2: a dog", "a cat AND a dog"])
SHARED = {
    "prompt": st.one_of(TEXTS, st.lists(TEXTS, min_size=1, max_size=2)),
    "negative_prompt": st.sampled_from(["", "0: bad\n2: worse"]),
    "seed": st.sampled_from([1, 7]),
    "n_iter": st.integers(1, 2),
    "steps": st.just(1),
    "batch_size": st.integers(1, 2),
    "do_not_save_samples": st.booleans(),
    "do_not_save_grid": st.booleans(),
    "styles": st.sampled_from([[], ["pretty"]]),
}
TEXT_REQUESTS = st.fixed_dictionaries(SHARED)
HIRES_REQUESTS = st.fixed_dictionaries({**SHARED, "prompt": TEXTS, "enable_hr": st.just(True)})
IMAGE_REQUESTS = st.fixed_dictionaries(
    {
        **SHARED,
        "is_img2img": st.just(True),
        "init_images": st.sampled_from([PICTURES, PICTURES[:1], PICTURES[:3]]).map(list),
        "mask": st.sampled_from([None, MASK]),
    }
)
REQUESTS = st.one_of(TEXT_REQUESTS, HIRES_REQUESTS, IMAGE_REQUESTS)
ANIMATIONS = st.fixed_dictionaries(
    {"video_length": st.integers(4, 6), "freeinit_enable": st.booleans(), "freeinit_iters": st.just(2)}
)


class BrokenError(Exception):
    """What goes wrong in the host."""


class Broken(BaseException):
    """What no `except Exception` stops."""


def fail(error):
    def step(*args, **kwargs):
        raise error

    return step


# Where the host can break down, by the owner of the function and its name.
STEPS = {
    "setup_prompts": lambda webui, p: (p, "setup_prompts"),
    "init": lambda webui, p: (p, "init"),
    "parse_extra_network_prompts": lambda webui, p: (p, "parse_extra_network_prompts"),
    "activate": lambda webui, p: (webui.host.extra_networks, "activate"),
    "setup_conds": lambda webui, p: (p, "setup_conds"),
    "schedule": lambda webui, p: (webui.host.sd_models, "apply_alpha_schedule_override"),
    "create_sampler": lambda webui, p: (webui.host.sd_samplers, "create_sampler"),
    "sample": lambda webui, p: (p, "sample"),
    "model": lambda webui, p: (webui.model, "apply_model"),
    "decode": lambda webui, p: (webui.host.processing, "decode_first_stage"),
    "infotext": lambda webui, p: (webui.host.processing, "create_infotext"),
    "answer": lambda webui, p: (webui.host.processing, "Processed"),
}
quick = settings(
    max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick_model(webui, monkeypatch):
    """What is computed is not looked at here."""

    def apply_model(self, x, t, cond):
        self.calls.append(x)
        webui.host.shared.state.interrupted |= len(self.calls) > self.most_calls
        return x * 0.9

    webui.model.most_calls = 1000
    monkeypatch.setattr(type(webui.model), "apply_model", apply_model)


def content(value):
    """What there is to compare of an attribute: of a list, its members by identity; else what it is."""
    if isinstance(value, (list, tuple)):
        return type(value), [content(each) for each in value]
    if isinstance(value, dict):
        return dict, {key: content(each) for key, each in value.items() if key not in RECORD}
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return id(value)


def attributes(p):
    return {name: (id(value), content(value)) for name, value in vars(p).items() if name != "comments"}


def process(webui, p):
    """As the host does: it closes the request at the end, whatever has happened."""
    webui.host.shared.state.begin()
    webui.host.shared.sd_model = webui.model
    with closing(p):
        webui.host.processing.process_images(p)


PLAIN_TEXT = {"n_iter": 2, "steps": 1, "negative_prompt": "bad", "enable_hr": True}
PLAIN_IMAGE = {"n_iter": 2, "steps": 1, "is_img2img": True, "init_images": PICTURES[:1], "mask": MASK}


def set_by_the_host(webui, *, is_img2img):
    """What a request has, or has another value of, after a plain run: that is the host's own doing."""
    p = webui.request([False], **copies(PLAIN_IMAGE if is_img2img else PLAIN_TEXT))
    before = attributes(p)
    process(webui, p)
    after = attributes(p)
    return {name for name in after if after[name] != before.get(name)}


def copies(fields):
    """Lists of its own for each request."""
    return {name: list(value) if isinstance(value, list) else value for name, value in fields.items()}


def check_unchanged(webui, fields, animation, run):
    webui.host.shared.prompt_styles.styles["pretty"] = "pretty"
    own = set_by_the_host(webui, is_img2img=fields.get("is_img2img", False))
    p = webui.request(animation, **copies(fields))
    before = attributes(p)
    run(p)
    after = attributes(p)
    assert set(after) - own == set(before) - own
    for name in set(before) - own:
        assert after[name] == before[name], name
    for name in own:  # the host's own values, and none of our methods
        assert not callable(vars(p).get(name)) or name in ("sampler", "rng"), name


@quick
@given(REQUESTS, ANIMATIONS)
def test_request_is_as_it_was_after_success(webui, fields, animation):
    check_unchanged(webui, fields, animation, lambda p: process(webui, p))


@quick
@given(REQUESTS, st.sampled_from([{"fps": 0}, {"model": "none"}, {"overlap": 4}, {"video_source": "a.mp4"}]))
def test_request_is_as_it_was_after_a_refusal(webui, fields, animation):
    def run(p):
        with pytest.raises(webui.host.api.AnimateDiffError):
            process(webui, p)

    check_unchanged(webui, fields, animation, run)


@pytest.mark.parametrize("step", STEPS)
@settings(quick, max_examples=3)
@given(REQUESTS, ANIMATIONS, st.sampled_from([BrokenError(), Broken()]))
def test_request_is_as_it_was_after_an_exception(webui, step, fields, animation, error):
    def run(p):
        owner, name = STEPS[step](webui, p)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, fail(error))
            with suppress(BrokenError, Broken):
                process(webui, p)

    check_unchanged(webui, fields, animation, run)


@quick
@given(REQUESTS, ANIMATIONS, st.integers(0, 6))
def test_request_is_as_it_was_after_an_interrupt(webui, fields, animation, calls):
    def run(p):
        webui.model.calls.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(webui.model, "most_calls", calls)
            process(webui, p)

    check_unchanged(webui, fields, animation, run)


def test_shortened_lists_are_whole_again(webui):
    pictures = list(PICTURES)
    p = webui.request({"video_length": 4}, is_img2img=True, init_images=pictures)
    process(webui, p)
    assert p.init_images is pictures
    assert pictures == PICTURES
    assert torch.is_tensor(p.last_samples)
    assert len(p.last_samples) == 4
