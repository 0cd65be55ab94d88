"""What holds for every network of conf/network, at small widths."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from functools import partial

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from ganforge.config.types import parameters_of
from ganforge.errors import ConfigError
from ganforge.networks import Discriminator, PatchDiscriminator
from ganforge.paths import conf_dir
from ganforge.runs.load import build
from tests.networks.counting import blueprint

FOLDER = conf_dir() / "network"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
# Those that extend no other file.
FAMILIES = [name for name in NAMES if "defaults" not in OmegaConf.load(FOLDER / f"{name}.yaml")]
TRANSLATORS = {"pix2pix", "cyclegan"}
FROM_NOISE = [name for name in NAMES if name not in TRANSLATORS]
STAGED = {"pggan", "stylegan", "stylegan2", "r3gan"}  # without tanh; clamped in evaluation
CONDITIONS = {
    "none": ("none", "none"),
    "embedding": ("concatenation", "projection"),
    "concatenation": ("concatenation", "concatenation"),
    "projection": ("normalization", "projection"),
}
WITH_NORMS = [name for name in FROM_NOISE if name.startswith(("dcgan", "resnet", "sagan", "big"))]
CONDITIONAL = [
    (name, condition)
    for name in FROM_NOISE
    for condition in CONDITIONS
    if condition != "none" and (condition != "projection" or name in WITH_NORMS)
]
# Variants that no YAML file names; each key is set in both players, where they have it.
VARIANTS = [
    *[
        ("dcgan", {"norm": norm, "spectral_norm": s})
        for norm in ("instance", "layer")
        for s in (0, 1)
    ],
    ("dcgan", {"norm": "none"}),
    ("dcgan", {"spectral_norm": True, "attention": "auto", "minibatch_stddev": 2}),
    *[("resnet", {"norm": norm, "attention": "auto"}) for norm in ("batch", "instance", "layer")],
    ("resnet", {"norm": "none", "spectral_norm": True, "minibatch_stddev": 2}),
    ("biggan", {"attention": [8]}),
    ("biggan", {"hierarchical": False, "initialization": "normal"}),
    ("biggan", {"shared_dim": 0, "spectral_norm": False}),
    ("stylegan2", {"grouped": True, "residual": False}),
    ("stylegan2", {"half_stages": 0, "clamp": None}),
    *[("pix2pix", {"norm": norm}) for norm in ("instance", "none")],
    *[("cyclegan", {"norm": norm, "dropout": 0.3}) for norm in ("batch", "none")],
    ("cyclegan", {"norm": "none", "spectral_norm": True}),
]
CASES = [(name, {}) for name in NAMES] + VARIANTS
SMALL = {
    "width": 4,
    "max_width": 8,
    "hidden": [16, 16],
    "latent_dim": 9,
    "w_dim": 5,
    "mapping_layers": 2,
    "group_size": 4,
    "blocks": 1,
    "layers": 1,
    "shared_dim": 6,
}
CLASSES = 3
LAYOUTS = [torch.contiguous_format, torch.channels_last]


@functools.cache
def written(name: str) -> DictConfig:
    """A YAML file of conf/network, merged with those of its defaults."""
    own = OmegaConf.load(FOLDER / f"{name}.yaml")
    bases = [base for base in own.pop("defaults", []) if base != "_self_"]
    return OmegaConf.merge(*(written(base) for base in bases), own)


def nodes(name, changes=(), condition="none", size=16, channels=2, packing=1, auxiliary=()):
    """The players' configurations at small widths."""
    labels = dict(zip(("generator", "discriminator"), CONDITIONS[condition], strict=True))
    cfg = OmegaConf.create(
        {
            "data": {"image_size": size, "channels": channels, "input_channels": 3},
            "condition": labels | {"auxiliary": list(auxiliary)},
            "model": {"packing": packing},
        }
    )
    cfg.condition.num_classes = 0 if condition == "none" else CLASSES
    cfg.network = copy.deepcopy(written(name))

    def shrink(node):
        for key, value in (SMALL | dict(changes)).items():
            if key in node and not OmegaConf.is_interpolation(node, key):
                node[key] = value
        for child in node.values():
            if isinstance(child, DictConfig):
                shrink(child)

    shrink(cfg.network)
    return cfg.network


