from __future__ import annotations

import re

import pytest
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import OmegaConf, open_dict

from ganforge.config.check import check, check_root, did_you_mean, root_keys, unseeded
from ganforge.config.compose import compose_config
from ganforge.config.requests import REQUESTS
from ganforge.errors import ConfigError


def faults(*overrides: str) -> list[str]:
    """Returns the lines in which `check` complains of a configuration."""
    with pytest.raises(ConfigError) as complaint:
        check(compose_config(list(overrides)))
    first, *lines = str(complaint.value).splitlines()
    assert re.fullmatch(rf"{len(lines)} faults? in the configuration:", first)
    return [line.strip() for line in lines]


def targets(node):
    """Yields every node of a configuration that is built from a signature."""
    if OmegaConf.is_dict(node):
        if "_target_" in node:
            yield node
        for key in node:
            if not OmegaConf.is_interpolation(node, key):
                yield from targets(node[key])


# ---------------------------------------------------------------------- signatures


def test_the_defaults_are_sound():
    check(compose_config([]))


def test_a_part_whose_seed_is_missing_is_named():
    """Otherwise its draws are the same for every seed, without a word."""
    cfg = compose_config(["model=gan", "data=fake"])
    assert unseeded(cfg) == []
    with open_dict(cfg):
        del cfg.data.seed
    assert unseeded(cfg) == ["data"]
    check(cfg)


def test_all_targets_are_bound():
    cfg = compose_config(["regularizer=[r1,r2]", "logger=tensorboard", "schedule=cosine"])
    nodes = list(targets(cfg))
    with open_dict(cfg):
        for node in nodes:
            node["nonsense"] = 1
    with pytest.raises(ConfigError) as complaint:
        check(cfg)
    text = str(complaint.value)
    assert text.startswith(f"{len(nodes)} faults")
    for node in nodes:
        assert get_object(node["_target_"]) is not None
        assert f"{node['_target_']} takes no 'nonsense'" in text


def test_all_faults_come_in_one_message():
    lines = faults(
        "trainer.max_steps=many",
        "+loss.labels=3",
        "+data.sise=3",
        "trainer.fused=perhaps",
        "optimizer.generator.lr=fast",
        "optimizer.discriminator.betas=[0.5]",
    )
    assert sorted(line.split(":")[0] for line in lines) == [
        "data.sise",
        "loss.labels",
        "optimizer.discriminator.betas",
        "optimizer.generator.lr",
        "trainer.fused",
        "trainer.max_steps",
    ]


def test_a_near_miss_is_named():
    (line,) = faults("+network.generator.widht=3")
    assert "did you mean 'width'?" in line
    assert "legal: image_size, channels, latent_dim, width" in line


@pytest.mark.parametrize("plus", ["+", "++"])
def test_a_plus_lets_no_unknown_key_in(plus):
    (line,) = faults(f"{plus}trainer.gradient_clip_val=1")
    assert line.startswith("trainer.gradient_clip_val: ")
    assert "TrainerSettings takes no 'gradient_clip_val'" in line


def test_a_plus_reaches_an_argument_that_the_file_does_not_list():
    cfg = compose_config(["+optimizer.generator.weight_decay=0.1"])
    check(cfg)
    assert cfg.model.generator_optimizer.weight_decay == 0.1


STRAY = {
    "+network.widht=3": ("network.widht", "legal: generator, discriminator"),
    "+optimizer.generato.lr=1": ("optimizer.generato", "did you mean 'generator'?"),
    "+callbacks.sample=3": ("callbacks.sample", "did you mean 'samples'?"),
    "+metrics.fidd=3": ("metrics.fidd", "did you mean 'fid'?"),
}
ALONE = {
    "+network.genrator=3": ("network.genrator", "did you mean 'generator'?"),
    "+network.genrator.width=3": ("network.genrator", "did you mean 'generator'?"),
}


@pytest.mark.parametrize("overrides", [STRAY, *({key: ALONE[key]} for key in ALONE)])
def test_a_key_that_reaches_no_constructor_is_a_fault(overrides):
    lines = [line for line in faults(*overrides) if "is not passed to any constructor" in line]
    assert len(lines) == len(overrides)
    for where, hint in overrides.values():
        (line,) = [line for line in lines if line.startswith(f"{where}: ")]
        assert hint in line


def test_a_value_that_an_interpolation_reads_is_no_fault():
    check(compose_config(["+network.shared=32", "network.generator.width=${network.shared}"]))


def test_an_interpolation_to_nothing_is_a_fault():
    (line,) = faults("network.generator.width=${network.widht}")
    assert line.startswith("network.generator.width: ")
    assert "'network.widht' not found" in line


