import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.features.module import ModuleFactory
from ganforge.metrics.real_features import RealFeatures, RealShare
from tests.metrics.small_networks import Labels, Maps, Means
from tests.metrics.stand_ins import Pictures, noise_images

CPU = torch.device("cpu")
HERE = "tests.metrics.small_networks"
GREY = Pictures(noise_images(4, size=8))
COLOUR = Pictures(noise_images(4, channels=3, size=8))


def build(name, data=COLOUR, **more):
    return ModuleFactory(f"{HERE}.{name}", **({"size": 8} | more)).build(data, CPU)


def test_images_are_normalized_before_the_network():
    mean, std = [0.1, 0.2, 0.3], [0.5, 1.0, 2.0]
    extractor = build("Means", mean=mean, std=std)
    seen = extractor(COLOUR.images)
    share = COLOUR.images.double().mean((2, 3)) / 255
    expected = (share - torch.tensor(mean)) / torch.tensor(std)
    assert torch.allclose(seen.features.double(), expected, atol=1e-6)
    assert torch.allclose(seen.logits, 2 * seen.features)
    assert (extractor.num_features, extractor.num_logits) == (3, 3)
    assert (extractor.name, extractor.suffix) == ("means", "_means")
    assert extractor.protocol["normalization"] == "0.1 0.2 0.3 0.5 1 2"


def test_gray_becomes_rgb_unless_the_network_takes_gray():
    assert build("Means", GREY, mean=[0.5], std=[0.5]).num_features == 3
    own = build("Means", GREY, mean=[0.5], std=[0.5], rgb=False)
    assert own.num_features == 1
    expected = GREY.images.float().mean((2, 3)) / 127.5 - 1
    assert torch.allclose(own(GREY.images).features, expected, atol=1e-6)


def test_maps_are_averaged_and_there_are_no_logits():
    extractor = build("Maps")
    seen = extractor(COLOUR.images)
    assert seen.features.shape == (4, 5)
    assert seen.logits.shape == (4, 0)
    assert (extractor.num_features, extractor.num_logits) == (5, 0)


def test_a_layer_gives_features_and_the_output_logits():
    extractor = build("Labels", layer="body.2")
    network, shown = extractor.network, extractor.preprocessing(COLOUR.images)
    seen = extractor(COLOUR.images)
    assert torch.equal(seen.features, network.body(shown))
    assert torch.equal(seen.logits, network.head(network.body(shown)))
    assert extractor.protocol["features"] == "labels.body.2"


def test_networks_of_torchvision_are_extractors():
    factory = ModuleFactory("torchvision.models.resnet18", layer="avgpool", size=32)
    extractor = factory.build(COLOUR, CPU)
    assert (extractor.num_features, extractor.num_logits) == (512, 1000)
    assert extractor.suffix == "_resnet18"


def test_extraction_does_not_change_the_network():
    extractor = build("Maps")
    before = {name: value.clone() for name, value in extractor.state_dict().items()}
    first, second = extractor(COLOUR.images[:1]), extractor(COLOUR.images)
    assert torch.allclose(first.features, second.features[:1], atol=1e-6)  # no batch statistics
    after = extractor.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(p.requires_grad for p in extractor.parameters())


def test_random_weights_are_the_same_in_every_run_and_cost_training_no_draws():
    before = torch.get_rng_state()
    first = build("Maps")
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert first.protocol["features_weights"] == build("Maps").protocol["features_weights"]


def test_weights_of_a_file_are_loaded_and_recorded_by_hash(tmp_path):
    network = Labels()
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "wrapped.pth")
    built = [build("Labels", weights=str(tmp_path / f"{n}.pth")) for n in ("bare", "wrapped")]
    assert torch.equal(built[0].network.head.weight, network.head.weight)
    hashes = {one.protocol["features_weights"] for one in (*built, build("Labels"))}
    assert len(hashes) == 2


def test_a_network_can_be_passed_directly():
    extractor = ModuleFactory(Means(), size=8).build(COLOUR, CPU)
    assert extractor.suffix == "_means"
    assert ModuleFactory(Maps(), size=8, name="mine").build(COLOUR, CPU).suffix == "_mine"


def test_namesakes_share_no_statistics(tmp_path):
    """Not even without weights: an edited network is another one."""

    def networks():
        class Mine(nn.Module):
            def forward(self, images):
                return images.mean((2, 3))

        yield Mine()

        class Mine(nn.Module):
            def forward(self, images):
                return images.amax((2, 3))

        yield Mine()

    cache = StatisticsCache(tmp_path)
    for network in networks():
        extractor = ModuleFactory(network, size=8).build(COLOUR, CPU)
        reals = RealFeatures(COLOUR, extractor, cache)
        rows = RealShare(reals, extractor, "train", 0, 4, 4).rows("features")
        assert torch.equal(rows, extractor(COLOUR.images).features)
    codes = {build(network).code for network in ("Means", "Maps", "Maps")}
    assert len(codes) == 2
    shown = [build("Means", GREY, mean=[0.5], std=[0.5], rgb=rgb) for rgb in (True, False)]
    assert shown[0].protocol != shown[1].protocol


def test_files_that_do_not_fit_are_refused(tmp_path):
    (tmp_path / "text.pth").write_text("not found")
    torch.save(Maps().state_dict(), tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    for name in ("text", "other", "list"):
        with pytest.raises(ConfigError, match=f"weights=.*{name}.pth: does not fit the network"):
            build("Labels", weights=str(tmp_path / f"{name}.pth"))
    with pytest.raises(ConfigError, match="no such file"):
        build("Labels", weights="/no/where")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"module": None}, "features.module=PATH"),
        ({"module": "no.such.Network"}, "features.module=no.such.Network: calling it failed"),
        ({"module": f"{HERE}.no_network"}, "must return a torch.nn.Module, not int"),
        ({"module": f"{HERE}.Tokens"}, r"must return features \[B, d\].*returned \[2, 2, 3\]"),
        ({"module": f"{HERE}.Labels", "size": 9}, "fails on images of data=pictures"),
        ({"module": f"{HERE}.Labels", "layer": "tail"}, "layer=tail: no such submodule.*body"),
        ({"module": f"{HERE}.Means", "name": "inception"}, "not be inception"),
        ({"module": f"{HERE}.Means", "std": [0.0, 1.0, 1.0]}, "std must be above 0"),
        ({"module": f"{HERE}.Means", "mean": [0.5]}, "lists of equal length"),
        ({"module": f"{HERE}.Means", "size": 0}, "size must be at least 1, got 0"),
    ],
)
def test_unsuitable_networks_are_refused(more, message):
    with pytest.raises(ConfigError, match=message):
        ModuleFactory(**({"size": 8} | more)).build(COLOUR, CPU)