MAKERS: dict[str, list[Callable[[], nn.Module]]] = {}  # by arguments of `players`


def maker(node: DictConfig) -> Callable[[], nn.Module]:
    """Returns what builds a player; unless it contains networks, its arguments are read once."""
    arguments = OmegaConf.to_container(node, resolve=True)
    if any(isinstance(value, dict) for value in arguments.values()):
        return partial(build, arguments)
    made = build(arguments | {"_partial_": True})
    return lambda: copy.deepcopy(made)()


def players(name, changes=(), condition="none", seed=0, **shape):
    """Returns generator and discriminator; of a pair of each, those from inputs to targets."""
    key = repr((name, changes, condition, shape))
    if key not in MAKERS:
        MAKERS[key] = [maker(node) for node in nodes(name, changes, condition, **shape).values()]
    torch.manual_seed(seed)
    pair = [make() for make in MAKERS[key]]
    return nn.ModuleList([getattr(pair[0], "forth", pair[0]), getattr(pair[1], "target", pair[1])])


def awaken(network):
    """Draws the weights that start at 0: strengths of noise and attention, last convolutions."""
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, 0.0, 0.1)
    return network


def draws(name, rows=4, conditional=False):
    """Latents, or images to translate, and labels."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(rows, *((3, 16, 16) if name in TRANSLATORS else (9,)), generator=generator)
    return z, torch.arange(rows) % CLASSES if conditional else None


def generated(name, generator, z, labels):
    return generator(z) if name in TRANSLATORS else generator(z, labels)


def logits_of(name, pair, z, labels=None):
    images = generated(name, pair[0], z, labels)
    if name == "pix2pix":
        images = torch.cat([images, z], dim=1)
    return pair[1](images, labels)


def inputs_of(name, rows=4, size=16, channels=2):
    """Images that the discriminator of a network takes."""
    channels += 3 * (name == "pix2pix")
    return torch.randn(rows, channels, size, size, generator=torch.Generator().manual_seed(2))


# ---------------------------------------------------------------------- shapes and values


@pytest.mark.parametrize("name", [name for name in FROM_NOISE if name in FAMILIES])
def test_shapes_of_all_sizes_and_channels(name):
    """Without memory or time for values, except in mapping networks, which switch autocast off."""
    styled = name.startswith("stylegan")
    make, device = (players, "cpu") if styled else (partial(blueprint, players), "meta")
    sizes = {"mlp": [1, 7, 28], "resnet": [16, 32, 48, 64, 128]}
    sizes |= {"pggan": [8, 16, 64, 1024], "stylegan": [8, 64], "stylegan2": [8, 64]}
    for size in sizes.get(name, [16, 32, 64, 128, 256]):
        for channels in (1, 2, 3, 4) if size < 64 else (3,):
            shape = {"size": size, "channels": channels}
            changes = {"spectral_norm": False, "initialization": "normal"}
            pair = make(name, changes, **shape)
            images = pair[0](torch.ones(2, 9, device=device))
            assert images.shape == (2, channels, size, size)
            assert pair[1](images).shape == (2,)
            for player in pair:
                assert (player.image_size, player.channels) == (size, channels)
            assert pair[0].latent_dim == 9


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_images_are_in_range_and_logits_are_not(name, changes):
    pair, (z, _) = players(name, changes), draws(name)
    free = generated(name, pair[0], z, None)
    assert free.shape == (4, 2, 16, 16)
    with torch.no_grad():
        for layer, parameter in pair.named_parameters():
            if any(part in layer for part in ("to_image", "head.logit", "to_logits")):
                parameter.mul_(1e8)
        free, logits = generated(name, pair[0], z, None), logits_of(name, pair, z)
        assert logits.shape == ((4, 1, 6, 6) if name in TRANSLATORS else (4,))
        if "spectral_norm" not in changes and "spectral" not in name and name != "sagan":
            assert logits.abs().max() > 1
        if name in STAGED:
            assert free.abs().max() > 1
            assert torch.equal(generated(name, pair[0].eval(), z, None), free.clamp(-1, 1))
        assert free.abs().max() <= 1 or name in STAGED
        assert generated(name, pair[0].eval(), z, None).abs().max() <= 1


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_layouts_agree(name, changes):
    changes = changes | {"dropout": 0.0}  # which draws in the order of memory
    plain, (z, _) = awaken(players(name, changes)), draws(name)
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    torch.testing.assert_close(logits_of(name, plain, z), logits_of(name, last, z))
    images = inputs_of(name)
    ours = last[1](images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(ours, plain[1](images))


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_a_checkpoint_restores_the_function(name, changes):
    first, second = (awaken(players(name, changes, seed=seed)) for seed in (0, 1))
    z, _ = draws(name)
    logits_of(name, first, z)  # moves running statistics and singular vectors
    second.load_state_dict(first.state_dict())
    outputs = []
    for pair in (first, second, copy.deepcopy(first)):
        torch.manual_seed(3)
        outputs.append(logits_of(name, pair.eval(), z))
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


# ---------------------------------------------------------------------- learning


def learn(name, pair, layout, labelled):
    z, labels = draws(name, conditional=labelled)
    if z.ndim == 4:
        z = z.contiguous(memory_format=layout)
    pair.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        logits = logits_of(name, pair, z, labels).float()
    (logits * torch.randn_like(logits)).sum().backward()


def check_gradients(name, pair, changes, chosen):
    for layer, parameter in pair.named_parameters():
        if parameter.grad is None:  # images of lower levels
            assert "_image." in layer, layer
            assert name in ("pggan", "stylegan")
            continue
        assert parameter.grad.isfinite().all(), layer
        # A norm of each channel takes out a bias before it, and what all images have in common.
        removed = parameter.ndim == 1 and layer.endswith("bias")
        if layer in chosen and not (removed and (name in TRANSLATORS or name in WITH_NORMS)):
            assert parameter.grad.abs().sum() > 0, layer


@pytest.mark.parametrize(
    ("name", "changes", "condition", "layout"),
    [(*case, "none", layout) for case in CASES for layout in LAYOUTS]
    + [(name, {}, condition, torch.channels_last) for name, condition in CONDITIONAL],
)
def test_every_weight_learns(name, changes, condition, layout):
    """Under bfloat16 autocast: the weights that are 0 first, then all."""
    pair = players(name, changes, condition).to(memory_format=layout)
    labelled = condition != "none"
    zeros = [layer for layer, p in pair.named_parameters() if not p.any() and "bias" not in layer]
    learn(name, pair, layout, labelled)
    check_gradients(name, pair, changes, zeros)
    learn(name, awaken(pair), layout, labelled)
    check_gradients(name, pair, changes, [layer for layer, _ in pair.named_parameters()])


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_penalties_reach_every_weight(name, changes):
    """They differentiate twice. A bias that only shifts where leaky ReLU bends gets nothing."""
    discriminator = awaken(players(name, changes)[1])
    images = inputs_of(name).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    slope.square().sum().backward()
    for layer, parameter in discriminator.named_parameters():
        if parameter.ndim > 1 and not (name in ("pggan", "stylegan") and "from_image" in layer):
            assert parameter.grad.abs().sum() > 0, layer


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_images_do_not_mix(name, changes):
    """Without batch statistics, a logit depends on its own image alone."""
    discriminator = players(name, {**changes, "minibatch_stddev": 0})[1].double()
    norms = [one for one in discriminator.modules() if isinstance(one, nn.BatchNorm2d)]
    if all(norm.track_running_stats for norm in norms):
        images = inputs_of(name).double()
        torch.testing.assert_close(discriminator.eval()(images)[:1], discriminator(images[:1]))


# ---------------------------------------------------------------------- labels, packing


@pytest.mark.parametrize(("name", "condition"), CONDITIONAL)
def test_labels_matter_and_are_required(name, condition):
    pair = awaken(players(name, {"minibatch_stddev": 0}, condition)).eval()
    z, images = draws(name, rows=1)[0].expand(3, -1), inputs_of(name, rows=1).expand(3, -1, -1, -1)
    labels = torch.tensor([0, 1, 1])
    for player, inputs in zip(pair, (z, images), strict=True):
        first, second, same = player(inputs, labels)
        assert not torch.allclose(first, second)
        torch.testing.assert_close(second, same)
        with pytest.raises(ConfigError, match="needs the labels"):
            player(inputs)


@pytest.mark.parametrize("name", FROM_NOISE)
def test_packing_and_auxiliary_outputs(name):
    discriminator = players(name, packing=2, auxiliary=[4, 1])[1]
    logits, outputs = discriminator.logits_and_auxiliary(inputs_of(name, channels=4))
    assert logits.shape == (4,)
    assert outputs.shape == (4, 5)
    with pytest.raises(ConfigError, match="without auxiliary outputs"):
        players(name)[1].logits_and_auxiliary(inputs_of(name))


@pytest.mark.parametrize("name", sorted(set(FROM_NOISE) - set(WITH_NORMS)))
def test_without_norms_labels_cannot_set_them(name):
    with pytest.raises(ConfigError, match=r"Generator: conditioning=normalization needs a norm"):
        players(name, condition="projection")


# ---------------------------------------------------------------------- refusals

WRONG = {
    "image_size": [0],
    "channels": [0, 5],
    "in_channels": [0],
    "out_channels": [0],
    "condition_channels": [-1],
    "latent_dim": [0],
    "width": [0],
    "max_width": [0],
    "full_width": [33],
    "hidden": [[], [8, 0]],
    "blocks": [0],
    "layers": [-1],
    "expansion": [0],
    "group_size": [0, 3],
    "embedding_dim": [0],
    "mapping_layers": [0],
    "w_dim": [0],
    "w_mean_decay": [1.0],
    "learning_rate_multiplier": [0.0],
    "negative_slope": [1.0, -0.1],
    "dropout": [1.0, -0.1],
    "octaves": [-1],
    "half_stages": [-1],
    "clamp": [0.0],
    "norm": ["bach"],
    "initialization": ["xavier"],
    "attention": [[3], "all"],
    "minibatch_stddev": [1, -1],
    "num_classes": [-1],
    "conditioning": ["odd", "concatenation"],
    "packing": [0],
}
# The messages of layers name the layers' arguments.
NAMED = {
    "mapping_layers": "layers must|needs",
    "group_size": "group_size must",
    "conditioning": "conditioning must be one of|conditioning=.* needs labels",
    "image_size": "image_size must be|height and width must be|needs images of at least",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_wrong_arguments_are_refused(name):
    checked = set()
    for player in nodes(name).values():
        node = player.get("forth") or player.get("target") or player
        kind = build(OmegaConf.create({"_target_": "hydra.utils.get_class", "path": node._target_}))
        for argument in parameters_of(kind)[0]:
            assert argument in node or argument in inspect.signature(kind).parameters
            for value in WRONG.get(argument, []):
                if argument == "mapping_layers" and issubclass(kind, Discriminator):
                    continue  # none is the embedding alone
                if argument == "image_size" and kind is PatchDiscriminator:
                    value = 2
                changed = OmegaConf.merge(
                    OmegaConf.to_container(node, resolve=True), {argument: value}
                )
                with pytest.raises(ConfigError, match=NAMED.get(argument, f"{argument} must")):
                    build(changed)
                checked.add(argument)
    assert len(checked) > 5


@pytest.mark.parametrize("name", sorted(STAGED | {"biggan"}))
@pytest.mark.parametrize("size", [4, 12, 2048])
def test_sizes_are_powers_of_two(name, size):
    for player in nodes(name, size=size).values():
        with pytest.raises(ConfigError, match=rf"image_size must be one of (8|16), .*got {size}"):
            build(OmegaConf.create(OmegaConf.to_container(player, resolve=True)))
