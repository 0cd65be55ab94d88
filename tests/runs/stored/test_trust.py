from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from ganforge.errors import ConfigError, RunError
from ganforge.paths import conf_dir
from ganforge.runs.stored.trust import (
    confined,
    is_own,
    remember_own,
    settled,
    targets,
    trusted,
    trusted_names,
)
from ganforge.runs.stored.trust_record import record_file, recorded, remember
from ganforge.sweeps.trust import (
    is_permission,
    keeps_outputs_in_place,
    vetting,
    without_permissions,
)

SOURCE = Path("stranger/config.yaml")
HINGE = "ganforge.losses.HingeLoss"
MODULE = "ganforge.metrics.ModuleFactory"


@pytest.fixture(autouse=True)
def _own_list(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("GANFORGE_TRUST", raising=False)


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package that leaves a file behind when it is imported."""
    folder = tmp_path / "modules" / "my_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        f"import os\nopen({str(tmp_path / 'ran')!r}, 'w').close()\nclass Loss: pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    yield tmp_path / "ran"
    sys.modules.pop("my_package", None)


def test_all_that_conf_names_is_own():
    found = set()
    for path in conf_dir().rglob("*.yaml"):
        if "hydra" not in path.parts:
            found |= {name for _, name in targets(yaml.safe_load(path.read_text()))}
    assert len(found) > 100
    assert [n for n in found if not (is_own(n) or n.startswith("hydra_plugins."))] == []


FOREIGN = [
    "os.system",
    "subprocess.run",
    "torch.hub.load",
    "torch.utils.collect_env.run",
    "torch.load",
    "torch.optim.lr_scheduler.partial",
    "torch.optim.adam.torch.load",
    "torch.optim.Adam.__init__",
    "ganforge.cli.main",
    "ganforge.streams.os.system",
    "ganforge.atomic.os.replace",
    "ganforge.data.files.source.Path",
    "ganforge.data.files.download.shutil.rmtree",
    "ganforge.losses.HingeLoss.__init__",
    "ganforge.losses.hinge",
    "ganforge.losses",
    "ganforge",
    "ganforgery.losses.hinge.HingeLoss",
    "ganforge.losses..hinge.HingeLoss",
    "ganforge.losses/../cli.main",
    "ganforge.runs.folder.RunFolder",
    "builtins.eval",
    "",
    " os.system",
    "my_package.Loss",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_target_is_refused_wherever_it_is(name, package):
    for cfg in (
        {"loss": {"_target_": name}},
        {"data": {"name": {"_target_": name, "command": "id"}}},
        {"callbacks": {"a": {"_target_": HINGE, "list": [1, [{"_target_": name}]]}}},
        {"loss": {"_target_": "${word}"}, "word": name},
        {"features": {"_target_": MODULE, "module": name}},
    ):
        with pytest.raises(RunError, match="is not part of ganforge") as raised:
            trusted(OmegaConf.create(cfg), SOURCE)
        assert str(SOURCE) in str(raised.value)
        assert "trust=[" in str(raised.value)
    assert not package.exists()  # nothing was imported


def test_own_targets_pass():
    own = [HINGE, "torch.optim.AdamW", "torch.optim.adam.Adam", "ganforge.schedules.Constant"]
    cfg = {"a": [{"_target_": name, "_partial_": True, "_convert_": "all"} for name in own]}
    cfg |= {"_recursive_": False, "model": {"_target_": MODULE, "module": None}, "b": "${a[0].c}"}
    cfg["a"][0]["c"] = 1
    assert trusted(OmegaConf.create(cfg), SOURCE).b == 1


@pytest.mark.parametrize("value", [[], ["id"], None, {"a": 1}])
def test_positional_arguments_are_never_built(value, monkeypatch):
    monkeypatch.setenv("GANFORGE_TRUST", "ganforge")
    with pytest.raises(RunError, match=r"loss._args_: .* never built"):
        trusted(OmegaConf.create({"loss": {"_target_": HINGE, "_args_": value}}), SOURCE)


@pytest.mark.parametrize(
    "value",
    [
        "${oc.env:SECRET}",
        "a ${oc.env:SECRET} b",
        "${hydra:runtime.cwd}",
        "${now:%Y}",
        "${oc.${word}:HOME}",
        "${oc.decode:${oc.env:SECRET}}",
        "${oc.create:{_target_: os.system}}",
    ],
)
def test_a_stored_configuration_reads_no_environment(value, monkeypatch):
    monkeypatch.setenv("SECRET", "my-token")
    for cfg in ({"notes": value}, {"a": [{"b": value}]}, {"a": {value: 1}}):
        with pytest.raises(RunError, match="environment") as raised:
            trusted(OmegaConf.create(cfg), SOURCE)
        assert "my-token" not in str(raised.value)


def test_plain_references_are_kept():
    cfg = OmegaConf.create({"a": {"b": 1, "c": "${.b}"}, "d": "${a.c}", "e": ["x ${a.b}", "${d}"]})
    assert OmegaConf.to_container(trusted(cfg, SOURCE), resolve=True)["e"] == ["x 1", 1]


@pytest.mark.parametrize("typed", ["my_package", ["my_package"], ["other", "my_package"]])
def test_a_trusted_package_is_what_is_in_it(typed, package):
    cfg = OmegaConf.create({"loss": {"_target_": "my_package.Loss"}})
    assert trusted(cfg, SOURCE, typed) is cfg
    elsewhere = OmegaConf.create({"loss": {"_target_": "my_package.os.system"}})
    with pytest.raises(RunError, match=r"my_package.os.system is \w+.system, which is outside"):
        trusted(elsewhere, SOURCE, typed)
    alike = OmegaConf.create({"loss": {"_target_": "my_packages.Loss"}})
    with pytest.raises(RunError, match="not part of ganforge"):
        trusted(alike, SOURCE, typed)


def test_the_environment_trusts_too(monkeypatch, package):
    monkeypatch.setenv("GANFORGE_TRUST", "other, my_package")
    trusted(OmegaConf.create({"loss": {"_target_": "my_package.Loss"}}), SOURCE)
    assert trusted_names(["a.b"]) == ["a.b", "other", "my_package"]
    with pytest.raises(ConfigError, match="trust=a b"):
        trusted_names("a b")


def test_what_was_typed_here_needs_no_trust():
    stored = {"loss": {"_target_": "my_package.Loss"}, "f": {"_target_": MODULE, "module": "a:b"}}
    remember_own(OmegaConf.create(stored))
    assert recorded() == {"my_package.Loss", "a:b"}
    trusted(OmegaConf.create(stored), SOURCE)
    with pytest.raises(RunError):  # the exact names alone
        trusted(OmegaConf.create({"loss": {"_target_": "my_package.Other"}}), SOURCE)
    remember({"my_package.Loss", "two"})
    file = record_file()
    assert file is not None
    assert sorted(file.read_text().splitlines()) == ["a:b", "my_package.Loss", "two"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_list_that_others_can_write_is_ignored(tmp_path):
    remember({"my_package.Loss"})
    file = record_file()
    assert file is not None
    file.chmod(0o666)
    assert recorded() == set()
    file.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("my_package.Loss\n")
    file.symlink_to(elsewhere)
    assert recorded() == set()
    remember({"more"})
    assert elsewhere.read_text() == "my_package.Loss\n"
    file.unlink()
    os.mkfifo(file)
    assert recorded() == set()
    remember({"more"})


def test_without_a_home_nothing_is_recorded(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    remember({"my_package.Loss"})
    assert recorded() == set()


def test_computed_values_are_what_they_were(monkeypatch):
    monkeypatch.setenv("TASK", "2")
    cfg = OmegaConf.create({"seed": "${oc.decode:${oc.env:TASK}}", "a": {"b": "${seed}"}})
    trusted(settled(cfg, OmegaConf.create({"seed": 1, "a": {"b": 1}})), SOURCE)
    assert (cfg.seed, cfg.a.b) == (1, 1)


@pytest.mark.parametrize(
    "override",
    [
        "hydra.job.env_set.LD_PRELOAD=x",
        "+hydra.callbacks.a._target_=os.system",
        "++logger.csv.folder=/etc",
        "notes=${oc.env:HOME}",
        "data.name='${oc.env:HOME}'",
    ],
)
def test_a_stored_sweep_sets_nothing_of_hydra(override):
    with pytest.raises(RunError, match=r"sweep.json: contains the override"):
        vetting(["seed=1,2", override], Path("sweep.json"), ())


def test_jobs_of_a_stored_sweep_are_checked():
    vet = vetting(["seed=1,2", "+loss._target_=os.system"], Path("sweep.json"), ())
    with pytest.raises(RunError, match=r"sweep.json: loss._target_ names os.system"):
        vet(OmegaConf.create({"loss": {"_target_": "os.system"}}))


def test_a_stored_sweep_grants_no_permissions():
    asked = ["trust=[os]", "++trust=[os]", "+trust@x=[os]", "resume_allow=[links]"]
    stored = ["seed=1,2", *asked, "name=trust"]
    kept = without_permissions(stored, OverridesParser.create(), SOURCE)
    assert kept == ["seed=1,2", "name=trust"]
    assert [o for o in stored if is_permission(o)] == asked


def test_overrides_of_a_stored_sweep_that_cannot_be_parsed_are_its_damage():
    with pytest.raises(RunError, match=f"{SOURCE}: contains invalid overrides"):
        without_permissions(["a=[1,"], OverridesParser.create(), SOURCE)


def test_a_stored_sweep_writes_only_into_its_folder(tmp_path):
    path = tmp_path / "logs" / "multirun" / "2026-11-30" / "10-00-00"
    assert keeps_outputs_in_place(f"log_dir={tmp_path / 'logs'}", path)
    assert keeps_outputs_in_place(f"log_dir='{tmp_path / 'logs'}'", path)
    assert not keeps_outputs_in_place(f"log_dir={tmp_path / 'other'}", path)
    assert not keeps_outputs_in_place("++log_dir=/etc", path)
    assert keeps_outputs_in_place("seed=1,2", path)


@pytest.mark.parametrize("package", ["hydra", "ganforge", "numpy", "torch", "os"])
def test_no_general_package_is_suggested_to_be_trusted(package):
    with pytest.raises(RunError) as raised:
        trusted(OmegaConf.create({"loss": {"_target_": f"{package}.a.b"}}), SOURCE)
    assert f"trust=[{package}.a.b]" in str(raised.value)


def test_loggers_of_a_stored_sweep_write_into_the_run_folder():
    vet = vetting(["logger.csv={folder: /etc}"], Path("sweep.json"), ())
    vet(OmegaConf.create({"logger": {"csv": {"folder": "${run_dir}"}, "x": None}, "run_dir": "."}))
    with pytest.raises(RunError, match=r"sweep.json: contains a value of logger.csv.folder"):
        vet(OmegaConf.create({"logger": {"csv": {"folder": "/etc"}}}))
    vet(OmegaConf.create({"logger": None}))


@pytest.mark.parametrize("target", [{"a": 1}, ["os.system"], 5, None])
def test_a_target_that_is_no_name_is_damage(target):
    with pytest.raises(RunError, match=r"config.yaml: damaged: loss._target_ is"):
        trusted(OmegaConf.create({"loss": {"_target_": target}}), SOURCE)


def test_loggers_write_into_the_run_folder(tmp_path):
    stored = {"csv": {"folder": "${run_dir}"}, "tb": {"folder": "/etc"}, "none": None}
    cfg = OmegaConf.create({"run_dir": str(tmp_path), "logger": stored})
    assert json.loads(json.dumps(OmegaConf.to_container(confined(cfg, tmp_path))["logger"])) == {
        "csv": {"folder": "${run_dir}"},
        "tb": {"folder": "${run_dir}"},
        "none": None,
    }
