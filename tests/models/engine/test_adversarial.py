from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from lightning.pytorch import Callback
from torch import nn

from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.data.images import to_float
from ganforge.data.order import Order
from ganforge.errors import ConfigError, DivergenceError
from ganforge.losses.nonsaturating import NonsaturatingLoss
from ganforge.models.engine.averaging import ExponentialMovingAverage
from ganforge.regularizers.gradient_penalty import GradientPenalty
from ganforge.regularizers.zero_centered import R1
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO
from ganforge.schedules import LinearDecay
from ganforge.streams import Noise, mix
from tests.support import games

# ---------------------------------------------------------------------- the clock


class Saved(Callback):
    """Notes at which steps last.ckpt was written, and where the run stood in each."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def on_save_checkpoint(self, trainer, pl_module, checkpoint) -> None:
        self.steps.append((checkpoint["global_step"], pl_module.iteration))


class Counting(torch.optim.SGD):
    """Counts its steps."""

    def __init__(self, parameters) -> None:
        super().__init__(parameters, lr=0.01)
        self.steps = 0

    def step(self, closure=None):
        self.steps += 1
        return super().step(closure)


@pytest.mark.parametrize("critic_steps", [1, 5])
def test_one_step_is_one_generator_update(tmp_path, critic_steps):
    model = games.game(
        critic_steps=critic_steps, generator_optimizer=Counting, discriminator_optimizer=Counting
    )
    saved, points = Saved(), games.Points()
    trainer = games.fit(
        model,
        tmp_path,
        callbacks=[Checkpoints(every_n_steps=4), saved],
        logger=points,
        log_every_n_steps=2,
    )
    generators, discriminators = (o.optimizer for o in model.optimizers())
    assert (generators.steps, discriminators.steps) == (6, 6 * critic_steps)
    assert (trainer.global_step, model.iteration) == (6, 6)
    assert model.images_seen == 6 * critic_steps * games.BATCH
    assert saved.steps == [(4, 4), (6, 6)]
    assert [step for step, _ in points.points] == [2, 4, 6]
    assert points.column("images_seen") == [n * critic_steps * games.BATCH for n in (2, 4, 6)]


def test_critic_steps_may_change_from_step_to_step(tmp_path):
    model = games.game(critic_steps=lambda iteration: 3 if iteration == 1 else 1)
    games.fit(model, tmp_path, max_steps=3)
    assert model.images_seen == (1 + 3 + 1) * games.BATCH


def test_every_value_of_the_contract_is_published(tmp_path):
    points = games.Points()
    model = games.game(regularizers={"r1": R1()})
    trainer = games.fit(model, tmp_path, logger=points, max_steps=2)
    names = {"images_seen", "images_per_second", "seconds", "discriminator/r1"}
    for player in ("generator", "discriminator"):
        names |= {f"{player}/{n}" for n in ("loss", "gradient_norm", "learning_rate")}
    for kind in ("real", "fake"):
        names |= {f"discriminator/{kind}_logit", f"discriminator/{kind}_accuracy"}
    assert points.points[0][1].keys() == points.points[1][1].keys() == names
    assert {n: float(trainer.callback_metrics[n]) for n in names} == pytest.approx(
        points.points[1][1]
    )


# ---------------------------------------------------------------------- against a plain loop


class Reference:
    """The same game as a loop that anyone would write, over copies of the players."""

    def __init__(self, critic_steps=1, clip_norm=None, schedule=None, penalty=None, every=1):
        networks = games.players()
        self.generator, self.discriminator = networks["generator"], networks["discriminator"]
        self.average = copy.deepcopy(self.generator)
        self.optimizers = {
            "generator": games.ADAM(self.generator.parameters()),
            "discriminator": games.ADAM(self.discriminator.parameters()),
        }
        self.critic_steps, self.clip_norm, self.schedule = critic_steps, clip_norm, schedule
        self.penalty, self.every = penalty, every
        self.seen, self.updates = 0, {"generator": 0, "discriminator": 0}

    def run(self, steps: int) -> None:
        data = games.images()
        data.setup()
        pixels = data._sources["train"].images
        order = Order(len(pixels), seed=3)
        for step in range(steps):
            for optimizer in self.optimizers.values():
                factor = self.schedule(step) if self.schedule else 1.0
                optimizer.param_groups[0]["lr"] = 1e-2 * factor
            for _ in range(self.critic_steps):
                chosen = order.indices(range(self.seen, self.seen + games.BATCH))
                self.seen += games.BATCH
                self.update_discriminator(to_float(pixels[chosen]))
            self.forge()
            half_life = min(50.0, 0.5 * self.seen)
            beta = 0.5 ** (games.BATCH / half_life)
            with torch.no_grad():
                for mine, live in zip(
                    self.average.parameters(), self.generator.parameters(), strict=True
                ):
                    mine.lerp_(live, 1 - beta)

    def noise(self, player: str) -> Noise:
        return Noise(mix(3, 1, int(player == "generator"), self.updates[player]), games.BATCH)

    def update_discriminator(self, real) -> None:
        noise = self.noise("discriminator")
        fake = self.generator(noise.normal(games.LATENT)).detach()
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
        loss = NonsaturatingLoss().discriminator(real_logits, fake_logits)
        if self.penalty is not None and self.updates["discriminator"] % self.every == 0:
            term = self.penalty.penalty(self.discriminator, real, fake, noise)
            loss = loss + self.penalty.weight * self.every * term
        self.step("discriminator", self.discriminator, loss)

    def forge(self) -> None:
        fake = self.generator(self.noise("generator").normal(games.LATENT))
        loss = torch.nn.functional.softplus(-self.discriminator(fake)).mean()
        self.step("generator", self.generator, loss)

    def step(self, player: str, network: nn.Module, loss) -> None:
        self.optimizers[player].zero_grad()
        loss.backward()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), self.clip_norm)
        self.optimizers[player].step()
        self.updates[player] += 1


CASES = {
    "plain": ({}, {}),
    "three critic steps": ({"critic_steps": 3}, {"critic_steps": 3}),
    "clipped": ({"clip_norm": 0.05}, {"clip_norm": 0.05}),
    "scheduled": (
        {
            "generator_schedule": LinearDecay(total=5, warmup=2),
            "discriminator_schedule": LinearDecay(total=5, warmup=2),
        },
        {"schedule": LinearDecay(total=5, warmup=2)},
    ),
    "gradient penalty": (
        {"regularizers": {"gp": GradientPenalty()}, "critic_steps": 3},
        {"penalty": GradientPenalty(), "critic_steps": 3},
    ),
    "lazy R1": (
        {"regularizers": {"r1": R1(weight=1.0, every=4)}, "critic_steps": 3},
        {"penalty": R1(weight=1.0, every=4), "every": 4, "critic_steps": 3},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_steps_equal_a_plain_loop_bit_by_bit(tmp_path, case):
    changes, settings = CASES[case]
    model = games.game(**changes)
    games.fit(model, tmp_path, max_steps=4, fused=False)
    loop = Reference(**settings)
    loop.run(4)
    games.assert_equal(games.weights(model.generator), games.weights(loop.generator))
    games.assert_equal(games.weights(model.discriminator), games.weights(loop.discriminator))
    games.assert_equal(games.weights(model.average.module), games.weights(loop.average))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_channels_last_and_fused_optimizers_change_rounding_alone(tmp_path, precision):
    ends = []
    for switch in (False, True):
        model = games.game(**games.convolutional_players())
        settings = {"channels_last": switch, "fused": switch, "precision": precision}
        games.fit(model, tmp_path, games.images(16), max_steps=2, **settings)
        ends.append(games.weights(model))
    # Adam's first steps are signs of gradients: rounding turns a few of the smallest ones.
    for name in ends[0]:
        assert (ends[0][name] - ends[1][name]).abs().mean() < 1e-3, name


@pytest.mark.parametrize("regularizers", [{}, {"gp": GradientPenalty()}, {"r1": R1()}])
def test_a_batch_in_four_parts_makes_the_same_update(tmp_path, regularizers):
    ends = []
    for accumulate in (1, 4):
        model = games.game(
            accumulate=accumulate,
            regularizers=regularizers,
            critic_steps=2,
            generator_optimizer=partial(torch.optim.SGD, lr=0.05),
            discriminator_optimizer=partial(torch.optim.SGD, lr=0.05),
        )
        games.fit(model, tmp_path, max_steps=3)
        ends.append(games.weights(model))
    games.assert_close(*ends, atol=1e-6)


def test_logged_values_do_not_depend_on_the_parts(tmp_path):
    columns = []
    for accumulate in (1, 4):
        points = games.Points()
        model = games.game(accumulate=accumulate, regularizers={"r1": R1()})
        games.fit(model, tmp_path, max_steps=1, logger=points)
        values = points.points[0][1]
        columns.append({n: v for n, v in values.items() if "second" not in n})
    assert columns[0] == pytest.approx(columns[1], abs=1e-5)


def test_more_parts_than_images_are_as_many_as_there_are(tmp_path):
    model = games.game(accumulate=100)
    games.fit(model, tmp_path, max_steps=1)
    assert model.iteration == 1


def test_the_rate_follows_the_schedule(tmp_path):
    points = games.Points()
    model = games.game(generator_schedule=LinearDecay(total=4))
    games.fit(model, tmp_path, max_steps=4, logger=points)
    rates = [1e-2 * factor for factor in (1.0, 0.75, 0.5, 0.25)]
    assert points.column("generator/learning_rate") == pytest.approx(rates)
    assert points.column("discriminator/learning_rate") == pytest.approx([1e-2] * 4)


def test_the_schedule_scales_weight_decay_with_the_rate(tmp_path):
    """AdamW's decay is lr * weight_decay * w: at a rate of 0 nothing moves any more."""
    optimizer = partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.5)
    model = games.game(
        generator_optimizer=optimizer, generator_schedule=lambda step: float(step == 0)
    )
    after: list[dict[str, torch.Tensor]] = []
    keep = games.AfterStep(lambda module: after.append(games.weights(module.generator)))
    before = games.weights(model.generator)
    games.fit(model, tmp_path, max_steps=3, callbacks=[keep])
    assert not torch.equal(before["to_image.weight"], after[0]["to_image.weight"])
    games.assert_equal(after[0], after[2])


