import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from ganforge.errors import ConfigError
from ganforge.metrics.features.inception import InceptionFactory, InceptionFeatures
from ganforge.metrics.features.preprocessing import Preprocessing, resize_name, resized
from tests.metrics.stand_ins import noise_images


def by_pillow(images, size):
    """Resizes each channel in floating point, as clean-fid does."""
    planes = images.flatten(0, 1).numpy().astype(np.float32)
    by_pillow = [
        np.asarray(Image.fromarray(plane, mode="F").resize((size, size), Image.Resampling.BICUBIC))
        for plane in planes
    ]
    scaled = torch.from_numpy(np.stack(by_pillow)).clamp(0, 255)
    return scaled.view(*images.shape[:2], size, size)


@pytest.mark.parametrize(("side", "size"), [(32, 299), (64, 20), (37, 24), (300, 299), (8, 9)])
def test_clean_is_pillows_bicubic_filter(side, size):
    images = noise_images(2, channels=3, size=side)
    ours = resized(images, size, "clean")
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, by_pillow(images, size), rtol=0, atol=1e-2)  # of 255


def test_clean_averages_over_what_legacy_skips():
    # Stripes of one pixel: what is left of them at a fifth of the size is their mean.
    stripes = (255 * (torch.arange(40) % 2)).to(torch.uint8).expand(1, 3, 40, 40)
    clean, legacy = (resized(stripes, 8, how)[..., 1:-1] for how in ("clean", "legacy"))
    assert torch.allclose(clean, torch.tensor(127.5), atol=8.0)
    assert set(legacy.unique().tolist()) == {0.0, 255.0}


def test_images_of_the_right_size_are_left_as_they_are():
    images = noise_images(2, channels=3, size=16)
    for how in ("clean", "legacy", "none"):
        assert torch.equal(resized(images, 16, how), images.float())
    assert torch.equal(resized(images, 5, "none"), images.float())


def test_the_protocol_tells_resizings_apart():
    names = [resize_name(how, 299) for how in ("legacy", "clean", "none")]
    assert names == ["bilinear-tensorflow1-299", "bicubic-antialias-299", "none"]


def test_a_resizing_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="resize must be one of legacy, clean; got 'none'"):
        InceptionFactory(resize="none")
    with pytest.raises(ConfigError, match="clean, none; got 'area'"):
        Preprocessing(resize="area")


def test_clean_inception_sees_what_torch_fidelity_sees_in_the_resized_image(tmp_path, monkeypatch):
    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 80)  # for speed
    monkeypatch.setattr(
        "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {}
    )
    with torch.random.fork_rng(devices=[]), monkeypatch.context() as patch:
        torch.manual_seed(0)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        theirs = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = InceptionFeatures(tmp_path / "weights.pth", "clean")
    assert ours.protocol["resize"] == "bicubic-antialias-299"
    # Of whole values, so that the bytes that torch-fidelity takes are what clean resizing makes.
    flat = torch.full((1, 3, 40, 40), 77, dtype=torch.uint8)
    features, logits = theirs(torch.full((1, 3, 80, 80), 77, dtype=torch.uint8))
    assert torch.allclose(ours(flat).features, features, rtol=1e-4, atol=1e-5)
    assert torch.allclose(ours(flat).logits, logits, rtol=1e-4, atol=1e-5)
    images = noise_images(1, channels=3, size=40)
    legacy = InceptionFeatures(tmp_path / "weights.pth")
    assert not torch.allclose(ours(images).features, legacy(images).features, rtol=1e-3)
