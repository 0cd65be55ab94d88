"""Typical mistakes of users: each gives one clear message and creates no files."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision import datasets

import ganforge
from ganforge.commands.train import train as training
from ganforge.config.compose import compose_config
from ganforge.models.gan import GAN

SHAPE = ["data.batch_size=4", "data.image_size=16", "data.channels=1"]
FAKE = ["data=fake", "data.size=16", *SHAPE]
MLP = [
    "model=gan",
    "network=mlp",
    "network.generator.hidden=[8]",
    "network.discriminator.hidden=[8]",
]
DCGAN = ["network.generator.width=2", "network.discriminator.width=2"]
RUN = [
    "trainer=cpu",
    "trainer.precision=32-true",
    "trainer.max_steps=2",
    "metrics=[]",
    "logger=csv",
    "callbacks.samples.count=4",
]


def train(*overrides: str) -> list[str]:
    return ["train", *FAKE, *MLP, *RUN, *overrides]


def left(folder: Path) -> list[Path]:
    """Returns the files that a command created, except empty root folders."""
    return sorted(p for p in folder.rglob("*") if p.is_file() or p.name not in ("logs", "train"))


def assert_clear(typed, code: int, *parts: str) -> None:
    assert typed.code == code, typed.err
    assert "Traceback" not in typed.err
    assert "GANFORGE_DEBUG" not in typed.err  # this hint is only for internal errors
    before, said, message = typed.err.partition("ganforge: ")
    assert said, typed.err
    assert all(LOGGED.match(line) for line in before.splitlines()), before
    assert "ganforge: " not in message
    for part in parts:
        assert part in message, message


LOGGED = re.compile(r"\d\d:\d\d:\d\d  |  ")


# ---------------------------------------------------------------------- command line

KEYS = [
    (["modle=gan"], "modle: no such key; did you mean 'model'?"),
    (["+modle=gan"], "modle: did you mean 'model'? legal: seed"),
    (["++learning_rate=1"], "learning_rate: legal: seed"),
    (["trainer.max_epochs=3"], "trainer.max_epochs: no such key; ", "legal: max_steps"),
    (["optimizer.lr=3"], "optimizer.lr: no such key; legal: generator, discriminator"),
    (["optimizer.generator.learn=3"], "optimizer.generator.learn: no such key; legal: lr, betas"),
    (["seed.value=3"], "seed.value=3", "could not be converted to Integer"),
    (["data.name.first=x"], "data.name.first: data.name has no keys of its own"),
    (
        ["hydra/launcher=local_processes", "hydra.launcher.jobs=4"],
        "hydra.launcher.jobs: hydra/launcher=local_processes has no such key; legal: parallel",
    ),
    (
        ["hydra.launcher.job=4"],
        "hydra.launcher.job: hydra/launcher=auto has no such key; did you mean 'jobs'? legal: jobs",
    ),
    (["hydra.job.env_set.X=1"], "hydra.job.env_set.X: Hydra has no such key; +hydra.job"),
    (["batch_size=64"], "batch_size: no such key; did you mean 'data.batch_size'"),
    (["+lr=3"], "lr: did you mean 'optimizer.generator.lr' or 'optimizer.discriminator.lr'?"),
    (
        ["data.cache=perhaps"],
        "data.cache: data=fake has no such key, unlike data=celeba, cityscapes",
        "legal: size, name, image_size",
    ),
    (["nowhere.at.all=3"], "nowhere: no such key; legal: seed"),
    (["+trainer.max_epochs=3"], "TrainerSettings takes no 'max_epochs'"),
    (["+network.widht=3"], "network.widht: is not passed to any constructor"),
    (["~data.nothing"], "'data.nothing' does not exist"),
    (["steps"], "'steps' is not of the form KEY=VALUE"),
    (["=3"], "'=3' is not of the form KEY=VALUE"),
    (["+seed=3"], "An item is already at 'seed'"),
]
OPTIONS = [
    (["model=gann"], "model=gann: no such option; did you mean 'gan'? legal: acgan, biggan"),
    (["data=mnits"], "data=mnits: no such option; did you mean 'mnist'?"),
    (["loss=hing"], "did you mean 'hinge'?"),
    (["regularizer=[nope]"], "regularizer=nope: no such option; legal: balanced_consistency"),
    (
        ["metrics=[fdi]"],
        "metrics=fdi: no such option; did you mean 'fid'? legal: classification_accuracy",
    ),
    (["logger=tensorbord"], "did you mean 'tensorboard'?"),
    (["trainer=tpu"], "trainer=tpu: no such option", "legal: auto, cpu, ddp, ddp_cpu, gpu"),
    (["experiment=mnist/dgcan"], "did you mean 'mnist/dcgan'?"),
    (["experiment=nowhere"], "experiment=nowhere: no such option; legal: celeba/dcgan"),
    (["debug=fst"], "did you mean 'fast'? legal: fast, overfit, profile"),
    (["loss=null"], "loss=null: not an option's name; legal: hinge"),
    (["loss=3"], "loss=3: not an option's name; legal: hinge"),
    (["model="], "model=: no such option; legal: acgan, biggan"),
    (["seed=1,2"], "seed=1,2: several values start a sweep: add -m"),
]
TYPES = [
    (["seed=abc"], "seed: must be a whole number, got 'abc'"),
    (["dry_run=perhaps"], "dry_run: must be true or false, got 'perhaps'"),
    (["data.batch_size=eight"], "data.batch_size: must be a whole number, got 'eight'"),
    (["trainer.max_steps="], "trainer.max_steps: must be a whole number, got ''"),
    (["optimizer.generator.lr=abc"], "optimizer.generator.lr: must be a number", "got 'abc'"),
    (["network.generator.hidden=8"], "must be a list, each a whole number, got 8"),
    (["network.generator.hidden=[8,a]"], "must be a list, each a whole number, got [8, 'a']"),
    (["model.loss=3"], "model.loss: must be AdversarialLoss, got 3"),
    (["~loss"], "model.loss: must be AdversarialLoss"),
    (["logger=wandb", "logger.wandb.mode=never"], "must be one of auto, online, offline"),
    (["network.generator.latent_dim=${nowhere}"], "Interpolation key 'nowhere' not found"),
    (
        ["trainer.max_steps=x", "+loss.y=1", "optimizer.generator.lr=z"],
        "3 faults in the configuration:",
        "trainer.max_steps: ",
        "loss.y: ",
        "optimizer.generator.lr: ",
    ),
]
VALUES = [
    (["optimizer.generator.lr=-1"], "optimizer: Invalid learning rate: -1"),
    (["optimizer.discriminator.betas=[0.5,1.5]"], "optimizer: Invalid beta parameter"),
    (["data.batch_size=0"], "batch_size must be an integer of at least 1, got 0"),
    (["data.workers=-1"], "workers must be an integer of at least 0, got -1"),
    (["data.image_size=0"], "image_size must be an integer of at least 1, got 0"),
    (["data.channels=5"], "channels must be 1, 2, 3 or 4, got 5"),
    (["data.max_images=1"], "max_images must be an integer of at least 2, got 1"),
    (["network.generator.latent_dim=0"], "latent_dim must be at least 1, got 0"),
    (["network.generator.hidden=[]"], "hidden must list widths of at least 1, got []"),
    (["loss.real_label=2"], "real_label must be in (0.5, 1], got 2"),
    (["regularizer=[r1]", "regularizer.r1.weight=-1"], "weight", "got -1"),
    (["regularizer=[r1]", "regularizer.r1.every=0"], "every", "got 0"),
    (["model.critic_steps=0"], "model.critic_steps must be at least 1, got 0"),
    (["model.accumulate=0"], "model.accumulate must be at least 1, got 0"),
    (["model.clip_norm=-1"], "model.clip_norm must be above 0 or null, got -1"),
    (["model.average.half_life=-3"], "half_life must be at least 0 images, got -3"),
    (["callbacks.checkpoints.every_n_steps=0"], "checkpoints.every_n_steps must be above 0"),
    (["callbacks.samples.count=0"], "count must be at least 1; got 0"),
    (["callbacks.evaluation.n=1"], "n must be at least 2, got 1"),
    (["metrics=[fid]", "callbacks.evaluation.monitor=kid"], "monitor must be one of fid"),
    (["metrics=[kid]", "metrics.kid.subsets=0"], "subsets", "got 0"),
    (["trainer.max_steps=0"], "trainer.max_steps must be at least 1, or -1; got 0"),
    (["trainer.max_steps=-1"], "trainer.max_steps=-1 never ends: give trainer.max_seconds too"),
    (["trainer.max_seconds=-5"], "trainer.max_seconds must be above 0, got -5"),
    (["trainer.devices=0"], "trainer.devices must be a number from 1 or auto, got 0"),
    (["trainer.precision=fp8"], "trainer.precision='fp8'", "32-true, bf16-mixed, 16-mixed"),
    (["trainer.strategy=fsdp"], "trainer.strategy='fsdp' is not supported; legal: auto, ddp"),
    (
        ["schedule=linear", "trainer.max_steps=-1", "trainer.max_seconds=1"],
        "total must be at least 1, got -1",
        "trainer.max_steps",
    ),
    (["schedule=cosine", "schedule.warmup=-1"], "warmup", "got -1"),
    (["name=../elsewhere"], "name=../elsewhere: becomes part of a folder's name"),
]
COMBINATIONS = [
    (
        ["network.generator.image_size=32"],
        "network.generator is built for 1 x 32 x 32 images, and data=fake has 1 x 16 x 16",
    ),
    (["network.discriminator.channels=3"], "network.discriminator is built for 3 x 16 x 16"),
    (["model=dcgan"], "model=dcgan: MLPGenerator has no convolution", "network=dcgan"),
    (["trainer=ddp_cpu", "data.batch_size=5"], "must be a multiple of 2: use trainer.devices=1"),
]


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [(case[0], case[1:]) for case in KEYS + OPTIONS + TYPES + VALUES + COMBINATIONS],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_configuration(type_in, tmp_path, overrides, parts):
    assert_clear(type_in(*train(*overrides)), 2, *parts)
    assert left(tmp_path) == []


CONVOLUTIONS = [
    (["model=dcgan", "data.image_size=33"], "image_size must be one of 16, 32, 64", "got 33"),
    (["model=dcgan", "network.generator.norm=bacth"], "norm", "batch, instance, layer, none"),
    (["model=dcgan", "network.generator.width=0"], "width must be at least 1, got 0"),
    (["model=wgan_gp", "network=dcgan"], "BatchNorm", "Use network=dcgan_layer_norm"),
    (
        ["model=wgan_gp", "regularizer=[gradient_penalty,weight_clip]"],
        "weight clipping and a gradient penalty both bound the critic",
    ),
]


@pytest.mark.parametrize(("overrides", "parts"), [(case[0], case[1:]) for case in CONVOLUTIONS])
def test_networks_that_do_not_fit(type_in, tmp_path, overrides, parts):
    typed = type_in("train", *FAKE, *DCGAN, *RUN, *overrides)
    assert_clear(typed, 2, *parts)
    assert left(tmp_path) == []


# ---------------------------------------------------------------------- the machine


def test_a_missing_gpu_is_reported(type_in, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for trainer in ("gpu", "ddp"):
        typed = type_in(*train(f"trainer={trainer}"))
        assert_clear(typed, 2, "trainer.accelerator=gpu: no GPU found")
    assert left(tmp_path) == []


def test_a_launcher_of_another_kind(type_in, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    typed = type_in(*train())
    assert_clear(typed, 2, "WORLD_SIZE is set", "RANK is not", "trainer=ddp trainer.devices=N")
    assert left(tmp_path) == []


def test_a_log_folder_that_cannot_be_written(type_in, tmp_path):
    (tmp_path / "taken").write_text("a file")
    typed = type_in(*train("log_dir=taken/logs"))
    assert_clear(typed, 2, "cannot write to log_dir=taken/logs", "choose another")
    assert [path.name for path in left(tmp_path)] == ["taken"]


def test_tensorboard_that_is_not_installed(type_in, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    typed = type_in(*train("logger=tensorboard"))
    assert_clear(typed, 2, "needs the tensorboard package: uv sync --extra tensorboard")
    assert left(tmp_path) == []


@pytest.mark.parametrize("weights", ["missing.pth", "damaged.pth"])
def test_inception_weights_that_cannot_be_read(type_in, tmp_path, weights):
    (tmp_path / "damaged.pth").write_bytes(b"not weights")
    features = ["features=inception", f"features.weights={weights}", "metrics=[fid]"]
    typed = type_in(*train(*features))
    assert_clear(typed, 2, f"features.weights={tmp_path / weights}")
    assert [path.name for path in left(tmp_path)] == ["damaged.pth"]


# ---------------------------------------------------------------------- data


def test_a_batch_larger_than_the_data(type_in, tmp_path):
    typed = type_in(*train("data.batch_size=17"))
    assert_clear(typed, 1, "batch_size=17 is larger than the 16 training images of data=fake")
    assert left(tmp_path) == []


@pytest.fixture
def folder(tmp_path):
    """A folder with too few images or none."""

    def folder(images: int, broken: int = 0) -> str:
        place = tmp_path / "images"
        place.mkdir()
        for i in range(images):
            Image.new("L", (20, 20), i).save(place / f"{i}.png")
        for i in range(broken):
            (place / f"broken{i}.png").write_bytes(b"no image")
        return f"data.path={place}"

    return folder


def of_folder(*overrides: str) -> list[str]:
    return ["train", "data=folder", *SHAPE, *MLP, *RUN, *overrides]


def test_a_folder_that_was_not_given(type_in, tmp_path):
    assert_clear(type_in(*of_folder()), 2, "data=folder needs data.path=PATH")
    assert left(tmp_path) == []


def test_a_folder_that_does_not_exist(type_in, tmp_path):
    assert_clear(type_in(*of_folder("data.path=nowhere")), 1, "nowhere does not exist")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("images", "broken", "message"),
    [(0, 0, "no images"), (1, 0, "at least 2"), (0, 3, "unreadable"), (4, 11, "unreadable")],
)
def test_a_folder_that_is_of_no_use(type_in, tmp_path, folder, images, broken, message):
    typed = type_in(*of_folder(folder(images, broken)))
    assert_clear(typed, 1, message)
    assert not (tmp_path / "logs" / "train").exists()


@pytest.mark.parametrize("model", ["dcgan", "wgan"])
def test_a_download_that_fails(type_in, tmp_path, monkeypatch, model):
    def fail(*arguments, **options):
        raise RuntimeError("quota exceeded")

    monkeypatch.setenv("GANFORGE_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "CelebA", fail)
    typed = type_in("train", f"model={model}", "data=celeba")
    assert_clear(
        typed,
        1,
        "data=celeba: could not be downloaded (quota exceeded)",
        "celeba/img_align_celeba.zip",
        f"into {tmp_path / 'cache' / 'celeba'}",
        "data.root=PATH",
    )
    assert not (tmp_path / "logs").exists()


def test_a_root_without_the_data(type_in, tmp_path):
    typed = type_in("train", "data=mnist", f"data.root={tmp_path}")
    assert_clear(typed, 1, f"data=mnist: {tmp_path} is empty. Put MNIST/raw/")
    assert left(tmp_path) == []


# ---------------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder whose logs/ holds a run of two steps."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        training(compose_config(train()[1:]))
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A run of two steps in logs/, whose files the test may change."""
    before = snapshot(trained)
    shutil.copytree(trained, tmp_path, symlinks=True, dirs_exist_ok=True)
    (folder,) = (tmp_path / "logs" / "train").glob("*/*-s0")
    yield folder
    assert snapshot(trained) == before


