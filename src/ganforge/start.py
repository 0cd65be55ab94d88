"""The entry point. It imports the rest late, so that Ctrl-C during imports leaves no traceback."""

from __future__ import annotations

import sys


def main(verb: str | None = None) -> None:
    """Runs :func:`ganforge.cli.main`, and exits with 130 when it is interrupted.

    Args:
        verb: what to run; None reads it from the command line.
    """
    try:
        from ganforge.cli import main as run

        run(verb)
    except KeyboardInterrupt:
        print("ganforge: interrupted", file=sys.stderr)
        sys.exit(130)
