"""Sensitivity of each score: real digits serve as fakes and are corrupted in five ways.

    OMP_NUM_THREADS=1 uv run --extra plots python benchmarks/metric_sensitivity.py

Prints the tables and writes metric_sensitivity.md and metric_sensitivity.png. Takes two minutes of
CPU time on one thread.
"""

from __future__ import annotations

import argparse
import inspect
import math
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ganforge.data.images import to_float
from ganforge.data.sets.digits import Digits
from ganforge.metrics.evaluate import EvaluationSettings, GeneratedImages, evaluate
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.classifier import ClassifierFactory
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.requested_labels import RequestedLabels
from ganforge.metrics.scores.classification_accuracy import ClassificationAccuracy
from ganforge.metrics.scores.diversity import MultiscaleSimilarity
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.intra_class import IntraClassFrechet
from ganforge.metrics.scores.kernel import KernelDistance
from ganforge.metrics.scores.label_score import LabelAgreement, NormalizedMutualInformation
from ganforge.metrics.scores.memorization import DataCopying, Memorization
from ganforge.metrics.scores.prdc import Coverage, Density, Precision, Recall
from ganforge.metrics.scores.score import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).parent
CPU = torch.device("cpu")
SPLITS = 4
BATCH_SIZE = 500
BLIND = "-"
FOOLED = "better"
SPREADS = 3  # smallest significant change, in standard deviations of the uncorrupted value

METRICS: dict[str, type[Score]] = {
    "fid": FrechetDistance,
    "kid": KernelDistance,
    "is": InceptionScore,
    "precision": Precision,
    "recall": Recall,
    "density": Density,
    "coverage": Coverage,
    "memorization": Memorization,
    "data_copying": DataCopying,
    "intra_fid": IntraClassFrechet,
    "label_agreement": LabelAgreement,
    "classification_accuracy": ClassificationAccuracy,
    "normalized_mutual_information": NormalizedMutualInformation,
    "diversity_ms_ssim": MultiscaleSimilarity,
}
# Trains for seconds at each call: only at two levels of the first split.
SLOW = ("classification_accuracy",)
SLOW_LEVELS = (3, 5)
# Distances are drawn on axes that are linear up to this value and logarithmic beyond.
LINEAR = {"fid": 1.0, "kid": 0.02, "intra_fid": 1.0}
# Direction that counts as worse for scores without a better one: that of copies.
TOWARDS_COPIES = {"memorization": 1, "data_copying": -1}

Values = dict[str, float]
Found = dict[str, list[list[Values]]]  # indexed by corruption, level and split


class Partition:
    """A random partition of the digits by class: 2/5 real, 2/5 fresh, 1/5 held out.

    All parts come from the split that the classifier was trained on, so that they differ only by
    chance. Fresh image i has the class of real image i.

    Args:
        data: digits.
        seed: seed of the partition.

    Attributes:
        fresh: images that serve as fakes, uint8 [n, C, H, W].
        rank: index of each fresh image within its class, int64 [n].
    """

    def __init__(self, data: Digits, seed: int) -> None:
        self.name, self.num_classes = f"digits-{seed}", data.num_classes
        self.channels, self.image_size = data.channels, data.image_size
        images, labels = data.reals(data.size("train"))
        assert labels is not None
        fifth = int(labels.bincount().min()) // 5
        draws = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(labels), generator=draws)
        by_class = [order[labels[order] == label] for label in range(self.num_classes)]
        mixed = torch.randperm(2 * fifth * self.num_classes, generator=draws)
        real, fresh = (
            torch.cat([own[start * fifth : (start + 2) * fifth] for own in by_class])[mixed]
            for start in (0, 2)
        )
        held_out = torch.cat([own[4 * fifth : 5 * fifth] for own in by_class])
        self.fresh = images[fresh]
        self._parts = {part: (images[at], labels[at]) for part, at in
                       (("train", real), ("test", held_out))}  # fmt: skip
        own = torch.nn.functional.one_hot(labels[real])
        self.rank = (own.cumsum(0) * own).sum(1) - 1

    def size(self, split: str) -> int:
        """Returns the number of real or of held-out images."""
        return len(self._parts[split][0])

    def reals(self, n: int, split: str = "train", start: int = 0) -> tuple[Tensor, Tensor | None]:
        """Returns images start ... start + n - 1 and their labels."""
        images, labels = self._parts[split]
        return images[start : start + n], labels[start : start + n]

    def real_labels(self, split: str = "train") -> Tensor:
        """Returns the labels of a split."""
        return self._parts[split][1]

    def fingerprint(self, split: str) -> str:
        """Raises: features of these images are never cached."""
        raise NotImplementedError

    def of(self, labels: Tensor, ranks: Tensor) -> Tensor:
        """Returns the fresh images with the given classes and indices within the class."""
        places = torch.empty(self.num_classes, int(self.rank.max()) + 1, dtype=torch.int64)
        places[self.real_labels(), self.rank] = torch.arange(len(self.rank))
        return self.fresh[places[labels, ranks]]


