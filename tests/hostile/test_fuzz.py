"""Payloads, prompts and infotexts by chance: each is carried out whole or refused in one sentence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from animatediff_webui.core.infotext import AnimationInfo, format_value, parse_value, public
from animatediff_webui.core.parameters import FIELDS, MAX_FRAMES, parse_parameters, to_api
from animatediff_webui.core.plan import Plan, build_plan, format_plan
from animatediff_webui.core.sources import SourceInfo
from motion_module import MotionModuleSpec
from tests.hostile import payloads, texts
from tests.hostile.budget import rounds
from tests.hostile.refusals import refused_or_done

SHORT, LONG = 2_000, 100_000
MODULES = (None, MotionModuleSpec())
PROMPTS = (texts.prompt, texts.travel, texts.plain)
SOURCES = (None,) * 9 + (0, 1, 7, 100)
RATES = (None,) * 9 + (8, 29.97, 1e-9, 1e9)


def sources(random: Random) -> list[SourceInfo]:
    """None, one or two videos or folders."""
    rows = [(random.choice(SOURCES), random.choice(RATES)) for _ in range(random.randrange(3))]
    return [SourceInfo("it", frames, None if fps is None else Fraction(fps)) for frames, fps in rows]


def plan_request(random: Random) -> None:
    """One request on its way through the engine, up to where a host would load a model."""
    plan = build_plan(
        parse_parameters(payloads.payload(random)),
        module=random.choice(MODULES),
        prompt=random.choice(PROMPTS)(random),
        negative_prompt=random.choice(PROMPTS)(random),
        sources=sources(random),
    )
    check_plan(plan)


def check_plan(plan: Plan) -> None:
    """What is accepted can be carried out: every frame is computed and is told something."""
    assert 0 < plan.video_frames <= plan.num_frames <= MAX_FRAMES
    assert plan.num_frames == plan.prompt_track.num_frames == plan.negative_prompt_track.num_frames
    assert set(plan.played_frames) == set(range(plan.video_frames))
    assert plan.duration > 0
    if plan.num_frames > payloads.MOST_FRAMES:
        return
    for step in range(3):
        covered = {frame for window in plan.windows(step) for frame in window.frames}
        assert covered == set(range(plan.num_frames))
    assert str(plan.num_frames) in format_plan(plan)
    sent = json.loads(json.dumps(to_api(public(plan.parameters))))
    assert parse_parameters(sent) == public(plan.parameters)
    assert parse_value(format_value(plan.parameters)).parameters == public(plan.parameters)


def read_infotext(random: Random) -> None:
    """A picture from the internet, dropped on the page."""
    info: AnimationInfo = parse_value(texts.infotext(random))
    assert parse_parameters(to_api(info.parameters)) == info.parameters


def read_words(random: Random) -> None:
    """Values as a command line and the axes of a grid give them: texts, all of them."""
    field = random.choice(FIELDS)
    value: Any = payloads.any_value(random)
    field.read_text(value if isinstance(value, str) else str(payloads.good_value(field, random)))


WAYS = {"requests": plan_request, "infotexts": read_infotext, "words": read_words}


def count_outcomes(attempt: Callable[[Random], None], seeds: Iterable[int]) -> Counter[str]:
    """How many were carried out and how many refused; an unhandled one fails with its seed."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        try:
            with refused_or_done() as outcome:
                attempt(Random(seed))
        except Exception as error:
            raise AssertionError(f"{attempt.__name__}(Random({seed})): {error!r}"[:1000]) from error
        counts["refused" if outcome.sentence else "carried out"] += 1
    return counts


@pytest.mark.parametrize("way", WAYS)
def test_a_few_by_chance(way: str):
    counts = count_outcomes(WAYS[way], range(SHORT))
    assert min(counts["refused"], counts["carried out"]) > SHORT / 10, counts


@pytest.mark.slow
@pytest.mark.parametrize(("way", "share"), [("requests", 0.25), ("infotexts", 0.05), ("words", 0.05)])
def test_a_hundred_thousand_by_chance(way: str, share: float, request, record_property):
    """More than that where there is more time."""
    minutes = request.config.getoption("--hostile-minutes")
    seeds = rounds(request.config, share, round(LONG * max(1, minutes / 3)))
    counts = count_outcomes(WAYS[way], seeds)
    record_property(f"fuzzed {way}", dict(counts))
    assert counts["carried out"] > 1000
