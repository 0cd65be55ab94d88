from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from ganforge.augment.ada import ADA
from ganforge.errors import ConfigError
from ganforge.models.stylegan2 import StyleGAN2
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.latent_diversity import LatentDiversity
from ganforge.regularizers.lecam import LeCam
from ganforge.regularizers.path_length import PathLength
from ganforge.regularizers.regularizer import Regularizer
from ganforge.regularizers.zero_centered import R1
from ganforge.streams import Noise
from tests.support import games
from tests.support.styled import game, lazy, players


def prepared(model: StyleGAN2, noise: Noise) -> UpdateContext:
    """The generator's turn of an update of its own."""
    batch = {"image": torch.zeros(noise.rows, 1, 16, 16)}
    return model.lazy_context(games.update("generator", batch, noise, lazy=True))


# ---------------------------------------------------------------------- path lengths


class LinearStyles(nn.Module):
    """G(ws) = sum_l A_l w_l of 3 layers, whose Jacobian is A everywhere."""

    def __init__(self) -> None:
        super().__init__()
        matrix = torch.randn(3, 2 * 16, 4, generator=torch.Generator().manual_seed(0))
        self.matrix = nn.Parameter(matrix)

    def synthesize(self, ws: Tensor) -> Tensor:
        return torch.einsum("lpd,bld->bp", self.matrix, ws).view(-1, 2, 4, 4)


def linear_turn(network: LinearStyles, noise: Noise) -> UpdateContext:
    z = noise.normal(4)
    image = torch.zeros(len(z), 2, 4, 4)
    return UpdateContext(
        critic=lambda images: images.flatten(1).sum(1),
        features=lambda images: images,
        generate=lambda latents, labels=None: image,
        augment=lambda images: images,
        generator=network,
        discriminator=network,
        real=image,
        fake=image,
        real_images=image,
        fake_images=image,
        latents=z,
        labels=None,
        real_logits=None,
        fake_logits=image,
        noise=noise,
        images_seen=0,
        styled=lambda z, labels=None: z[:, None].expand(-1, 3, -1).clone().requires_grad_(True),
        synthesize=network.synthesize,
    )


def closed_form(network: LinearStyles, noise: Noise) -> Tensor:
    """sqrt(mean_l |A_l^T y|^2), y ~ N(0, I) / sqrt(HW)."""
    noise.normal(4)
    y = noise.normal(2, 4, 4).flatten(1) / 4
    per_layer = torch.einsum("lpd,bp->bld", network.matrix, y).square().sum(2)
    return per_layer.mean(1).sqrt()


def test_path_lengths_of_a_linear_generator():
    network, regularizer = LinearStyles(), PathLength()
    regularizer.mean.fill_(1.5)
    penalty = regularizer.term(linear_turn(network, Noise(1, 6)))
    expected = (closed_form(network, Noise(1, 6)) - 1.5).square().mean()
    torch.testing.assert_close(penalty, expected)
    slopes = [torch.autograd.grad(value, network.matrix)[0] for value in (penalty, expected)]
    torch.testing.assert_close(*slopes)


def test_the_running_mean_of_lengths_converges():
    """To E sqrt(mean_l |A_l^T y|^2), from 0 on; here estimated from many draws at once."""
    network, regularizer = LinearStyles(), PathLength(decay=0.05)
    expected = closed_form(network, Noise(99, 20_000)).mean().item()
    means = []
    for seed in range(300):
        regularizer.term(linear_turn(network, Noise(seed, 32)))
        regularizer.settle()
        means.append(regularizer.mean.item())
    assert means[0] == pytest.approx(0.05 * expected, rel=0.3)
    assert means[-1] == pytest.approx(expected, rel=0.05)


def test_path_lengths_are_those_at_the_styles():
    """|J^T y| by finite differences of the synthesis network, at mixed styles and this noise."""
    model = lazy(style_mixing=0.5)
    for stage in model.generator.stages:
        stage.double()
    model.generator.constant.data = model.generator.constant.data.double()
    context = prepared(model, Noise(3, 4))
    slopes = PathLength().slopes(context)
    assert slopes.shape == (4, 6, 5)
    ws = context.styled(context.latents.float()).detach().double()
    context = prepared(model, Noise(3, 4))  # the same draws again, y among them
    y = context.noise.normal(1, 16, 16).double() / 16
    step = torch.zeros_like(ws)
    for layer, place in [(0, 0), (2, 3), (5, 4)]:
        step.zero_()[:, layer, place] = 1e-5
        ahead, behind = (context.synthesize(ws + sign * step) for sign in (1, -1))
        numeric = ((ahead - behind) * y).sum((1, 2, 3)) / 2e-5 / math.sqrt(6)
        torch.testing.assert_close(slopes[:, layer, place].double(), numeric, atol=1e-5, rtol=1e-3)


