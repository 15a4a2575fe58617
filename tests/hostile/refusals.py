"""What a refusal has to be, whoever asked for whatever."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from animatediff_webui.core.errors import UserError
from motion_module import MotionModuleError

LONGEST_SENTENCE = 2500
"""Characters: the list of all parameters fits, a picture in base64 does not."""


@dataclass
class Outcome:
    """Whether a block was refused, and in which words."""

    sentence: str = ""


@contextmanager
def refused_or_done() -> Generator[Outcome, None, None]:
    """A block that may refuse what it was given, in one sentence that can be shown; nothing else may come."""
    outcome = Outcome()
    try:
        yield outcome
    except (UserError, MotionModuleError) as error:
        outcome.sentence = str(error)
        check_sentence(outcome.sentence)


def check_sentence(sentence: str) -> None:
    """One line that any client can be sent."""
    sentence.encode("utf-8")
    assert sentence.strip(), "a refusal without words"
    assert len(sentence.splitlines()) == 1, sentence
    assert len(sentence) < LONGEST_SENTENCE, (len(sentence), sentence[:200])
