from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from ganforge.config.check import check
from ganforge.config.compose import compose_config, options
from ganforge.errors import ConfigError
from ganforge.paths import conf_dir
from ganforge.runs.build import build_parts
from ganforge.runs.load import build_model
from tests.support.configs import (
    noise_models,
    shrunk,
    take_steps,
    tiny,
    translation_models,
    weights,
)

GROUPS = sorted(path.name for path in conf_dir().iterdir() if path.is_dir())
GROUPS.remove("experiment")  # each is trained for some steps below
GROUPS.remove("model")  # likewise
GROUPS.remove("hydra")  # not a group itself: hydra/sweeper=, hydra/launcher=
GROUPS.remove("wandb_sweeps")  # read by `wandb sweep`: tests/test_wandb_sweeps.py
MODELS = options("model")
EXPERIMENTS = options("experiment")


def target(node: DictConfig) -> str:
    return str(node["_target_"]).rpartition(".")[2]


# ---------------------------------------------------------------------- precedence


def test_the_defaults_train_a_conditional_dcgan_on_digits():
    cfg = compose_config([])
    assert target(cfg.model) == "ProjectionGAN"
    assert target(cfg.network.generator) == "DCGANGenerator"
    assert target(cfg.loss) == "HingeLoss"
    assert target(cfg.data) == "Digits"
    assert cfg.regularizer == {}
    assert list(cfg.metrics) == ["fid", "kid", "is", "label_agreement"]
    assert cfg.model.num_classes == cfg.data.num_classes == 10
    assert cfg.name == "projection-digits"


@pytest.mark.parametrize("data", ["ring8", "grid25"])
def test_the_recipe_of_pacgan_has_the_papers_networks(data):
    """The networks for points use Fourier features, which are more recent than the paper."""
    cfg = compose_config([f"experiment={data}/pacgan"])
    assert (cfg.network.generator.octaves, cfg.network.discriminator.octaves) == (0, 0)


def test_a_model_brings_its_paper():
    cfg = compose_config(["model=wgan_gp"])
    assert target(cfg.model) == "WGANGP"
    assert cfg.model.critic_steps == 5
    assert target(cfg.loss) == "WassersteinLoss"
    assert list(cfg.regularizer) == ["gradient_penalty"]
    assert cfg.regularizer.gradient_penalty.weight == 10
    for player in ("generator", "discriminator"):
        assert target(cfg.optimizer[player]) == "Adam"
        assert cfg.optimizer[player].betas == [0.0, 0.9]
    assert cfg.network.discriminator.norm == "layer"


@pytest.mark.parametrize(
    ("model", "loss", "regularizers", "optimizer", "critic_steps"),
    [
        ("gan", "NonsaturatingLoss", [], "Adam", 1),
        ("dcgan", "NonsaturatingLoss", [], "Adam", 1),
        ("lsgan", "LeastSquaresLoss", [], "Adam", 1),
        ("wgan", "WassersteinLoss", ["weight_clip"], "RMSprop", 5),
        ("wgan_gp", "WassersteinLoss", ["gradient_penalty"], "Adam", 5),
        ("dragan", "NonsaturatingLoss", ["dragan"], "Adam", 1),
        ("pacgan", "NonsaturatingLoss", [], "Adam", 1),
        ("infogan", "NonsaturatingLoss", [], "Adam", 1),
        ("cgan", "NonsaturatingLoss", [], "Adam", 1),
        ("acgan", "NonsaturatingLoss", [], "Adam", 1),
        ("projection", "HingeLoss", [], "Adam", 1),
        ("sngan", "HingeLoss", [], "Adam", 5),
        ("sagan", "HingeLoss", [], "Adam", 1),
        ("biggan", "HingeLoss", [], "Adam", 2),
        ("r3gan", "RelativisticLoss", ["r1", "r2"], "Adam", 1),
        ("pggan", "WassersteinLoss", ["gradient_penalty", "drift"], "Adam", 1),
        ("stylegan", "NonsaturatingLoss", ["r1"], "Adam", 1),
        ("stylegan2", "NonsaturatingLoss", ["r1_lazy", "path_length"], "Adam", 1),
        ("pix2pix", "NonsaturatingLoss", [], "Adam", 1),
        ("cyclegan", "LeastSquaresLoss", [], "Adam", 1),
    ],
)
def test_every_model_brings_its_paper(model, loss, regularizers, optimizer, critic_steps):
    cfg = compose_config([f"model={model}"])
    assert target(cfg.loss) == loss
    assert list(cfg.regularizer) == regularizers
    assert target(cfg.optimizer.generator) == target(cfg.optimizer.discriminator) == optimizer
    assert cfg.model.critic_steps == critic_steps
    # The model is built from the selected groups.
    assert cfg.model.loss == cfg.loss
    assert cfg.model.generator == cfg.network.generator
    assert cfg.model.regularizers == cfg.regularizer


