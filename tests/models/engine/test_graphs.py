"""Updates that are recorded and replayed, against the same updates as they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

from ganforge.augment.ada import ADA
from ganforge.augment.instance_noise import InstanceNoise
from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.compute.hardware import Hardware, TrainerSettings
from ganforge.compute.recording import resolved_graphs
from ganforge.errors import ConfigError
from ganforge.losses.hinge import HingeLoss
from ganforge.losses.wasserstein import WassersteinLoss
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.graphs import Inputs, UpdateGraph
from ganforge.models.engine.optimizers import clipped
from ganforge.models.engine.progressive import Growth
from ganforge.models.engine.recorders import Outcome
from ganforge.models.engine.update import Update
from ganforge.models.sngan import SNGAN
from ganforge.networks.layers.spectral_norm import normalize_weight
from ganforge.regularizers.gradient_penalty import GradientPenalty
from ganforge.regularizers.lecam import LeCam
from ganforge.regularizers.regularizer import Regularizer
from ganforge.regularizers.top_k import TopK
from ganforge.regularizers.zero_centered import R1
from ganforge.schedules import LinearDecay
from ganforge.streams import Noise
from tests.support import games, growing, styled, translations
from tests.support.tape import Tape

SEEN = 8 * games.BATCH  # images after which half of a test's steps are over


class Reading(Regularizer):
    """Drift of the logits, with a look at their value."""

    second_order = False

    def penalty(self, critic, real, fake, noise):
        logits = critic(real)
        return logits.square().mean() if logits.mean().item() > -100 else None


class Following(Callback):
    """Counts backward passes."""

    def __init__(self) -> None:
        self.passes = 0

    def on_before_backward(self, trainer, pl_module, loss) -> None:
        self.passes += 1


class Fading(InstanceNoise):
    """Noise that gets weaker, by a number that no graph knows of."""

    def adjust(self, images, images_seen, mean) -> None:
        self.scale *= 0.9


class Looking(Callback):
    """Looks at gradients, images and the state of the model between updates."""

    def __init__(self) -> None:
        self.norms: list[float] = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        self.norms.append(float(clipped(optimizer, None)))

    def on_train_batch_end(self, trainer, pl_module, *_) -> None:
        self.norms.append(float(pl_module.sample(2).norm()))


def reading() -> AdversarialModule:
    """The drift is read after LeCam has measured."""
    return games.game(regularizers={"lecam": LeCam(), "reading": Reading(0.1)})


def fading() -> AdversarialModule:
    return games.game(augment=Fading())


def plain() -> AdversarialModule:
    return games.game()


def parts_and_statistics() -> AdversarialModule:
    return games.game(
        **games.convolutional_players("batch"), accumulate=2, clip_norm=0.5, critic_steps=2
    )


def penalty() -> AdversarialModule:
    return games.game(
        loss=WassersteinLoss(),
        regularizers={"gradient_penalty": GradientPenalty()},
        critic_steps=2,
        generator_schedule=LinearDecay(20),
        discriminator_schedule=LinearDecay(20),
    )


def schedules() -> AdversarialModule:
    terms: dict[str, Regularizer] = {
        "r1": R1(1.0, final_weight=0.1, decay_images=100),
        "top_k": TopK(gamma=0.6, every_images=3 * games.BATCH),
        "lecam": LeCam(start_images=SEEN),
    }
    return games.game(regularizers=terms)


def adaptive() -> AdversarialModule:
    augment = ADA(p=0.2, target=0.0, speed=200, every=2)
    return games.game(**games.convolutional_players(), augment=augment)


def normalized() -> AdversarialModule:
    players = games.convolutional_players()
    for layer in players["discriminator"].modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            normalize_weight(layer)
    return games.game(SNGAN, **players, loss=HingeLoss())


def lazy() -> AdversarialModule:
    return styled.lazy()


def grown() -> AdversarialModule:
    """Fades to 8x8 from the third to the ninth step, and stays there."""
    return growing.game(Growth(16, stable_images=2 * games.BATCH, fade_images=7 * games.BATCH))


def dropout() -> AdversarialModule:
    return translations.pix2pix("batch", dropout=0.5)


def pools() -> AdversarialModule:
    return translations.cyclegan()


# Games, the data of each, and whether the default tests have it.
CASES: dict[str, tuple[Callable[[], AdversarialModule], Callable[[], Any], bool]] = {
    "plain": (plain, games.images, True),
    "parts_and_statistics": (parts_and_statistics, lambda: games.images(16), True),
    "penalty": (penalty, games.images, True),
    "schedules": (schedules, games.images, True),
    "adaptive": (adaptive, lambda: games.images(16), False),
    "normalized": (normalized, lambda: games.images(16), True),
    "lazy": (lazy, lambda: games.images(16), True),
    "grown": (grown, lambda: games.images(16), False),
    "dropout": (dropout, translations.TinyPairs, False),
    "pools": (pools, translations.TinyDomains, False),
    "reading": (reading, games.images, True),
    "fading": (fading, games.images, True),
}


def trained(
    name: str, folder, tape: Tape | None, steps: int = 16, **settings: Any
) -> tuple[dict[str, Tensor], list[tuple[int | None, dict[str, float]]]]:
    """Weights, and logged values without times, after a training; every fifth step is logged."""
    make, data, _ = CASES[name]
    model, points = make(), games.Points()
    model.recording = tape is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganforge.models.engine.adversarial.CudaRecorder", lambda device: tape)
        settings = {"max_steps": steps, "log_every_n_steps": 5} | settings
        games.fit(model, folder, data(), logger=points, **settings)
    logged = [
        (step, {key: value for key, value in values.items() if "second" not in key})
        for step, values in points.points
    ]
    return games.weights(model), logged


REPLAYED = [
    name if kept else pytest.param(name, marks=pytest.mark.slow)
    for name, (*_, kept) in CASES.items()
    if name not in ("reading", "fading")
]


@pytest.mark.parametrize("name", REPLAYED)
def test_replayed_updates_are_those_of_the_program(tmp_path, name):
    tape = Tape()
    as_written, expected = trained(name, tmp_path / "plain", None)
    replayed, logged = trained(name, tmp_path / "taped", tape)
    assert tape.replays >= 4
    games.assert_equal(replayed, as_written)
    assert logged == expected


def test_an_update_that_reads_a_value_goes_on_as_it_is_written(tmp_path, caplog):
    tape = Tape()
    as_written, expected = trained("reading", tmp_path / "plain", None)
    replayed, logged = trained("reading", tmp_path / "taped", tape)
    games.assert_equal(replayed, as_written)
    assert logged == expected
    (warning,) = [text for text in caplog.messages if "CUDA graph" in text]
    assert "updates of the discriminator cannot be recorded" in warning
    assert "not permitted" in warning
    # Of 16 updates of the generator 3 are rehearsed and 3 logged.
    assert tape.replays == 16 - 3 - 3


def test_parts_that_change_without_telling_are_not_recorded(tmp_path):
    tape = Tape()
    as_written, _ = trained("fading", tmp_path / "plain", None, steps=6)
    replayed, _ = trained("fading", tmp_path / "taped", tape, steps=6)
    games.assert_equal(replayed, as_written)
    assert tape.replays == 0


def test_callbacks_see_the_gradients_and_images_of_the_program(tmp_path):
    seen = [Looking(), Looking()]
    tape = Tape()
    trained("parts_and_statistics", tmp_path / "plain", None, steps=8, callbacks=[seen[0]])
    trained("parts_and_statistics", tmp_path / "taped", tape, steps=8, callbacks=[seen[1]])
    assert tape.replays >= 4
    assert len(seen[0].norms) == 8 * 4  # three updates and the images of each step
    assert seen[0].norms == seen[1].norms


def test_a_recording_with_other_draws_than_before_is_refused(tmp_path, caplog):
    model = games.game()
    inputs, rehearsed = Inputs(), model.latents
    noise = Noise(3, 4)
    update = games.update("generator", {"image": torch.zeros(4, 1, 8, 8)}, noise)

    def passes(update: Update) -> Outcome:
        return Outcome(rehearsed(update.noise).sum(), {})

    def further(update: Update) -> Outcome:
        return Outcome(rehearsed(update.noise.fork()).sum(), {})

    passes(inputs.rehearsing(update))
    assert inputs.paths == [()]
    assert (
        UpdateGraph(Tape(), passes, update, inputs, []).replay(update).loss == passes(update).loss
    )
    with pytest.raises(RuntimeError, match="other random numbers"):
        UpdateGraph(Tape(), further, update, inputs, [])


def test_callbacks_that_follow_backward_passes_see_all_of_them(tmp_path):
    tape, following = Tape(), Following()
    trained("plain", tmp_path, tape, callbacks=[following])
    assert following.passes == 2 * 16
    assert tape.replays == 0


@pytest.mark.slow
def test_a_resumed_run_is_replayed_alike(tmp_path):
    whole, _ = trained("lazy", tmp_path / "whole", Tape(), steps=12)
    saving = [Checkpoints(every_n_steps=6)]
    trained("lazy", tmp_path / "half", Tape(), steps=6, callbacks=saving)
    (saved,) = (tmp_path / "half").rglob("last.ckpt")
    resumed, _ = trained("lazy", tmp_path / "half", Tape(), steps=12, resume=saved)
    games.assert_equal(resumed, whole)


def hardware(accelerator: str = "cuda", devices: int = 1) -> Hardware:
    return Hardware(accelerator, devices, "bf16-mixed", True, True, "as requested")


def test_auto_records_where_it_is_possible(monkeypatch):
    monkeypatch.setattr("ganforge.compute.recording.recovers", lambda: True)
    auto = TrainerSettings(cuda_graphs="auto")
    assert resolved_graphs(auto, hardware())
    assert not resolved_graphs(auto, hardware("cpu"))
    assert not resolved_graphs(TrainerSettings(), hardware())
    exchanging = TrainerSettings(cuda_graphs="auto", sync_batchnorm=True)
    assert resolved_graphs(exchanging, hardware())
    assert not resolved_graphs(exchanging, hardware(devices=2))
    monkeypatch.setattr("ganforge.compute.recording.recovers", lambda: False)
    assert not resolved_graphs(auto, hardware())
    assert resolved_graphs(TrainerSettings(cuda_graphs=True), hardware())


@pytest.mark.parametrize(
    ("settings", "where", "reason"),
    [
        ({}, hardware("cpu"), "trains on cpu"),
        ({"sync_batchnorm": True}, hardware(devices=2), "sync_batchnorm"),
        ({"detect_anomaly": True}, hardware(), "detect_anomaly"),
        ({"log_every_n_steps": 1}, hardware(), "logs every step"),
    ],
)
def test_graphs_that_are_impossible_are_refused(settings, where, reason):
    wanted = TrainerSettings(cuda_graphs=True, **settings)
    with pytest.raises(ConfigError, match=rf"{reason}.*trainer.cuda_graphs=false, or auto"):
        resolved_graphs(wanted, where)
