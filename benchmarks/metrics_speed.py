"""Compares the speed of scores with torchmetrics and torch-fidelity: same images and network.

    uv run python benchmarks/metrics_speed.py
    uv run python benchmarks/metrics_speed.py --parts frechet evaluation

Four parts. `inception`: 500 real and 500 generated images of 32x32 through Inception with random
weights. `small`: 10,000 and 10,000 through the small classifier network of this project, with
random weights. In both, torchmetrics computes FID, KID and IS one by one as its manual shows,
torch-fidelity computes FID, KID, IS, precision and recall in one call, and this project computes
the same scores twice: without a cache, and with cached statistics of the real images. `frechet`:
only the distance of two Gaussians in 2,048 dimensions, with more and with fewer rows than
dimensions. `evaluation`: the time of the default run's evaluation of 2,000 samples, compared with
that of generating the samples and computing their features. Values are compared before times are
reported. Prints the tables and writes metrics_speed.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import torch
import torchmetrics
import torchmetrics.image as theirs
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import _compute_fid

from ganforge.config.compose import compose_config
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.evaluate import EvaluationSettings, GeneratedImages, evaluate
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.classifier import ClassifierFeatures, Trained
from ganforge.metrics.features.classifier_training import ClassifierNetwork
from ganforge.metrics.features.inception import InceptionFeatures
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.scores.frechet import (
    FrechetDistance,
    Spread,
    distance_of_spreads,
    spread_of_rows,
)
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.kernel import KernelDistance
from ganforge.metrics.scores.prdc import Precision, Recall
from ganforge.metrics.scores.score import Score
from ganforge.runs.build import build_parts

HERE = Path(__file__).parent
SUBSETS, SUBSET_SIZE, NEIGHBORS = 100, 1000, 3
BATCH = 50
THREE = ("fid", "kid", "is")
FIVE = (*THREE, "precision", "recall")
LISTS = {THREE: "FID, KID, IS", FIVE: "FID, KID, IS, PR"}
Values = dict[str, float]


def pictures(n: int, seed: int, blur: int) -> Tensor:
    """Returns smooth noise with varying features, uint8 [n, 3, 32, 32]."""
    draws = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, blur, blur, generator=draws)
    fine = 0.2 * torch.rand(n, 3, 32, 32, generator=draws)
    smooth = nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")
    return (255 * (0.8 * smooth + fine)).to(torch.uint8)


class Bytes:
    """Images in memory with the interface of a data set."""

    name, num_classes, channels, image_size = "bytes", 0, 3, 32

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def size(self, split: str = "train") -> int:
        """Returns the number of images."""
        return len(self.images)

    def reals(self, n: int, split: str = "train", start: int = 0) -> tuple[Tensor, None]:
        """Returns float images in [-1, 1]."""
        return self.images[start : start + n].float() / 127.5 - 1, None

    def real_labels(self, split: str = "train") -> None:
        """Returns None: the images have no labels."""

    def fingerprint(self, split: str = "train") -> str:
        """Returns a key of these images for the cache."""
        return str(len(self.images))


class FidelityExtractor(FeatureExtractorBase):
    """A feature extractor of this project with torch-fidelity's interface."""

    extractor: FeatureExtractor  # set on the class: torch-fidelity constructs the instance

    def __init__(self, name: str, features_list: list[str], **_: object) -> None:
        super().__init__(name, features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Returns the names of the outputs."""
        return "features", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Returns the output that a metric uses."""
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled() -> bool:
        """Returns False: the extractor is not compiled."""
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        """Returns a dummy image."""
        return torch.zeros(1, 3, 32, 32, dtype=torch.uint8)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns the requested outputs."""
        outputs = self.extractor(images)
        return tuple(getattr(outputs, name) for name in self.features_list)


class TorchmetricsExtractor(nn.Module):
    """One output of a feature extractor with torchmetrics' interface."""

    def __init__(self, extractor: FeatureExtractor, output: str) -> None:
        super().__init__()
        self.extractor = extractor
        self.output = output
        self.num_features = extractor.num_features

    def forward(self, images: Tensor) -> Tensor:
        """Returns the output."""
        return getattr(self.extractor(images), self.output)


def by_torchmetrics(real: Tensor, fake: Tensor, extractor: FeatureExtractor) -> Values:
    """Computes FID, KID and IS one by one."""
    features, logits = (TorchmetricsExtractor(extractor, name) for name in ("features", "logits"))
    fid = theirs.FrechetInceptionDistance(feature=features, input_img_size=(3, 32, 32))
    kid = theirs.KernelInceptionDistance(
        feature=features, subsets=SUBSETS, subset_size=min(SUBSET_SIZE, len(real))
    )
    score = theirs.InceptionScore(feature=logits, splits=1)
    for metric in (fid, kid):
        for images, is_real in ((real, True), (fake, False)):
            for batch in images.split(BATCH):
                metric.update(batch, real=is_real)
    for batch in fake.split(BATCH):
        score.update(batch)
    return {
        "fid": float(fid.compute()),
        "kid": float(kid.compute()[0]),
        "is": float(score.compute()[0]),
    }


def by_torch_fidelity(real: Tensor, fake: Tensor, extractor: FeatureExtractor) -> Values:
    """Computes FID, KID, IS, precision and recall in one call."""
    FidelityExtractor.extractor = extractor
    found = calculate_metrics(
        input1=TensorOf(fake),
        input2=TensorOf(real),
        feature_extractor="ganforge-extractor",
        fid=True, kid=True, isc=True, prc=True,
        isc_splits=1,
        kid_subsets=SUBSETS, kid_subset_size=min(SUBSET_SIZE, len(real)),
        prc_neighborhood=NEIGHBORS,
        batch_size=BATCH, cuda=False, cache=False, verbose=False, save_cpu_ram=True,
    )  # fmt: skip
    names = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "is": "inception_score_mean",
        "precision": "precision",
        "recall": "recall",
    }
    return {name: float(found[theirs]) for name, theirs in names.items()}


