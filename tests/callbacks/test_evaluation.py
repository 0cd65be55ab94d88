import pytest
import torch
from lightning import LightningDataModule, LightningModule, Trainer
from torch.utils.data import DataLoader

from ganforge.callbacks.evaluation import Evaluation
from ganforge.errors import ConfigError
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.kernel import KernelDistance
from tests.metrics.stand_ins import Glance, Glances, Pictures, noise_images


class Data(Pictures, LightningDataModule):
    """Real images as the trainer's datamodule."""

    def __init__(self, images):
        LightningDataModule.__init__(self)
        Pictures.__init__(self, images)

    def train_dataloader(self):
        return DataLoader(torch.zeros(100, 1))


class Game(LightningModule):
    """Counts; its images drift from noise to gray and are random in (seed, index) alone."""

    seed = 3
    num_classes = 0

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.automatic_optimization = False
        self.points, self.asked, self.draws, self.labels = [], [], [], []

    @property
    def iteration(self):
        return self.trainer.global_step

    @property
    def images_seen(self):
        return 64 * self.iteration

    def sample(self, n, seed=0, weights="ema", start=0, labels=None):
        self.asked.append((n, start, weights))
        self.labels.append(labels)
        torch.randn(3)  # what must not be felt in training
        images = [
            torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(start + i + seed % 1000))
            for i in range(n)
        ]
        return (2 * torch.stack(images) - 1) / (1 + self.iteration)

    def publish(self, values):
        self.points.append((self.iteration, values))

    def training_step(self, batch, index):
        self.draws.append(torch.rand(1).item())
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.weight.square().sum())
        optimizer.step()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def metrics():
    return {"fid": FrechetDistance(), "kid": KernelDistance(3, 20), "is": InceptionScore(2)}


def evaluation(**changes):
    options = {"features": Glances(Glance()), "metrics": metrics(), "every_n_steps": 4, "n": 40}
    return Evaluation(**(options | {"batch_size": 16} | changes))


def fit(tmp_path, callback, steps=8, checkpoint=None, game=None):
    game = game or Game()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        logger=False,
        callbacks=[callback],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=tmp_path,
    )
    torch.manual_seed(0)
    data = Data(noise_images(60))
    trainer.fit(game, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return game, trainer


def test_steps_at_which_it_evaluates(tmp_path):
    def steps(**changes):
        callback = evaluation(**changes)
        game, _ = fit(tmp_path, callback)
        assert [point["step"] for point in callback.history] == [step for step, _ in game.points]
        return [step for step, _ in game.points]

    assert steps() == [4, 8]
    assert steps(every_n_steps=3) == [3, 6, 8]
    assert steps(every_n_steps=3, at_end=False) == [3, 6]
    assert steps(every_n_steps=0) == [8]
    assert steps(metrics={}) == []
    assert steps(features=Glances(None)) == []


def test_what_is_published_and_kept(tmp_path):
    callback = evaluation(weights="raw")
    game, _ = fit(tmp_path, callback)
    _, values = game.points[-1]
    assert list(values) == [
        "fid_glance",
        "kid_glance",
        "kid_glance_std",
        "is_glance",
        "is_glance_std",
    ]
    assert all(isinstance(value, float) for value in values.values())
    fid = callback.results["fid_glance"]
    assert fid["value"] == values["fid_glance"] == callback.history[-1]["fid_glance"]
    assert (fid["step"], fid["images_seen"], fid["weights"]) == (8, 512, "raw")
    assert (fid["n_fake"], fid["n_real"], fid["split"]) == (40, 40, "train")
    assert game.asked[:3] == [(16, 0, "raw"), (16, 16, "raw"), (8, 32, "raw")]
    assert callback.seconds_evaluating > 0
    assert not any("features" in name for name in game.state_dict())
    assert callback.features.built == 1


def test_training_draws_what_it_would_draw_without(tmp_path):
    without, _ = fit(tmp_path, evaluation(metrics={}))
    scored, _ = fit(tmp_path, evaluation(every_n_steps=1))
    assert scored.draws == without.draws


def test_the_same_generator_gets_the_same_scores(tmp_path):
    first, second = evaluation(), evaluation(batch_size=40)
    fit(tmp_path, first)
    fit(tmp_path, second)
    assert first.history == second.history


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("fid", [5.0, 3.0, 4.0, float("nan")], (3.0, 1)),
        ("is", [5.0, 3.0, 6.0, float("nan")], (6.0, 2)),
        (None, [float("nan"), 7.0, 7.0], (7.0, 1)),
    ],
)
def test_the_best_goes_the_way_of_the_monitored_score(tmp_path, monkeypatch, monitor, values, best):
    callback = evaluation(monitor=monitor, every_n_steps=1)
    score = type(callback.metrics[monitor or "fid"])
    told = iter(values)
    compute = score.compute
    monkeypatch.setattr(
        score, "compute", lambda self, seed: compute(self, seed)._replace(value=next(told))
    )
    fit(tmp_path, callback, steps=len(values))
    assert callback.monitored == f"{monitor or 'fid'}_glance"
    assert callback.best["value"] == best[0]
    assert callback.best["step"] == best[1] + 1
    assert callback.higher_is_better == (monitor == "is")


