"""Defers imports that Lightning makes for functions that most commands never call.

Lightning imports ``torch._dynamo``, the compiler of :func:`torch.compile`, for one class and one
decorator, and Triton for a counter of operations; torchmetrics imports torchvision, SciPy's signal
processing and Matplotlib for functions of which Lightning needs two classes. That takes longer than
importing PyTorch.

Each of these modules is imported as usual as soon as anything else of it is needed: by another
version of Lightning, too. What was imported before ganforge stays as it is.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

PLOTS = "torchmetrics.utilities.plot"
COMPILER = "torch._dynamo"
COUNTER = "torch.utils.flop_counter"
KEPT = "__dynamo_disable"  # where PyTorch keeps a function that the compiler stays out of

Names = Mapping[str, Callable[[], Any]]


def defer_imports() -> None:
    """Prepares the imports of torchmetrics and Lightning; imports neither."""
    defer_torchmetrics()
    if "lightning" not in sys.modules and not any(isinstance(f, Deferral) for f in sys.meta_path):
        sys.meta_path.insert(0, Deferral())


def defer_torchmetrics() -> None:
    """Replaces torchmetrics by a package that is imported when needed, unless it is already."""
    if "torchmetrics" in sys.modules:
        return
    spec = find_spec("torchmetrics")
    if spec is None or not spec.submodule_search_locations:
        return
    (folder, *_) = locations = list(spec.submodule_search_locations)
    sys.modules["torchmetrics"] = package = DeferredPackage(spec, METRIC_NAMES)
    package.__dict__["__path__"] = locations
    package.__dict__["_logger"] = logging.getLogger("torchmetrics")  # read by its modules
    plots = Path(folder, "utilities", "plot.py")
    if plots.is_file() and (spec := spec_from_file_location(PLOTS, plots)):
        sys.modules[PLOTS] = DeferredModule(spec, PLOT_NAMES)


class DeferredModule(ModuleType):
    """A module whose code runs when a name is needed that is not among the given ones.

    Args:
        spec: where the module is.
        names: what can be had before its code runs, as functions without arguments.
    """

    def __init__(self, spec: ModuleSpec, names: Names) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__loader__, self.__file__ = spec, spec.loader, spec.origin
        self.__dict__["_names"] = names

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_names"]:
            return self.__dict__["_names"][name]()
        if name.startswith("__"):  # asked by the import system and by inspect
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self._run(), name)

    def _run(self) -> ModuleType:
        spec = self.__spec__
        if spec is None or spec.loader is None:
            raise ImportError(f"{self.__name__} cannot be imported", name=self.__name__)
        self.__class__ = ModuleType  # type: ignore[assignment]  # from here on an ordinary module
        spec.loader.exec_module(self)
        return self


class DeferredPackage(DeferredModule):
    """The package torchmetrics, of which modules can be imported without running ``__init__``."""

    @property
    def __path__(self) -> list[str]:  # type: ignore[override]
        # Read before each import of a module. Its metric module imports its utilities, which import
        # its metric module: that works in one order only.
        if "torchmetrics.utilities" not in sys.modules and not self.__dict__.get("_entered"):
            self.__dict__["_entered"] = True
            importlib.import_module("torchmetrics.utilities")
        found: list[str] = self.__dict__["__path__"]
        return found


class Substitute(DeferredModule):
    """Stands for a module in ``sys.modules`` while Lightning is imported."""

    def _run(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


class Deferral(MetaPathFinder):
    """Finds Lightning as usual, and substitutes modules while it is imported."""

    def __init__(self) -> None:
        self.searching = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds Lightning, and modules in a package that is substituted at present."""
        package = sys.modules.get(name.rpartition(".")[0])
        if isinstance(package, Substitute):
            package._run()
            return ModuleSpec(name, Imported()) if name in sys.modules else None
        if name.startswith("torchmetrics.") and name in sys.modules:
            return ModuleSpec(name, Imported())  # imported by the search for its package's path
        if name != "lightning" or self.searching:
            return None
        self.searching = True
        try:
            spec = find_spec(name)
        finally:
            self.searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = SubstitutingLoader(spec.loader)
        return spec