@pytest.mark.parametrize("verb", ["train", "evaluate", "sample", "translate"])
@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("latest", "no run yet under logs/train, so there is no latest one"),
        ("nowhere", "nowhere: no such run folder or checkpoint"),
        ("empty", "empty: not a run folder: it has no composed.yaml"),
        ("notes.txt", "notes.txt: neither a run folder nor a checkpoint (*.ckpt)"),
    ],
)
def test_a_run_that_is_none(type_in, tmp_path, verb, where, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("notes")
    typed = type_in(*train(f"resume={where}")) if verb == "train" else type_in(verb, f"run={where}")
    assert_clear(typed, 1, message)
    assert not (tmp_path / "logs").exists()


def test_a_finished_run_is_not_resumed(type_in, run):
    before = snapshot(run)
    typed = type_in("train", "resume=latest")
    assert_clear(typed, 1, "the run is already at step 2", "trainer.max_steps=4")
    assert snapshot(run) == before


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model=lsgan", ("model=lsgan", "was made with model=gan", "start a new one")),
        ("data=digits", ("data=digits", "was made with data=fake")),
        ("loss=hinge", ("loss=hinge", "a resumed run keeps it")),
        ("network.generator.hidden=[9]", ("another architecture", "is (8,) there and (9,) here")),
        ("+network.generator.depth=3", ("MLPGenerator takes no 'depth'",)),
    ],
)
def test_a_run_keeps_its_parts(type_in, run, override, parts):
    before = snapshot(run)
    given = "model=gan" if override.startswith("network") or override[0] == "+" else "seed=0"
    typed = type_in("train", "resume=latest", "trainer.max_steps=4", given, override)
    assert typed.code in (1, 2)
    assert_clear(typed, typed.code, *parts)
    assert snapshot(run) == before