def test_the_command_line_swaps_the_loss_and_keeps_the_penalty():
    for order in itertools.permutations(["model=wgan_gp", "loss=hinge"]):
        cfg = compose_config(list(order))
        assert target(cfg.model.loss) == "HingeLoss"
        assert list(cfg.model.regularizers) == ["gradient_penalty"]
        assert cfg.optimizer.generator.betas == [0.0, 0.9]


def test_the_command_line_swaps_the_penalty_and_keeps_the_loss():
    for order in itertools.permutations(["model=wgan_gp", "regularizer=[r1]"]):
        cfg = compose_config(list(order))
        assert list(cfg.model.regularizers) == ["r1"]
        assert target(cfg.model.loss) == "WassersteinLoss"


def test_regularizers_combine_and_can_be_left_out():
    both = compose_config(["loss=relativistic", "regularizer=[r1,r2]", "regularizer.r2.weight=1"])
    assert {name: node.weight for name, node in both.regularizer.items()} == {"r1": 10, "r2": 1}
    assert compose_config(["model=wgan", "regularizer=[]"]).regularizer == {}


def test_the_optimizers_of_the_players_are_set_separately():
    cfg = compose_config(["optimizer.discriminator.lr=0.5"])
    assert cfg.optimizer.discriminator.lr == 0.5
    assert cfg.optimizer.generator.lr == compose_config([]).optimizer.generator.lr != 0.5
    assert cfg.model.discriminator_optimizer.lr == 0.5


RECIPE = """\
# @package _global_
defaults:
  - override /model: wgan_gp
  - override /loss: hinge
  - override /regularizer: [r1]
  - _self_
seed: 7
model:
  critic_steps: 3
optimizer:
  generator:
    lr: 0.5
"""


