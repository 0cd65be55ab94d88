"""The recipes at full width compose and build, with the published layouts' parameters."""

from __future__ import annotations

import pytest

from ganforge.config.check import check
from ganforge.config.compose import compose_config
from ganforge.runs.load import build
from tests.networks.counting import count

ATTENTION = {"generator": 256 * 256 * 5 // 4 + 1, "discriminator": 128 * 128 * 5 // 4 + 1}
STEERING = 6 * 2 * 256 * (10 - 1)  # six norms: ten rows of gains and biases for one
PROJECTION = 10 * 128
# Where the numbers come from: test_resnet, test_biggan, test_r3gan, test_pggan in this folder.
PARAMETERS = {
    "cifar10/sngan": (4_276_739, 1_053_825),
    "cifar10/projection": (4_276_739 + STEERING, 1_053_825 + PROJECTION),
    "cifar10/sagan": (
        4_276_739 + STEERING + ATTENTION["generator"],
        1_053_825 + PROJECTION + ATTENTION["discriminator"],
    ),
    "cifar10/biggan": (4_304_387, 4_207_361),
    "cifar10/biggan_diffaugment": (4_304_387, 4_207_361),
    "cifar10/r3gan": (20_781_952, 21_280_512),
    "cifar10/pggan": (20_719_628, 20_726_785),
    "celeba/pggan": (22_933_394, 22_941_313),
    # Read off the authors' implementation; "auto" with two mapping layers in place of eight.
    "cifar10/stylegan2_ada": (20_215_315, 23_089_664),
    "folder/stylegan2_ada_paper256": (24_767_458, 24_001_089),
    "folder/stylegan2_ada_auto": (24_767_458 - 6 * (512 * 512 + 512), 24_001_089),
    "folder/biggan128": (70_433_988, 87_982_370),
}


@pytest.mark.parametrize("experiment", PARAMETERS)
def test_a_recipe_has_the_published_parameters(experiment):
    cfg = compose_config([f"experiment={experiment}"])
    check(cfg)
    for player, expected in zip(cfg.network.values(), PARAMETERS[experiment], strict=True):
        if "spectral_norm" in player:
            player.spectral_norm = False  # adds nothing, and takes its time
        assert count(lambda node=player: build(node)) == expected
