from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from PIL import Image

from ganforge.callbacks.pictures.grid import picture
from ganforge.callbacks.samples import Samples
from ganforge.errors import ConfigError
from tests.callbacks.albums import Album, grids, names


class Toy(LightningModule):
    """A game whose images depend on the seed, the weights and the step."""

    num_classes = 0

    @property
    def images_seen(self) -> int:
        return 10 * self.iteration

    def __init__(self, iteration: int = 0) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.iteration = iteration
        self.asked: list[tuple[int, int, int, str]] = []
        self.labels: list[torch.Tensor | None] = []

    def sample(self, n, seed=0, weights="ema", start=0, labels=None):
        self.asked.append((self.iteration, n, seed, weights))
        self.labels.append(labels)
        return made(self.iteration, n)

    def training_step(self, batch, batch_idx):
        self.iteration += 1
        return self.layer(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def made(step: int, n: int) -> torch.Tensor:
    values = torch.linspace(-1, 1, n * 3 * 16).view(n, 3, 4, 4)
    return values * (step + 1) / 20


class Data(LightningDataModule):
    num_classes = 0

    def __init__(self, held: int = 100) -> None:
        super().__init__()
        self.held = held

    def size(self, split="train"):
        return self.held

    def reals(self, n, split="train", start=0):
        assert n <= self.held
        return torch.full((n, 1, 8, 8), 200, dtype=torch.uint8), None

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(100, 1))


def fit(tmp_path, samples, steps=7, game=None, data=None) -> SimpleNamespace:
    album, game = Album(), game or Toy()
    trainer = Trainer(
        max_steps=steps,
        callbacks=[samples],
        logger=album,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(game, datamodule=data or Data())
    return SimpleNamespace(album=album, game=game, names=names(tmp_path))


def test_grids_at_the_start_in_between_and_at_the_end(tmp_path):
    done = fit(tmp_path, Samples(every_n_steps=3, count=9, seed=5, weights="raw"))
    assert done.names == ["reals.png", *grids(0, 3, 6, 7), "training.gif"]
    assert done.game.asked == [(step, 9, 5, "raw") for step in (0, 3, 6, 7)]
    assert done.album.images_seen == [0, 0, 30, 60, 70]
    for step in (0, 3, 6, 7):
        with Image.open(tmp_path / "samples" / f"step_{step:07d}.png") as decoded:
            assert decoded.tobytes() == picture(made(step, 9)).tobytes()
    with Image.open(tmp_path / "samples" / "training.gif") as gif:
        assert gif.n_frames == 4


def test_loggers_get_what_the_files_show(tmp_path):
    done = fit(tmp_path, Samples(every_n_steps=7, count=4))
    assert [(name, step) for name, step, _ in done.album.pictures] == [
        ("reals", 0),
        ("samples", 0),
        ("samples", 7),
    ]
    assert done.album.pictures[2][2] == picture(made(7, 4)).tobytes()


def test_a_last_step_that_has_its_grid_gets_no_second(tmp_path):
    done = fit(tmp_path, Samples(every_n_steps=3, count=4, gif=False, include_start=False), steps=6)
    assert done.names == ["reals.png", *grids(3, 6)]
    assert [step for step, *_ in done.game.asked] == [3, 6]


def test_reals_are_as_many_as_there_are(tmp_path):
    fit(tmp_path, Samples(every_n_steps=3, count=64), data=Data(held=1))
    with Image.open(tmp_path / "samples" / "reals.png") as decoded:
        assert decoded.size == (68, 68)
        assert np.asarray(decoded)[2:-2, 2:-2].min() == 200


def test_a_resumed_run_deletes_later_grids_and_continues(tmp_path):
    whole = fit(tmp_path / "whole", Samples(every_n_steps=2, count=4), steps=7)
    fit(tmp_path / "killed", Samples(every_n_steps=2, count=4), steps=5)
    resumed = fit(tmp_path / "killed", Samples(2, count=4), steps=4, game=Toy(iteration=3))
    assert [step for step, *_ in resumed.game.asked] == [4, 6, 7]
    assert resumed.names == whole.names
    for name in whole.names:
        same = [(tmp_path / run / "samples" / name).read_bytes() for run in ("whole", "killed")]
        assert same[0] == same[1]


def test_an_interrupted_run_has_its_film(tmp_path):
    class Interrupted(Toy):
        def training_step(self, batch, batch_idx):
            if self.iteration == 5:
                raise KeyboardInterrupt
            return super().training_step(batch, batch_idx)

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(tmp_path, Samples(every_n_steps=2, count=4), game=Interrupted())
    assert names(tmp_path) == ["reals.png", *grids(0, 2, 4), "training.gif"]


def test_no_random_number_is_drawn(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(3)
    samples, game = Samples(every_n_steps=1, count=4), Toy()
    trainer = SimpleNamespace(
        is_global_zero=True, loggers=[], datamodule=Data(), default_root_dir=str(tmp_path)
    )
    trainer.lightning_module = game
    torch.manual_seed(3)
    samples.on_train_start(trainer, game)
    samples.on_train_batch_end(trainer, game, None, None, 0)
    samples.on_train_end(trainer, game)
    assert torch.equal(torch.rand(3), expected)


def test_every_process_samples_and_only_the_first_writes(tmp_path):
    samples, game = Samples(every_n_steps=1, count=4), Toy()
    trainer = SimpleNamespace(
        is_global_zero=False, loggers=[], datamodule=Data(), default_root_dir=str(tmp_path)
    )
    trainer.lightning_module = game
    samples.on_train_start(trainer, game)
    game.iteration = 1
    samples.on_train_batch_end(trainer, game, None, None, 0)
    samples.on_train_end(trainer, game)
    assert [step for step, *_ in game.asked] == [0, 1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [{"every_n_steps": 0}, {"every_n_steps": 1, "count": 0}, {"every_n_steps": 1, "weights": "x"}],
)
def test_bad_arguments_are_named(arguments):
    with pytest.raises(ConfigError, match=list(arguments)[-1]):
        Samples(**arguments)


class Labelled(Data):
    """Real images of a gray that tells their label, i % 3."""

    num_classes = 3

    def reals(self, n, split="train", start=0):
        labels = torch.arange(n) % 3
        return (labels.to(torch.uint8) * 50).view(-1, 1, 1, 1).expand(-1, 1, 8, 8), labels


def test_classes_have_a_row_each_and_reals_too(tmp_path):
    game = Toy()
    game.num_classes = 3
    done = fit(tmp_path, Samples(every_n_steps=7, count=7), game=game, data=Labelled())
    assert [labels.tolist() for labels in game.labels] == [[0, 1, 2, 0, 1, 2]] * 2
    assert all(n == 6 for _, n, *_ in game.asked)
    for name in ("reals.png", *grids(0, 7)):
        with Image.open(tmp_path / "samples" / name) as shown:
            assert shown.size == (2 * 66 + 2, 3 * 66 + 2)
    with Image.open(tmp_path / "samples" / "reals.png") as shown:
        assert [shown.getpixel((10, 10 + 66 * row)) for row in range(3)] == [0, 50, 100]
    assert done.names[-1] == "training.gif"


def test_no_more_than_sixteen_classes_are_shown(tmp_path):
    game = Toy()
    game.num_classes = 100
    fit(tmp_path, Samples(every_n_steps=7, count=10), game=game)
    assert game.labels[0].tolist() == list(range(16))
