"""Run folders and checkpoints from others whose configuration tries to execute code."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from attacks.bases import gan
from attacks.probe import Outcome, Probe

PWN = "pwned"  # the file that each target would create in the current folder
TARGETS: dict[str, dict[str, Any]] = {
    "os.system": {"_target_": "os.system", "command": f"touch {PWN}"},
    "os.system by position": {"_target_": "os.system", "_args_": [f"touch {PWN}"]},
    "posix.system": {"_target_": "posix.system", "command": f"touch {PWN}"},
    "subprocess.run": {"_target_": "subprocess.run", "args": ["touch", PWN]},
    "builtins.exec": {"_target_": "builtins.exec", "_args_": [f"open('{PWN}', 'w')"]},
    "builtins.open": {"_target_": "builtins.open", "file": PWN, "mode": "w"},
    "pathlib": {"_target_": "pathlib.Path.write_text", "_args_": [PWN, "x"]},
    "a shell through torch": {
        "_target_": "torch.utils.collect_env.run",
        "command": f"touch {PWN}",
    },
    "torch.load": {"_target_": "torch.load", "f": "evil.pt", "weights_only": False},
    "torch.hub": {
        "_target_": "torch.hub.load",
        "repo_or_dir": ".",
        "model": "x",
        "source": "local",
    },
    "numpy.load": {"_target_": "numpy.load", "file": "evil.npy", "allow_pickle": True},
    "joblib": {"_target_": "joblib.load", "filename": "evil.joblib"},
    "Hydra in Hydra": {
        "_target_": "hydra.utils.instantiate",
        "config": {"_target_": "posix.system", "command": f"touch {PWN}"},
        "_recursive_": False,
    },
    "a module next to the run": {"_target_": "evil.run"},
    "through ganforge's own imports": {
        "_target_": "ganforge.atomic.os.system",
        "command": f"touch {PWN}",
    },
    "through the package's console": {"_target_": "ganforge.cli.run", "arguments": ["--help"]},
    "ganforge's own writer": {
        "_target_": "ganforge.atomic.write",
        "path": PWN,
        "data": "x",
    },
    "through torch.optim": {
        "_target_": "torch.optim.adam.torch.utils.collect_env.run",
        "command": f"touch {PWN}",
    },
    "shutil.rmtree": {"_target_": "shutil.rmtree", "path": "{outside}"},
    "a getter": {"_target_": "hydra.utils.get_method", "path": "os.system"},
}
PLACES = {
    "data.name": lambda cfg, node: cfg["data"].__setitem__("name", node),
    "network.generator": lambda cfg, node: cfg["network"].__setitem__("generator", node),
    "model.loss": lambda cfg, node: cfg["model"].__setitem__("loss", node),
    "callbacks.extra": lambda cfg, node: cfg["callbacks"].__setitem__("extra", node),
}


def _hostile(place: str, node: dict[str, Any]) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        shutil.copytree(gan(), folder / "run")
        (folder / "evil.py").write_text(f"def run(*a, **k):\n    open('{PWN}', 'w')\nrun()\n")
        (folder / "hubconf.py").write_text(f"open('{PWN}', 'w')\n")
        for name in ("evil.pt", "evil.npy", "evil.joblib"):
            (folder / name).write_bytes(b"cposix\nsystem\n(S'touch pwned'\ntR.")
        outside = str(folder.parent / "outside")
        inner = {k: outside if v == "{outside}" else v for k, v in node.items()}
        for name in ("config.yaml", "composed.yaml"):
            path = folder / "run" / name
            cfg = yaml.safe_load(path.read_text())
            PLACES[place](cfg, inner)
            path.write_text(yaml.safe_dump(cfg))

    return prepare


def _not_pwned(folder: Path, outcome: Outcome) -> str | None:
    found = [p.relative_to(folder) for p in folder.rglob(PWN)]
    return f"it ran, and left {found[0]}" if found else None


def probes() -> Iterator[Probe]:
    """Yields every target for every command, and every place for one target."""
    verbs = {
        "sample": ["sample", "run=run", "n=2", "out=x.png"],
        "resume": ["train", "resume=run", "trainer.max_steps=5"],
        "dry_run": ["train", "resume=run", "trainer.max_steps=5", "dry_run=true"],
        "evaluate": ["evaluate", "run=run", "n=4", "metrics=[]"],
    }
    for verb, typed in verbs.items():
        for name, node in TARGETS.items():
            yield Probe(
                "hostile configurations",
                f"{name}, {verb}",
                typed,
                _hostile("data.name", node),
                check=_not_pwned,
            )
    for place in PLACES:
        for name in ("os.system", "a shell through torch", "a module next to the run"):
            yield Probe(
                "hostile configurations",
                f"{name} at {place}",
                verbs["resume"],
                _hostile(place, TARGETS[name]),
                check=_not_pwned,
            )
    yield from _features()
    yield from _checkpoints()


def _features() -> Iterator[Probe]:
    """Yields probes of ``features.module``, which also names an import."""
    for module in ("evil.run", "os.system", "torch.hub.load", "antigravity.x"):
        node = {"module": module}
        yield Probe(
            "hostile configurations",
            f"features.module={module} in the run",
            ["train", "resume=run", "trainer.max_steps=5"],
            _module(node),
            (0, 1, 2),
            check=_not_pwned,
        )


def _module(node: dict[str, Any]) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        _hostile("data.name", {})(folder)
        for name in ("config.yaml", "composed.yaml"):
            path = folder / "run" / name
            cfg = yaml.safe_load((gan() / name).read_text())
            cfg["features"] = {
                "_target_": "ganforge.metrics.features.module.ModuleFeatures",
                "size": 8,
                **node,
            }
            path.write_text(yaml.safe_dump(cfg))

    return prepare


def _checkpoints() -> Iterator[Probe]:
    """Yields probes of single checkpoints, which contain a configuration too."""
    for name in ("os.system", "a shell through torch", "a module next to the run", "pathlib"):
        yield Probe(
            "hostile configurations",
            f"{name} in a checkpoint alone",
            ["sample", "run=model.ckpt", "n=2", "out=x.png"],
            _alone(TARGETS[name]),
            check=_not_pwned,
        )


def _alone(node: dict[str, Any]) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        (folder / "evil.py").write_text(f"open('{PWN}', 'w')\n")
        checkpoint = torch.load(gan() / "checkpoints" / "last.ckpt", weights_only=True)
        for config in (checkpoint["config"], checkpoint["resolved"]):
            config["data"]["name"] = config["model"]["loss"] = node
        torch.save(checkpoint, folder / "model.ckpt")

    return prepare
