from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_object
from lightning.pytorch import LightningModule

from ganforge.config.former_names import FORMER
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.paths import conf_dir

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "ganforge"
FILES = sorted(SOURCE.rglob("*.py"))
CONFIGS = sorted(conf_dir().rglob("*.yaml"))
CONFIGURED = {"cli", "__init__", "config", "commands", "runs", "sweeps", "search"}
PURE = {"networks", "losses", "regularizers", "augment"}


def place(path: Path) -> str:
    """Returns the package or module directly below ganforge."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Returns all modules that a file imports, including late imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(str(node.module))
    return found


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def inner(path: Path) -> set[str]:
    """Returns the packages of ganforge that a file imports from."""
    names = [name.split(".") for name in imports(path)]
    return {parts[1] for parts in names if parts[0] == "ganforge" and len(parts) > 1}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ---------------------------------------------------------------------- dependencies


@pytest.mark.parametrize("package", sorted(PURE))
def test_pure_packages_import_only_torch(package):
    for path in (SOURCE / package).rglob("*.py"):
        assert not roots(path) & {"lightning", "hydra", "omegaconf", "wandb"}, named(path)
        assert inner(path) <= PURE | {"errors", "streams"}, named(path)


def test_few_know_of_configurations():
    for path in FILES:
        if place(path) not in CONFIGURED and roots(path) & {"hydra", "omegaconf"}:
            pytest.fail(f"{named(path)} imports hydra or omegaconf")


# Each layer may import only the layers below it. Single modules are the lowest layer.
LAYERS = [
    {"__main__"},
    {"start"},
    {"cli"},
    {"commands"},
    {"search", "report"},
    {"sweeps"},
    {"compare"},
    {"runs"},
    {"callbacks", "compute"},
    {"models"},
    {"metrics", "regularizers", "loggers", "translate"},
    {"networks", "losses", "augment", "data"},
    {"config"},
]
RANK = {name: number for number, layer in enumerate(LAYERS) for name in layer}


def rank(name: str) -> int:
    return RANK.get(name, len(LAYERS))


def test_every_package_has_its_layer():
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages == RANK.keys() - {"cli", "start", "__main__"}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_imports_point_down(path):
    """Includes late imports and those for type checkers."""
    if path == SOURCE / "__init__.py":
        return  # exports of ganforge itself, resolved lazily
    own = place(path)
    for name in inner(path):
        assert name == own or rank(name) > rank(own) or rank(own) == len(LAYERS), name


def test_single_modules_import_no_package():
    for path in SOURCE.glob("*.py"):
        if rank(place(path)) == len(LAYERS) and path.name != "__init__.py":
            assert {rank(name) for name in inner(path)} <= {len(LAYERS)}, named(path)


def test_folders_have_a_size_to_look_through():
    folders = {path.parent for path in FILES}
    for folder in folders:
        count = len([path for path in folder.glob("*.py") if path.name != "__init__.py"])
        assert 4 <= count <= 25, f"{named(folder)} has {count} files"


LIGHT = ["ganforge", "ganforge.cli", "ganforge.config.check", "ganforge.config.compose"]


def test_the_command_line_imports_nothing_heavy():
    heavy = [
        "torch",
        "lightning",
        "torchvision",
        "wandb",
        "sklearn",
        "numpy",
        "torchmetrics.utilities",
    ]
    code = f"import sys, {', '.join(LIGHT)}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------- interfaces and style


def test_constructors_name_their_arguments():
    """Arguments passed on to a base class are typed: ``**parts: Unpack[GANParts]``."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (rest := node.args.kwarg) is not None:
                # Helpers may take arbitrary keywords; configurable constructors may not.
                typed = ast.unparse(rest.annotation or ast.Constant(None)).startswith("Unpack[")
                assert typed or node.name != "__init__", f"{named(path)}: {node.name} takes **"
                assert rest.arg != "kwargs", f"{named(path)}: {node.name} takes **kwargs"


EXPORTING = {path.parent.name for path in SOURCE.glob("*/__init__.pyi")}


def test_packages_export_lazily_or_nothing():
    for path in SOURCE.glob("*/__init__.py"):
        code = [node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.Expr)]
        lines = [ast.unparse(node) for node in code]
        if path.parent.name in EXPORTING:
            load = "lazy_loader.attach_stub(__name__, __file__)"
            assert lines == ["import lazy_loader", f"__getattr__, __dir__, __all__ = {load}"]
        else:
            assert path.read_text() == "", named(path)


