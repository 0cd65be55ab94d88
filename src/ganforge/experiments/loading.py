from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from ganforge.data.image_data import ImageDataModule
from ganforge.data.mixture import Mixture
from ganforge.errors import RunError
from ganforge.experiments.checkpoint_io import AtomicCheckpointIO
from ganforge.experiments.run_folder import RunFolder
from ganforge.experiments.stored_config import read_resolved
from ganforge.experiments.trust import trusted
from ganforge.metrics.points import mixture_of
from ganforge.models.adversarial import AdversarialModule
from ganforge.paths import typed_path


def load(
    run: str | Path,
    checkpoint: str = "last",
    log_dir: str | Path = "logs",
    trust: Sequence[str] = (),
) -> AdversarialModule:
    """Rebuilds a trained model, its average included, from a run folder.

    Args:
        run: a run folder, one of its checkpoints, or "latest".
        checkpoint: "last", "previous" or "best", where ``run`` is a folder.
        log_dir: where "latest" is looked up.
        trust: packages of the user's own whose parts the run may be made of. See docs/security.md.

    Returns:
        The model in evaluation mode, on the CPU.

    Raises:
        RunError: when the run or its checkpoint is missing, damaged or of another architecture, or
            names a part that is not trusted.
    """
    folder = RunFolder.find(str(run), typed_path(log_dir))
    path = typed_path(run) if str(run).endswith(".ckpt") else folder.checkpoint(checkpoint)
    with torch.random.fork_rng(devices=[]):  # the caller's random stream is none of a run's
        model = build_model(read_config(folder, trust))
    state = AtomicCheckpointIO().load_checkpoint(path, map_location=lambda storage, _: storage)
    restore(model, state, path)
    return model.eval()


def load_data(folder: RunFolder, trust: Sequence[str] = ()) -> ImageDataModule:
    """Rebuilds the data module of a run."""
    data = cast(ImageDataModule, build(read_config(folder, trust).data))
    data.prepare_data()
    data.setup()
    return data


def load_mixture(folder: RunFolder, trust: Sequence[str] = ()) -> Mixture | None:
    """Returns what a run's points are drawn from; None for a run of images. Reads no data."""
    return mixture_of(build(read_config(folder, trust).data))


def read_config(folder: RunFolder, trust: Sequence[str] = ()) -> DictConfig:
    """Returns a run's resolved configuration, of which all that can be built is trusted.

    Args:
        folder: the run's.
        trust: packages of the user's own, as in ``trust=[my_package]``.

    Raises:
        RunError: it names a part that is not trusted.
    """
    return trusted(read_resolved(folder), folder.config, trust)


def build_model(cfg: DictConfig) -> AdversarialModule:
    """Builds the model of a configuration; its initial weights are a function of the seed."""
    torch.manual_seed(cfg.seed)
    return cast(AdversarialModule, build(cfg.model))


def build(node: Any) -> Any:
    """Builds an object of the configuration; a list or mapping in it arrives as a plain one."""
    from hydra.errors import InstantiationException

    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        if error.__cause__ is not None:
            raise error.__cause__ from error
        raise


def restore(model: AdversarialModule, checkpoint: dict[str, Any], path: Path) -> None:
    """Loads weights and counters from a checkpoint.

    Raises:
        RunError: when the weights are those of another architecture.
    """
    assert_same_architecture(model, checkpoint, path)
    model.load_state_dict(checkpoint["state_dict"])
    model.on_load_checkpoint(checkpoint)


def assert_same_architecture(
    model: AdversarialModule, checkpoint: dict[str, Any], path: Path
) -> None:
    """Raises RunError, naming the first difference, unless weights and model fit each other."""
    theirs = {name: tuple(t.shape) for name, t in checkpoint.get("state_dict", {}).items()}
    ours = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    if not theirs or "progress" not in checkpoint:
        raise RunError(f"{path}: not a checkpoint of ganforge")
    differing = [n for n in sorted(ours.keys() | theirs.keys()) if ours.get(n) != theirs.get(n)]
    if differing:
        name = differing[0]
        raise RunError(
            f"{path}: holds the weights of another architecture: {name} is "
            f"{theirs.get(name, 'absent')} there and {ours.get(name, 'absent')} here "
            f"({len(differing)} such differences)"
        )
