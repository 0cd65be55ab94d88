from __future__ import annotations

import torch
from torch import Tensor

# Elements per chunk: about 32 MiB of float32.
CHUNK = 2**23
CANDIDATES = 4


def nearest_distances(rows: Tensor, others: Tensor) -> Tensor:
    """Returns the Euclidean distance of each row to the nearest of ``others``, float64 [n].

    The nearest few candidates are found with float32 products, which suffer from cancellation for
    close rows. Their distances are then recomputed directly, so that a copy has distance 0.

    Args:
        rows: [n, d].
        others: [m, d], on the same device.
    """
    centre = others.mean(0)
    columns = (others - centre).float()
    squares = columns.square().sum(1)
    count = min(CANDIDATES, len(others))
    step = max(CHUNK // max(len(others), 2 * count * rows.shape[1]), 1)
    found = []
    for chunk in torch.split(rows, step):
        # |x - y|^2 - |x|^2: the term |x|^2 does not affect the order of y.
        order = torch.addmm(squares, (chunk - centre).float(), columns.T, alpha=-2)
        near = others[order.topk(count, dim=1, largest=False).indices]
        gaps = near.double() - chunk[:, None].double()
        found.append(gaps.square().sum(2).amin(1).sqrt())
    return torch.cat(found)