class TensorOf(TensorDataset):
    """Images with the interface that torch-fidelity reads."""

    def __getitem__(self, index: int) -> Tensor:
        """Returns one image, not a tuple."""
        return self.tensors[0][index]


def by_ganforge(
    real: Tensor, fake: Tensor, extractor: FeatureExtractor, names: tuple[str, ...], cache: Path
) -> Values:
    """Computes scores from features that are computed once for all scores."""
    every: dict[str, Callable[[], Score]] = {
        "fid": FrechetDistance,
        "kid": partial(KernelDistance, SUBSETS, SUBSET_SIZE),
        "is": partial(InceptionScore, 1),
        "precision": partial(Precision, NEIGHBORS),
        "recall": partial(Recall, NEIGHBORS),
    }
    data, generated = Bytes(real), Bytes(fake)
    found = evaluate(
        GeneratedImages(lambda n, start: generated.reals(n, start=start)[0]),
        RealFeatures(data, extractor, StatisticsCache(cache)),
        {name: every[name]() for name in names},
        EvaluationSettings(len(fake), 0, BATCH),
    )
    return {name: found[name + extractor.suffix].value for name in names}


def random_inception(folder: Path) -> FeatureExtractor:
    """Returns Inception with random weights, scaled to preserve the variance of activations."""
    empty, file = folder / "empty.pth", folder / "inception.pth"
    torch.save({}, empty)
    torch.manual_seed(0)
    with mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict"):
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(empty)
        )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    nn.init.normal_(network.fc.weight, std=0.02)
    torch.save(network.state_dict(), file)
    return InceptionFeatures(file)


def random_classifier() -> FeatureExtractor:
    """Returns the small classifier network of this project with random weights, likewise."""
    torch.manual_seed(0)
    network = ClassifierNetwork(channels=3, num_classes=10)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
    return ClassifierFeatures(Trained(network.state_dict(), float("nan")), 3, 10)


def timed(call: Callable[[], Values]) -> tuple[float, Values]:
    """Returns the seconds of a call and its result."""
    started = time.perf_counter()
    values = call()
    return time.perf_counter() - started, values


