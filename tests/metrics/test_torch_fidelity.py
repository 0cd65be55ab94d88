"""The same images through the same extractor: torch-fidelity's command against this project's."""

import pytest
import torch
from torch.utils.data import TensorDataset
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.kernel import KernelDistance
from ganforge.metrics.scores.prdc import Precision, Recall
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images

REALS, FAKES = noise_images(150, channels=3), noise_images(150, seed=1, channels=3) // 2


class Colours(Glance):
    """Seeded linear features of color images."""

    def __init__(self):
        super().__init__(channels=3)


class FidelityColours(FeatureExtractorBase):
    """The same features, in the interface of torch-fidelity."""

    def __init__(self, name, features_list, **_):
        super().__init__(name, features_list)
        self.extractor = Colours()

    @staticmethod
    def get_provided_features_list():
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled():
        return False

    @staticmethod
    def get_dummy_input_for_compile():
        return torch.zeros(1, 3, 4, 4, dtype=torch.uint8)

    def forward(self, images):
        seen = self.extractor(images)
        return tuple(getattr(seen, name) for name in self.features_list)


class Images(TensorDataset):
    def __getitem__(self, index):
        return super().__getitem__(index)[0]


@pytest.fixture(scope="module")
def expected():
    register_feature_extractor("colours", FidelityColours)
    return calculate_metrics(
        input1=Images(FAKES),
        input2=Images(REALS),
        feature_extractor="colours",
        cuda=False,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        isc_splits=1,
        kid_subsets=1,
        kid_subset_size=150,
        cache=False,
        verbose=False,
        save_cpu_ram=True,  # no worker processes
    )


@pytest.fixture(scope="module")
def found():
    scores = {"fid": FrechetDistance(), "kid": KernelDistance(), "is": InceptionScore(1)}
    scores |= {"precision": Precision(), "recall": Recall()}
    results = evaluate(
        lambda n, start: FAKES[start : start + n], Pictures(REALS), Colours(), scores, 150, 0, 32
    )
    return {name.removesuffix("_glance"): result.value for name, result in results.items()}


# torch-fidelity computes KID, and averages precision and recall, in float32; the others in float64.
@pytest.mark.parametrize(
    ("name", "theirs", "tolerance"),
    [
        ("fid", "frechet_inception_distance", 1e-6),
        ("is", "inception_score_mean", 1e-6),
        ("kid", "kernel_inception_distance_mean", 1e-4),
        ("precision", "precision", 1e-6),
        ("recall", "recall", 1e-6),
    ],
)
def test_values_are_those_of_torch_fidelity(found, expected, name, theirs, tolerance):
    assert found[name] == pytest.approx(expected[theirs], rel=tolerance)
    assert found[name] > 0
