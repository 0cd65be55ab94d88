from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.utils import parametrize

START_ITERATIONS = 15
EPSILON = 1e-12


class SpectralNorm(nn.Module):
    """Parametrization  W / sigma(W)  of a weight by its largest singular value.

    Miyato et al. 2018, arXiv:1802.05957, algorithm 1. The singular vectors u and v are buffers:
    each evaluation in training mode improves them by one power iteration

        u <- W v / |W v|,    v <- W^T u / |W^T u|,    sigma = u^T W v,

    and the gradient treats them as constants. It is always computed in the precision of W, outside
    autocast. Inside :func:`torch.nn.utils.parametrize.cached` a weight is evaluated once: there all
    passes through a network use the same W / sigma. An update takes one iteration, or one for each
    of its parts (``model.accumulate``).

    The names of parameters and buffers are those of PyTorch's parametrization.

    Args:
        weight: W, at least two-dimensional.
        dim: dimension of the output channels, which are the rows of the matrix.
    """

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, dim: int = 0) -> None:
        super().__init__()
        self.dim = dim
        matrix = self._matrix(weight.detach())
        for name, length in zip(("_u", "_v"), matrix.shape, strict=True):
            self.register_buffer(name, F.normalize(matrix.new_empty(length).normal_(), dim=0))
        for _ in range(START_ITERATIONS):
            self._iterate(matrix)

    def forward(self, weight: Tensor) -> Tensor:
        """Returns W / sigma(W), of the shape of W."""
        # The result may be cached by a pass without gradients and used by one with gradients.
        with torch.autocast(weight.device.type, enabled=False), torch.enable_grad():
            matrix = self._matrix(weight)
            if self.training:
                self._iterate(matrix.detach())
            # The next iteration overwrites the buffers, which the backward pass still needs.
            u, v = self._u.clone(), self._v.clone()
            return weight / torch.vdot(u, torch.mv(matrix, v))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Returns the W that an assigned weight becomes: itself."""
        return weight

    def _matrix(self, weight: Tensor) -> Tensor:
        """Returns the weight as a matrix [C_out, all other dimensions]."""
        return weight.movedim(self.dim, 0).flatten(1)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> None:
        F.normalize(torch.mv(matrix, self._v), dim=0, eps=EPSILON, out=self._u)
        F.normalize(torch.mv(matrix.mT, self._u), dim=0, eps=EPSILON, out=self._v)


def normalize_weight(layer: nn.Module) -> None:
    """Applies spectral normalization to the weight of a layer, which is changed in place."""
    dim = 1 if isinstance(layer, _ConvTransposeNd) else 0
    weight = cast(Tensor, layer.weight)
    parametrize.register_parametrization(layer, "weight", SpectralNorm(weight, dim))