def compare(
    n: int, extractor: FeatureExtractor, rounds: int, lists: dict[tuple[str, ...], str]
) -> list[str]:
    """Returns the table of one network: median seconds of each library, and values."""
    real, fake = pictures(n, 0, 4), pictures(n, 1, 5)
    seconds: dict[str, list[float]] = {}
    found: dict[str, Values] = {}
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder)
            ours = partial(by_ganforge, real, fake, extractor)
            calls: dict[str, Callable[[], Values]] = {
                "torchmetrics, one by one: FID, KID, IS": partial(
                    by_torchmetrics, real, fake, extractor
                ),
                "torch-fidelity: FID, KID, IS, PR": partial(
                    by_torch_fidelity, real, fake, extractor
                ),
            }
            for names, shown in lists.items():
                for state in ("cold", "cached"):
                    cache_folder = cache / str(len(names))
                    calls[f"ganforge, {state}: {shown}"] = partial(ours, names, cache_folder)
            for name, library in calls.items():
                elapsed, found[name] = timed(library)
                seconds.setdefault(name, []).append(elapsed)
                print(f"round {turn + 1}: {name}: {elapsed:.2f} s", flush=True)
    check(found)
    return rows(seconds, found)


def check(found: dict[str, Values]) -> None:
    """Raises AssertionError if values differ by more than random subsets and float32 explain."""
    ours = found["ganforge, cold: FID, KID, IS, PR"]
    for library, values in found.items():
        for name, value in values.items():
            # Each library draws its own subsets for KID; tests check equal values on equal subsets.
            tolerance = 0.05 if name == "kid" else 1e-3
            close = abs(value - ours[name]) <= tolerance * abs(ours[name])
            assert close, (library, name, value, ours)


