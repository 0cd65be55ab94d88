from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)


def initialize_weights(network: nn.Module, draw: Callable[[Tensor], object]) -> None:
    """Initializes all weights of convolutions, linear layers and embeddings; biases are set to 0.

    The layers that condition norms are included: a zero weight has largest singular value 0 and
    could not be spectrally normalized. Call this before spectral normalization is applied.

    Args:
        network: network that is changed in place.
        draw: function that fills a weight in place.
    """
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            draw(module.weight)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]


def initialize_orthogonal(network: nn.Module) -> None:
    """Initializes weights as (semi-)orthogonal matrices [C_out, all other dimensions], biases as 0.

    Saxe et al. 2014, arXiv:1312.6120; used in BigGAN (Brock et al. 2019, arXiv:1809.11096).
    """
    initialize_weights(network, nn.init.orthogonal_)
