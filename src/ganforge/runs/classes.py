"""Class names and counts inferred from the data, and written into the configuration."""

from __future__ import annotations

import copy
import logging
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ganforge.data.module import ImageDataModule
from ganforge.errors import ConfigError, DataError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.paths import is_there, typed_path
from ganforge.plain_text import one_line
from ganforge.runs.load import build

log = logging.getLogger("ganforge")

_SHOWN = 8


def name_classes(cfg: DictConfig, found: dict[str, list[str]] | None = None) -> None:
    """Writes the classes of ``data=folder`` into a new run's configuration, in place.

    Sets ``data.class_names``, and ``data.num_classes`` if the folders are classes, so that networks
    can be built for them. Reads file names only, no images.

    Args:
        cfg: composed from conf/train.yaml.
        found: cache of class names by data configuration, for the jobs of a sweep; updated.

    Raises:
        DataError: the folder cannot be read, or its layout is ambiguous.
    """
    given = cfg.data.get("class_names")
    if "class_names" not in cfg.data or given is not None:
        if given and cfg.data.get("num_classes") == 0:
            cfg.data.num_classes = len(given)
        return
    data = _built(cfg)
    if data is None or not data.finds_classes:
        return
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg.data, resolve=True))
    key = str({name: value for name, value in plain.items() if name != "seed"})
    names = None if found is None else found.get(key)
    if names is None:
        names = _find(data, quiet=found is not None, optional=bool(cfg.dry_run))
    if names is None:
        return
    if found is not None:
        found[key] = names
    cfg.data.class_names = names
    if names:
        cfg.data.num_classes = len(names)


def _built(cfg: DictConfig) -> ImageDataModule | None:
    """Returns the data module; None if it cannot be built, which later checks report."""
    try:
        return cast(ImageDataModule, build(copy.deepcopy(cfg).data))
    except Exception:  # a constructor may raise anything
        return None


def _find(data: Any, quiet: bool, optional: bool) -> list[str] | None:
    try:
        data.prepare_data()
        layout = data.find_classes()
    except DataError:
        # A dry run uses random images if the data are missing.
        if optional and not is_there(typed_path(data.path)):
            return None
        raise
    for remark in () if quiet else layout.remarks:
        log.warning("%s: %s", data.path, one_line(remark))
    if unfit := [name for name in layout.classes if "${" in name or name == "???"]:
        raise DataError(
            f"{data.path}: the class folder {one_line(unfit[0])} has a name that configurations "
            "cannot hold: rename it"
        )
    return [str(name) for name in layout.classes]


def check_each_class(model: AdversarialModule, data: ImageDataModule) -> None:
    """Rejects a new run of a conditional model if a class has no training images.

    Raises:
        ConfigError: naming the empty classes.
    """
    if not model.classes_are_labels or model.num_classes == 0:
        return
    if empty := data.empty_classes():
        more = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
        few = "" if data.max_images is None else f" (data.max_images={data.max_images})"
        names = one_line(", ".join(empty[:_SHOWN])) + more
        raise ConfigError(
            f"{'class' if len(empty) == 1 else 'classes'} {names} of data={data.name}: no training "
            f"image{few}. A conditional model needs at least one of each class: add some, take "
            "more with data.max_images, or set data.num_classes to the classes that there are"
        )
