"""A further process of a run: `python -m ganforge.experiments.peer RUN [CHECKPOINT]`."""

from __future__ import annotations

import sys
from pathlib import Path

from ganforge.errors import GanforgeError


def main(run: str, checkpoint: str | None = None) -> int:
    """Joins a run whose first process has written its folder; returns the exit code."""
    from ganforge.training import join

    try:
        join(Path(run), Path(checkpoint) if checkpoint else None)
    except GanforgeError as error:
        print(f"ganforge: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
