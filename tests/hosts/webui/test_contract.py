"""The stand-in against a real WebUI: `SD_WEBUI_DIR=/path/to/webui python3 tests tests/webui`."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

FAKE = Path(__file__).parent / "fake_host" / "modules"
REAL = os.environ.get("SD_WEBUI_DIR", "")
pytestmark = pytest.mark.skipif(not REAL, reason="SD_WEBUI_DIR names no WebUI")
# What only the stand-in has, or what it simplifies on purpose.
OWN = {
    "shared.py": None,  # the real one is made of several files
    "sd_samplers_common.py": {"Sampler.__init__", "Sampler._run"},
    "processing.py": {
        "StableDiffusionProcessing.renew_forge_objects",
        "scripts_image", "scripts_image.__init__", "overlaid", "create_infotext",
        "StableDiffusionProcessing.__init__", "StableDiffusionProcessingTxt2Img.__init__",
        "StableDiffusionProcessingImg2Img.__init__",
    },
    "img2img.py": {"process_batch"},  # called by position; the names have changed
    "scripts.py": {"ScriptRunner.__init__", "ScriptRunner._call"},
    "extra_networks.py": set(),
    "prompt_parser.py": {"_at", "_stacked"},
    "sd_samplers_cfg_denoiser.py": {
        "_cat", "_rows", "_cond_dict", "CFGDenoiser.inner_model", "CFGDenoiser._forked",
    },
}  # fmt: skip
# Calls of one generation whose order the adapter relies on.
ORDER = (
    "setup_prompts", "process", "init", "ImageRNG", "before_process_batch", "parse_extra_network_prompts",
    "activate", "process_batch", "setup_conds", "apply_alpha_schedule_override", "sample",
    "postprocess_image", "postprocess_image_after_composite", "postprocess",
)  # fmt: skip


def functions(path):
    """Qualified name -> argument names of everything a file defines."""
    found = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for each in members:
            if isinstance(each, ast.FunctionDef):
                found[prefix + each.name] = [argument.arg for argument in each.args.args]
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in FAKE.glob("[!_]*.py")))
def test_stand_in_has_the_hosts_signatures(name):
    own = OWN.get(name, set())
    if own is None:
        pytest.skip("made of several files in the host")
    real = functions(Path(REAL) / "modules" / name)
    for function, arguments in functions(FAKE / name).items():
        if function not in own:
            # A newer host may have more arguments behind those that are known.
            expected = real.get(function)
            assert expected is not None or _is_newer(function), f"{name}: the host has no {function}"
            shorter = min(len(arguments), len(expected or arguments))
            assert (expected or arguments)[:shorter] == arguments[:shorter], f"{name}: {function}"


def _is_newer(function):
    """What hosts before 1.8 or 1.9 lack; the adapter asks whether it is there."""
    return function.split(".")[-1] in {
        "apply_alpha_schedule_override", "read", "postprocess_image_after_composite"
    }  # fmt: skip


def calls(path):
    tree = ast.parse(path.read_text("utf-8"))
    inner = next(
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "process_images_inner"
    )
    found = [
        (node.lineno, node.col_offset, node.func.attr)
        for node in ast.walk(inner)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ORDER
    ]
    return list(dict.fromkeys(name for _, _, name in sorted(found)))


def test_stand_in_calls_in_the_hosts_order():
    real, fake = (calls(path) for path in (Path(REAL) / "modules" / "processing.py", FAKE / "processing.py"))
    assert [name for name in fake if name in real] == real
    assert fake == list(ORDER)
