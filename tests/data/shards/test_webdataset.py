import numpy as np
import pytest
import torch

from ganforge.data.sets.webdataset import WebDataset
from ganforge.errors import ConfigError, DataError

from .tars import encoded, pixels, samples, write_shards, write_tar


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))


def opened(urls, **settings):
    data = WebDataset(urls, image_size=8, in_memory=False, holdout=0.0, **settings)
    data.setup()
    return data


def test_images_and_labels(tmp_path):
    data = opened(write_shards(tmp_path / "d", [5, 4, 6]), batch_size=4)
    source = data._sources["train"]
    images, labels = source.read_labelled(torch.arange(15))
    assert labels.tolist() == [number % 3 for number in range(15)]
    assert data.class_names == ["0", "1", "2"]
    for number in range(15):
        assert np.array_equal(images[number].permute(1, 2, 0).numpy(), pixels(number))
