"""Arguments of a constructor, including those it passes to its base classes by ``**``.

A class that extends its base's arguments takes the latter as an unpacked TypedDict::

    class ACGAN(GAN):
        def __init__(self, class_weight: float = 1.0, **parts: Unpack[GANParts]) -> None:
            super().__init__(**parts)

Importing this module imports neither torch nor lightning.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Sequence
from typing import Any

Parameters = dict[str, inspect.Parameter]


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
