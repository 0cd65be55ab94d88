"""Resolves ``class=...`` of ``ganforge sample`` to a class, by name or number."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ganforge.config.check import did_you_mean
from ganforge.data.module import ImageDataModule
from ganforge.errors import ConfigError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.plain_text import one_line

_MAX_LENGTH = 40  # maximum characters of a class name in a file name


@dataclass(frozen=True)
class RequestedClass:
    """A class of a run.

    Attributes:
        number: its label.
        text: its name in messages.
    """

    number: int
    text: str


def find_class(requested: object, names: list[str], count: int) -> RequestedClass:
    """Returns the class with the given name or, if there is none, the given number.

    If all names are numbers, a number is treated as a name: ``class=1`` is the folder ``1`` or
    ``01``.

    Args:
        requested: the value as typed.
        names: names of the run's classes; empty if they have none.
        count: number of classes.

    Raises:
        ConfigError: if there is no such class.
    """
    text = str(requested).lower() if isinstance(requested, bool) else str(requested)
    whole = int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None
    number = _by_name(text, whole, names)
    if number is None and whole is not None and whole < count and not _all_numbers(names):
        number = whole
    if number is None:
        if not names:
            raise ConfigError(f"class must be in 0 ... {count - 1} for this run, got {text}")
        hint = did_you_mean(text, names)
        numbers = "" if _all_numbers(names) else f"; or a number in 0 ... {count - 1}"
        raise ConfigError(f"class={text}: this run has no such class; {hint}{numbers}")
    return RequestedClass(number, _described(number, names, whole))


def _by_name(text: str, whole: int | None, names: list[str]) -> int | None:
    if text in names:
        return names.index(text)
    if whole is None or not _all_numbers(names):
        return None
    equal = [label for label, name in enumerate(names) if int(name) == whole]
    return equal[0] if len(equal) == 1 else None


def _all_numbers(names: list[str]) -> bool:
    return bool(names) and all(re.fullmatch(r"\d{1,9}", name, re.ASCII) for name in names)


def _described(number: int, names: list[str], whole: int | None) -> str:
    if not names:
        return f"class {number}"
    other = "" if whole is None or names[number] == str(number) else f", number {number}"
    return one_line(f"class {names[number]}{other}")


def file_part(requested: object) -> str:
    """Returns a class as part of a file name, limited to characters that are portable."""
    plain = str(requested).encode("ascii", "ignore").decode()
    return re.sub(r"[^\w.-]+", "_", plain)[:_MAX_LENGTH] or "class"


def class_names_of(data: ImageDataModule, model: AdversarialModule) -> list[str]:
    """Returns the names of a run's classes; empty if its classes are not the labels of its data.

    No data is read.
    """
    fitting = model.classes_are_labels and len(data.class_names) == model.num_classes
    return data.class_names if fitting else []
