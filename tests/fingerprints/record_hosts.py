"""Record what a WebUI has of what the adapter touches: its signatures, as `hosts/NAME.json`.

    python -m tests.fingerprints.record_hosts PATH_TO_WEBUI [NAME]

The host's sources are read, not run: any Python will do, with the host's `repositories/` in place. NAME is
the folder's name if it is not given; call a release of AUTOMATIC1111 by its number. A name that a host lacks
is missing from its file. For a fork: add rows to `host_names.PLACES` for what it keeps elsewhere, record it,
and record the others anew. So too when the adapter comes to need something that it did not before.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.fingerprints.host_names import CALLS, PLACES, touched
from tests.fingerprints.python_names import Names, calls_in_function

FOLDER = Path(__file__).parent / "hosts"
ORDER = "order of calls"
Fingerprint = dict[str, Names]
"""Place to its names; under `ORDER` the calls of one generation, each with its place in the order."""


def fingerprint(host: Path) -> Fingerprint:
    """What the WebUI in a folder has of what the adapter touches."""
    recorded: Fingerprint = {}
    for place in PLACES:
        found = place.found(host)
        there = {name: found[name] for name in sorted(touched(place)) if name in found}
        if there:
            recorded[place.name] = there
    calls = calls_in_function(host / "modules" / "processing.py", "process_images_inner")
    recorded[ORDER] = {"process_images_inner": [name for name in calls if name in CALLS]}
    return recorded


def read_fingerprint(name: str) -> Fingerprint:
    """The recorded one of a host."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def write(host: Path, name: str) -> None:
    places = []
    for place, names in fingerprint(host).items():
        lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in names.items())
        places.append(f"{json.dumps(place)}: {{\n{lines}\n}}")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text("{\n" + ",\n".join(places) + "\n}\n", "utf-8")


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    write(Path(folder), *names or [Path(folder).resolve().name])