def test_a_missing_argument_is_a_fault():
    (line,) = faults("~network.generator.image_size")
    assert line == ("network.generator.image_size: ganforge.networks.DCGANGenerator needs it")


def test_a_value_that_is_to_be_filled_in_is_a_fault():
    (line,) = faults("network.generator.width=???")
    assert line == "network.generator.width: is missing"


@pytest.mark.parametrize("target", ["ganforge.losses.hinge.HingLoss", "nowhere.Loss", "hinge"])
def test_a_target_that_does_not_exist_is_a_fault(target):
    (line, *_) = faults(f"loss._target_={target}")
    assert line.startswith(f"loss._target_: cannot load '{target}'")


def test_a_part_of_the_wrong_kind_is_a_fault():
    lines = faults("loss._target_=ganforge.regularizers.R1", "~loss.real_label", "loss=minimax")
    assert any(line.startswith("model.loss: must be AdversarialLoss") for line in lines)


@pytest.mark.parametrize("group", ["loss", "augment", "features"])
def test_a_part_that_was_deleted_is_a_fault(group):
    assert any("got {}" in line for line in faults(f"~{group}"))


# ---------------------------------------------------------------------- types


WRONG = {
    "trainer.max_steps=1.5": "must be a whole number, got 1.5",
    "trainer.max_seconds=soon": "must be a number or null, got 'soon'",
    "trainer.deterministic=1": "must be true or false, got 1",
    "trainer.profiler=fancy": "must be one of simple, advanced, pytorch or null, got 'fancy'",
    "trainer.fused=maybe": "must be one of auto, true, false, got 'maybe'",
    "data.batch_size=[1,2]": "must be a whole number, got [1, 2]",
    "data.name=3": "must be text, got 3",
    "optimizer.generator.lr=[1]": "must be a number or Tensor, got [1]",
    "optimizer.generator.betas=0.9": "must be a list of 2, each a number or Tensor, got 0.9",
    "model.generator=3": "must be Module, got 3",
    "model.average=0.999": "must be ExponentialMovingAverage or null, got 0.999",
    "network.generator.width={a:1}": "must be a whole number, got {'a': 1}",
}
BOOLEAN = {"trainer.max_steps=true": "must be a whole number, got True"}


@pytest.mark.parametrize("overrides", [WRONG, BOOLEAN], ids=["wrong", "boolean"])
def test_a_value_of_the_wrong_type_is_a_fault(overrides):
    expected = [f"{key.split('=')[0]}: {message}" for key, message in overrides.items()]
    assert sorted(faults(*overrides)) == sorted(expected)


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.max_seconds=3", "trainer.devices=2", "model.average=null", "regularizer=[r1]"],
        ["trainer.max_seconds=null", "trainer.devices=auto", "trainer.fused=false"],
        ["optimizer.generator.lr=1", "optimizer.generator.betas=[0,0.9]", "data.max_images=null"],
    ],
)
def test_a_value_of_a_right_type_is_none(overrides):
    check(compose_config(overrides))


# ---------------------------------------------------------------------- the root


@pytest.mark.parametrize("verb", sorted(REQUESTS))
def test_root_keys_are_those_of_the_request(verb):
    cfg = compose_config([], verb)
    assert sorted(map(str, cfg)) == sorted(root_keys(verb))
    check_root(cfg, verb)


@pytest.mark.parametrize("plus", ["+", "++"])
def test_a_plus_lets_no_unknown_root_key_in(plus):
    cfg = compose_config([f"{plus}sed=3", f"{plus}zebra=4"])
    with pytest.raises(ConfigError) as complaint:
        check_root(cfg, "train")
    text = str(complaint.value)
    assert "sed: did you mean 'seed'? legal: seed, name" in text
    assert "zebra: legal: seed" in text


def test_an_unknown_root_key_is_refused():
    with pytest.raises(HydraException, match="Could not override 'sed'"):
        compose_config(["sed=3"])


@pytest.mark.parametrize("override", ["seed=abc", "dry_run=perhaps", "tags=blue", "seed=1.5"])
def test_root_values_have_types(override):
    with pytest.raises(HydraException, match=f"Error merging override {override}"):
        compose_config([override])


def test_did_you_mean():
    assert did_you_mean("adm", ["adam", "sgd"]) == "did you mean 'adam'? legal: adam, sgd"
    assert did_you_mean("zzz", ["adam", "sgd"]) == "legal: adam, sgd"
    assert did_you_mean("zzz", []) == "legal: nothing"


@pytest.mark.parametrize("verb", ["train", "sample"])
def test_such_numbers_are_refused(type_in, verb):
    typed = type_in(verb, "seed=18446744073709551616")
    assert (typed.code, "seed must be in" in typed.err) == (2, True)
