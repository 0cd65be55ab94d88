from __future__ import annotations

import torch
from lightning import LightningDataModule, LightningModule, Trainer
from torch.utils.data import DataLoader

from tests.metrics.translation_stand_ins import Domains


class Data(Domains, LightningDataModule):
    """Two domains as the trainer's datamodule."""

    def __init__(self, *arguments, **options):
        LightningDataModule.__init__(self)
        Domains.__init__(self, *arguments, **options)

    def train_dataloader(self):
        return DataLoader(torch.zeros(100, 1))


class Game(LightningModule):
    """Counts; adds half of an offset in the first step, a quarter after the second and so on."""

    seed, num_classes = 3, 0
    needs = frozenset({"inputs"})

    def __init__(self, directions=("AtoB",), offset=0.4, channels=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.automatic_optimization = False
        self.directions, self.offset, self.channels = directions, offset, channels
        self.points, self.draws, self.asked = [], [], []
        self.iteration = 0

    @property
    def images_seen(self):
        return 2 * self.iteration

    def translate(self, inputs, direction=None, weights="ema", seed=0, start=0):
        self.asked.append((direction, len(inputs), start, weights, seed))
        torch.randn(3)  # what must not be felt in training
        made = (inputs + self.offset / 2**self.iteration).clamp(-1, 1)
        return made if self.channels is None else made.expand(-1, self.channels, -1, -1)

    def publish(self, values):
        self.points.append((self.iteration, values))

    def training_step(self, batch, index):
        self.draws.append(torch.rand(1).item())
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.weight.square().sum())
        optimizer.step()
        self.iteration += 1

    def on_save_checkpoint(self, checkpoint):
        checkpoint["iteration"] = self.iteration

    def on_load_checkpoint(self, checkpoint):
        self.iteration = checkpoint["iteration"]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(tmp_path, callback, data, game=None, steps=4, checkpoint=None, logger=False):
    game = game or Game()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        logger=logger,
        callbacks=[callback],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=tmp_path,
    )
    torch.manual_seed(0)
    trainer.fit(game, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return game, trainer
