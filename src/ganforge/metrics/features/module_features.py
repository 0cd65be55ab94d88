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
    """Any network as an extractor.

    The network returns features [B, d], or a pair of features and logits [B, k]. Maps [B, d, h, w]
    are averaged over their places, as Inception's are. With ``layer`` the features are what that
    submodule returns, and the network's own output are the logits.

    Args:
        network: what looks at the images; it is frozen and put into evaluation mode.
        name: what the features are called; scores get it as suffix.
        preprocessing: what is done to images before.
        layer: path of a submodule, such as "avgpool" or "blocks.3"; None for the output.
    """

    num_features = 0  # both are known once an image has been looked at: see probe()
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
        """Where images are looked at."""
        return self.preprocessing.mean.device  # a network may have no weights

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
        """Looks at two blank images as large as those of ``data``.

        Raises:
            ConfigError: the network can't look at such images, or returns something else.
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
    """Returns float32 features and logits, or says what the network should have returned."""
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