@pytest.mark.parametrize("package", sorted(EXPORTING))
def test_every_exported_name_is_a_class_of_its_package(package):
    face = importlib.import_module(f"ganforge.{package}")
    assert len(face.__all__) >= 3
    for name in face.__all__:
        assert getattr(face, name).__module__.startswith(f"ganforge.{package}."), name


def test_importing_a_package_imports_no_torch():
    packages = ", ".join(f"ganforge.{name}" for name in sorted(EXPORTING))
    code = f"import sys, {packages}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_former_names_lead_to_exported_ones():
    assert len(FORMER) > 100
    for former, now in FORMER.items():
        package, name = now.removeprefix("ganforge.").split(".")
        assert name in importlib.import_module(f"ganforge.{package}").__all__, former


def test_files_are_short():
    for path in FILES:
        lines = len(path.read_text().splitlines())
        # The engine that optimizes two players is one concept, and the most complex one.
        assert lines <= (450 if path.name == "adversarial.py" else 300), named(path)


def models() -> list[type]:
    """Returns the engine and every model of ganforge."""
    for path in (SOURCE / "models").rglob("*.py"):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        importlib.import_module(f"ganforge.{name.removesuffix('.__init__')}")
    found, new = [], [AdversarialModule]
    while new:
        found.append(new.pop())
        new += [c for c in found[-1].__subclasses__() if c.__module__.startswith("ganforge.")]
    return list(dict.fromkeys(found))


def depth(model: type) -> int:
    """Returns the number of steps from LightningModule to a model, over its longest way."""
    below = [base for base in model.__bases__ if issubclass(base, LightningModule)]
    return 0 if model is LightningModule else 1 + max(map(depth, below))


def test_no_model_is_deeper_than_three():
    assert len(models()) > 20
    assert {model.__name__: depth(model) for model in models() if depth(model) > 3} == {}


def attributes(model: type) -> tuple[set[str], set[str]]:
    """Returns the private attributes that a class's own methods assign, and those that they read.

    Those of the constructor do not count.
    """
    (definition,) = [
        node
        for node in ast.walk(ast.parse(Path(inspect.getfile(model)).read_text()))
        if isinstance(node, ast.ClassDef) and node.name == model.__name__
    ]
    assigned, read = set(), set()
    for method in definition.body:
        if not isinstance(method, ast.FunctionDef) or method.name == "__init__":
            continue
        for node in ast.walk(method):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
                stored = isinstance(node.ctx, ast.Store)
                (assigned if stored else read).add(node.attr)
    return assigned, read


# Counters, and parts that the constructor sets by start_growth().
ALLOWED = {"iteration", "images_seen", "_updates", "growth"}


def test_no_attribute_is_assigned_in_one_override_and_read_in_another():
    for model in models():
        bases = [base for base in model.__mro__[1:] if base in models()]
        assigned, read = attributes(model)
        for base in bases:
            assigned_there, read_there = attributes(base)
            assert not (assigned & read_there) - ALLOWED, (model, base)
            assert not (assigned_there & read) - ALLOWED, (model, base)


def test_there_are_no_utilities():
    names = {part for path in FILES for part in path.relative_to(SOURCE).with_suffix("").parts}
    assert not {name for name in names if "util" in name or name in ("helpers", "common", "misc")}


# ---------------------------------------------------------------------- conf/


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(conf_dir())))
def test_a_configuration_says_what_it_is(path):
    lines = path.read_text().splitlines()
    words = [line for line in lines[:2] if line.startswith("#") and "@package" not in line]
    assert words, "opens without a comment"


def test_every_target_in_conf_exists():
    found = 0
    for path in CONFIGS:
        for target in targets(yaml.safe_load(path.read_text())):
            assert callable(get_object(target)), named(path)
            package = target.removeprefix("ganforge.").rpartition(".")[0]
            assert package.partition(".")[0] not in EXPORTING or "." not in package, named(path)
            found += 1
    assert found > 30


def targets(node):
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for child in node.values():
            yield from targets(child)


def test_every_option_says_how_to_launch_it():
    for path in CONFIGS:
        group, _, option = path.relative_to(conf_dir()).with_suffix("").as_posix().partition("/")
        comment = "\n".join(x for x in path.read_text().splitlines() if x.startswith("#"))
        if option and not option.startswith("base/"):
            assert group in comment, named(path)
            assert "python train.py" in comment, named(path)


def test_conf_holds_nothing_but_yaml():
    strangers = [p for p in conf_dir().rglob("*") if p.is_file() and p.suffix != ".yaml"]
    assert strangers == []
