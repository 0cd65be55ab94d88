from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganforge import atomic
from ganforge.errors import ConfigError, DamagedError
from ganforge.metrics.cache_folder import file_name, reason, root, warn_unreadable
from ganforge.metrics.chance import warn_near_chance
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.features.classifier_training import SIDE, ClassifierNetwork, shrink, train
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.features.weights_hash import weights_hash
from ganforge.metrics.source import ImageSource
from ganforge.paths import typed_path
from ganforge.tensor_files import read_tensors

log = logging.getLogger("ganforge")

# Part of the cache key: raise it whenever the network or its training changes.
VERSION = 1


class Trained(NamedTuple):
    """A trained classifier.

    Attributes:
        state: weights and buffers.
        accuracy: accuracy on the test split, NaN if there are no labelled test images.
    """

    state: dict[str, Tensor]
    accuracy: float


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
        # On the meta device: initialising weights would advance the training's random generator.
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
        """Returns the classifier of ``data`` on ``device``; trains it if it is not in the cache.

        Raises:
            ConfigError: The images have no labels, or the data are points.
        """
        refuse_points(data, "classifier")
        if data.num_classes < 2:
            raise ConfigError(
                f"features=classifier learns from labels, and data {data.name!r} has "
                f"{data.num_classes} classes; take labelled data (two class folders or more), "
                "features=inception, or metrics=[]"
            )
        trained = self._load_or_train(data)
        warn_near_chance(trained.accuracy, data)
        return ClassifierFeatures(trained, data.channels, data.num_classes).to(device)

    def path(self, data: ImageSource) -> Path:
        """Returns the cache file of the classifier of ``data``."""
        folder = typed_path(self.cache) if self.cache else root() / "classifiers"
        splits = "/".join(
            data.fingerprint(split) for split in ("train", "test") if data.size(split)
        )
        key = f"{VERSION}/{data.channels}/{data.num_classes}/{self.max_images}/{splits}"
        return folder / file_name(data.name, hashlib.sha256(key.encode()).hexdigest()[:16])

    def _load_or_train(self, data: ImageSource) -> Trained:
        path = self.path(data)
        kept = _load(path)
        if kept is not None:
            log.info("classifier of %s: %s, from %s", data.name, _judge(kept.accuracy), path)
            return kept
        log.info("training the classifier of %s that scores look through, once", data.name)
        trained = Trained(*train(data, self.max_images))
        log.info("classifier of %s: %s", data.name, _judge(trained.accuracy))
        try:
            _save(path, trained)
        except (OSError, RuntimeError) as fault:  # torch.save: RuntimeError on a full disk
            log.warning(
                "the classifier cannot be kept in %s and will be trained again: %s",
                path.parent,
                reason(fault),
            )
            return trained
        # If another run was faster, use its classifier, so that all runs share the same features.
        return _load(path) or trained


def _judge(accuracy: float) -> str:
    if math.isnan(accuracy):
        return "accuracy unknown (no test split)"
    return f"{accuracy:.2%} of test images right"


def _load(path: Path) -> Trained | None:
    try:
        return _trained(read_tensors(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as fault:
        warn_unreadable(path, fault)
        return None
    except (DamagedError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as fault:
        log.warning("%s is damaged and will be made anew: %s", path, fault)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return None


def _trained(kept: Any) -> Trained:
    """Returns the classifier in a file's contents; raises DamagedError if they are invalid."""
    state = kept.get("state") if isinstance(kept, dict) else None
    accuracy = kept.get("accuracy") if state else None
    if not isinstance(state, dict) or not isinstance(accuracy, float):
        raise DamagedError("it holds no classifier")
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
        if _is_unreadable(path):
            os.replace(written, path)
    except OSError:
        os.replace(written, path)


def _is_unreadable(path: Path) -> bool:
    """Returns whether the file exists but this user cannot read it."""
    return path.is_file() and not os.access(path, os.R_OK)
