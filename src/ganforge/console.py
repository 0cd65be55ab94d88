from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ganforge.plain_text import one_line, safe_lines
from ganforge.terminal import readable_streams


class PlainConsole(Console):
    """A console that prints names and paths as plain text, whatever they contain.

    Brackets are not parsed as markup. Control characters, which could move the cursor, set the
    window's title or start a new line, are escaped. Text printed with ``soft_wrap`` stays on one
    line.
    """

    def __init__(self) -> None:
        super().__init__(markup=False, highlight=False)

    def print(self, *objects: Any, soft_wrap: bool | None = None, **settings: Any) -> None:
        """Prints like ``rich.console.Console.print``, with control characters escaped."""
        safe = one_line if soft_wrap else safe_lines
        texts = [safe(item) if isinstance(item, str) else item for item in objects]
        super().print(*texts, soft_wrap=soft_wrap, **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yields the rendered segments, with control characters in tables and bars escaped."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else safe_lines(text), style, control)


class _PlainFormatter(logging.Formatter):
    """A formatter that escapes control characters and indents continuation lines.

    A message can thus neither control the terminal nor imitate a second log line.
    """

    def format(self, record: logging.LogRecord) -> str:
        first, *more = safe_lines(super().format(record)).split("\n")
        return "\n".join([first, *(f"{INDENT}{line}" for line in more)])


INDENT = " " * len("00:00:00  ")
console = PlainConsole()


def setup_logging(quiet: bool = False) -> None:
    """Sends ganforge's log messages to the terminal and silences those of Lightning.

    Args:
        quiet: show errors only.
    """
    readable_streams()
    logger = logging.getLogger("ganforge")
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    logger.propagate = False
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_PlainFormatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # trainer.profiler prints its table at this level.
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)
