import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.metrics.features.dinov2 import DINOv2Factory
from ganforge.metrics.scores.score import Score
from tests.metrics.stand_ins import Pictures, noise_images

CPU = torch.device("cpu")
COLOUR = Pictures(noise_images(4, channels=3, size=16))


class ClassToken(nn.Module):
    """Stands in for a vision transformer of timm: one row for each image of 14 x 14 patches."""

    def __init__(self, size):
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 14, stride=14)
        self.size = size

    def forward(self, images):
        assert images.shape[-2:] == (self.size, self.size)
        return self.embed(images).mean((2, 3))


class Timm(SimpleNamespace):
    """What is asked of timm; weights are read as it reads them."""

    def create_model(self, name, pretrained, pretrained_cfg_overlay, num_classes, img_size):
        assert pretrained
        assert num_classes == 0
        network = ClassToken(img_size)
        if pretrained_cfg_overlay is None:
            raise FileNotFoundError("an error happened while trying to locate the file on the Hub")
        network.load_state_dict(torch.load(pretrained_cfg_overlay["file"], weights_only=True))
        return network


@pytest.fixture
def timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", Timm())


@pytest.fixture
def weights(tmp_path):
    torch.save(ClassToken(0).state_dict(), tmp_path / "weights.pth")
    return str(tmp_path / "weights.pth")


@pytest.mark.usefixtures("timm")
def test_a_file_of_weights_needs_no_network(weights):
    before = torch.get_rng_state()
    extractor = DINOv2Factory(weights=weights, size=28).build(COLOUR, CPU)
    assert torch.equal(before, torch.get_rng_state())
    seen = extractor(COLOUR.images)
    assert seen.features.shape == (4, 6)
    assert seen.logits.shape == (4, 0)
    assert extractor.num_features == 6
    assert Score().published("fid", extractor) == "fid_dinov2"
    assert extractor.protocol["features"] == "vit_large_patch14_dinov2"
    assert extractor.protocol["resize"] == "bicubic-antialias-28"


@pytest.mark.usefixtures("timm")
def test_missing_weights_name_address_and_override():
    with pytest.raises(ConfigError) as fault:
        DINOv2Factory().build(COLOUR, CPU)
    message = str(fault.value)
    assert "https://huggingface.co/timm/vit_large_patch14_dinov2" in message
    assert "features.weights=FILE" in message
    assert "locate the file on the Hub" in message


@pytest.mark.usefixtures("timm")
def test_weights_that_are_not_these_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="weights=/no/where: no such file"):
        DINOv2Factory(weights="/no/where").build(COLOUR, CPU)
    (tmp_path / "text.pth").write_text("not found")
    torch.save({"head": torch.zeros(2)}, tmp_path / "other.pth")
    for name in ("text", "other"):
        with pytest.raises(ConfigError, match=f"{name}.pth: not those of vit_large"):
            DINOv2Factory(weights=str(tmp_path / f"{name}.pth")).build(COLOUR, CPU)


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="needs timm: uv sync --extra backbones"):
        DINOv2Factory().build(COLOUR, CPU)


@pytest.mark.parametrize("size", [0, 7, 100])
def test_sizes_that_patches_do_not_fill_are_refused(size):
    with pytest.raises(ConfigError, match=f"multiple of 14, got {size}"):
        DINOv2Factory(size=size)


def test_networks_that_are_no_dinov2_do_not_get_its_name():
    with pytest.raises(ConfigError, match=r"DINOv2.*got 'resnet50'.*features=module"):
        DINOv2Factory(model="resnet50")
