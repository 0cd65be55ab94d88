"""What a model or a score needs, and a data set gives, besides images."""

from typing import Literal

# "labels": a class of each image. "inputs": images to translate. "pairs": the target of each input.
Need = Literal["labels", "inputs", "pairs"]