def test_the_gradient_norm_is_that_before_clipping(tmp_path):
    columns = []
    for clip_norm in (None, 1e-3):
        points = games.Points()
        model = games.game(clip_norm=clip_norm)
        games.fit(model, tmp_path, max_steps=1, logger=points)
        columns.append(points.column("discriminator/gradient_norm"))
    assert columns[0] == columns[1]
    assert columns[0][0] > 1e-3


# ---------------------------------------------------------------------- who learns from what


def test_a_players_turn_leaves_no_gradient_in_the_other(tmp_path):
    seen: list[tuple[str, bool, bool]] = []

    class Watching(type(games.game())):
        def on_before_optimizer_step(self, optimizer):
            super().on_before_optimizer_step(optimizer)
            player = "generator" if optimizer is self.trainer.optimizers[0] else "discriminator"
            other = self.discriminator if player == "generator" else self.generator
            frozen = not any(p.requires_grad for p in other.parameters())
            touched = any(p.grad is not None for p in other.parameters())
            seen.append((player, frozen, touched))

    model = games.game(Watching)
    games.fit(model, tmp_path, max_steps=1)
    assert seen == [("discriminator", True, False), ("generator", True, True)]
    # What D holds in G's turn is its own turn's gradient, not one of G's loss:
    kept = [p.grad.clone() for p in model.discriminator.parameters()]
    model = games.game(Watching, generator_optimizer=partial(torch.optim.SGD, lr=100.0))
    games.fit(model, tmp_path, max_steps=1)
    assert all(map(torch.equal, kept, (p.grad for p in model.discriminator.parameters())))


