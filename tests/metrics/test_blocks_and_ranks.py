"""What must not change a score: how images are dealt to blocks and processes."""

import pytest
import torch
from torch import nn

from ganforge.data.images import to_float
from ganforge.errors import ConfigError
from ganforge.metrics import real_features
from ganforge.metrics.features.base import Features
from ganforge.metrics.requested_labels import RequestedLabels
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.intra_class import IntraClassFrechet
from ganforge.metrics.scores.kernel import KernelDistance
from ganforge.metrics.scores.prdc import Coverage, Density, Precision, Recall
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images
from tests.support.forking import fork, wait

FAKES = noise_images(151, seed=1) // 2
CLASSES = 3


class Stare(Glance):
    """More features than there are images."""

    num_features = 180

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(8)
        weight = torch.randn(16, 180, generator=generator, dtype=torch.float64)
        self.more = nn.Parameter(weight, requires_grad=False)

    def forward(self, images):
        seen = (images.flatten(1).double() / 127.5 - 1) @ self.more
        return Features(seen.float(), super().forward(images).logits)


def scores():
    neighbors = {"precision": Precision(), "recall": Recall(), "density": Density()}
    rest = {"coverage": Coverage(7), "intra_fid": IntraClassFrechet(), "is": InceptionScore(4)}
    return {"fid": FrechetDistance(), "kid": KernelDistance(6, 40)} | neighbors | rest


def sample(n, start):
    return to_float(FAKES[start : start + n])


def run(extractor=Glance, sample=sample, chosen=None, **more):
    data = Pictures(noise_images(160), torch.arange(160) % CLASSES, CLASSES)
    labels = RequestedLabels("balanced", CLASSES)
    options = {"n": 151, "seed": 3, "batch_size": 40, "labels": labels} | more
    return evaluate(sample, data, extractor(), chosen or scores(), **options)


def values(results):
    return {name: (one.value, one.std) for name, one in results.items()}


def close(first, second):
    assert first.keys() == second.keys()
    for name, (value, std) in first.items():
        assert value == pytest.approx(second[name][0], rel=1e-10), name
        assert std == (None if std is None else pytest.approx(second[name][1], rel=1e-9))


@pytest.mark.parametrize("extractor", [Glance, Stare])
def test_blocks_change_nothing(monkeypatch, extractor):
    whole = values(run(extractor))
    monkeypatch.setattr(real_features, "BLOCK", 37)
    close(values(run(extractor)), whole)
    assert values(run(extractor, batch_size=5)) == values(run(extractor, batch_size=90))


def test_two_processes_equal_one(tmp_path):
    def work(rank):
        def child():
            torch.set_num_threads(1)
            torch.distributed.init_process_group(
                "gloo", init_method=f"file://{tmp_path}/meet", rank=rank, world_size=2
            )
            found = [values(run(extractor, rank=rank, world=2)) for extractor in (Glance, Stare)]
            torch.save(found, tmp_path / f"{rank}.pt")

        return child

    assert [wait(pid) for pid in [fork(work(rank)) for rank in range(2)]] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first == second
    for found, extractor in zip(first, (Glance, Stare), strict=True):
        close(found, values(run(extractor)))


def test_bytes_are_scored_as_the_floats_that_they_stand_for():
    whole = values(run())
    assert values(run(sample=lambda n, start: FAKES[start : start + n])) == whole


def test_images_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"151 generated images have values outside \[-1, 1\]"):
        run(sample=lambda n, start: FAKES[start : start + n].float())


def test_values_that_round_to_the_ends_are_in_range():
    def stretched(n, start):
        return sample(n, start).clamp(min=-0.99).sub(0.01).mul(1.003)

    assert stretched(151, 0).min() == pytest.approx(-1.003)
    fid = {"fid": FrechetDistance()}
    cut = run(sample=lambda n, start: stretched(n, start).clamp(-1, 1), chosen=fid)
    assert values(run(sample=stretched, chosen=fid)) == values(cut)