def test_a_resumed_run_repeats_no_evaluation_and_misses_none(tmp_path):
    whole = evaluation()
    fit(tmp_path, whole, steps=8)
    path = tmp_path / "kept.ckpt"
    _, trainer = fit(tmp_path, evaluation(), steps=4)
    trainer.save_checkpoint(path)
    resumed = evaluation()
    game, _ = fit(tmp_path, resumed, steps=8, checkpoint=path)
    assert [step for step, _ in game.points] == [8]
    assert resumed.history == whole.history
    assert resumed.best == whole.best
    # Killed between the checkpoint of step 4 and its evaluation.
    _, trainer = fit(tmp_path, evaluation(every_n_steps=100, at_end=False), steps=4)
    trainer.save_checkpoint(path)
    resumed = evaluation()
    fit(tmp_path, resumed, steps=8, checkpoint=path)
    assert resumed.history == whole.history


def test_a_finished_run_that_is_resumed_evaluates_no_more(tmp_path):
    _, trainer = fit(tmp_path, evaluation())
    trainer.save_checkpoint(tmp_path / "kept.ckpt")
    game, _ = fit(tmp_path, evaluation(), checkpoint=tmp_path / "kept.ckpt")
    assert game.points == []


def test_state_survives_a_file_of_plain_values(tmp_path):
    callback = evaluation()
    fit(tmp_path, callback)
    torch.save(callback.state_dict(), tmp_path / "state.pt")
    other = evaluation()
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert other.state_dict() == callback.state_dict()
    assert other.results.keys() == callback.results.keys()


def test_a_trainer_without_data_is_refused():
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(ConfigError, match="data module"):
        evaluation().setup(trainer, Game(), "fit")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"every_n_steps": -1}, "every_n_steps must be at least 0, got -1"),
        ({"n": 1}, "n must be at least 2, got 1"),
        ({"n_real": 1}, "n_real must be at least 2, got 1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"split": "val"}, "split must be one of train, test, got 'val'"),
        ({"weights": "best"}, "weights must be one of ema, raw, got 'best'"),
        ({"monitor": "fidd"}, "monitor must be one of fid, kid, is, got 'fidd'"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        evaluation(**changes)


def test_conditional_models_are_sampled_in_all_classes(tmp_path):
    game = Game()
    game.num_classes = 3
    callback = evaluation(every_n_steps=0, batch_size=16)
    fit(tmp_path, callback, game=game)
    asked = torch.cat(game.labels)
    assert torch.equal(asked, torch.arange(40) % 3)
    assert {result["labels"] for result in callback.results.values()} == {"balanced"}


def test_classes_as_in_unlabelled_data_are_refused(tmp_path):
    game = Game()
    game.num_classes = 3
    with pytest.raises(ConfigError, match="the data have 0 classes and the model 3"):
        fit(tmp_path, evaluation(labels="data"), game=game)
