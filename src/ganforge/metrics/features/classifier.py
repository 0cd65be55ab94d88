from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge import atomic
from ganforge.errors import ConfigError, DamagedError
from ganforge.metrics.cache import read_cached
from ganforge.metrics.cache_folder import file_name, reason
from ganforge.metrics.features.base import FeatureExtractor, Features, weights_hash
from ganforge.metrics.features.classifier_training import (
    SIDE,
    ClassifierNetwork,
    Trained,
    shrink,
    train,
)
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.source import ImageSource
from ganforge.paths import cache_root, typed_path
from ganforge.plain_text import one_line

log = logging.getLogger("ganforge")

# Part of the cache key: raise it whenever the network or its training changes.
VERSION = 1
TESTED = 10_000  # maximum number of test images that the accuracy is measured on
LEAST = 0.1  # minimum improvement over chance, as a share of the gap from chance to 100 %
DEVIATIONS = 2.0  # standard errors of the accuracy that the improvement must exceed


class ClassifierFeatures(FeatureExtractor):
    """The last hidden layer and the logits of a small classifier of the data set's own labels.

    For data that Inception is not suited to (digits) and for machines without its weights. Images
    are resized to 32x32.

    Args:
        trained: weights and accuracy.
        channels: C of the images.
        num_classes: k.
    """

    name = "classifier"
    suffix = "_classifier"
    names_labels = True

    def __init__(self, trained: Trained, channels: int, num_classes: int) -> None:
        super().__init__()
        # On the meta device: initializing weights would advance the training's random generator.
        with torch.device("meta"):
            self.network = ClassifierNetwork(channels, num_classes)
        self.network.load_state_dict(trained.state, assign=True)
        self.num_features = self.network.num_features
        self.num_logits = num_classes
        self.protocol = {
            "features": f"classifier-v{VERSION}",
            "features_weights": weights_hash(trained.state),
            "resize": f"bilinear-antialias-{SIDE}",
        }
        if not math.isnan(trained.accuracy):
            self.protocol["features_accuracy"] = trained.accuracy
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Features:
        """Returns the features of uint8 images [B, C, H, W] of any size."""
        # Not all Metal versions support antialiased resizing.
        small = shrink(images.cpu() if images.device.type == "mps" else images)
        hidden = self.network.features(small.to(self.device))
        return Features(hidden, self.network.head(hidden))


class ClassifierFactory:
    """Features of a classifier that is trained once per data set and cached.

    Args:
        cache: folder of the trained classifiers; None uses ``$GANFORGE_CACHE/classifiers``, or
            ``~/.cache/ganforge/classifiers``.
        max_images: maximum number of training images.
    """

    def __init__(self, cache: str | None = None, max_images: int = 60_000) -> None:
        if max_images < 2:
            raise ConfigError(f"features.max_images must be at least 2, got {max_images}")
        self.cache = cache
        self.max_images = max_images

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor:
        """Returns the classifier of ``data``; trains it if it is not in the cache.

        Raises:
            ConfigError: The images have no labels, or the data are points.
        """
        refuse_points(data, "features=classifier")
        if data.num_classes < 2:
            raise ConfigError(
                f"features=classifier needs labels, and data {data.name!r} has "
                f"{data.num_classes} classes; use labelled data (two class folders or more), "
                "features=inception, or metrics=[]"
            )
        trained = self._load_or_train(data)
        warn_near_chance(trained.accuracy, data)
        return ClassifierFeatures(trained, data.channels, data.num_classes).to(device)

    def path(self, data: ImageSource) -> Path:
        """Returns the cache file of the classifier of ``data``."""
        folder = typed_path(self.cache) if self.cache else cache_root() / "classifiers"
        splits = "/".join(
            data.fingerprint(split) for split in ("train", "test") if data.size(split)
        )
        key = f"{VERSION}/{data.channels}/{data.num_classes}/{self.max_images}/{splits}"
        return folder / file_name(data.name, hashlib.sha256(key.encode()).hexdigest()[:16])

    def _load_or_train(self, data: ImageSource) -> Trained:
        path = self.path(data)
        cached = _load(path)
        if cached is not None:
            log.info("classifier of %s: %s, from %s", data.name, _describe(cached), path)
            return cached
        log.info("training a classifier of %s for the scores, once", data.name)
        trained = train(data, self.max_images)
        log.info("classifier of %s: %s", data.name, _describe(trained))
        try:
            _save(path, trained)
        except (OSError, RuntimeError) as fault:  # torch.save: RuntimeError on a full disk
            log.warning(
                "the classifier cannot be saved in %s and will be trained again: %s",
                path.parent,
                reason(fault),
            )
            return trained
        # If another run was faster, use its classifier, so that all runs share the same features.
        return _load(path) or trained


def _describe(trained: Trained) -> str:
    if math.isnan(trained.accuracy):
        return "accuracy unknown (no test split)"
    return f"{trained.accuracy:.2%} accuracy on test images"


def _load(path: Path) -> Trained | None:
    return read_cached(path, _trained, remove=True)


def _trained(contents: Any) -> Trained:
    """Returns the classifier in a file's contents; raises DamagedError if they are invalid."""
    state = contents.get("state") if isinstance(contents, dict) else None
    accuracy = contents.get("accuracy") if state else None
    if not isinstance(state, dict) or not isinstance(accuracy, float):
        raise DamagedError("it contains no classifier")
    if not all(isinstance(one, Tensor) and bool(one.isfinite().all()) for one in state.values()):
        raise DamagedError("its weights are not finite")
    return Trained(state, accuracy)


def _save(path: Path, trained: Trained) -> None:
    """Writes the file unless it exists; its permissions follow the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = atomic.temporary_sibling(path)
    try:
        with open(temporary, "xb") as file:
            torch.save({"state": trained.state, "accuracy": trained.accuracy}, file)
            file.flush()
            os.fsync(file.fileno())
        _publish(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _publish(written: Path, path: Path) -> None:
    # Unlike a rename, a hard link fails if the file exists: the first of several runs wins. File
    # systems without hard links fall back to a rename.
    try:
        os.link(written, path)
    except FileExistsError:
        if path.is_file() and not os.access(path, os.R_OK):  # another user's file
            os.replace(written, path)
    except OSError:
        os.replace(written, path)


def warn_near_chance(accuracy: float, data: ImageSource) -> None:
    """Warns if the feature classifier is hardly better than guessing the most frequent class.

    Its features then carry little information about the images, and scores based on them are of
    little use.

    Args:
        accuracy: accuracy on the test split, NaN if unknown.
        data: the classifier's training data.
    """
    labels = data.real_labels("test") if data.size("test") else None
    if math.isnan(accuracy) or labels is None or len(labels) == 0:
        return
    counts = torch.bincount(labels[:TESTED])
    chance, total = float(counts.max() / counts.sum()), int(counts.sum())
    error = DEVIATIONS * math.sqrt(chance * (1 - chance) / total)
    if accuracy < chance + max(LEAST * (1 - chance), error):
        log.warning(
            "SCORES ARE OF LITTLE USE: the accuracy of features=classifier is %.1f%% on the test "
            "images of %s, and that of guessing the most frequent class %.1f%%. Check the labels, "
            "or choose other features",
            100 * accuracy,
            one_line(data.name),
            100 * chance,
        )
