from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ganforge.errors import ConfigError, DamagedError
from ganforge.metrics.features.base import FeatureExtractor, Features, to_rgb
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.features.preprocessing import Resize, check_resize, resize_name, resized
from ganforge.metrics.scores.score import own_random_numbers
from ganforge.metrics.source import ImageSource
from ganforge.metrics.weights import PublishedWeights
from ganforge.paths import typed_path
from ganforge.tensor_files import read_tensors

log = logging.getLogger("ganforge")

# The address of torch-fidelity, which imports torchvision: only once there is a network to build.
URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
WEIGHTS = PublishedWeights(
    "Inception weights (91 MB)",
    URL,
    "give features.weights=PATH; features=classifier needs no download",
)
Precision = Literal["float32", "bf16"]
PUBLISHED = "6726825d"  # first digits of the SHA-256 of the weights behind published values


class InceptionFeatures(FeatureExtractor):
    """Inception-v3 as used for every published FID: the weights of 2015, converted from TensorFlow.

    Pooled features [B, 2048] and bias-free logits [B, 1008] of images resized to 299x299.
    Heusel et al. 2017, arXiv:1706.08500; Salimans et al. 2016, arXiv:1606.03498.

    With any other weights, the file's hash is appended to the scores' names, such as
    ``fid_inception-0a1b2c3d``: their values are not comparable with published ones.

    Args:
        weights: file of the weights.
        resize: "legacy" resizes like TensorFlow 1, "clean" like clean-fid (arXiv:2104.11222).
        precision: arithmetic of the convolutions. "bf16" is faster on GPUs with tensor cores, but
            changed the FID by 1 to 2 % with random weights; the protocol of a score then says so.
    """

    name = "inception"
    suffix = ""
    num_features = 2048
    num_logits = 1008

    def __init__(
        self, weights: Path, resize: Resize = "legacy", precision: Precision = "float32"
    ) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        _check(weights)
        self.resize = resize
        self.precision = precision
        self.memory_format = torch.contiguous_format
        # Initializing the weights, soon replaced, must not advance the training's generator.
        with own_random_numbers(0):
            self.network = FeatureExtractorInceptionV3(
                "inception-v3-compat",
                ["2048", "logits_unbiased"],
                feature_extractor_weights_path=str(weights),
            )
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
        if digest != PUBLISHED:
            self.suffix = f"_inception-{digest}"
            log.warning(
                "%s is not %s, the weights of published scores: scores are named fid%s",
                weights,
                WEIGHTS.path.name,
                self.suffix,
            )
        self.protocol = {
            "features": "inception-v3-compat",
            "features_weights": digest,
            "resize": resize_name(resize, 299),
        }
        if precision != "float32":
            self.protocol["precision"] = precision

    def use_channels_last(self) -> InceptionFeatures:
        """Switches weights and activations to the channels-last layout; returns self."""
        self.memory_format = torch.channels_last
        self.network.to(memory_format=torch.channels_last)
        return self

    def forward(self, images: Tensor) -> Features:
        """Returns the features of images [B, C, H, W] in 0 ... 255, C from 1 to 4."""
        pixels = resized(to_rgb(images), self.network.INPUT_IMAGE_SIZE, self.resize)
        hidden = (pixels - 128) / 128
        hidden = hidden.contiguous(memory_format=self.memory_format)
        # Not the network's own forward, which requires uint8 images and supports one resizing only.
        *layers, pool, last = self.network.children()
        half = self.precision == "bf16"
        with torch.autocast(hidden.device.type, torch.bfloat16, enabled=half):
            for layer in layers:
                hidden = layer(hidden)
        features = pool(hidden.float()).flatten(1)  # a mean: rounded to bf16, it would be coarser
        return Features(features, features @ last.weight.T)


class InceptionFactory:
    """Inception features; the weights are located, or downloaded, when a run starts.

    Args:
        weights: file of the weights; None uses PyTorch's hub cache or downloads them.
        resize: "legacy" resizes like TensorFlow 1, as in every FID published before 2021; "clean"
            like clean-fid.
        precision: arithmetic of the convolutions, see :class:`InceptionFeatures`.
        channels_last: whether to use the channels-last memory layout, which changes scores by
            rounding only; "auto" does on CUDA devices, whose tensor cores compute in it.
    """

    def __init__(
        self,
        weights: str | None = None,
        resize: Resize = "legacy",
        precision: Precision = "float32",
        channels_last: bool | Literal["auto"] = "auto",
    ) -> None:
        check_resize(resize, ("legacy", "clean"))
        if precision not in (legal := get_args(Precision)):
            raise ConfigError(
                f"features.precision must be one of {', '.join(legal)}, got {precision!r}"
            )
        self.weights = weights
        self.resize = resize
        self.precision = precision
        self.channels_last = channels_last

    def local(self) -> Path | None:
        """Returns the file of the weights if it is on this machine, else None.

        Raises:
            ConfigError: The file given as ``weights`` does not exist.
        """
        path = typed_path(self.weights) if self.weights else WEIGHTS.path
        if path.is_file():
            return path
        if self.weights:
            raise WEIGHTS.missing(f"features.weights={self.weights}: no such file")
        return None

    def fetch(self) -> Path:
        """Returns the file of the weights; raises ConfigError if the download fails."""
        return self.local() or WEIGHTS.fetch()

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor:
        """Returns Inception on ``device``; raises ConfigError for points and missing weights."""
        refuse_points(data, "features=inception")
        features = InceptionFeatures(self.fetch(), self.resize, self.precision).to(device)
        wanted = device.type == "cuda" if self.channels_last == "auto" else self.channels_last
        return features.use_channels_last() if wanted else features


def _check(weights: Path) -> None:
    # torch-fidelity unpickles the file, which could run code: reject all but plain tensors first.
    try:
        state: Any = read_tensors(weights)
        fits = state["fc.weight"].shape == (1008, 2048)
    except (DamagedError, OSError, KeyError, TypeError, AttributeError) as fault:
        raise ConfigError(f"features.weights={weights}: cannot be read as weights") from fault
    if not fits:
        raise ConfigError(f"features.weights={weights}: not those of {URL}")
