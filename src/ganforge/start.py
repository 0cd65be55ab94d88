"""The entry point. Imports the rest lazily, so that Ctrl-C during imports prints no traceback."""

from __future__ import annotations

import contextlib
import gc
import sys

SLOW = ("train", "evaluate", "sample", "translate")
SWEEPS = ("-m", "--multirun")


def main(verb: str | None = None) -> None:
    """Runs :func:`ganforge.cli.main` and exits with 130 on Ctrl-C.

    Args:
        verb: the verb to run; None reads it from the command line.
    """
    gc.disable()  # imports make many objects and hardly any garbage; the command enables it again
    try:
        _print_start(verb, sys.argv[1:])
        from ganforge.cli import main as run

        run(verb)
    except KeyboardInterrupt:
        print("ganforge: interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        gc.enable()


def _print_start(verb: str | None, arguments: list[str]) -> None:
    """Prints a line on a terminal for verbs that import torch, which takes seconds."""
    if verb is None:
        verb, *arguments = arguments or [""]
    if verb in SLOW and not any(a.startswith("-") and a not in SWEEPS for a in arguments):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr is closed or None
            if sys.stderr.isatty():
                print(f"ganforge {verb} is starting", file=sys.stderr, flush=True)
