from __future__ import annotations

from functools import partial

import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision

from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.errors import ConfigError
from ganforge.losses.nonsaturating import NonsaturatingLoss
from ganforge.regularizers.gradient_penalty import GradientPenalty
from ganforge.regularizers.regularizer import Regularizer
from ganforge.regularizers.zero_centered import R1
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO
from tests.support import games

MIXED = ["bf16-mixed", "16-mixed"]


def scaler_of(trainer) -> torch.amp.GradScaler:
    plugin = trainer.strategy.precision_plugin
    assert isinstance(plugin, MixedPrecision)
    return plugin.scaler


def difference(before, after) -> torch.Tensor:
    """The whole change of a player's weights, as one vector."""
    return torch.cat([(after[name] - before[name]).flatten() for name in before])


@pytest.mark.parametrize("precision", MIXED)
@pytest.mark.parametrize("kind", ["mlp", "dcgan"])
def test_penalties_run_in_mixed_precision(tmp_path, precision, kind):
    points = games.Points()
    networks = games.players(16) if kind == "mlp" else games.convolutional_players()
    terms = {"gp": GradientPenalty(), "r1": R1()}
    model = games.game(**networks, regularizers=terms, critic_steps=2)
    games.fit(model, tmp_path, games.images(16), precision=precision, logger=points)
    assert model.iteration == 6
    for name in ("discriminator/loss", "discriminator/gp", "discriminator/r1", "generator/loss"):
        assert all(torch.tensor(points.column(name)).isfinite())
    assert all(value.isfinite().all() for value in games.weights(model).values())


@pytest.mark.parametrize("precision", MIXED)
def test_penalties_are_computed_in_float32_and_the_rest_is_not(tmp_path, precision):
    seen: list[tuple[torch.dtype, bool]] = []
    augmented: list[torch.dtype] = []

    class Spy(Regularizer):
        def penalty(self, critic, real, fake, noise):
            before = len(augmented)
            logits = critic(real)
            for tensor in (real, fake, logits):
                seen.append((tensor.dtype, torch.is_autocast_enabled("cpu")))
            seen.extend((dtype, False) for dtype in augmented[before:])
            del augmented[before:]
            return logits.square().mean()

    model = games.game(regularizers={"spy": Spy()})
    model.discriminator.head.register_forward_hook(lambda m, i, out: augmented.append(out.dtype))
    games.fit(model, tmp_path, precision=precision, max_steps=1)
    assert seen == [(torch.float32, False)] * 4
    half = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    assert set(augmented) == {half}


@pytest.mark.parametrize(("precision", "inside"), [("float32", False), ("autocast", True)])
def test_a_penalty_may_use_the_precision_of_the_run(tmp_path, precision, inside):
    """A penalty next to it keeps its own; in both, the penalty itself is float32."""
    seen: dict[str, list[tuple[bool, torch.dtype]]] = {"one": [], "other": []}

    class Spy(R1):
        def __init__(self, name, **options):
            super().__init__(**options)
            self.name = name

        def penalty(self, critic, real, fake, noise):
            value = super().penalty(critic, real, fake, noise)
            seen[self.name].append((torch.is_autocast_enabled("cpu"), value.dtype))
            return value

    terms = {"one": Spy("one", precision=precision), "other": Spy("other")}
    points = games.Points()
    model = games.game(**games.convolutional_players(), regularizers=terms)
    images = games.images(16)
    games.fit(model, tmp_path, images, precision="bf16-mixed", max_steps=1, logger=points)
    assert seen == {"one": [(inside, torch.float32)], "other": [(False, torch.float32)]}
    one, other = (points.column(f"discriminator/{name}")[0] for name in terms)
    assert one == pytest.approx(other, rel=0.1)
    assert (one == other) is not inside


def test_refuses_a_precision():
    with pytest.raises(ConfigError, match="R1: precision must be one of float32, autocast; got 'h"):
        R1(precision="half")