def test_weights_that_were_frozen_before_stay_out_of_the_optimizer(tmp_path):
    networks = games.players()
    networks["discriminator"].head.logit.requires_grad_(False)
    model = games.game(**networks)
    before = games.weights(model.discriminator)
    games.fit(model, tmp_path, max_steps=2)
    after = games.weights(model.discriminator)
    assert torch.equal(before["head.logit.weight"], after["head.logit.weight"])
    assert not torch.equal(before["hidden.0.weight"], after["hidden.0.weight"])
    assert not model.discriminator.head.logit.weight.requires_grad


# ---------------------------------------------------------------------- divergence


def poisoned(at: int):
    """A loss that is NaN from a step on."""

    class Poisoned(NonsaturatingLoss):
        calls = 0

        def discriminator(self, real_logits, fake_logits, noise=None):
            self.calls += 1
            factor = float("nan") if self.calls >= at else 1.0
            return super().discriminator(real_logits, fake_logits, noise) * factor

    return Poisoned()


@pytest.mark.parametrize("log_every_n_steps", [1, 1000])
def test_a_loss_that_is_not_finite_ends_the_run_and_spares_the_checkpoints(
    tmp_path, log_every_n_steps
):
    model = games.game(loss=poisoned(at=6))
    with pytest.raises(DivergenceError, match="at step 6"):
        games.fit(
            model,
            tmp_path,
            callbacks=[Checkpoints(every_n_steps=2)],
            max_steps=8,
            log_every_n_steps=log_every_n_steps,
        )
    kept = AtomicCheckpointIO().load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert kept["progress"]["iteration"] == 4
    assert all(t.isfinite().all() for t in kept["state_dict"].values())


