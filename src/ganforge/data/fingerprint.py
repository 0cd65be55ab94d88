"""Hashes that tell data sets apart: what was computed of one is never taken for another's."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

SAMPLE = 64  # decoded images that a fingerprint looks at: settings of decoding show in any few


def hash_of(*parts: str | Tensor | None) -> str:
    """Returns 16 hex digits that tell these texts and tensors from others, in their order.

    Every byte counts; a second takes about 1.5 GB.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype} {[*part.shape]};".encode())
            flat = part.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
        else:
            text = "none" if part is None else part
            # Names of files may hold bytes that are no text, as surrogates.
            digest.update(f"{len(text)} {text};".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]
