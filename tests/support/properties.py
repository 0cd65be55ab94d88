"""Settings of property tests: deterministic examples, no deadline, no database."""

from __future__ import annotations

from hypothesis import settings

deterministic = settings(deadline=None, derandomize=True, database=None)
