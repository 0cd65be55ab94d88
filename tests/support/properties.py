"""How property tests run: the same examples every time, no clock, nothing written."""

from __future__ import annotations

from hypothesis import settings

deterministic = settings(deadline=None, derandomize=True, database=None)
