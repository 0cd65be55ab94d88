from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.features.code_hash import code_hash
from ganforge.metrics.features.preprocessing import Preprocessing
from ganforge.metrics.features.weights_hash import weights_hash
from ganforge.metrics.source import ImageSource


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
        self._seen: Tensor | None = None
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
            features, logits = self._seen, _first(output)
            self._seen = None
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
            seen = self(blank)
        except (RuntimeError, TypeError, ValueError, IndexError) as fault:
            raise ConfigError(
                f"features={self.name}: the network can't look at images of data={data.name!r}, "
                f"{shape[1]} x {shape[2]} x {shape[3]}: {str(fault).splitlines()[0]}. See "
                "features.size, features.resize and features.rgb"
            ) from fault
        self.num_features, self.num_logits = seen.features.shape[1], seen.logits.shape[1]

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._seen = _first(output)


def _submodule(network: nn.Module, layer: str) -> nn.Module:
    names = [name for name, _ in network.named_modules() if name]
    if layer not in names:
        shown = ", ".join(names[-12:]) or "none"
        raise ConfigError(f"features.layer={layer}: no such submodule; the last ones are {shown}")
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
            found = list(part.shape) if isinstance(part, Tensor) else type(part).__name__
            raise ConfigError(
                f"features={name}: the network must return features [B, d], or a pair of features "
                f"[B, d] and logits [B, k]; for B={rows} it returned {found}"
            )
    return Features(features.float(), logits.float())
