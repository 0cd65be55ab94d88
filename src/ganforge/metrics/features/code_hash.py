from __future__ import annotations

import hashlib
import inspect
from types import FunctionType

from torch import nn


def code_hash(network: nn.Module) -> str:
    """Returns 8 hex digits that tell a network's layers and their source code from others'.

    Two networks of the same weights, or of none, may compute different things. Functions that
    layers call are not looked at.
    """
    classes = {one for layer in network.modules() for one in type(layer).__mro__}
    sources = sorted(_source(one) for one in classes - {nn.Module, object})
    return hashlib.sha256("\n".join([repr(network), *sources]).encode()).hexdigest()[:8]


def _source(one: type) -> str:
    # Method by method: Python finds a class by its name alone, and so perhaps a namesake.
    methods = [_text(value) for value in vars(one).values() if isinstance(value, FunctionType)]
    return "\n".join([f"{one.__module__}.{one.__qualname__}", *methods])


def _text(method: FunctionType) -> str:
    try:
        return inspect.getsource(method)
    except (OSError, TypeError):  # typed into an interpreter, or made by a program
        return method.__name__
