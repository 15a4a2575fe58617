"""Prompts and infotexts out of what their parsers look for, by chance, the same for the same seed."""

from __future__ import annotations

from random import Random

KEYFRAMES = (
    "0:", "0: ", "4:", "8 :", "15:", "16:", "999999999:", "9999999999:", "-1:", "0.5:", "1.5s:", "0s:",
    "2 s:", "50%:", "100%:", "101%:", "33.3 %:", "1.5:", "00:", "٣:", "²:", ":", "::", "16:9", "0:1girl",
    "8:2girls", "1e3:",
)  # fmt: skip
JSON = (
    '"0": "a"', '"8": "b"', '"50%": "c"', '"x": "d"', '"0" : ', '{', "}", ",", '"', "\\", '\\"', "\\u",
    "\\ud800", "\\n", "{}", '{"0": ', "null", "[", "]",
)  # fmt: skip
TAGS = (
    "<lora:a:0.8>", "<lora:a>", "<lora:a:>", "<lora::1>", "<lora:a:x>", "<lora:a:nan>", "<lora:a:1e999>",
    "<lora:", "<lora:a:te=1:unet=0.5>", "<lora:a:unet=>", "<lora:a:1:2:3:4>", "<lyco:b:1>", "<LORA:é:-1>",
    "<lora:a\nb:x>", "<lora:\ud800:x>", "<hypernet:a:1>", "<", ">", "<lora:" + "n" * 5000 + ":x>",
    "<lora:a:" + "9" * 5000 + "x>",
)  # fmt: skip
WORDS = (
    "a", "cat", "BREAK", "AND", "AND BREAK", "(a:1.2)", "[a:b:0.5]", "[a|b]", "(((", ")))", ", ", ",,", "é",
    "😀", "\0", "\ud800", "\ufeff", "\u200b", "word " * 200, ", " * 200,
)  # fmt: skip
BLANKS = (
    "\n", "\n", "\n", "\r\n", "\r", "\t", " ", "   ", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u00a0", "",
)  # fmt: skip


def prompt(random: Random) -> str:
    """A text that may hold keyframes, a schedule, LoRA tags, or none of all."""
    families = random.sample((KEYFRAMES, JSON, TAGS, WORDS, BLANKS), random.randrange(1, 6))
    count = random.choice((0, 1, 2, 3, 5, 8, 13, 40))
    return "".join(random.choice(random.choice(families)) for _ in range(count))


def travel(random: Random, num_frames: int = 16) -> str:
    """A schedule that is right, but for what chance put into its lines."""
    frames = sorted(random.sample(range(num_frames), random.randrange(1, 5)))
    lines = [f"{frame}: {random.choice(WORDS)} {random.choice(TAGS + ('',) * 40)}" for frame in frames]
    return "\n".join([random.choice(WORDS), *lines, random.choice(WORDS)])


def plain(random: Random) -> str:
    """A prompt as most people write it."""
    return random.choice(PLAIN)


PLAIN = ("a cat", "0: a cat\n3: a dog", "0: a <lora:b:0.5>\n50%: b\nc", '"0": "a", "2": "b"', "")
INFOTEXT = (
    '{"enable": true}', '{"fps": 8, "format": ["GIF"]}', '{"fps": 0}', '{"fpz": 1}', '{"model_hash": []}',
    "{", "}", "[", '{"fps": ' + "1" * 5000 + "}", '{"a":' * 2000, '{"closed_loop": ' + "[" * 2000, '"', "\\",
    "enable: True", "fps: 8", "model: mm.ckpt, ", "mm_hash: 0123", "video_length: x", "closed_loop: ", ", ",
    ": ", "\n", "\ud800", "é", " ", "last_frame: AAAA", "video_path: /etc", "format: ['GIF', 'PNG']",
    "reverse: [0, 1]", "NaN", '{"fps": NaN}',
)  # fmt: skip


def infotext(random: Random) -> str:
    """What may stand in the animation's field of a picture from the internet."""
    return "".join(random.choice(INFOTEXT) for _ in range(random.choice((1, 1, 2, 3, 8))))
