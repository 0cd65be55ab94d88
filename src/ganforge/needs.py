from __future__ import annotations

from typing import Literal

# What a model or a score may need, and data may give: input images, a target for each input, class
# labels of the images.
Need = Literal["inputs", "pairs", "labels"]


def translates(part: object) -> bool:
    """Whether a model or a score is for image-to-image translation; others generate from noise."""
    return "inputs" in getattr(part, "needs", ())
