"""A worker process (rank > 0) of a run, started by rank 0: `python -m ganforge.commands.worker`."""

from __future__ import annotations

import sys

from ganforge.compute.launch import find_launch
from ganforge.errors import GanforgeError
from ganforge.plain_text import safe_lines
from ganforge.terminal import readable_streams


def main() -> int:
    """Joins the run whose rank 0 has started this process; returns the exit code."""
    from ganforge.commands.train import follow

    readable_streams()

    try:
        launch = find_launch()
        if launch is None:
            raise GanforgeError("a run with several processes starts its workers itself")
        follow(launch)
    except GanforgeError as error:
        if str(error):
            print(f"ganforge: {safe_lines(error)}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