def rows(seconds: dict[str, list[float]], found: dict[str, Values]) -> list[str]:
    """Returns the rows of a table."""
    base = seconds["torchmetrics, one by one: FID, KID, IS"]
    lines = [
        "| library | seconds | speedup over torchmetrics: median (range) "
        "| FID | KID | IS | P | R |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for library, times in seconds.items():
        ratios = [a / b for a, b in zip(base, times, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        values = [f"{found[library][name]:.6g}" if name in found[library] else "" for name in FIVE]
        line = [library, f"{statistics.median(times):.2f}", spread, *values]
        lines.append(f"| {' | '.join(line)} |")
    return lines


def frechet(rounds: int, width: int = 2048) -> list[str]:
    """Returns the table of the Fréchet distance alone, from accumulated moments or rows."""
    lines = [
        f"| rows of each set, {width} columns | torchmetrics, s | ganforge, s "
        "| speedup: median (range) | values |",
        "|---|---:|---:|---:|---|",
    ]
    for n in (500, 3000, 10_000):
        draws = torch.Generator().manual_seed(n)
        mixing = torch.randn(width, width, generator=draws, dtype=torch.float64) / width**0.5
        scales = torch.linspace(0.1, 1, width, dtype=torch.float64)
        sets = [
            torch.randn(n, width, generator=draws, dtype=torch.float64) * scales @ mixing + shift
            for shift in (0.0, 0.01)
        ]
        moments = [(rows.mean(0), rows.T.cov()) for rows in sets]
        spreads_or_rows = [spread_of_rows(rows) for rows in sets] if n > width else sets
        times: dict[str, list[float]] = {"theirs": [], "ours": []}
        for _ in range(rounds):
            elapsed, theirs_value = timed(partial(their_frechet, *moments))
            times["theirs"].append(elapsed)
            elapsed, our_value = timed(partial(our_frechet, *spreads_or_rows))
            times["ours"].append(elapsed)
        # torchmetrics takes square roots of rounding errors of zero eigenvalues.
        assert abs(theirs_value["fid"] - our_value["fid"]) < 1e-3 * our_value["fid"]
        ratios = [a / b for a, b in zip(times["theirs"], times["ours"], strict=True)]
        medians = [f"{statistics.median(one):.2f}" for one in times.values()]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        values = f"{theirs_value['fid']:.8g}, {our_value['fid']:.8g}"
        lines.append(f"| {n:,} | {' | '.join(medians)} | {spread} | {values} |")
        print(lines[-1], flush=True)
    return lines


def their_frechet(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Values:
    """Computes the distance as torchmetrics' compute() does, from means and covariances."""
    return {"fid": float(_compute_fid(*first, *second))}


def our_frechet(first: Tensor | Spread, second: Tensor | Spread) -> Values:
    """Computes the distance from moments, or from rows if there are fewer rows than columns."""
    spreads = [spread_of_rows(one) if isinstance(one, Tensor) else one for one in (first, second)]
    return {"fid": float(distance_of_spreads(*spreads))}


def evaluation(rounds: int, n: int = 2000) -> list[str]:
    """Returns the table of the default run's evaluation, compared with sampling and features."""
    metrics = "[fid,kid,is,prdc,memorization]"
    cfg = compose_config(
        [f"metrics={metrics}", f"callbacks.evaluation.n={n}", "trainer.accelerator=cpu"]
    )
    parts = build_parts(cfg)
    parts.data.setup("fit")
    callback, model = parts.callbacks["evaluation"], parts.model
    callback.prepare(parts.data, torch.device("cpu"))
    labels = torch.arange(n) % model.num_classes
    reals = callback._reals

    def sample(count: int, start: int) -> Tensor:
        return model.sample(count, seed=0, start=start, labels=labels[start : start + count])

    def only_features() -> Values:
        with torch.no_grad():
            for start in range(0, n, callback.batch_size):
                images = sample(min(callback.batch_size, n - start), start)
                reals.extractor((127.5 * (images + 1)).round().to(torch.uint8))
        return {}

    def full_evaluation() -> Values:
        settings = EvaluationSettings(n, 0, callback.batch_size)
        found = evaluate(GeneratedImages(sample), reals, callback.metrics, settings)
        return {name: result.value for name, result in found.items()}

    first, _ = timed(full_evaluation)
    pairs = [(timed(only_features)[0], timed(full_evaluation)[0]) for _ in range(rounds)]
    ratios = [b / a for a, b in pairs]
    bare_median, whole_median = (statistics.median(one) for one in zip(*pairs, strict=True))
    return [
        f"| {n:,} samples of the default run, `metrics='{metrics}'` | seconds |",
        "|---|---:|",
        f"| only sampling and features | {bare_median:.2f} |",
        f"| evaluation | {whole_median:.2f} |",
        f"| first evaluation of the run, which processes the real images | {first:.2f} |",
        f"| evaluation / (sampling and features): median (range) | {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}) |",
    ]


def main() -> None:
    """Measures, prints and writes the tables."""
    every = ("inception", "small", "frechet", "evaluation")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=every, default=every)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "metrics_speed.md")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    register_feature_extractor("ganforge-extractor", FidelityExtractor)
    with tempfile.TemporaryDirectory() as folder:
        tables: dict[str, Callable[[], list[str]]] = {
            "inception": lambda: compare(
                500, random_inception(Path(folder)), 1, {FIVE: LISTS[FIVE]}
            ),
            "small": lambda: compare(10_000, random_classifier(), arguments.rounds, LISTS),
            "frechet": lambda: frechet(arguments.rounds),
            "evaluation": lambda: evaluation(arguments.rounds),
        }
        lines = []
        for part in arguments.parts:
            lines += [f"## {part}", "", *tables[part](), ""]
    lines.append(
        f"`uv run python benchmarks/metrics_speed.py` on {platform.machine()}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, torchmetrics "
        f"{torchmetrics.__version__}; {arguments.rounds} interleaved rounds, one for Inception. "
        "The other libraries compute KID in float32; each library draws its own subsets."
    )
    print("\n".join(lines))
    arguments.out.write_text("\n".join(["# Metrics speed", "", *lines]) + "\n")


if __name__ == "__main__":
    main()
