"""Parameters of constructors, and checks of plain values against their annotations."""

from __future__ import annotations

import collections.abc
import inspect
import os
import pkgutil
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Union

_SCALARS = (int, float, bool, str, type(None))
_LISTS = (list, tuple, set, collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
Parameters = dict[str, inspect.Parameter]


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


def parameters_of(function: Any) -> tuple[Parameters, bool]:
    """Returns the parameters that can be given by name, and whether any other name is accepted.

    Args:
        function: a class or any other callable. If a class's constructor takes
            ``**parts: Unpack[Parts]``, the keys of ``Parts`` count as parameters, with the default
            from the next class in its method resolution order.
    """
    if not _forwards_keywords(function):
        return _named(inspect.signature(function))
    found: Parameters = {}
    open_ended = False
    for constructor, keys in _constructors(function):
        parameters, open_ended = _named(inspect.signature(constructor))
        for name, parameter in parameters.items():
            if name != "self" and (keys is None or name in keys):
                found.setdefault(name, parameter)
    return found, open_ended


def hints_of(function: Any) -> dict[str, Any]:
    """Returns the type annotations of the parameters that :func:`parameters_of` lists.

    For a key of a TypedDict, this is the type in the TypedDict, which may be narrower than that of
    the argument it is passed to.

    Raises:
        Exception: an annotation cannot be resolved; the error can be of any type.
    """
    if not _forwards_keywords(function):
        constructor = getattr(function, "__init__") if isinstance(function, type) else function  # noqa: B009
        return typing.get_type_hints(constructor)
    found: dict[str, Any] = {}
    for constructor, keys in _constructors(function):
        for name, hint in typing.get_type_hints(constructor).items():
            if keys is None or name in keys:
                found.setdefault(name, hint if keys is None else keys[name])
    return found


def _forwards_keywords(function: Any) -> bool:
    if not isinstance(function, type):
        return False
    first = next(_own(function.__mro__), None)
    return first is not None and _typed_keywords(first) is not None


def _constructors(cls: type) -> Iterator[tuple[Any, dict[str, Any] | None]]:
    """Yields the constructors that a call reaches, the class's own first.

    Yields:
        A constructor, and the names passed to it with their types; None if all names are.
    """
    keys: dict[str, Any] | None = None
    for constructor in _own(cls.__mro__):
        yield constructor, keys
        passed = _typed_keywords(constructor)
        if passed is None:
            return
        keys = passed if keys is None else {name: keys[name] for name in keys if name in passed}


def _own(classes: Sequence[type]) -> Iterator[Any]:
    for one in classes:
        if one is not object and "__init__" in vars(one):
            yield vars(one)["__init__"]


def _typed_keywords(constructor: Any) -> dict[str, Any] | None:
    """Returns the keys and types of the TypedDict that a constructor takes as ``**``, if any."""
    for parameter in inspect.signature(constructor).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            continue
        hint = typing.get_type_hints(constructor).get(parameter.name)
        if typing.get_origin(hint) is typing.Unpack:
            return typing.get_type_hints(typing.get_args(hint)[0])
    return None


def _named(signature: inspect.Signature) -> tuple[Parameters, bool]:
    parameters = signature.parameters
    named = {
        name: one
        for name, one in parameters.items()
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    return named, any(one.kind is one.VAR_KEYWORD for one in parameters.values())
