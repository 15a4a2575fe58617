"""CLIP's own tokenizer as vocabulary files, from the byte-pair merges that open_clip_torch ships."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

NUM_MERGES = 49152 - 256 - 2
SPECIAL = ("<|startoftext|>", "<|endoftext|>")


def byte_letters() -> list[str]:
    """The printable stand-in of every byte, in CLIP's order (Radford et al., byte-level BPE)."""
    spans = (("!", "~"), ("¡", "¬"), ("®", "ÿ"))
    printable: list[str] = []
    for first, last in spans:
        printable += map(chr, range(ord(first), ord(last) + 1))
    return [*printable, *map(chr, range(256, 512 - len(printable)))]


def write_tokenizer(merges_file: Path, folder: Path) -> None:
    """Write vocab.json, merges.txt and their configuration into `folder`."""
    with gzip.open(merges_file, "rt", encoding="utf8") as merges:
        lines = merges.read().split("\n")[1 : NUM_MERGES + 1]
    letters = byte_letters()
    merged = ["".join(line.split()) for line in lines]
    words = [*letters, *(letter + "</w>" for letter in letters), *merged, *SPECIAL]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = dict(zip(words, range(len(words)), strict=True))
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *lines, ""]), encoding="utf8")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": SPECIAL[0],
        "eos_token": SPECIAL[1],
        "unk_token": SPECIAL[1],
        "pad_token": SPECIAL[1],
        "do_lower_case": True,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    write_tokenizer(Path(sys.argv[1]), Path(sys.argv[2]))
