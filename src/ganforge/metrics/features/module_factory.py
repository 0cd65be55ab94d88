from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganforge.errors import ConfigError, DamagedError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.module_features import ModuleFeatures
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.features.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from ganforge.metrics.features.resizing import Resize
from ganforge.metrics.scores.score import own_random_numbers
from ganforge.metrics.source import ImageSource
from ganforge.paths import typed_path
from ganforge.tensor_files import read_tensors


class ModuleFactory:
    """Features of any network that Python can import.

    Args:
        module: dotted path of a callable without arguments that returns the network; or the
            network itself.
        layer: submodule whose output is used as features; None uses the network's output.
        weights: file of the ``state_dict``; None keeps the initial weights. If ``module`` is a
            path, random initial weights are the same in every run.
        name: suffix of the scores' names; None uses the class or function name in lower case.
        size: side to which images are resized.
        resize: "clean", "legacy" or "none".
        mean: mean of pixel values in [0, 1], per channel or one for all.
        std: standard deviation, per channel or one for all.
        rgb: whether to convert images to RGB, with transparency over white.
    """

    def __init__(
        self,
        module: str | nn.Module | None = None,
        layer: str | None = None,
        weights: str | None = None,
        name: str | None = None,
        size: int = 224,
        resize: Resize = "clean",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        rgb: bool = True,
    ) -> None:
        if module is None:
            raise ConfigError(
                "features=module looks through a network of yours: give features.module=PATH, such "
                "as my_package.MyNetwork or torchvision.models.resnet18"
            )
        self.module = module
        self.layer = layer
        self.weights = weights
        self.name = (_name(module) if name is None else name).lower()
        if not self.name.isidentifier() or self.name == "inception":
            raise ConfigError(
                "features.name must be letters, digits and _, and not inception, whose scores are "
                f"the published ones; got {self.name!r}"
            )
        self.preprocessing = Preprocessing(size, resize, mean, std, rgb)

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor:
        """Returns the extractor on ``device``.

        Raises:
            ConfigError: The network or its weights are unavailable, or do not fit the images.
        """
        refuse_points(data, "module")
        network = self.module if isinstance(self.module, nn.Module) else make(self.module)
        if self.weights is not None:
            load_weights(network, typed_path(self.weights))
        extractor = ModuleFeatures(network, self.name, self.preprocessing, self.layer).to(device)
        extractor.probe(data)
        return extractor


def make(path: str) -> nn.Module:
    """Calls the callable at a dotted path under a fixed seed and returns the resulting network.

    Raises:
        ConfigError: There is no such callable, it fails, or it does not return a module.
    """
    try:
        # Initialising the weights must not advance the training's random generator.
        with own_random_numbers(0):
            network = pkgutil.resolve_name(path)()
    except (ImportError, AttributeError, ValueError, TypeError) as fault:
        raise ConfigError(f"features.module={path}: can't be made ({fault})") from fault
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"features.module={path}: must make a torch.nn.Module, made {type(network).__name__}"
        )
    return network


def load_weights(network: nn.Module, path: Path) -> None:
    """Loads weights from a file into a network.

    Raises:
        ConfigError: The file is missing, is not plain tensors, or does not fit the network.
    """
    if not path.is_file():
        raise ConfigError(f"features.weights={path}: no such file")
    try:
        state: Any = read_tensors(path)
        network.load_state_dict(state.get("state_dict", state))
    except (DamagedError, RuntimeError, OSError, AttributeError, TypeError) as fault:
        reason = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise ConfigError(f"features.weights={path}: does not fit the network: {reason}") from fault


def _name(module: str | nn.Module) -> str:
    if isinstance(module, nn.Module):
        return type(module).__name__
    return module.rpartition(".")[2].rpartition(":")[2]
