from __future__ import annotations

import hashlib
import inspect
from types import FunctionType

from torch import nn


def code_hash(network: nn.Module) -> str:
    """Returns a hash of a network's layers and their source code, 8 hex digits.

    Needed in addition to the hash of the weights, as networks with equal or no weights can compute
    different functions. Functions that layers call are not included.
    """
    classes = {one for layer in network.modules() for one in type(layer).__mro__}
    sources = sorted(_source(one) for one in classes - {nn.Module, object})
    return hashlib.sha256("\n".join([repr(network), *sources]).encode()).hexdigest()[:8]


def _source(one: type) -> str:
    # Method by method: inspect finds the source of a class by name, so possibly another class's.
    methods = [_text(value) for value in vars(one).values() if isinstance(value, FunctionType)]
    return "\n".join([f"{one.__module__}.{one.__qualname__}", *methods])


def _text(method: FunctionType) -> str:
    try:
        return inspect.getsource(method)
    except (OSError, TypeError):  # defined interactively or generated at run time
        return method.__name__