@pytest.fixture
def recipe(tmp_path):
    """The overrides that select a custom experiment."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "recipe.yaml").write_text(RECIPE)
    return [f"hydra.searchpath=[file://{tmp_path}]", "experiment=recipe"]


def test_an_experiment_beats_the_model(recipe):
    cfg = compose_config(recipe)
    assert target(cfg.model) == "WGANGP"
    assert target(cfg.model.loss) == "HingeLoss"
    assert list(cfg.model.regularizers) == ["r1"]
    assert cfg.model.critic_steps == 3
    assert cfg.seed == cfg.model.seed == cfg.data.seed == 7
    # Values that the experiment does not set come from the model.
    assert cfg.optimizer.generator.lr == 0.5
    assert cfg.optimizer.generator.betas == [0.0, 0.9]


def test_the_command_line_beats_the_experiment_in_any_order(recipe):
    for order in itertools.permutations(["experiment=recipe", "loss=minimax", "model=wgan"]):
        cfg = compose_config([recipe[0], "model.critic_steps=2", *order, "seed=1"])
        assert target(cfg.model) == "WGAN"
        assert target(cfg.model.loss) == "MinimaxLoss"
        assert list(cfg.model.regularizers) == ["r1"]
        assert cfg.model.critic_steps == 2
        assert cfg.seed == 1


def test_data_decide_the_shapes():
    cfg = compose_config(["model=dcgan", "data=fake", "data.channels=4", "data.image_size=128"])
    for player in (cfg.model.generator, cfg.model.discriminator):
        assert (player.channels, player.image_size) == (4, 128)


# ---------------------------------------------------------------------- everything composes


def typed(group: str, option: str) -> str:
    return f"{group}=[{option}]" if group in ("regularizer", "metrics") else f"{group}={option}"


# By option of another group: the model that it belongs to. All others go with model=gan.
MODEL_OF = {
    **{f"condition={option}": "projection" for option in options("condition")},
    **{typed("metrics", score): "projection" for score in options("metrics")},
    **{f"network={model}": model for model in ("pix2pix", "cyclegan")},
    **{f"metrics=[{score}]": "pix2pix" for score in ("l1", "psnr", "ssim", "lpips")},
    "callbacks=translation": "pix2pix",
    "metrics=[cycle_l1]": "cyclegan",
}


def rounds() -> list[list[str]]:
    """Overrides that choose each option of each group once, several groups at a time."""
    chosen: dict[str, list[list[str]]]
    chosen = {"gan": [], "projection": [], "pix2pix": [], "cyclegan": []}
    for group in GROUPS:
        assert options(group), f"conf/{group} is empty"
        names = [typed(group, option) for option in options(group)]
        for model, columns in chosen.items():
            columns.append([name for name in names if MODEL_OF.get(name, "gan") == model])
    return [
        [f"model={model}", *filter(None, row)]
        for model, columns in chosen.items()
        for row in itertools.zip_longest(*columns)
    ]


@pytest.mark.parametrize("overrides", rounds(), ids=" ".join)
def test_every_option_composes_and_passes_the_check(overrides):
    cfg = compose_config(overrides)
    check(cfg)
    OmegaConf.to_container(cfg, resolve=True)  # every interpolation has a value


@pytest.mark.parametrize("verb", ["evaluate", "sample"])
def test_the_other_verbs_compose(verb):
    check(compose_config([], verb))


def test_evaluate_takes_every_score_and_extractor():
    for features in options("features"):
        check(compose_config([f"features={features}", "metrics=[fid,kid,is]"], "evaluate"))


# ---------------------------------------------------------------------- everything trains


# Compatibility is tested in tests/test_legality.py; here Lightning trains every option.


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains(model, tmp_path):
    cfg = tiny(f"model={model}", "model.critic_steps=2")
    check(cfg)
    before = build_parts(cfg).model
    after = take_steps(cfg, 2, tmp_path).model
    assert after.iteration == 2
    assert after.images_seen == 2 * 2 * 4
    for player in ("generator", "discriminator"):
        assert torch.isfinite(weights(after, player)).all()
        assert not torch.equal(weights(before, player), weights(after, player))


SHAPES = [(1, 16), (3, 32), (4, 64), (3, 16), (1, 32)]


@pytest.mark.parametrize("model", noise_models())
def test_every_model_fits_every_shape_of_data(model):
    cfg = tiny(f"model={model}")
    for channels, size in SHAPES:
        cfg.data.channels, cfg.data.image_size = channels, size
        assert build_model(cfg.copy()).sample(1).shape == (1, channels, size, size)


@pytest.mark.parametrize("model", translation_models())
def test_every_translation_fits_every_shape_of_data(model):
    cfg = tiny(f"model={model}", *(["model.identity_weight=0"] if model == "cyclegan" else []))
    for channels, size in [(1, 32), (3, 64), (4, 128)]:
        cfg.data.channels, cfg.data.image_size = channels, size
        inputs = torch.zeros(1, 3, size, size)
        outputs = build_model(cfg.copy()).translate(inputs)
        assert outputs.shape == (1, channels, size, size)


def test_fully_connected_networks_take_any_size(tmp_path):
    module = take_steps(tiny("model=gan", "data.image_size=28"), 1, tmp_path).model
    assert module.sample(1).shape == (1, 1, 28, 28)


def test_a_shape_that_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r"one of 16, 32, 64, 128, 256; got 33"):
        build_parts(tiny("model=dcgan", "data.image_size=33"))


# Gradient penalties of single images are undefined with batch norm, and normalized weights must not
# be clipped.
MIXES_IMAGES = r"BatchNorm[\s\S]*network=dcgan_layer_norm"
NORMALIZED = r"normalized.*without spectral norm"
REFUSED = {
    ("dcgan", "gradient_penalty"): MIXES_IMAGES,
    ("dcgan_short_latent", "gradient_penalty"): MIXES_IMAGES,
    ("biggan", "weight_clip"): NORMALIZED,
    ("dcgan_spectral_norm", "weight_clip"): NORMALIZED,
    ("resnet_spectral_norm", "weight_clip"): NORMALIZED,
    ("sagan", "weight_clip"): NORMALIZED,
}


# Networks of translation models do not fit models of latents, and vice versa.
TRANSLATORS = ["cyclegan", "pix2pix"]
NETWORKS = [name for name in options("network") if name not in TRANSLATORS]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_goes_with_every_regularizer(network):
    """Builds all compatible regularizers together; tests/test_legality.py has the other pairs."""
    cfg = tiny("model=gan", f"network={network}")
    files = {
        name: OmegaConf.load(conf_dir() / "regularizer" / f"{name}.yaml")
        for name in options("regularizer")
    }
    refused = [name for name in files if (network, name) in REFUSED]
    for name in refused:
        cfg.regularizer = files[name]
        with pytest.raises(ConfigError, match=REFUSED[network, name]):
            build_model(cfg.copy())
    for alone in (True, False):
        names = [name for name in files if (name == "weight_clip") == alone and name not in refused]
        cfg.regularizer = OmegaConf.merge(*(files[name] for name in names), {})
        assert list(build_model(cfg.copy()).regularizers) == names


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_trains(network, tmp_path):
    cfg = tiny("model=gan", f"network={network}")
    check(cfg)
    assert take_steps(cfg, 1, tmp_path).model.iteration == 1


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_takes_steps(experiment, tmp_path):
    cfg = compose_config([f"experiment={experiment}"])
    check(cfg)
    path = conf_dir() / "experiment" / f"{experiment}.yaml"
    assert f"experiment={experiment}" in path.read_text(), "the file does not say how to launch it"
    # named after data and model
    assert cfg.data.name.startswith(experiment.partition("/")[0])
    assert Path(cfg.log_dir) == Path("logs")
    shrunk(cfg)
    if not cfg.data.name.startswith("photos"):
        on_fake_data(cfg)
    module = take_steps(cfg, 2, tmp_path).model
    assert module.iteration == 2
    assert torch.isfinite(weights(module, "generator")).all()


@cache
def fake_data() -> DictConfig:
    return tiny().data


def on_fake_data(cfg: DictConfig) -> None:
    """Replaces the data of an experiment by fake data of the same shape."""
    fake = fake_data().copy()
    for key in ("image_size", "channels", "num_classes", "mirror", "name"):
        fake[key] = cfg.data[key]
    cfg.data = fake
    cfg.trainer.accelerator, cfg.trainer.precision = "cpu", "32-true"
    cfg.trainer.log_every_n_steps = 1
    if OmegaConf.is_config(cfg.model.critic_steps):
        cfg.model.critic_steps.boosted = 3


@pytest.mark.parametrize("schedule", options("schedule"))
def test_every_schedule_trains(schedule, tmp_path):
    cfg = tiny("model=gan", f"schedule={schedule}", "trainer.max_steps=2")
    assert take_steps(cfg, 2, tmp_path).model.iteration == 2


def test_debug_overfit_trains_on_one_batch():
    cfg = compose_config(["debug=overfit", "data.batch_size=16"])
    assert cfg.data.max_images == 16


def test_debug_fast_visits_everything_within_its_steps():
    cfg = compose_config(["debug=fast"])
    for name in ("evaluation", "samples", "checkpoints"):
        assert cfg.callbacks[name].every_n_steps < cfg.trainer.max_steps


def test_an_option_of_debug_yields_to_the_command_line():
    assert compose_config(["trainer.max_steps=9", "debug=fast"]).trainer.max_steps == 9
