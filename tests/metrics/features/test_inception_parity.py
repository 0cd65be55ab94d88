"""The whole way from image files to values: torch-fidelity's and `ganforge evaluate`, typed.

Both through one Inception of random weights, on the same two folders.
"""

import json
import math

import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from ganforge.cli import run

MODULE = "torch_fidelity.feature_extractor_inceptionv3"
COUNT = 24

# float32 is what torch-fidelity computes KID in, and averages precision and recall in; its FID
# and IS are in float64.
TOLERANCES = {
    "fid": ("frechet_inception_distance", 1e-6),
    "is": ("inception_score_mean", 1e-6),
    "kid": ("kernel_inception_distance_mean", 1e-4),
    "precision": ("precision", 1e-6),
    "recall": ("recall", 1e-6),
}


def random_inception(path):
    """Weights drawn so that features vary: torch's own initial ones make them all but equal."""
    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        patch.setattr(f"{MODULE}.load_state_dict_from_url", lambda *_, **__: {})
        state = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).state_dict()
    generator = torch.Generator().manual_seed(0)
    for value in state.values():
        if value.ndim == 4:  # He et al. 2015, arXiv:1502.01852
            value.normal_(0, math.sqrt(2 / value[0].numel()), generator=generator)
    state["fc.weight"].normal_(0, 5, generator=generator)
    torch.save(state, path)


def write_images(folder, seed, contrast):
    """Smooth patterns in color, 32x32."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(COUNT, 3, 5, 5, generator=generator)
    smooth = F.interpolate(coarse, size=32, mode="bilinear", align_corners=True)
    pixels = (255 * (0.5 + contrast * (smooth - 0.5))).round().byte().permute(0, 2, 3, 1)
    for place, image in enumerate(pixels.numpy()):
        Image.fromarray(image).save(folder / f"{place:03}.png")


def theirs(folder):
    return calculate_metrics(
        input1=str(folder / "fake"),
        input2=str(folder / "real"),
        feature_extractor="inception-v3-compat",  # for precision and recall too
        feature_extractor_weights_path=str(folder / "weights.pth"),
        cuda=False,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        isc_splits=1,
        kid_subsets=1,
        kid_subset_size=COUNT,
        cache=False,
        verbose=False,
        save_cpu_ram=True,  # no worker processes
    )


def ours(folder):
    typed = [
        "evaluate",
        f"fake={folder / 'fake'}",
        f"real={folder / 'real'}",
        "metrics=[fid,is,kid,prdc]",
        "metrics.is.splits=1",
        "features=inception",
        f"features.weights={folder / 'weights.pth'}",
        f"out={folder / 'out'}",
    ]
    assert run(typed) == 0
    metrics = json.loads((folder / "out" / "evaluation.json").read_text())["metrics"]
    # Scores of other weights than the published ones are named after them.
    return {name.partition("_inception-")[0]: result["value"] for name, result in metrics.items()}


# 299 is Inception's own size, which both resize to; the smaller one takes a tenth of the time.
@pytest.mark.parametrize("size", [96, pytest.param(299, marks=pytest.mark.slow)])
def test_values_of_two_folders_are_those_of_torch_fidelity(size, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", size)
    random_inception(tmp_path / "weights.pth")
    write_images(tmp_path / "real", 1, 1.0)
    write_images(tmp_path / "fake", 2, 0.7)
    found, expected = ours(tmp_path), theirs(tmp_path)
    for name, (theirs_name, tolerance) in TOLERANCES.items():
        assert found[name] == pytest.approx(expected[theirs_name], rel=tolerance), name
    assert min(found[name] for name in TOLERANCES) > 0  # nothing is compared with nothing
