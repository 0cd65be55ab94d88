from __future__ import annotations

import copy
import pickle

import pytest
import torch

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError
from ganforge.losses.nonsaturating import NonsaturatingLoss
from ganforge.losses.relativistic import RelativisticLoss
from ganforge.losses.wasserstein import WassersteinLoss
from ganforge.regularizers.regularizer import Regularizer
from ganforge.regularizers.zero_centered import R1
from ganforge.streams import Noise
from tests.support import games


class Recorded(RelativisticLoss):
    """Keeps the logits that the generator's loss is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[torch.Tensor, torch.Tensor | None]] = []

    def generator(self, fake_logits, real_logits=None):
        self.given.append((fake_logits.detach(), real_logits))
        return super().generator(fake_logits, real_logits)


def test_a_paired_loss_gets_the_logits_of_the_last_reals(tmp_path):
    loss = Recorded()
    augmented: list[torch.Tensor] = []
    model = games.game(loss=loss, critic_steps=2)
    model.discriminator.register_forward_hook(
        lambda module, inputs, output: augmented.append(inputs[0].detach().clone())
    )
    games.fit(model, tmp_path, max_steps=1)
    # real, fake | real, fake | fake, real
    assert torch.equal(augmented[5], augmented[2])
    assert not torch.equal(augmented[5], augmented[0])
    ((fake, real),) = loss.given
    assert real is not None
    assert fake.shape == real.shape == (games.BATCH,)


def test_an_unpaired_loss_costs_no_forward_pass_of_reals(tmp_path):
    calls: list[int] = []
    model = games.game()
    model.discriminator.register_forward_hook(lambda *_: calls.append(1))
    games.fit(model, tmp_path, max_steps=1)
    assert len(calls) == 3


def test_discriminator_and_generator_never_share_latents(tmp_path):
    latents: list[torch.Tensor] = []
    model = games.game(critic_steps=3)
    model.generator.register_forward_hook(
        lambda module, inputs, output: latents.append(inputs[0].detach().clone())
    )
    games.fit(model, tmp_path, max_steps=2)
    assert len(latents) == 8
    assert len({tuple(z.flatten().tolist()) for z in latents}) == 8


def test_reals_fakes_and_penalties_are_augmented_alike(tmp_path):
    class Brighter(Augmentation):
        def forward(self, images, noise):
            return images + 10

    seen: list[float] = []

    class Spy(Regularizer):
        def penalty(self, critic, real, fake, noise):
            seen.extend([float(real.mean()), float(fake.mean())])

    means: list[float] = []
    model = games.game(augment=Brighter(), regularizers={"spy": Spy()})
    model.discriminator.register_forward_hook(
        lambda module, inputs, output: means.append(float(inputs[0].mean()))
    )
    games.fit(model, tmp_path, max_steps=1)
    assert len(means) == 3
    assert all(9 < mean < 11 for mean in means)
    assert len(seen) == 2
    assert all(9 < mean < 11 for mean in seen)


def test_a_lazy_term_is_due_at_every_nth_update_of_the_run(tmp_path):
    """Counted over critic steps, not within one step of the game."""
    due: list[int] = []

    class Lazy(Regularizer):
        def penalty(self, critic, real, fake, noise):
            due.append(model._updates["discriminator"])
            return critic(real).square().mean()

    model = games.game(regularizers={"lazy": Lazy(every=4)}, critic_steps=3)
    games.fit(model, tmp_path, max_steps=4)
    assert due == [0, 4, 8]


def test_a_term_of_the_generator_is_added_to_its_loss_alone(tmp_path):
    points = games.Points()

    class Brightness(Regularizer):
        player = "generator"

        def penalty(self, critic, real, fake, noise):
            return fake.square().mean() * 0 + 7.0

    model = games.game(regularizers={"brightness": Brightness(weight=100.0)})
    games.fit(model, tmp_path, max_steps=1, logger=points)
    values = points.points[0][1]
    assert values["generator/brightness"] == 7
    assert values["generator/loss"] > 700
    assert values["discriminator/loss"] < 10


def test_a_regularizer_set_to_null_is_left_out():
    assert not games.game(regularizers={"r1": None}).regularizers


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (NonsaturatingLoss(), {"real": 0.5, "fake": 0.75}),  # boundary 0
        (WassersteinLoss(), {"real": 0.75, "fake": 0.5}),  # against the other side's mean
    ],
)
def test_accuracies_count_what_is_on_the_right_side(loss, expected):
    model, values = games.game(loss=loss), {}
    logits = iter([[2.0, 1.0, -1.0, -8.0], [-4.0, -1.0, -8.0, 0.5]])
    model.discriminator.forward = lambda images: torch.tensor(next(logits))
    batch, noise = {"image": torch.zeros(4, 1, 8, 8)}, Noise(0, 4)
    update = games.update("discriminator", batch, noise, values)
    model.discriminator_loss(update)
    for side, share in expected.items():
        assert values[f"discriminator/{side}_accuracy"] == share
    assert values["discriminator/real_logit"] == -1.5


def test_losses_get_float32_logits_in_half_precision(tmp_path):
    dtypes: set[torch.dtype] = set()

    class Typed(NonsaturatingLoss):
        def discriminator(self, real_logits, fake_logits, noise=None):
            dtypes.update({real_logits.dtype, fake_logits.dtype})
            return super().discriminator(real_logits, fake_logits, noise)

    games.fit(games.game(loss=Typed()), tmp_path, max_steps=1, precision="bf16-mixed")
    assert dtypes == {torch.float32}


@pytest.mark.parametrize("regularizers", [{}, {"r1": R1(1.0)}])
def test_one_pass_over_reals_and_fakes_makes_the_same_update(tmp_path, regularizers):
    def trained(joint: bool) -> tuple[dict[str, torch.Tensor], list[int]]:
        model = games.game(joint=joint, regularizers=regularizers)
        rows: list[int] = []
        model.discriminator.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
        games.fit(model, tmp_path, max_steps=2)
        return games.weights(model), rows

    (apart, separate), (together, joint) = trained(False), trained(True)
    games.assert_close(together, apart, atol=1e-5)
    assert joint.count(2 * games.BATCH) == 2
    assert len(joint) == len(separate) - 2


def test_one_pass_is_refused_where_a_layer_would_compare_reals_with_fakes():
    with pytest.raises(ConfigError, match=r"joint=true.*BatchNorm2d \(.*joint=false"):
        games.game(joint=True, **games.convolutional_players("batch"))


def test_the_critic_is_kept_while_its_parts_stay():
    model = games.game(regularizers={"r1": R1(1.0)})
    critic = model.critic
    assert model.critic is critic
    model.regularizers["second"] = R1(2.0)
    assert list(model.critic.regularizers.items())[1][1].weight == 2.0
    for name, part in {
        "generator": games.players()["generator"],
        "discriminator": games.players()["discriminator"],
        "loss": WassersteinLoss(),
        "augment": Augmentation(),
        "packing": 2,
        "joint": True,
    }.items():
        setattr(model, name, part)
        assert getattr(model.critic, name) is part
    model.regularizers = torch.nn.ModuleDict()
    assert not model.critic.regularizers


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_has_a_critic_of_its_own(copied):
    model = games.game(regularizers={"r1": R1(1.0)})
    assert model.critic.discriminator is model.discriminator
    other = copied(model)
    assert other.discriminator is not model.discriminator
    assert other.critic.discriminator is other.discriminator
    assert other.critic.generator is other.generator
    assert other.critic.regularizers["r1"] is other.regularizers["r1"]
    assert model.critic.discriminator is model.discriminator