def noisy(partition: Partition, deviation: float) -> Tensor:
    """Adds Gaussian noise, ``deviation`` in gray levels of 255, from one draw for all levels."""
    images = to_float(partition.fresh)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + noise * deviation / 127.5).clamp(-1, 1)


def blurred(partition: Partition, sigma: float) -> Tensor:
    """Blurs with a Gaussian of ``sigma`` pixels."""
    images = to_float(partition.fresh)
    if sigma == 0:
        return images
    # Reflection padding limits the width of the kernel.
    result: Tensor = gaussian_blur(images, [min(2 * round(4 * sigma) + 1, 31)] * 2, [sigma] * 2)
    return result


def without_classes(partition: Partition, dropped: float) -> Tensor:
    """Replaces the last ``dropped`` classes by the other classes in turn.

    The number of images is unchanged, so images of the other classes repeat.
    """
    labels, ranks = partition.real_labels(), partition.rank
    kept = partition.num_classes - int(dropped)
    return to_float(partition.of(torch.where(labels < kept, labels, ranks % kept), ranks))


def repeated(partition: Partition, unique: float) -> Tensor:
    """Repeats the first ``unique`` images of each class."""
    return to_float(partition.of(partition.real_labels(), partition.rank % int(unique)))


def copied(partition: Partition, share: float) -> Tensor:
    """Replaces a share of the images by training images of the same classes."""
    images = to_float(partition.fresh)
    count = round(share * len(images))
    images[:count] = to_float(partition.reals(count)[0])
    return images


@dataclass(frozen=True)
class Corruption:
    """A corruption of images.

    Attributes:
        title: name in tables.
        unit: unit of the levels.
        levels: levels from no corruption to the strongest.
        make: returns the images at a level, float [n, C, H, W] in [-1, 1].
    """

    title: str
    unit: str
    levels: tuple[float, ...]
    make: Callable[[Partition, float], Tensor]


CORRUPTIONS = {
    "noise": Corruption("noise", "standard deviation, of 255", (0, 8, 16, 32, 64, 128), noisy),
    "blur": Corruption("blur", "sigma, pixels", (0, 1, 2, 3, 4, 6), blurred),
    "dropped": Corruption("dropped classes", "of 10", (0, 1, 3, 5, 7, 9), without_classes),
    "duplicates": Corruption(
        "duplicates", "unique images of a class", (58, 29, 15, 6, 2, 1), repeated
    ),
    "copies": Corruption(
        "memorized", "share of training images", (0, 0.1, 0.25, 0.5, 0.75, 1), copied
    ),
}


class Evaluator:
    """Scores fakes against the real images of one partition.

    Args:
        partition: the partition.
        extractor: feature extractor of all scores.
        names: scores to compute.
    """

    def __init__(self, partition: Partition, extractor: FeatureExtractor, names: list[str]) -> None:
        self.partition, self.extractor = partition, extractor
        self.reals = RealFeatures(partition, extractor)
        self.labels = RequestedLabels("data", partition.num_classes, partition)
        self.scores = {name: METRICS[name]() for name in names}
        for name, score in self.scores.items():
            assert score.prepare(partition, extractor, CPU), name

    def __call__(self, images: Tensor) -> Values:
        """Returns the scores of float images [n, C, H, W] in [-1, 1]."""
        generated = GeneratedImages(lambda n, start: images[start : start + n], self.labels)
        settings = EvaluationSettings(len(images), 0, BATCH_SIZE)
        found = evaluate(generated, self.reals, self.scores, settings)
        # Keyed by short name: the names of results have a suffix for the features.
        return dict(zip(self.scores, (result.value for result in found.values()), strict=True))


def measure(names: list[str], splits: int) -> Found:
    """Returns the scores by corruption, level and split."""
    data = Digits()
    extractor = ClassifierFactory().build(data, CPU)
    found: Found = {name: [[] for _ in one.levels] for name, one in CORRUPTIONS.items()}
    for seed in range(splits):
        partition = Partition(data, seed)
        all_scores = Evaluator(partition, extractor, names)
        fast_scores = Evaluator(partition, extractor, [name for name in names if name not in SLOW])
        clean = all_scores(to_float(partition.fresh))
        for name, corruption in CORRUPTIONS.items():
            found[name][0].append(clean)
            for place, level in list(enumerate(corruption.levels))[1:]:
                evaluator = all_scores if seed == 0 and place in SLOW_LEVELS else fast_scores
                found[name][place].append(evaluator(corruption.make(partition, level)))
            print(f"split {seed}, {name}", flush=True)
    return found


