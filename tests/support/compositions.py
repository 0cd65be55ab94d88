"""Faster compositions for tests, which compose some thousand configurations in one process."""

from __future__ import annotations

import copy
import functools
from typing import Any

import omegaconf.base
import pytest
from hydra._internal import config_repository, defaults_list
from omegaconf import DictConfig, OmegaConf

from ganforge.paths import conf_dir

LOAD_CONFIG = config_repository.ConfigRepository.load_config
CREATE_MAP = defaults_list._create_interpolation_map
PARSE = omegaconf.base.parse
UNCHANGING = ("pkg://", f"file://{conf_dir()}")  # sources that no test changes


def cache_compositions(patch: pytest.MonkeyPatch) -> None:
    """Makes Hydra read each file of ``conf/`` once per process, and OmegaConf each interpolation.

    Hydra also builds the values that interpolations in a defaults list may name only for lists that
    contain one. ``test_quick_composition_is_that_of_hydra`` compares the results.
    """
    read: dict[tuple[str, str], Any] = {}

    def load_config(repository, config_path):
        source = repository._find_object_source(config_path, config_repository.ObjectType.CONFIG)
        if source is None or not source.full_path().startswith(UNCHANGING):
            return LOAD_CONFIG(repository, config_path)
        key = source.full_path(), config_path
        if key not in read:
            read[key] = LOAD_CONFIG(repository, config_path)
        result = copy.copy(read[key])
        result.config = copy.deepcopy(result.config)
        return result

    def create_interpolation_map(overrides, defaults, self_added) -> DictConfig:
        if any(not default.is_self() and default.is_interpolation() for default in defaults):
            return CREATE_MAP(overrides, defaults, self_added)
        return OmegaConf.create()

    patch.setattr(config_repository.ConfigRepository, "load_config", load_config)
    patch.setattr(defaults_list, "_create_interpolation_map", create_interpolation_map)
    patch.setattr(omegaconf.base, "parse", functools.cache(PARSE))


def restore_hydra(patch: pytest.MonkeyPatch) -> None:
    """Undoes ``cache_compositions``."""
    patch.setattr(config_repository.ConfigRepository, "load_config", LOAD_CONFIG)
    patch.setattr(defaults_list, "_create_interpolation_map", CREATE_MAP)
    patch.setattr(omegaconf.base, "parse", PARSE)
