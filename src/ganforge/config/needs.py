"""Comparison of what models and scores need with what the data give.

Importing this module imports neither torch nor lightning.
"""

from __future__ import annotations

from typing import cast

from omegaconf import DictConfig, OmegaConf

from ganforge.errors import ConfigError
from ganforge.paths import conf_dir


def check_inputs(cfg: DictConfig) -> None:
    """Refuses classes for a model of translation, and metrics of translations for all others."""
    if "inputs" in declared(cfg.model, "needs"):
        if cfg.condition.get("num_classes", 0) != 0 or cfg.condition.get("generator") != "none":
            raise ConfigError(
                f"{_option_of(cfg.model)} translates images and takes no classes. "
                "Use condition=none"
            )
        return
    for name, score in cfg.metrics.items():
        if score and "inputs" in declared(score, "needs"):
            raise ConfigError(
                f"metrics={name} evaluates translations, but {_option_of(cfg.model)} does not "
                "translate images. Remove it from metrics=[...], or use model=pix2pix"
            )


# What data lack, the strongest need first: its words, and those before the list of suitable data.
_LACKS = {
    "pairs": ("pairs of images", "Suitable data"),
    "inputs": ("images to translate", "Suitable data"),
    "labels": ("labels", "Data with labels"),
}


def check_data(cfg: DictConfig, needs: set[str]) -> None:
    """Refuses data that do not give all of ``needs``, and lists those that do."""
    labels = {"labels"} if cfg.data.get("num_classes", 0) != 0 else set()
    missing = needs - declared(cfg.data, "gives") - labels
    if not missing:
        return
    need = next(need for need in _LACKS if need in missing)
    what, suitable = _LACKS[need]
    points = cfg.data.get("image_size") == 1
    options = [name for name, node in _nodes("data").items() if _suits(node, needs, points)]
    count, advice = "", ""
    if need == "labels":
        count, advice = " (data.num_classes=0)", _instead_of_labels(cfg, points)
    raise ConfigError(
        f"{_option_of(cfg.model)} needs {what}, but data={cfg.data.get('name')} has none{count}. "
        f"{suitable}: {', '.join(options)}{advice}"
    )


def _suits(data: DictConfig, needs: set[str], points: bool) -> bool:
    """Whether an option declares ``needs``; labels of points only for points, as of images."""
    classes = data.get("num_classes", 0)
    alike = (data.get("image_size") == 1) == points
    labelled = isinstance(classes, int) and classes > 0 and alike
    return needs <= declared(data, "gives") | ({"labels"} if labelled else set())


def _instead_of_labels(cfg: DictConfig, points: bool) -> str:
    own = "; for your own images: data=folder data.path=PATH with a folder for each class"
    always = "labels" in declared(cfg.model, "needs")
    other = "model=gan, or model=dcgan for images"
    return (
        f"{'' if points else own}. Without labels: "
        f"{other if always else f'{_option_of(cfg.model)} condition=none'}"
    )


def _nodes(group: str) -> dict[str, DictConfig]:
    """Returns the content of each option file of a group, by name."""
    files = sorted((conf_dir() / group).glob("*.yaml"))
    return {path.stem: cast(DictConfig, OmegaConf.load(path)) for path in files}


def check_labels(cfg: DictConfig) -> None:
    """Refuses unlabeled data for a model that needs labels, and class metrics without classes."""
    conditions = [cfg.condition.get(player, "none") for player in ("generator", "discriminator")]
    needs = declared(cfg.model, "needs")
    if cfg.condition.get("num_classes", 0) == 0 and conditions != ["none", "none"]:
        needs = needs | {"labels"}
    check_data(cfg, needs)
    for name, score in cfg.metrics.items():
        needs_classes = score and "labels" in declared(score, "needs")
        if needs_classes and cfg.model.get("num_classes", 0) == 0:
            raise ConfigError(
                f"metrics={name} needs a class-conditional model, and this one is unconditional. "
                "Remove it from metrics=[...], or use model=cgan"
            )


def _option_of(model: DictConfig) -> str:
    """Returns the override that selects a model, such as "model=cgan"; else its class name."""
    target = str(model.get("_target_", "model"))
    for name, node in _nodes("model").items():
        if OmegaConf.select(node, "model._target_") == target:
            return f"model={name}"
    return target.rpartition(".")[2]


def declared(node: DictConfig, name: str) -> set[str]:
    """Returns the ``needs`` or ``gives`` of a node's class; empty if the class cannot be loaded."""
    from hydra.utils import get_object

    try:
        return set(getattr(get_object(node["_target_"]), name, ()))
    except Exception:  # reported separately
        return set()
