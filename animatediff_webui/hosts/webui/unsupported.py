"""What the WebUI cannot do yet, by API name, in words that go before "is not possible in the WebUI yet"."""

from __future__ import annotations

from collections.abc import Mapping

NOT_HERE: Mapping[str, str] = {}
