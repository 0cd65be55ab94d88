"""Compatibility of model x loss x regularizer x augment as one table, every cell of which is run.

The default suite trains models that together cover every legal pair of options, and checks that
every other pair is rejected with its reason. The slow suite trains the full product.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from ganforge.config.check import check
from ganforge.config.compose import options
from ganforge.errors import ConfigError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.translation import TranslationModel
from ganforge.paths import conf_dir
from ganforge.runs.build import build_parts
from ganforge.runs.load import build, build_model
from tests.support.configs import tiny

# ---------------------------------------------------------------------- the table

# Reasons in error messages.
BATCH_NORM = r"BatchNorm2d .*each image's own gradient.*network=dcgan_layer_norm"
TWICE = r"weight clipping and (the|a) gradient penalty both bound the critic.*Use"
NORMALIZED = r"weights of the discriminator are normalized.*without spectral norm"
LATENTS = "image-to-image models do not have. Remove it"
OF_LATENTS = [f"regularizer={n}" for n in ("latent_consistency", "latent_diversity", "path_length")]

# One row per option: the options that it rejects, and why. All other pairs are legal. A pair is in
# one of its two rows. Every new option needs a row, even an empty one.
TABLE: dict[str, dict[str, str]] = {
    "model=acgan": {"regularizer=gradient_penalty": BATCH_NORM},
    "model=biggan": {"regularizer=weight_clip": NORMALIZED},
    "model=cgan": {"regularizer=gradient_penalty": BATCH_NORM},
    "model=cyclegan": dict.fromkeys(OF_LATENTS, LATENTS),
    "model=dcgan": {"regularizer=gradient_penalty": BATCH_NORM},
    "model=dragan": {},
    "model=gan": {},
    "model=infogan": {"regularizer=gradient_penalty": BATCH_NORM},
    "model=lsgan": {"regularizer=gradient_penalty": BATCH_NORM},
    "model=pacgan": {"regularizer=gradient_penalty": BATCH_NORM},
    "model=pix2pix": {"regularizer=gradient_penalty": BATCH_NORM}
    | dict.fromkeys(OF_LATENTS, LATENTS),
    "model=pggan": {},
    "model=projection": {"regularizer=gradient_penalty": BATCH_NORM},
    "model=r3gan": {},
    "model=sagan": {"regularizer=weight_clip": NORMALIZED},
    "model=sngan": {"regularizer=weight_clip": NORMALIZED},
    "model=stylegan": {},
    "model=stylegan2": {},
    "model=wgan": {"regularizer=gradient_penalty": BATCH_NORM},
    "model=wgan_gp": {"regularizer=weight_clip": TWICE},
    "loss=hinge": {},
    "loss=least_squares": {},
    "loss=minimax": {},
    "loss=nonsaturating": {},
    "loss=relativistic": {},
    "loss=wasserstein": {},
    "regularizer=balanced_consistency": {},
    "regularizer=consistency": {},
    "regularizer=dragan": {"regularizer=weight_clip": TWICE},
    "regularizer=drift": {},
    "regularizer=feature_matching": {},
    "regularizer=gradient_penalty": {"regularizer=weight_clip": TWICE},
    "regularizer=latent_consistency": {},
    "regularizer=latent_diversity": {},
    "regularizer=lecam": {},
    "regularizer=orthogonal": {},
    "regularizer=path_length": {},
    # R1 and R2 are legal with batch norm: the penalty is then on the logits of the batch.
    "regularizer=r1": {"regularizer=weight_clip": TWICE},
    "regularizer=r1_lazy": {"regularizer=weight_clip": TWICE},
    "regularizer=r2": {"regularizer=weight_clip": TWICE},
    "regularizer=top_k": {},
    "regularizer=weight_clip": {},
    "augment=ada": {},
    "augment=diffaugment": {},
    "augment=instance_noise": {},
    "augment=none": {},
    "augment=scheduled": {},
}

# Rejections that depend on the network, the labels or a value, not on a pair of options.
REFUSED = [
    ("model=gan network=dcgan_spectral_norm regularizer=[weight_clip]", NORMALIZED),
    ("model=gan network=dcgan regularizer=[gradient_penalty]", BATCH_NORM),
    ("model=wgan_gp network=dcgan", BATCH_NORM),
    ("model=wgan_gp regularizer=[gradient_penalty,weight_clip]", TWICE),
    ("model=dcgan network=mlp", "has no convolution.*network=dcgan"),
    ("model=dragan network=dcgan", "BatchNorm2d.*network=dcgan_layer_norm"),
    ("model=pacgan model.packing=1", "it does not pack images"),
    ("model=cgan model.packing=2", "a pack has one logit but several labels"),
    ("model=projection model.packing=2", "a pack has one logit but several labels"),
    ("model=cgan condition=none", "is not conditioned on the label.*condition=concatenation"),
    ("model=acgan condition=concatenation", "condition=classifier"),
    ("model=projection condition=concatenation", "is concatenation.*condition=projection"),
    ("model=projection network=mlp", "no normalization that labels could steer"),
    ("model=infogan condition.num_classes=1", "the categorical code has 1 values.*condition=code"),
    ("model=sngan network=dcgan", "without spectral normalization"),
    ("model=sngan network=dcgan_spectral_norm network.discriminator.norm=batch", "BatchNorm2d"),
    ("model=sagan network=resnet_spectral_norm", "without spectral normalization"),
    ("model=pggan network=dcgan_layer_norm", "does not grow.*network=pggan"),
    ("model=pggan condition=projection data.num_classes=3", "condition=embedding"),
    ("model=pggan model.growth.start_size=32", "start_size must be one of 4, 8, 16"),
    ("model=stylegan network=dcgan", "generator has no styles.*network=stylegan"),
    ("model=stylegan condition=projection", "those of the styles.*condition=embedding"),
    ("model=stylegan2 network=dcgan", "the generator has no styles.*network=stylegan2"),
    ("model=stylegan2 condition=projection", "styles take its place.*condition=embedding"),
    ("model=pix2pix data=digits", "needs pairs of images.*Suitable data: .*photos_paired"),
    ("model=pix2pix data=photos_unpaired", "needs pairs of images.*photos_paired"),
    ("model=cyclegan data=digits", "images to translate.*photos_paired.*photos_unpaired"),
    ("model=cyclegan condition=projection", "takes no classes. Use condition=none"),
    ("model=cyclegan network=pix2pix", "needs two networks for each player, forth and back"),
    ("model=cyclegan data.input_channels=1", "model.identity_weight=0"),
    ("model=dcgan condition=projection data.num_classes=0", "Data with labels: .*digits.*mnist"),
]

GROUPS = ("model", "regularizer", "loss", "augment")
EVERY = [f"{group}={option}" for group in GROUPS for option in options(group)]
SLOTS = ("model", *["regularizer"] * 3, "loss", "augment")  # of one model
PLAIN = "model=gan"  # accepts every option: used for pairs without a model
Pair = frozenset[str]


def group_of(option: str) -> str:
    return option.partition("=")[0]


def why_not(first: str, second: str) -> str | None:
    """Returns the reason why a pair of options is rejected, or None for a legal pair."""
    rows = TABLE.get(first, {}), TABLE.get(second, {})
    return rows[0].get(second) or rows[1].get(first)


def pairs(chosen: Iterable[str]) -> list[Pair]:
    return [frozenset(pair) for pair in itertools.combinations(chosen, 2)]


def fits(chosen: Iterable[str]) -> bool:
    return not any(why_not(*pair) for pair in pairs(chosen))


PAIRS = [
    pair
    for pair in pairs(EVERY)
    if {*map(group_of, pair)} == {"regularizer"} or len({*map(group_of, pair)}) == 2
]
LEGAL = [pair for pair in PAIRS if fits(pair)]
ILLEGAL = [sorted(pair) for pair in PAIRS if not fits(pair)]


def covering() -> Iterator[tuple[str, ...]]:
    """Yields legal combinations that cover all legal pairs, greedily by the number of new pairs."""
    left = dict.fromkeys(LEGAL)
    while left:
        chosen = sorted(next(iter(left)), key=EVERY.index)
        slots = list(SLOTS)
        for option in chosen:
            slots.remove(group_of(option))
        for group in slots:
            free = [o for o in EVERY if group_of(o) == group and o not in chosen]
            legal = [option for option in free if fits([*chosen, option])]
            new = {o: sum(frozenset((o, other)) in left for other in chosen) for o in legal}
            chosen += [max(new, key=lambda option: new[option])] if new else []
        for pair in pairs(chosen):
            left.pop(pair, None)
        yield tuple(sorted(chosen, key=EVERY.index))


COVERING = list(covering())


# ---------------------------------------------------------------------- models

BATCH = 4
# Without these, some parts would have no effect in the first two steps.
AT_ONCE: dict[str, dict[str, Any]] = {
    "regularizer=top_k": {"every_images": 1, "gamma": 0.5},
    "augment=ada": {"p": 0.5, "every": 1},
    "augment=scheduled": {"initial": 0.5},
}


@cache
def game(model: str) -> dict[str, Any]:
    """The configuration of a model with tiny networks, without interpolations."""
    cfg = tiny(model, "model.critic_steps=1")
    return OmegaConf.to_container(cfg.model, resolve=True)


@cache
def part(option: str) -> dict[str, Any]:
    """The configuration of a loss, an augmentation, or a regularizer by name."""
    group, _, name = option.partition("=")
    node = OmegaConf.to_container(OmegaConf.load(conf_dir() / group / f"{name}.yaml"))
    changed = node[name] if group == "regularizer" else node
    assert AT_ONCE.get(option, {}).keys() <= changed.keys()
    changed |= AT_ONCE.get(option, {})
    return node


def make(chosen: Iterable[str]) -> AdversarialModule:
    """Builds a model from exactly these options."""
    parts: dict[str, Any] = {"regularizers": {}}
    model = PLAIN
    for option in chosen:
        match group_of(option):
            case "model":
                model = option
            case "regularizer":
                parts["regularizers"] |= part(option)
            case group:
                parts[group] = part(option)
    torch.manual_seed(0)
    return build(game(model) | parts)


def play(module: AdversarialModule, steps: int) -> None:
    """Runs steps of the engine on random images of all classes, without a Trainer."""
    strategy = SimpleNamespace(
        reduce=lambda value, reduce_op: value,
        reduce_boolean_decision=lambda decision: decision,
    )
    module.trainer = SimpleNamespace(
        optimizers=module.configure_optimizers(),
        strategy=strategy,
        world_size=1,
        global_rank=0,
        log_every_n_steps=1,
        loggers=[],
        callback_metrics={},
    )
    generator = torch.Generator().manual_seed(0)
    translates = isinstance(module, TranslationModel)
    size = 32 if translates else module.generator.image_size
    shape = (BATCH, 3 if translates else module.generator.channels, size, size)
    for step in range(steps):
        images = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
        labels = torch.randint(10, (BATCH,), generator=generator)
        inputs = {"input": images.flip(0, 3)} if translates else {}
        module.training_step({"image": images, "label": labels} | inputs, step)


def vector(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def assert_plays(chosen: Iterable[str]) -> None:
    """Trains two steps and checks that both players changed and are finite."""
    module = make(chosen).train()
    players = [module.generator, module.discriminator]
    before = [vector(player) for player in players]
    play(module, 2)
    assert module.iteration == 2
    for player, weights in zip(players, before, strict=True):
        assert vector(player).isfinite().all()
        assert not torch.equal(vector(player), weights)


# ---------------------------------------------------------------------- tests


def test_every_option_has_a_row():
    assert sorted(TABLE) == sorted(EVERY), "give new options a row in TABLE, and old ones none"
    known = {other for row in TABLE.values() for other in row}
    assert known <= set(EVERY)


def test_the_combinations_cover_every_legal_pair():
    held = {pair for chosen in COVERING for pair in pairs(chosen)}
    assert set(LEGAL) <= held
    assert not any(set(pair) <= set(chosen) for pair in ILLEGAL for chosen in COVERING)


@pytest.mark.parametrize("chosen", COVERING, ids=" ".join)
def test_a_legal_combination_takes_two_steps(chosen):
    assert_plays(chosen)


@pytest.mark.parametrize("pair", ILLEGAL, ids=" ".join)
def test_an_illegal_pair_is_refused_with_the_reason(pair):
    reason = why_not(*pair)
    with pytest.raises(ConfigError, match=f"(?s){reason}"):
        make(pair)


def build_checked(cfg: DictConfig) -> None:
    """Checks and builds as a run does."""
    check(cfg)
    build_model(cfg)


@pytest.mark.parametrize(("overrides", "reason"), REFUSED, ids=[line for line, _ in REFUSED])
def test_other_contradictions_are_refused_with_the_reason(overrides, reason):
    cfg = tiny(*overrides.split())
    with pytest.raises(ConfigError, match=f"(?s){reason}"):
        build_checked(cfg)


def told_of_labels() -> list[str]:
    files = {
        model: OmegaConf.load(conf_dir() / "model" / f"{model}.yaml") for model in options("model")
    }
    return [m for m, f in files.items() if "labels" in get_object(f.model._target_).needs]


@pytest.mark.parametrize("model", told_of_labels())
def test_a_conditional_model_rejects_unlabeled_data_with_a_suggestion(model):
    with pytest.raises(ConfigError, match=r"Data with labels: .*cifar10.*digits.*mnist"):
        check(tiny(f"model={model}", "data.num_classes=0"))


@pytest.mark.slow
@pytest.mark.parametrize("model", options("model"))
def test_the_full_product(model):
    wrong = []
    groups = [[o for o in EVERY if group_of(o) == group] for group in GROUPS[1:]]
    for others in itertools.product(*groups):
        chosen = (f"model={model}", *others)
        try:
            assert_plays(chosen)
            agreed = fits(chosen)
        except ConfigError as refusal:
            agreed = not fits(chosen)
            chosen = (*chosen, str(refusal))
        except (AssertionError, RuntimeError) as error:
            agreed, chosen = False, (*chosen, str(error))
        wrong += [] if agreed else [chosen]
    assert not wrong


def test_packs_that_a_batch_does_not_fill_are_refused_before_a_run():
    for uneven in (["data.batch_size=5"], ["data.batch_size=6", "model.accumulate=2"]):
        with pytest.raises(ConfigError, match=r"packing=2 does not divide [35] images"):
            build_parts(tiny("model=pacgan", *uneven))
    build_parts(tiny("model=pacgan", "data.batch_size=8", "model.accumulate=2"))
