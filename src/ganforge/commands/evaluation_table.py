"""Terminal output of an evaluation: a table of scores, followed by their protocols."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ganforge.metrics.evaluate import Result
from ganforge.plain_text import one_line

PROTOCOL = ("features", "n_real", "n_fake", "split", "resize")


def show(results: dict[str, Result], title: str, console: Console) -> None:
    """Prints a table with a row for each score.

    The last column numbers the protocol, which is printed below the table: most scores share one,
    and its text does not fit into 80 columns.

    Args:
        results: results by published name.
        title: title of the table.
        console: console to print to.
    """
    protocols = {name: _protocol(result) for name, result in results.items()}
    distinct = list(dict.fromkeys(protocols.values()))
    intervals = any(result.bootstrap for result in results.values())
    table = Table(title=Text(one_line(title)))
    table.add_column("score", overflow="fold", no_wrap=True)
    for heading in ["value", *(["95 % interval"] if intervals else []), "by"]:
        table.add_column(heading, overflow="fold")
    for name, result in results.items():
        values = [_value(result), *([_interval(result)] if intervals else [])]
        table.add_row(one_line(name), *values, str(distinct.index(protocols[name]) + 1))
    lines = [Text(one_line(f"protocol {place}: {told}")) for place, told in enumerate(distinct, 1)]
    console.print(Group(table, *lines))


def _protocol(result: Result) -> str:
    settings = asdict(result)
    return ", ".join(f"{key}={settings[key]}" for key in PROTOCOL)


def _value(result: Result) -> str:
    spread = f" +- {result.std:.3g}" if result.std is not None else ""
    return f"{result.value:.4g}{spread}"


def _interval(result: Result) -> str:
    return "" if result.low is None else f"{result.low:.4g} ... {result.high:.4g}"
