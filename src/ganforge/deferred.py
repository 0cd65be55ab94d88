"""Defers the import of torchmetrics' many functions, of which Lightning needs two classes.

They import torchvision, SciPy's signal processing and Matplotlib, which takes longer than all other
imports of a command together.
"""

from __future__ import annotations

import importlib
import logging
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# Names of the package that are read from one of its modules, without the rest.
DIRECT = {
    "Metric": "torchmetrics.metric",
    "MetricCollection": "torchmetrics.collections",
    "__version__": "torchmetrics.__about__",
}


class DeferredPackage(ModuleType):
    """The package torchmetrics, whose ``__init__`` runs when a name of it is first needed.

    Modules of the package can be imported without that.
    """

    @property
    def __path__(self) -> list[str]:  # type: ignore[override]
        # Read before each import of a module. Its metric module imports its utilities, which import
        # its metric module: that works in one order only.
        if "torchmetrics.utilities" not in sys.modules and not self.__dict__.get("_entered"):
            self.__dict__["_entered"] = True
            importlib.import_module("torchmetrics.utilities")
        found: list[str] = self.__dict__["__path__"]
        return found

    def __getattr__(self, name: str) -> Any:
        if name in DIRECT:
            return getattr(importlib.import_module(DIRECT[name]), name)
        if name.startswith("__") or self.__spec__ is None or self.__spec__.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]  # from here on an ordinary package
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def defer_torchmetrics() -> None:
    """Replaces torchmetrics by a package that is imported when needed, unless it is already."""
    if "torchmetrics" in sys.modules:
        return
    spec = find_spec("torchmetrics")
    if spec is None or spec.submodule_search_locations is None:
        return
    package = DeferredPackage("torchmetrics")
    package.__spec__, package.__file__ = spec, spec.origin
    package.__dict__["__path__"] = list(spec.submodule_search_locations)
    package.__dict__["_logger"] = logging.getLogger("torchmetrics")  # read by its modules
    sys.modules["torchmetrics"] = package