def test_the_mapping_network_learns_from_path_lengths():
    model = lazy()
    PathLength().term(prepared(model, Noise(3, 4))).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.generator.mapping.layers[0].parameters())


# ---------------------------------------------------------------------- lazy regularization


class Spy(Regularizer):
    """Keeps at which updates it was due, and whether its turn brought logits."""

    def __init__(self, player: str, every: int, uses_images: bool = False) -> None:
        super().__init__(1.0, every)
        self.player, self.uses_images = player, uses_images
        self.seen: list[tuple[int, bool]] = []

    def term(self, context: UpdateContext) -> Tensor | None:
        if self.uses_images:
            assert context.fake_logits.shape == (8,)
            assert context.fake_images.shape == context.real_images.shape
        self.seen.append((context.images_seen // 8, "fake_logits" in vars(context)))
        return None


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_lazy_terms_have_updates_of_their_own(player, tmp_path):
    terms = {"often": Spy(player, 1), "rarely": Spy(player, 3), "looking": Spy(player, 4, True)}
    model = game(regularizers=terms)
    steps = []
    factory = model._factories[player]
    model._factories[player] = lambda parameters: counting(factory(parameters), steps)
    trainer = games.fit(model, tmp_path, games.images(16), max_steps=6)
    assert terms["often"].seen == [(step, True) for step in range(6)]
    # No logits are computed unless a term uses them.
    assert terms["rarely"].seen == [(0, False), (3, False)]
    assert terms["looking"].seen == [(0, True), (4, True)]
    assert len(steps) == 6 + 3  # after the updates 0, 3 and 4
    assert trainer.global_step == model.iteration == 6
    assert model._updates == {"generator": 6, "discriminator": 6}


def counting(optimizer, steps):
    optimizer.register_step_pre_hook(lambda *_: steps.append(1))
    return optimizer


def test_both_optimizers_are_corrected():
    """By 3 / 4 for R1 at every third update, by 2 / 3 for path lengths at every second."""
    generator, discriminator = lazy().configure_optimizers()
    for optimizer, share in ((generator, 2 / 3), (discriminator, 3 / 4)):
        assert optimizer.defaults["lr"] == pytest.approx(0.002 * share)
        assert optimizer.param_groups[0]["betas"] == pytest.approx((0.0, 0.99**share))
    plain = game(regularizers={"r1": R1(every=1)}).configure_optimizers()[1]
    assert (plain.defaults["lr"], plain.defaults["betas"]) == (0.002, (0.0, 0.99))


def test_a_lazy_update_minimises_the_interval_times_the_penalty(tmp_path):
    """By SGD of rate 1, in closed form: the weights move by the gradient of k gamma R1."""
    model = game(
        regularizers={"r1": R1(weight=0.5, every=3)},
        discriminator_optimizer=games.SGD,
    )
    moved, update = {}, model.update

    def watched(player, objective, batch, lazy=False):
        if not lazy:
            return update(player, objective, batch)
        before = {n: p.detach().clone() for n, p in model.discriminator.named_parameters()}
        images = batch["image"].clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(model.discriminator(images).sum(), images, create_graph=True)
        loss = 3 * 0.5 * slope.square().sum((1, 2, 3)).mean() / 2
        model.discriminator.zero_grad()
        loss.backward()
        expected = {n: p.grad for n, p in model.discriminator.named_parameters()}
        kept = update(player, objective, batch, lazy)
        if player == "discriminator" and not moved:
            for name, parameter in model.discriminator.named_parameters():
                step = torch.zeros_like(parameter) if expected[name] is None else expected[name]
                moved[name] = (before[name] - parameter.detach(), 0.75 * step)
        return kept

    model.update = watched
    games.fit(model, tmp_path, games.images(16), max_steps=1)
    assert moved
    for name, (ours, expected) in moved.items():
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-3, msg=name)


def test_all_sorts_of_terms_may_be_lazy(tmp_path):
    """Those that use images and logits with a gradient, and one that is silent at first."""
    terms = {
        "diversity": LatentDiversity(every=2),
        "lecam": LeCam(every=2),
        "r1": R1(every=2),
        "path_length": PathLength(every=2, shrink=2),
    }
    model = game(regularizers=terms, accumulate=2)
    games.fit(model, tmp_path, games.images(16), max_steps=3)
    assert all(p.isfinite().all() for p in model.parameters())
    assert terms["path_length"].mean > 0


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_images_of_a_lazy_update_are_made_on_demand_with_the_same_draws(player):
    """Those that are made late are those that were made first, and nothing else draws them."""
    model = game(augment=ADA(p=1.0, speed=None))
    batch = {"image": torch.rand(4, 1, 16, 16)}

    def turn():
        noise = Noise(3, 4)
        return games.update(player, batch, noise, lazy=True), noise

    update, noise = turn()
    inputs, critic = model.inputs(update), model.critic
    if player == "discriminator":
        critic.augmented(batch["image"], update)
    expected = critic.augmented(inputs.generate(inputs.latents), update)
    following = noise.normal(2)

    made = []
    model.generator.stages[0].register_forward_pre_hook(lambda *_: made.append(1))
    update, noise = turn()
    context = model.lazy_context(update)
    assert torch.equal(noise.normal(2), following)
    assert not made
    assert torch.equal(context.fake, expected)
    assert made
    assert context.fake.requires_grad is (player == "generator")


def test_the_log_shows_the_loss_and_not_the_penalty(tmp_path):
    points = games.Points()
    games.fit(lazy(), tmp_path, games.images(16), max_steps=6, logger=points)
    for name in ("discriminator/loss", "generator/loss", "discriminator/r1"):
        assert len(points.column(name)) == 6, name
    penalties = points.column("discriminator/r1")
    assert penalties[0] == penalties[2] != penalties[3]  # at the updates 0 and 3


# ---------------------------------------------------------------------- runs


def test_a_resumed_run_is_the_same(tmp_path):
    """Bit by bit, with both lazy terms and mixing, from the middle of an interval."""
    whole, broken, resumed = (lazy() for _ in range(3))
    games.fit(whole, tmp_path, games.images(16), max_steps=7)
    trainer = games.fit(broken, tmp_path, games.images(16), max_steps=4)
    trainer.save_checkpoint(tmp_path / "middle.ckpt")
    games.fit(resumed, tmp_path, games.images(16), resume=tmp_path / "middle.ckpt", max_steps=7)
    games.assert_equal(games.weights(whole), games.weights(resumed))


@pytest.mark.parametrize("grouped", [False, True])
def test_half_precision_trains(grouped, tmp_path):
    model = lazy(**players(grouped=grouped))
    games.fit(model, tmp_path, games.images(16), max_steps=3, precision="bf16-mixed")
    assert all(p.isfinite().all() for p in model.parameters())


def test_parts_of_a_batch_make_the_same_update(tmp_path):
    """Up to rounding, when groups of the minibatch's spread stay together."""
    slow = partial(torch.optim.SGD, lr=1e-3)
    optimizers = {"generator_optimizer": slow, "discriminator_optimizer": slow}
    whole, parted = (lazy(accumulate=parts, **optimizers) for parts in (1, 2))
    for model in (whole, parted):
        games.fit(model, tmp_path, games.images(16), max_steps=2)
    games.assert_close(games.weights(whole), games.weights(parted), atol=2e-5)


def test_the_last_layer_takes_the_first_style_where_nothing_is_mixed():
    model = game(style_mixing=0.0)
    for probability in (0.0, 1e-9):
        model.style_mixing = probability
        update = games.update("generator", {}, Noise(0, 3))
        z = torch.randn(3, 4)
        expected = model.generator.mapping(z)[:, None].expand(-1, 6, -1)
        torch.testing.assert_close(model.learned_styles(update, z, None), expected)
    model.style_mixing = 1.0
    other = model.learned_styles(update, z, None)
    assert torch.equal(other[:, 0], expected[:, 0])
    assert not torch.isclose(other[:, 5], expected[:, 5]).all()


def test_the_mean_of_w_is_tracked(tmp_path):
    model = lazy()
    games.fit(model, tmp_path, games.images(16), max_steps=1)
    assert model.generator.mapping.w_mean.abs().sum() > 0


def test_samples_are_truncated_and_belong_to_their_indices():
    model = game(truncation=0.5)
    images = model.sample(6, seed=5)
    assert torch.equal(model.sample(3, seed=5, start=3), images[3:])
    model.truncation, model.noise = 0.0, "const"
    typical = model.sample(3)
    torch.testing.assert_close(typical[0], typical[2])


def test_a_generator_without_styles_is_refused():
    with pytest.raises(ConfigError, match=r"the generator has no styles.*network=stylegan2"):
        games.game(StyleGAN2)
