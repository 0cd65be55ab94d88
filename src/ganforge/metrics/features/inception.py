from __future__ import annotations

import hashlib
import logging
import socket
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import (
    URL_INCEPTION_V3,
    FeatureExtractorInceptionV3,
)

from ganforge.errors import ConfigError, DamagedError
from ganforge.metrics.features.base import FeatureExtractor, Features, to_rgb
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.features.resizing import Resize, check_resize, resize_name, resized
from ganforge.metrics.scores.score import own_random_numbers
from ganforge.metrics.source import ImageSource
from ganforge.paths import typed_path
from ganforge.tensor_files import read_tensors

log = logging.getLogger("ganforge")

FILE_NAME = "weights-inception-2015-12-05-6726825d.pth"
PUBLISHED = "6726825d"  # first digits of the SHA-256 of the weights behind published values
CONNECT_SECONDS = 20.0


class InceptionFeatures(FeatureExtractor):
    """Inception-v3 as used for every published FID: the weights of 2015, converted from TensorFlow.

    Pooled features [B, 2048] and bias-free logits [B, 1008] of images resized to 299x299.
    Heusel et al. 2017, arXiv:1706.08500; Salimans et al. 2016, arXiv:1606.03498.

    With any other weights, the file's hash is appended to the scores' names, such as
    ``fid_inception-0a1b2c3d``: their values are not comparable with published ones.

    Args:
        weights: file of the weights.
        resize: "legacy" resizes like TensorFlow 1, "clean" like clean-fid (arXiv:2104.11222).
    """

    name = "inception"
    suffix = ""
    num_features = 2048
    num_logits = 1008

    def __init__(self, weights: Path, resize: Resize = "legacy") -> None:
        super().__init__()
        _check(weights)
        self.resize = resize
        # Initialising the weights, soon replaced, must not advance the training's generator.
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
                "%s is not %s, by which published scores are computed: scores are called fid%s",
                weights,
                FILE_NAME,
                self.suffix,
            )
        self.protocol = {
            "features": "inception-v3-compat",
            "features_weights": digest,
            "resize": resize_name(resize, 299),
        }

    def forward(self, images: Tensor) -> Features:
        """Returns the features of images [B, C, H, W] in 0 ... 255, C from 1 to 4."""
        shown = resized(to_rgb(images), self.network.INPUT_IMAGE_SIZE, self.resize)
        return self._look((shown - 128) / 128)

    def _look(self, hidden: Tensor) -> Features:
        # Not the network's own forward, which requires uint8 images and supports one resizing only.
        *layers, last = self.network.children()
        for layer in layers:
            hidden = layer(hidden)
        features = hidden.flatten(1)
        return Features(features, features @ last.weight.T)


class InceptionFactory:
    """Inception features; the weights are located, or downloaded, when a run starts.

    Args:
        weights: file of the weights; None uses PyTorch's hub cache or downloads them.
        resize: "legacy" resizes like TensorFlow 1, as in every FID published before 2021; "clean"
            like clean-fid.
    """

    def __init__(self, weights: str | None = None, resize: Resize = "legacy") -> None:
        check_resize(resize, ("legacy", "clean"))
        self.weights = weights
        self.resize = resize

    def local(self) -> Path | None:
        """Returns the file of the weights if it is on this machine, else None.

        Raises:
            ConfigError: The file given as ``weights`` does not exist.
        """
        path = typed_path(self.weights) if self.weights else cached_weights()
        if path.is_file():
            return path
        if self.weights:
            raise ConfigError(_missing(f"features.weights={self.weights}: no such file"))
        return None

    def fetch(self) -> Path:
        """Returns the file of the weights; downloads it if necessary.

        Raises:
            ConfigError: The weights are unavailable.
        """
        return self.local() or _download(cached_weights())

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor:
        """Returns Inception on ``device``.

        Raises:
            ConfigError: The data are points, or the weights are unavailable.
        """
        refuse_points(data, "inception")
        return InceptionFeatures(self.fetch(), self.resize).to(device)


def cached_weights() -> Path:
    """Returns the path of the weights in PyTorch's hub cache; the file need not exist."""
    return Path(torch.hub.get_dir()) / "checkpoints" / FILE_NAME


def _download(path: Path) -> Path:
    # Without a timeout, a firewall that drops packets would block the start of a run for minutes.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log.info("downloading Inception weights (91 MB) to %s", path)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), PUBLISHED, progress=False)
    except (OSError, RuntimeError) as fault:
        raise ConfigError(_missing(f"the download failed ({fault})")) from fault
    finally:
        socket.setdefaulttimeout(before)
    return path


def _missing(reason: str) -> str:
    return (
        f"Inception weights are missing: {reason}. Fetch {URL_INCEPTION_V3} and put it at "
        f"{cached_weights()}, or give features.weights=PATH; features=classifier needs no download"
    )


def _check(weights: Path) -> None:
    # torch-fidelity unpickles the file, which could run code: reject all but plain tensors first.
    try:
        state: Any = read_tensors(weights)
        fits = state["fc.weight"].shape == (1008, 2048)
    except (DamagedError, OSError, KeyError, TypeError, AttributeError) as fault:
        raise ConfigError(f"features.weights={weights}: not readable as weights") from fault
    if not fits:
        raise ConfigError(f"features.weights={weights}: not the Inception of {URL_INCEPTION_V3}")
