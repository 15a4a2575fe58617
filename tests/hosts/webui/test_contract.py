"""What we take for granted of the hosts, and our stand-in for them, against recordings of the real ones.

With `SD_WEBUI_DIR=/path/to/webui`, that one as it is now is held against the same.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from tests.fingerprints.host_names import AUTOMATIC1111, CALLS, FORKS, PLACES, STAND_IN, TYPINGS, callbacks
from tests.fingerprints.python_names import ATTRIBUTE, calls_in_function
from tests.fingerprints.record_hosts import FOLDER, ORDER, fingerprint, read_fingerprint

LIVE = os.environ.get("SD_WEBUI_DIR", "")
HOSTS = (*AUTOMATIC1111, *FORKS, *([LIVE] if LIVE else []))
PLACE_NAMES = [place.name for place in PLACES]
# What the stand-in alone has: for tests to look at, or because the real ones have it from elsewhere.
STAND_INS_OWN = {
    ("extra_networks", "activated"), ("hashes", "calculated"), ("script_callbacks", "callbacks"),
    ("ui_tempdir", "registered"), ("scripts.ScriptRunner", "reported"),
    ("sd_samplers_cfg_denoiser.CFGDenoiser", "alphas"), ("sd_samplers_common.Sampler", "started_from"),
}  # fmt: skip
OUR_CALLBACKS = {"controlnet_argument"}
"""Methods of our script that our own code calls."""


@cache
def recorded(host):
    return fingerprint(Path(host)) if host == LIVE else read_fingerprint(host)


def names(parameters):
    """Parameters that can be given by position, by name; `/` for those that only can be given so."""
    positional = [each for each in parameters if not each.startswith("*")]
    return ["/" if each.endswith("/") else each.rstrip("=") for each in positional]


def differs(ours, theirs):
    """Whether calling `theirs` by the parameters of `ours` fails; theirs may have more, at the end."""
    if ATTRIBUTE in (ours, theirs):
        return ours != theirs
    if any(each.startswith("*") and each != "*, name=" for each in theirs):
        theirs = [*names(theirs), *names(ours)[len(names(theirs)) :]]
    pairs = zip(names(ours), names(theirs), strict=False)
    return len(names(ours)) > len(names(theirs)) or any(a not in (b, "/") for a, b in pairs)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("place", PLACES, ids=PLACE_NAMES)
def test_host_has_what_the_adapter_takes_for_granted(host, place):
    if place.only and host not in place.only:
        return
    there = recorded(host).get(place.name, {})
    for name, ours in place.needed().items():
        assert name in there, f"{host} has no {place.name}.{name}, or was recorded before it was needed"
        is_typed_by_us = ours == ATTRIBUTE or there[name] == ATTRIBUTE
        assert is_typed_by_us or not differs(ours, there[name]), f"{host}: {place.name}.{name}{there[name]}"


@pytest.mark.parametrize("place", PLACES, ids=PLACE_NAMES)
def test_what_the_adapter_asks_for_is_in_some_host(place):
    for name in place.also:
        assert any(name in recorded(host).get(place.name, {}) for host in HOSTS), f"{place.name}.{name}"


@pytest.mark.parametrize("place", PLACES, ids=PLACE_NAMES)
def test_stand_in_has_nothing_that_no_host_has(place):
    real = [recorded(path.stem) for path in FOLDER.glob("*.json")]
    for name, ours in place.imitated().items():
        if (place.name, name) in STAND_INS_OWN:
            continue
        theirs = [host[place.name][name] for host in real if name in host.get(place.name, {})]
        assert theirs, f"no host has {place.name}.{name}"
        assert not all(differs(ours, each) for each in theirs), f"{place.name}.{name}{ours}: {theirs}"


@pytest.mark.parametrize("host", HOSTS)
def test_script_takes_what_the_host_calls_it_with(host):
    there = recorded(host)["scripts.Script"]
    for name, ours in callbacks().items():
        if name in there:  # hosts before 1.9 call fewer
            positional = names(there[name])
            assert names(ours)[: len(positional)] == positional, f"{host}: {name}{there[name]}"
    assert callbacks().keys() - OUR_CALLBACKS <= recorded(AUTOMATIC1111[-1])["scripts.Script"].keys()


@pytest.mark.parametrize("host", HOSTS)
def test_stand_in_calls_in_the_hosts_order(host):
    calls = calls_in_function(STAND_IN / "modules" / "processing.py", "process_images_inner")
    ours = [name for name in calls if name in CALLS]
    theirs = recorded(host)[ORDER]["process_images_inner"]
    assert [name for name in ours if name in theirs] == theirs
    assert ours == list(CALLS)


def test_every_module_that_the_types_know_is_in_the_table():
    hosts = ("modules", "backend", "ldm_patched")
    stubs = [path for package in hosts for path in (TYPINGS / package).rglob("[!_]*.pyi")]
    typed = {str(path.relative_to(TYPINGS).with_suffix(".py")) for path in stubs}
    assert typed <= {place.file for place in PLACES}


@pytest.mark.skipif(not LIVE, reason="SD_WEBUI_DIR names no WebUI")
def test_recordings_are_of_these_sources():
    """For the release of that number, if it is one that is recorded."""
    same = [host for host in AUTOMATIC1111 if recorded(host) == recorded(LIVE)]
    assert same or not any(host in LIVE for host in AUTOMATIC1111)
