from __future__ import annotations

import importlib
import pickle
from typing import Any

import torch
from torch import nn

from ganforge.errors import ConfigError, install
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.module import ModuleFeatures
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.features.preprocessing import Preprocessing, Resize, check_resize
from ganforge.metrics.scores.score import own_random_numbers
from ganforge.metrics.source import ImageSource
from ganforge.paths import typed_path

PATCH = 14


class DINOv2Factory:
    """Features of DINOv2, a vision transformer trained without labels.

    Oquab et al. 2023, arXiv:2304.07193. The features are the class token after the last
    normalization, of images resized to 224. Frechet distances of these features agree better with
    human evaluation than those of Inception (Stein et al. 2023, arXiv:2306.04675: FD-DINOv2 with
    the large model). They are named ``fid_dinov2``. There are no logits and so no Inception score.
    timm interpolates the position embedding with another filter than the authors' code, so values
    differ slightly from theirs.

    Args:
        model: timm's name of the network.
        weights: file of its weights, from timm or the authors; None uses the hub's cache or
            downloads them.
        size: side to which images are resized, a multiple of 14.
        resize: "clean" or "legacy".
    """

    def __init__(
        self,
        model: str = "vit_large_patch14_dinov2.lvd142m",
        weights: str | None = None,
        size: int = 224,
        resize: Resize = "clean",
    ) -> None:
        # timm would load arbitrary networks from "hf-hub:USER/NAME" and "local-dir:PATH".
        if "dinov2" not in model or not set(model).isdisjoint(":/\\"):
            raise ConfigError(
                f"features.model must be a DINOv2 network of timm, such as "
                f"vit_small_patch14_dinov2.lvd142m; got {model!r}. For others use features=module"
            )
        check_resize(resize, ("clean", "legacy"))
        if size < PATCH or size % PATCH:
            raise ConfigError(f"features.size must be a multiple of {PATCH}, got {size}")
        self.model = model
        self.weights = weights
        self.preprocessing = Preprocessing(size, resize)

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor:
        """Returns the extractor; raises ConfigError without timm or the weights."""
        refuse_points(data, "features=dinov2")
        extractor = ModuleFeatures(self._network(), "dinov2", self.preprocessing)
        extractor.protocol["features"] = self.model.partition(".")[0]
        extractor.to(device).probe(data)
        return extractor

    def _network(self) -> nn.Module:
        try:
            timm: Any = importlib.import_module("timm")
        except ImportError as fault:
            raise ConfigError(f"features=dinov2 needs timm: {install('backbones')}") from fault
        overlay = None
        if self.weights is not None:
            path = typed_path(self.weights)
            if not path.is_file():
                raise ConfigError(f"features.weights={self.weights}: no such file")
            overlay = {"file": str(path)}
        try:
            # Initializing the weights, soon replaced, must not advance the training's generator.
            with own_random_numbers(0):
                network: nn.Module = timm.create_model(
                    self.model,
                    pretrained=True,
                    pretrained_cfg_overlay=overlay,
                    num_classes=0,
                    img_size=self.preprocessing.size,
                )
        except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.PickleError) as fault:
            raise ConfigError(self._missing(fault)) from fault
        return network

    def _missing(self, fault: Exception) -> str:
        reason = [*str(fault).strip().splitlines(), type(fault).__name__][0]
        if self.weights is not None:
            return f"features.weights={self.weights}: not those of {self.model}: {reason}"
        return (
            f"features=dinov2: the weights of {self.model} are not available ({reason}). Download "
            f"https://huggingface.co/timm/{self.model} (model.safetensors) and use "
            "features.weights=FILE, or features=auto"
        )