def test_a_checkpoint_of_another_program(type_in, run):
    torch.save({"state_dict": {"a": torch.zeros(1)}}, run / "checkpoints" / "last.ckpt")
    for command in (["train", "resume=latest", "trainer.max_steps=4"], ["sample", "run=latest"]):
        assert_clear(type_in(*command), 1, "last.ckpt: not a checkpoint of ganforge")


def test_a_damaged_checkpoint(type_in, run):
    path = run / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:1000])
    for command in (
        ["train", "resume=latest", "trainer.max_steps=4"],
        ["evaluate", "run=latest"],
        ["sample", "run=latest"],
    ):
        assert_clear(type_in(*command), 1, f"cannot read checkpoint {path}")


def test_a_checkpoint_that_would_run_code(type_in, run, tmp_path):
    torch.save({"state_dict": Trap()}, run / "checkpoints" / "last.ckpt")
    typed = type_in("sample", "run=latest")
    assert_clear(typed, 1, "cannot read checkpoint")
    assert not (tmp_path / "sprung").exists()


class Trap:
    """An object that creates a file when it is unpickled."""

    def __reduce__(self):
        return (Path("sprung").write_text, ("x",))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sample", "n=0"], 2, "n must be at least 1, got 0"),
        (["sample", "n=many"], 2, "n: must be a whole number, got 'many'"),
        (["sample", "n=2", "weights=mean"], 2, "weights must be one of ema, raw; got 'mean'"),
        (["sample", "n=2", "checkpoint=first"], 2, "legal: last, previous, best"),
        (["sample", "n=2", "checkpoint=best"], 1, "contains no best checkpoint yet"),
        (
            ["sample", "n=2", "out=images.jpg"],
            2,
            "a folder, or end in .png (a grid) or .npz",
        ),
        (["sample", "model=gan"], 2, "model: no such key; legal: run, log_dir"),
        (["evaluate", "metrics=[]"], 2, "metrics=[] measures nothing"),
        (["evaluate", "n=1"], 2, "n must be at least 2, got 1"),
        (["evaluate", "split=validation"], 2, "split must be one of train, test"),
        (["evaluate", "batch_size=0"], 2, "batch_size"),
        (["evaluate", "weights=mean"], 2, "weights must be one of ema, raw"),
        (["evaluate", "features=inceptoin"], 2, "did you mean 'inception'?"),
    ],
)
def test_wrong_questions_about_a_run(type_in, run, arguments, code, message):
    before = snapshot(run)
    assert_clear(type_in(*arguments, "run=latest"), code, message)
    assert snapshot(run) == before


