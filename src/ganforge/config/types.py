"""Type checks of plain configuration values against a constructor's annotations."""

from __future__ import annotations

import collections.abc
import os
import pkgutil
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

_SCALARS = (int, float, bool, str, type(None))
_LISTS = (list, tuple, set, collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def accepts(annotation: Any, value: Any) -> bool:
    """Whether a value matches an annotation; true if the annotation cannot be checked.

    Args:
        annotation: annotation as returned by ``typing.get_type_hints``.
        value: a scalar, list or mapping. A mapping with ``_target_`` represents the object it
            builds.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any or isinstance(annotation, (str, typing.TypeVar)):
        return True
    if origin is typing.Annotated:
        return accepts(arguments[0], value)
    if origin in (Union, types.UnionType):
        return any(accepts(option, value) for option in arguments)
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in arguments)
    if isinstance(value, Mapping):
        return _accepts_mapping(annotation, origin, arguments, value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _accepts_list(annotation, origin, arguments, value)
    return _accepts_scalar(annotation, origin, value)


def _accepts_mapping(annotation: Any, origin: Any, arguments: Any, value: Any) -> bool:
    if "_target_" in value:
        return _accepts_built(annotation, origin, value)
    if origin in _MAPPINGS and len(arguments) == 2:
        children = [value[key] for key in value]
        return all(child is None or accepts(arguments[1], child) for child in children)
    return origin in _MAPPINGS or annotation in _MAPPINGS


def _accepts_built(annotation: Any, origin: Any, value: Any) -> bool:
    if annotation in _SCALARS or origin in (*_LISTS, *_MAPPINGS):
        return False
    try:
        target = pkgutil.resolve_name(value["_target_"])
        strict = isinstance(target, type) and not value.get("_partial_", False)
        return not strict or issubclass(target, annotation)
    except Exception:
        # A target that cannot be loaded is reported separately; protocols fail in issubclass.
        return True


def _accepts_list(annotation: Any, origin: Any, arguments: Any, value: Any) -> bool:
    if origin is tuple and arguments and Ellipsis not in arguments:
        return len(value) == len(arguments) and all(map(accepts, arguments, value))
    if origin in _LISTS and arguments:
        return all(accepts(arguments[0], item) for item in value)
    return annotation in _LISTS


def _accepts_scalar(annotation: Any, origin: Any, value: Any) -> bool:
    if annotation is type(None) or annotation is None:
        return value is None
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in (*_LISTS, *_MAPPINGS, collections.abc.Callable):
        return False
    if not isinstance(annotation, type):
        return True
    if getattr(annotation, "_is_protocol", False):
        return False
    # Text is accepted for a path, but not for other classes such as modules or tensors.
    path = isinstance(value, str) and issubclass(annotation, os.PathLike)
    return path or isinstance(value, annotation)


def describe(annotation: Any) -> str:
    """Returns an annotation as text: "a whole number", "one of a, b", "a list, each text"."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    if annotation is type(None):
        return "null"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(option) for option in arguments))
    if origin is Literal:
        return "one of " + ", ".join(
            str(value).lower() if isinstance(value, bool) else str(value) for value in arguments
        )
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)}, each {describe(arguments[0])}"
    if origin in _LISTS and arguments:
        return f"a list, each {describe(arguments[0])}"
    if origin is collections.abc.Callable:
        return "a callable"
    return getattr(annotation, "__name__", str(annotation))
