"""Sampling steps."""

from __future__ import annotations

DEFAULT_STEPS = 20
"""What the hosts sample in, where nobody says otherwise."""