def test_r1_gradients_do_not_underflow_in_half_precision(tmp_path):
    networks = games.players()
    with torch.no_grad():
        for parameter in networks["discriminator"].parameters():
            parameter.mul_(1e-3)
    points = games.Points()
    model = games.game(**networks, regularizers={"r1": R1()})
    games.fit(model, tmp_path, precision="16-mixed", max_steps=1, logger=points)
    assert 0 < points.column("discriminator/r1")[0] < 1e-7


@pytest.mark.parametrize("precision", ["32-true", *MIXED])
def test_the_unscaled_gradient_is_clipped(tmp_path, precision):
    """With plain SGD at rate 1, a step is the clipped gradient itself."""
    model = games.game(
        generator_optimizer=games.SGD, discriminator_optimizer=games.SGD, clip_norm=1e-2
    )
    before = games.weights(model.generator), games.weights(model.discriminator)
    games.fit(model, tmp_path, precision=precision, max_steps=1)
    after = games.weights(model.generator), games.weights(model.discriminator)
    for player in (0, 1):
        step = difference(before[player], after[player]).norm().item()
        assert step == pytest.approx(1e-2, rel=1e-3)


def test_fused_optimizers_are_refused_where_they_would_clip_scaled_gradients(tmp_path):
    with pytest.raises(ConfigError, match=r"fused=true does not work with .*16-mixed"):
        games.fit(games.game(clip_norm=1e-2), tmp_path, precision="16-mixed", fused=True)


def test_the_logged_norm_is_unscaled(tmp_path):
    norms = []
    for precision in ("32-true", "16-mixed"):
        points = games.Points()
        games.fit(games.game(), tmp_path, precision=precision, max_steps=1, logger=points)
        norms.append(points.column("discriminator/gradient_norm")[0])
    assert norms[1] == pytest.approx(norms[0], rel=0.02)


def test_the_scaler_resumes_from_a_checkpoint(tmp_path):
    model = games.game()
    trainer = games.trainer_for(
        model, games.images(), tmp_path, [Checkpoints(3)], precision="16-mixed", max_steps=3
    )
    scaler_of(trainer).load_state_dict(scaler_of(trainer).state_dict() | {"scale": 2.0**9})
    trainer.fit(model, games.images())
    last = tmp_path / "checkpoints" / "last.ckpt"
    kept = AtomicCheckpointIO().load_checkpoint(last)["MixedPrecision"]
    assert kept["scale"] == 2.0**9
    assert kept["_growth_tracker"] == 6
    resumed = games.fit(
        games.game(), tmp_path, resume=last, callbacks=[Checkpoints(3)], precision="16-mixed"
    )
    assert scaler_of(resumed).get_scale() == 2.0**9
    assert scaler_of(resumed).state_dict()["_growth_tracker"] == 12


class Strong(NonsaturatingLoss):
    """D's loss is so large that its scaled gradients overflow where G's do not."""

    def discriminator(self, real_logits, fake_logits, noise=None):
        return super().discriminator(real_logits, fake_logits, noise) * 1e4


def test_an_overflow_in_one_player_leaves_the_others_step_right(tmp_path):
    """The scale is halved between the two: a step that used the old one would be half as long."""
    steps = {}
    for precision, rate in (("16-mixed", 1.0), ("32-true", 0.0)):
        model = games.game(
            loss=Strong(),
            generator_optimizer=partial(torch.optim.SGD, lr=1.0),
            discriminator_optimizer=partial(torch.optim.SGD, lr=rate),
        )
        before = games.weights(model.generator)
        discriminator = games.weights(model.discriminator)
        trainer = games.trainer_for(
            model, games.images(), tmp_path, precision=precision, max_steps=1
        )
        trainer.fit(model, games.images())
        games.assert_equal(
            discriminator, games.weights(model.discriminator)
        )  # no step: skipped, or rate 0
        steps[precision] = difference(before, games.weights(model.generator))
        if precision == "16-mixed":
            assert scaler_of(trainer).get_scale() == 2.0**15
        assert (trainer.global_step, model.iteration) == (1, 1)
    longer = steps["16-mixed"].norm() / steps["32-true"].norm()
    assert longer.item() == pytest.approx(1.0, abs=0.02)
    assert torch.cosine_similarity(*steps.values(), dim=0) > 0.999