def averages(levels: list[list[Values]], metric: str) -> list[float]:
    """Returns a score at each level, averaged over splits; NaN where it was not computed."""
    values = [[one[metric] for one in splits if metric in one] for splits in levels]
    return [mean(own) if own else math.nan for own in values]


def worsening(levels: list[list[Values]], metric: str) -> dict[int, tuple[float, bool]]:
    """Returns, by level, the mean worsening and whether all splits agree on its sign.

    The worsening is relative to the uncorrupted images, in standard deviations of the uncorrupted
    value over splits.
    """
    better = METRICS[metric].higher_is_better
    worse = TOWARDS_COPIES[metric] if better is None else (-1 if better else 1)
    clean = [values[metric] for values in levels[0]]
    spread = max(stdev(clean), 1e-12)
    results = {}
    for place, splits in list(enumerate(levels))[1:]:
        own = [values[metric] for values in splits if metric in values]
        changes = [worse * (value - first) for value, first in zip(own, clean, strict=False)]
        if changes:
            agreed = min(changes) > 0 or max(changes) < 0
            results[place] = (mean(changes) / spread, agreed)
    return results


def first_worse_level(corruption: str, levels: list[list[Values]], metric: str) -> str:
    """Returns the first level at which a score is worse, "better" if it improves, else a dash."""
    changes = worsening(levels, metric)
    first = None
    for place, (change, agreed) in sorted(changes.items(), reverse=True):
        if not agreed or change <= SPREADS:
            break
        first = place
    if first is not None:
        return f"{CORRUPTIONS[corruption].levels[first]:g}"
    change, agreed = changes[max(changes)]
    return FOOLED if agreed and change < -SPREADS else BLIND


def blindness(metric: type[Score]) -> str:
    """Returns what a score cannot detect, according to its docstring."""
    text = " ".join((inspect.getdoc(metric) or "").split("Args:")[0].split())
    found = re.search(r"Cannot see:? (.+?)\.(?= |$)", text)
    return found.group(1) if found else ""


def detection_table(found: Found, names: list[str]) -> str:
    """Returns a Markdown table of the first level at which each score is worse."""
    heads = [f"{one.title} ({one.unit})" for one in CORRUPTIONS.values()]
    lines = [f"| | {' | '.join(heads)} | cannot detect |", "|---" * (len(heads) + 2) + "|"]
    for metric in names:
        cells = [first_worse_level(name, levels, metric) for name, levels in found.items()]
        lines.append(f"| {metric} | {' | '.join(cells)} | {blindness(METRICS[metric])} |")
    return "\n".join(lines)


