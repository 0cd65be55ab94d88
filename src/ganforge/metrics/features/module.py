from __future__ import annotations

import hashlib
import inspect
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError, DamagedError
from ganforge.metrics.features.base import FeatureExtractor, Features, weights_hash
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.features.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocessing,
    Resize,
)
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
                "features=module needs a network: features.module=PATH, such as "
                "my_package.MyNetwork or torchvision.models.resnet18"
            )
        self.module = module
        self.layer = layer
        self.weights = weights
        if name is None:
            path = module if isinstance(module, str) else type(module).__name__
            name = path.rpartition(".")[2].rpartition(":")[2]
        self.name = name.lower()
        if not self.name.isidentifier() or self.name == "inception":
            raise ConfigError(
                "features.name must consist of letters, digits and _, and not be inception, whose "
                f"scores are the published ones; got {self.name!r}"
            )
        self.preprocessing = Preprocessing(size, resize, mean, std, rgb)

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor:
        """Returns the extractor; raises ConfigError if network, weights or images don't fit."""
        refuse_points(data, "features=module")
        network = self.module if isinstance(self.module, nn.Module) else _make(self.module)
        if self.weights is not None:
            _load_weights(network, typed_path(self.weights))
        extractor = ModuleFeatures(network, self.name, self.preprocessing, self.layer).to(device)
        extractor.probe(data)
        return extractor


def _make(path: str) -> nn.Module:
    """Returns the network that the callable at a dotted path returns under a fixed seed."""
    try:
        # Initializing the weights must not advance the training's random generator.
        with own_random_numbers(0):
            network = pkgutil.resolve_name(path)()
    except (ImportError, AttributeError, ValueError, TypeError) as fault:
        raise ConfigError(f"features.module={path}: calling it failed: {fault}") from fault
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"features.module={path}: must return a torch.nn.Module, not {type(network).__name__}"
        )
    return network


def _load_weights(network: nn.Module, path: Path) -> None:
    """Loads a file of plain tensors into a network."""
    if not path.is_file():
        raise ConfigError(f"features.weights={path}: no such file")
    try:
        state: Any = read_tensors(path)
        network.load_state_dict(state.get("state_dict", state))
    except (DamagedError, RuntimeError, OSError, AttributeError, TypeError) as fault:
        reason = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise ConfigError(f"features.weights={path}: does not fit the network: {reason}") from fault


class ModuleFeatures(FeatureExtractor):
    """Wraps any network as a feature extractor.

    The network returns features [B, d], or a pair of features and logits [B, k]. Feature maps
    [B, d, h, w] are averaged over positions, as those of Inception are. With ``layer`` the features
    are the output of that submodule, and the network's own output is used as logits.

    Args:
        network: the network; it is frozen and set to evaluation mode.
        name: name of the features, used as suffix of the scores' names.
        preprocessing: applied to images before the network.
        layer: path of a submodule, such as "avgpool" or "blocks.3"; None uses the output.
    """

    num_features = 0  # both are unknown until probe() has run the network once
    num_logits = 0

    def __init__(
        self,
        network: nn.Module,
        name: str,
        preprocessing: Preprocessing,
        layer: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.suffix = f"_{name}"
        self.network = network
        self.preprocessing = preprocessing
        self._layer_output: Tensor | None = None
        if layer is not None:
            _submodule(network, layer).register_forward_hook(self._keep)
        self.layer = layer
        self.protocol = {
            "features": name if layer is None else f"{name}.{layer}",
            "features_weights": weights_hash(network.state_dict()),
            **preprocessing.protocol(),
        }
        self.code = code_hash(network)
        self.requires_grad_(False)
        self.eval()

    @property
    def device(self) -> torch.device:
        """The device on which features are computed."""
        return self.preprocessing.mean.device  # the network may have no parameters

    def forward(self, images: Tensor) -> Features:
        """Returns the features of images [B, C, H, W] in 0 ... 255, uint8 or float."""
        output = self.network(self.preprocessing(images))
        if self.layer is not None:
            features, logits = self._layer_output, _first(output)
            self._layer_output = None
        elif isinstance(output, (tuple, list)) and len(output) == 2:
            features, logits = output
        else:
            features, logits = output, None
        return _checked(self.name, features, logits, len(images))

    @torch.no_grad()
    def probe(self, data: ImageSource) -> None:
        """Runs the network on two blank images of the shape of ``data`` and sets d and k.

        Raises:
            ConfigError: The network fails on such images, or returns an unsupported output.
        """
        shape = (2, data.channels, data.image_size, data.image_size)
        blank = torch.zeros(shape, dtype=torch.uint8, device=self.device)
        try:
            output = self(blank)
        except (RuntimeError, TypeError, ValueError, IndexError) as fault:
            raise ConfigError(
                f"features={self.name}: the network fails on images of data={data.name}, "
                f"{shape[1]} x {shape[2]} x {shape[3]}: {str(fault).splitlines()[0]}. See "
                "features.size, features.resize and features.rgb"
            ) from fault
        self.num_features, self.num_logits = output.features.shape[1], output.logits.shape[1]

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._layer_output = _first(output)


def _submodule(network: nn.Module, layer: str) -> nn.Module:
    names = [name for name, _ in network.named_modules() if name]
    if layer not in names:
        last = ", ".join(names[-12:]) or "none"
        raise ConfigError(f"features.layer={layer}: no such submodule; the last ones are {last}")
    return network.get_submodule(layer)


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, (tuple, list)) and output else output


def _checked(name: str, features: Any, logits: Any, rows: int) -> Features:
    """Returns float32 features and logits; raises ConfigError if their shapes are not supported."""
    if isinstance(features, Tensor) and features.ndim == 4:
        features = features.mean((2, 3))
    if isinstance(features, Tensor) and logits is None:
        logits = features.new_zeros(rows, 0)
    for part in (features, logits):
        if not isinstance(part, Tensor) or part.ndim != 2 or len(part) != rows:
            actual = list(part.shape) if isinstance(part, Tensor) else type(part).__name__
            raise ConfigError(
                f"features={name}: the network must return features [B, d], or a pair of features "
                f"[B, d] and logits [B, k]; for B={rows} it returned {actual}"
            )
    return Features(features.float(), logits.float())


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