def snapshot(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file()}


# ---------------------------------------------------------------------- failures during training


def test_a_loss_that_is_not_finite_at_once(type_in, tmp_path):
    rates = ["optimizer.generator.lr=1e38", "optimizer.discriminator.lr=1e38"]
    typed = type_in(*train(*rates, "trainer.max_steps=20", "trainer.log_every_n_steps=1"))
    assert_clear(typed, 1, "a loss is not finite at step", "training has diverged")
    (folder,) = (tmp_path / "logs" / "train").glob("*/*-s0")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "failed"
    assert "diverged" in summary["error"]
    assert summary["checkpoint"] is None
    assert_clear(type_in("sample", "run=latest"), 1, "contains no last checkpoint yet")


def test_a_loss_that_is_not_finite_after_a_while_leaves_a_whole_run(type_in, tmp_path, monkeypatch):
    sound = GAN.generator_loss

    def diverging(self, update):
        return sound(self, update) * (float("nan") if self.iteration == 5 else 1)

    monkeypatch.setattr(GAN, "generator_loss", diverging)
    every = ["trainer.log_every_n_steps=1", "callbacks.checkpoints.every_n_steps=2"]
    typed = type_in(*train(*every, "trainer.max_steps=20"))
    assert_clear(typed, 1, "a loss is not finite at step 6", "last checkpoint holds finite weights")
    (failed,) = (tmp_path / "logs" / "train").glob("*/*-s0")
    summary = json.loads((failed / "summary.json").read_text())
    assert (summary["status"], summary["checkpoint"]) == ("failed", "checkpoints/last.ckpt")
    assert not list(failed.rglob("*.tmp*"))
    model = ganforge.load(failed)
    assert model.iteration == 4
    assert model.sample(4).isfinite().all()
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_run_that_never_began_gives_latest_back(type_in, tmp_path, run):
    features = ["features=inception", "features.weights=missing.pth", "metrics=[fid]"]
    assert type_in(*train(*features, "seed=1")).code == 2
    assert (tmp_path / "logs" / "train" / "latest").resolve() == run
    assert list((tmp_path / "logs" / "train").glob("*/*-s1")) == []