class Imported(Loader):
    """Loads a module that was imported together with its package."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Returns the module that is in place."""
        module = sys.modules[spec.name]
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restores what tells where the module is; its code has run."""
        module.__spec__ = self.spec


class SubstitutingLoader(Loader):
    """Runs Lightning's code while modules are substituted."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Creates the module as usual."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Runs the module as usual, between substituting and restoring."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        with _substituted():
            self.loader.exec_module(module)


@contextmanager
def _substituted() -> Iterator[None]:
    _run_optimizers_without_compiler()
    substitutes = []
    for name, names in ((COMPILER, COMPILER_NAMES), (COUNTER, COUNTER_NAMES)):
        if name not in sys.modules and (spec := find_spec(name)) is not None:
            sys.modules[name] = substitute = Substitute(spec, names)
            if spec.submodule_search_locations is not None:
                substitute.__path__ = spec.submodule_search_locations
            substitutes.append(substitute)
    try:
        yield
    finally:
        for substitute in substitutes:
            if sys.modules.get(substitute.__name__) is substitute:
                del sys.modules[substitute.__name__]


class DeferredClass:
    """Stands for a class whose module is imported when the class is called, extended or read.

    Nothing is an instance of it before.
    """

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _loaded(self) -> Any:
        module, name = self._place
        return getattr(importlib.import_module(module), name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Returns an instance of the class."""
        return self._loaded()(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loaded(), name)

    def __instancecheck__(self, instance: object) -> bool:
        module, name = self._place
        loaded: Any = getattr(sys.modules.get(module), name, self)
        return not isinstance(loaded, DeferredClass) and isinstance(instance, loaded)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._loaded(),)


def _disable(fn: Any = None, recursive: bool = True, **_: Any) -> Any:
    """Keeps the compiler out of a function, as ``torch._dynamo.disable`` does."""
    if fn is None:
        return partial(_disable, recursive=recursive)
    # PyTorch's own decorator of functions that are defined before the compiler is imported.
    return _without_compiler(importlib.import_module("torch")._disable_dynamo(fn, recursive))


def _run_optimizers_without_compiler() -> None:
    """Lets optimizers not import the compiler, only to keep it out of four of their methods."""
    optimizer = importlib.import_module("torch.optim").Optimizer
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        _without_compiler(getattr(optimizer, name, None))


def _without_compiler(method: Any) -> Any:
    """Lets a function run as it is until the compiler is imported, because nothing compiles it.

    PyTorch keeps the version that the compiler stays out of as an attribute of the function, and
    imports the compiler if there is none. A release that does so no more imports it as usual.
    """
    function = getattr(method, "__wrapped__", None)
    if function is None or hasattr(function, KEPT) or COMPILER in sys.modules:
        return method

    @wraps(function)
    def alone(*arguments: Any, **options: Any) -> Any:
        if COMPILER not in sys.modules:
            return function(*arguments, **options)
        if getattr(function, KEPT, None) is alone:
            delattr(function, KEPT)
        return method(*arguments, **options)

    setattr(function, KEPT, alone)
    return method


def _plot(*arguments: Any, **options: Any) -> Any:
    module = importlib.import_module(PLOTS)
    if isinstance(module, DeferredModule):
        module._run()
    return module.plot_single_or_multi_val(*arguments, **options)


def _found_in(module: str, name: str) -> Callable[[], Any]:
    return lambda: getattr(importlib.import_module(module), name)


METRIC_NAMES: Names = {
    "Metric": _found_in("torchmetrics.metric", "Metric"),
    "MetricCollection": _found_in("torchmetrics.collections", "MetricCollection"),
    "__version__": _found_in("torchmetrics.__about__", "__version__"),
}

# Types of results as torchmetrics gives them without Matplotlib: Metric annotates methods by them.
PLOT_NAMES: Names = {
    "_AX_TYPE": lambda: object,
    "_PLOT_OUT_TYPE": lambda: tuple[object, object],
    "plot_single_or_multi_val": lambda: _plot,
}

COMPILER_NAMES: Names = {
    "OptimizedModule": lambda: DeferredClass(COMPILER, "OptimizedModule"),
    "disable": lambda: _disable,
}

COUNTER_NAMES: Names = {"FlopCounterMode": lambda: DeferredClass(COUNTER, "FlopCounterMode")}