def test_weights_that_are_not_finite_are_never_saved_even_after_a_finite_loss(tmp_path):
    class Steep(NonsaturatingLoss):
        """Finite everywhere, with a gradient that is not."""

        def generator(self, fake_logits, real_logits=None):
            zero = (fake_logits - fake_logits.detach()).sum()
            return super().generator(fake_logits) + zero.abs().sqrt()

    model = games.game(loss=Steep())
    with pytest.raises(DivergenceError, match="step 1"):
        games.fit(model, tmp_path, callbacks=[Checkpoints(every_n_steps=1)], max_steps=2)
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


# ---------------------------------------------------------------------- images


def test_an_image_depends_on_its_seed_and_index_alone():
    model = games.game()
    whole = model.sample(600, seed=5)
    assert whole.shape == (600, 1, 8, 8)
    assert whole.dtype == torch.float32
    assert whole.abs().max() <= 1
    assert torch.equal(model.sample(10, seed=5), whole[:10])
    assert torch.equal(model.sample(300, seed=5, start=250), whole[250:550])
    assert torch.equal(model.sample(1, seed=5, start=512), whole[512:513])
    assert not torch.equal(model.sample(10, seed=6), whole[:10])


def test_sampling_touches_neither_modes_nor_statistics_nor_random_streams():
    model = games.game(**games.convolutional_players("batch"))
    model.train()
    before, random = games.weights(model), torch.get_rng_state()
    modes = [module.training for module in model.modules()]
    for kind in ("raw", "ema"):
        model.sample(3, weights=kind)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    games.assert_equal(before, games.weights(model))


def test_raw_and_averaged_weights_make_their_own_images(tmp_path):
    model = games.game()
    assert torch.equal(model.sample(4, weights="raw"), model.sample(4, weights="ema"))
    games.fit(model, tmp_path, max_steps=3)
    raw, averaged = model.sample(4, weights="raw"), model.sample(4, weights="ema")
    assert not torch.equal(raw, averaged)
    model.generator.load_state_dict(model.average.module.state_dict())
    assert torch.equal(model.sample(4, weights="raw"), averaged)


def test_without_an_average_the_live_weights_stand_in(tmp_path):
    model = games.game(average=None)
    games.fit(model, tmp_path, max_steps=2)
    assert torch.equal(model.sample(4, weights="ema"), model.sample(4, weights="raw"))


def test_samples_are_generated_in_full_precision():
    model = games.game()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.sample(4), games.game().sample(4))


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"critic_steps": 0}, "critic_steps must be at least 1, got 0"),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"clip_norm": 0.0}, "clip_norm must be above 0 or null"),
    ],
)
def test_wrong_settings_are_named(changes, named):
    with pytest.raises(ConfigError, match=named):
        games.game(**changes)


def test_unknown_weights_are_refused():
    with pytest.raises(ConfigError, match="one of ema, raw"):
        games.game().sample(1, weights="best")


# ---------------------------------------------------------------------- resuming in one process


@pytest.mark.parametrize("average", [True, False])
def test_a_resumed_module_is_bit_identical(tmp_path, average):
    def make():
        ema = ExponentialMovingAverage(50.0) if average else None
        return games.game(average=ema, critic_steps=2)

    whole, first, second = make(), make(), make()
    games.fit(whole, tmp_path / "whole", max_steps=7)
    games.fit(first, tmp_path / "parts", max_steps=3, callbacks=[Checkpoints(3)])
    last = tmp_path / "parts" / "checkpoints" / "last.ckpt"
    trainer = games.fit(second, tmp_path / "parts", max_steps=7, resume=last)
    assert (second.iteration, trainer.global_step) == (7, 7)
    assert second.images_seen == whole.images_seen
    games.assert_equal(games.weights(whole), games.weights(second))