def values_table(corruption: str, levels: list[list[Values]], names: list[str]) -> str:
    """Returns a Markdown table of the scores at each level."""
    one = CORRUPTIONS[corruption]
    head = " | ".join(f"{level:g}" for level in one.levels)
    lines = [f"| {one.title}: {one.unit} | {head} |", "|---" * (len(one.levels) + 1) + "|"]
    for metric in names:
        values = averages(levels, metric)
        cells = ["" if math.isnan(value) else f"{value:.3g}" for value in values]
        spread = stdev(v[metric] for v in levels[0])
        cells[0] += f" ± {spread:.2g}"
        lines.append(f"| {metric} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(found: Found, names: list[str], splits: int, seconds: float) -> str:
    """Returns the protocol and all tables."""
    protocol = (
        f"`OMP_NUM_THREADS=1 uv run --extra plots python benchmarks/metric_sensitivity.py`: "
        f"{seconds:.0f} s of CPU time on one thread, {platform.machine()}, "
        f"torch {torch.__version__}.\n\n"
        "Real images of data=digits serve as generated images; the scores use "
        "features=classifier. Each class has 58 real images (the training set of a hypothetical "
        "model), 58 other images as fakes and 29 held-out images. Values are means over "
        f"{splits} random partitions, ± the standard deviation of the uncorrupted value over them. "
        "The classifier was trained on all of these images, so that the parts differ only by "
        "chance: label_agreement starts at 1. classification_accuracy is computed at two levels, "
        "in the first partition only. Images of a dropped class are replaced by images of another "
        "class; since the number of images is unchanged, images of the other classes repeat: "
        "compare with duplicates.\n\n"
        "The table gives the first level at which a score is worse than for uncorrupted images, in "
        f"every partition and by more than {SPREADS} standard deviations on average, at this and "
        "all stronger levels. A dash: not even at the strongest level. *better*: the strongest "
        "level scores better. For memorization and data_copying, worse means towards copies; with "
        "dropped classes they get worse without any copies, because the remaining classes are "
        "denser.\n\n"
    )
    tables = [values_table(name, levels, names) for name, levels in found.items()]
    figure = (
        "![scores over levels](metric_sensitivity.png)\n\n"
        "Thin lines: partitions; thick line: their mean. The axes of fid, kid and intra_fid are "
        "linear around 0 and logarithmic beyond."
    )
    return "\n\n".join([protocol + detection_table(found, names), figure, *tables])


def plot(found: Found, names: list[str]) -> None:
    """Plots one row per score and one column per corruption, below examples."""
    import matplotlib.pyplot as plt

    size = (2.6 * len(CORRUPTIONS) + 0.6, 1.15 * (len(names) + 1) + 1.4)
    figure, axes = plt.subplots(len(names) + 1, len(CORRUPTIONS), figsize=size, sharey="row")
    partition = Partition(Digits(), 0)
    for column, (name, corruption) in zip(axes.T, CORRUPTIONS.items(), strict=True):
        column[0].imshow(examples(partition, name), cmap="gray", aspect="auto")
        column[0].set(xticks=[], yticks=[])
        column[0].set_title(corruption.title, fontsize=11)
        places = range(len(corruption.levels))
        for axis, metric in zip(column[1:], names, strict=True):
            draw(axis, found[name], metric, first_worse_level(name, found[name], metric))
            axis.set_xticks(places, [""] * len(places))
        column[-1].set_xticks(places, [f"{level:g}" for level in corruption.levels], fontsize=8)
        column[-1].set_xlabel(corruption.unit, fontsize=9)
    for axis, metric in zip(axes[1:, 0], names, strict=True):
        axis.set_ylabel(metric.replace("_", "\n"), rotation=0, ha="right", va="center", fontsize=9)
    legend = "blue: worse from some level on    gray: no change detected    red: better"
    figure.suptitle(legend, fontsize=11, y=0.995)
    figure.tight_layout(h_pad=0.4, w_pad=0.6, rect=(0, 0, 1, 0.985))
    figure.savefig(HERE / "metric_sensitivity.png", dpi=90)


def examples(partition: Partition, name: str) -> Tensor:
    """Returns three example images at each level, [3 H, levels W]."""
    corruption, labels = CORRUPTIONS[name], partition.real_labels()
    shown = [int(share * len(labels)) for share in (0.2, 0.6, 0.9)]
    if name == "duplicates":
        shown = (labels == 3).nonzero().flatten()[-3:].tolist()
    elif name == "dropped":
        shown = [int((labels == label).nonzero()[-1]) for label in (9, 5, 2)]
    columns = [corruption.make(partition, level)[shown, 0] for level in corruption.levels]
    return torch.cat([column.flatten(0, 1) for column in columns], 1)


def draw(axis: Axes, levels: list[list[Values]], metric: str, seen: str) -> None:
    """Plots every split and their mean: gray if the score detects nothing, red if it improves."""
    color = {BLIND: "0.6", FOOLED: "tab:red"}.get(seen, "tab:blue")
    for split, last in enumerate(levels[-1]):
        if metric in last and metric not in SLOW:
            axis.plot([splits[split][metric] for splits in levels], color=color, lw=0.6, alpha=0.5)
    values = averages(levels, metric)
    computed = [place for place, value in enumerate(values) if not math.isnan(value)]
    axis.plot(computed, [values[place] for place in computed], ".-", color=color, lw=1.6, ms=5)
    if metric in LINEAR:
        axis.set_yscale("symlog", linthresh=LINEAR[metric])
    axis.tick_params(labelsize=7)
    axis.margins(y=0.12)
    axis.grid(alpha=0.25)


def main() -> None:
    """Measures all_scores and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--metrics", nargs="*", default=list(METRICS), choices=list(METRICS))
    parser.add_argument("--dry", action="store_true", help="write no files")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    found = measure(arguments.metrics, arguments.splits)
    text = report(found, arguments.metrics, arguments.splits, time.process_time() - began)
    print(text)
    if not arguments.dry:
        (HERE / "metric_sensitivity.md").write_text(text + "\n")
        plot(found, arguments.metrics)


if __name__ == "__main__":
    main()
