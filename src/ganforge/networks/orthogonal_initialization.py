from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)


def initialize_weights(network: nn.Module, draw: Callable[[Tensor], object]) -> None:
    """Draws every weight of convolutions, linear layers and embeddings; biases are 0.

    What steers a conditional norm is drawn with the rest: a weight of 0 has no spectrum, so it
    could not be spectrally normalized. Call it before spectral normalization is put on.

    Args:
        network: is changed in place.
        draw: fills a weight in place.
    """
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            draw(module.weight)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]


def initialize_orthogonal(network: nn.Module) -> None:
    """Draws every weight as a (semi-)orthogonal matrix [C_out, everything else]; biases are 0.

    Saxe et al. 2014, arXiv:1312.6120; used in BigGAN (Brock et al. 2019, arXiv:1809.11096).
    """
    initialize_weights(network, nn.init.orthogonal_)