def test_a_fault_of_our_own_in_the_first_step_leaves_no_run(type_in, tmp_path, monkeypatch):
    def broken(self, update):
        raise ZeroDivisionError("in a loss")

    monkeypatch.setattr("ganforge.models.GAN.discriminator_loss", broken)
    typed = type_in(*train())
    assert typed.code == 1
    assert typed.err.startswith("ganforge: ZeroDivisionError: in a loss")
    assert left(tmp_path) == []


def test_a_dry_run_writes_nothing(type_in, tmp_path):
    typed = type_in(*train("dry_run=true"))
    assert typed.code == 0, typed.err
    assert typed.err == ""
    assert "generator: " in typed.out
    assert "discriminator/loss" in typed.out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_without_its_data_uses_random_images(type_in, tmp_path):
    network = ["network.generator.width=4", "network.discriminator.width=4", "trainer=cpu"]
    root = ["data=cifar10", f"data.root={tmp_path}"]
    typed = type_in("train", "dry_run=true", "model=dcgan", *root, *network)
    assert typed.code == 0, typed.err
    assert f"random images: data=cifar10: {tmp_path} is empty" in typed.err.replace("\n", " ")
    assert "note: random images, because the data were not found: data=cifar10" in typed.out
    assert "discriminator/loss" in typed.out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_a_wrong_configuration_is_refused(type_in, tmp_path):
    assert_clear(type_in(*train("dry_run=true", "data.batch_size=99")), 1, "batch_size=99")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- sweeps


def test_a_sweep_tells_of_each_job(type_in, tmp_path):
    typed = type_in(*train("-m", "data.batch_size=4,99"))
    assert typed.code == 1
    assert "batch_size=99 is larger than the 16 training images" in typed.err
    assert "Traceback" not in typed.err
    done = list((tmp_path / "logs" / "multirun").rglob("summary.json"))
    assert [json.loads(path.read_text())["status"] for path in done] == ["completed"]


def test_a_sweep_over_an_option_that_does_not_exist(type_in, tmp_path):
    typed = type_in(*train("-m", "loss=hinge,hing"))
    assert_clear(typed, 2, "loss=hing: no such option; did you mean 'hinge'?")
    assert not list(tmp_path.rglob("summary.json"))


def test_every_message_went_to_the_right_stream(type_in):
    typed = type_in("train", "modle=gan")
    assert typed.out == ""
    assert sys.argv[1:] == ["modle=gan"]
