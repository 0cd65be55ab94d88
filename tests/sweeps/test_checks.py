from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from ganforge.errors import ConfigError
from ganforge.sweeps.checks import check_parts

ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.1}


def matrices_only(params):
    raise RuntimeError("no matrices")


@pytest.mark.parametrize(
    "optimizer",
    [
        {"generator": ADAM, "discriminator": None},
        {"generator": ADAM | {"_target_": "torch.optim.SGD"}},
        {"generator": {"_target_": f"{__name__}.matrices_only", "_partial_": True}},
    ],
)
def test_what_jobs_can_build_passes(optimizer):
    sound = set()
    check_parts(OmegaConf.create({"optimizer": optimizer, "loss": None}), sound)
    check_parts(OmegaConf.create({"optimizer": optimizer}), sound)


def test_a_wrong_value_is_refused_with_its_group():
    with pytest.raises(ConfigError, match="optimizer: Invalid learning rate: -1"):
        check_parts(OmegaConf.create({"optimizer": {"generator": ADAM | {"lr": -1}}}), set())
