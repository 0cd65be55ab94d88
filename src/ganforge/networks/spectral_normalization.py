from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def normalize_spectrum(network: nn.Module) -> None:
    """Divides every convolution's and linear weight by its largest singular value.

    Miyato et al. 2018, arXiv:1802.05957: one power iteration at each forward pass in training.
    The singular value is that of the weight as a matrix [C_out, everything else].
    """
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            spectral_norm(module)
