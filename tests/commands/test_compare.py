from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

from ganforge.commands import compare as files
from ganforge.compare.cells import Table, cell, plain
from ganforge.compare.statistics import spread
from tests.runs.past_runs import parsed, past_run, seeds

HINGE = {"settings": {"loss._target_": "losses.Hinge"}, "choices": {"loss": "hinge"}}


@pytest.fixture(autouse=True)
def _no_figures(request, monkeypatch):
    """Drawing takes most of a comparison's time: tests of figures request ``figures``."""
    if "figures" not in request.fixturenames:
        monkeypatch.setattr(files, "draw", lambda *_: None)


@pytest.fixture
def figures(): ...


@pytest.fixture
def sweep(tmp_path):
    folder = tmp_path / "logs" / "multirun"
    seeds(folder / "minimax", (20.0, 21.0, 22.0))
    seeds(folder / "hinge", (10.0, 11.0, 12.0), **HINGE)
    return folder


# ---------------------------------------------------------------------- as it is typed


def test_a_sweep(sweep, type_in, figures):
    typed = type_in("compare", f"runs={sweep}")
    assert (typed.code, typed.err) == (0, "")
    tables = parsed((sweep / "comparison.md").read_text())
    overview = tables["6 completed runs in 2 groups: final scores"]
    assert overview == [
        {"group": "loss=hinge", "seeds": "3", "fid_classifier": "11.0 ± 1.0"},
        {"group": "loss=minimax", "seeds": "3", "fid_classifier": "21.0 ± 1.0"},
    ]
    best, _ = tables["fid_classifier: lower is better"]
    assert best == {
        "group": "loss=hinge",
        "seeds": "3",
        "final": "11.0 ± 1.0",
        "best": "11.0 ± 1.0",
        "images to best": "1280 ± 0",
    }
    (difference,) = tables["Differences in fid_classifier"]
    assert difference["groups"] == "loss=hinge - loss=minimax"
    assert (difference["seeds"], difference["difference"]) == ("3 and 3", "-10")
    assert difference["verdict"] == "larger than the spread"
    cost = tables["Cost"][1]
    assert (cost["seconds"], cost["images/s"]) == ("12.0 ± 1.0", "64 ± 0")
    assert (cost["generator parameters"], cost["discriminator parameters"]) == ("1,000", "500")
    for word in ("loss=hinge", "larger than the spread", "written to", "comparison.png"):
        assert word in " ".join(typed.out.split())


def test_the_table_for_programs(sweep, type_in, tmp_path, figures):
    assert type_in("compare", f"runs={sweep}", f"out={tmp_path / 'new' / 'out'}").code == 0
    with open(tmp_path / "new" / "out" / "comparison.csv") as file:
        rows = {row["group"]: row for row in csv.DictReader(file)}
    row = rows["loss=minimax"]
    assert (float(row["final_mean"]), float(row["final_std"])) == (21.0, 1.0)
    assert (row["score"], row["higher_is_better"], row["seeds"]) == ("fid_classifier", "False", "3")
    assert json.loads(row["protocol"])["n_fake"] == 2000
    assert (tmp_path / "new" / "out" / "comparison.png").read_bytes()[1:4] == b"PNG"


def test_all_runs_below_the_default_folder(sweep, type_in, tmp_path):
    assert type_in("compare").code == 0
    assert (sweep / "comparison.md").is_file()  # the folder that holds them all
    assert not (tmp_path / "logs" / "comparison.md").exists()


@pytest.mark.parametrize("by", ["by=loss,optimizer.generator.lr", "by=[loss]"])
def test_by_what_is_typed(sweep, type_in, by):
    assert type_in("compare", f"runs={sweep}", by, "value=best").code == 0
    tables = parsed((sweep / "comparison.md").read_text())
    labels = [row["group"] for row in tables["6 completed runs in 2 groups: best scores"]]
    assert labels[0].startswith("loss=hinge")
    assert ("lr=0.001" in labels[0]) == ("lr" in by)


def test_what_does_not_count_is_listed(sweep, type_in):
    past_run(sweep / "x", 9, status="failed", error="loss is nan\nsomewhere", **HINGE)
    past_run(sweep / "y", 8, status="running")
    torn = past_run(sweep / "z", 8)
    (torn / "composed.yaml").write_text("a: [")
    typed = type_in("compare", f"runs={sweep}")
    assert typed.code == 0
    assert "skipped:" in typed.err
    rows = parsed((sweep / "comparison.md").read_text())["Runs that do not count"]
    assert [(row["status"], row["error"]) for row in rows] == [
        ("failed", "loss is nan"),
        ("killed", ""),
    ]


def test_protocols_are_separated_and_named(sweep, type_in):
    past_run(sweep / "x", 9, protocol={"n_fake": 500})
    type_in("compare", f"runs={sweep}")
    report = (sweep / "comparison.md").read_text()
    assert "fid_classifier was measured by 2 protocols" in report
    row = parsed(report)["7 completed runs in 2 groups: final scores"][1]
    assert row["fid_classifier (n_fake=2000)"] == "21.0 ± 1.0"
    assert row["fid_classifier (n_fake=500)"] == "10"
    assert "n_fake=500, " in report


def test_different_devices_are_noted(sweep, type_in):
    past_run(sweep / "x", 9, device="NVIDIA H200, bf16-mixed")
    type_in("compare", f"runs={sweep}")
    mixed, pure = parsed((sweep / "comparison.md").read_text())["Cost"][::-1]
    assert (mixed["seconds"], mixed["device"]) == ("-", "NVIDIA H200, bf16-mixed; cpu, 32-true")
    assert (pure["seconds"], pure["device"]) == ("12.0 ± 1.0", "cpu, 32-true")


def test_runs_without_scores_are_compared_by_cost(type_in, tmp_path, figures):
    past_run(tmp_path / "a", 1, metrics={}, history=[])
    past_run(tmp_path / "b", 2, metrics={}, history=[])
    assert type_in("compare", f"runs={tmp_path}").code == 0
    assert parsed((tmp_path / "comparison.md").read_text())["Cost"][0]["seconds"].startswith("11.5")
    assert not (tmp_path / "comparison.png").exists()


def test_a_score_of_which_no_value_is_best(sweep, type_in, tmp_path):
    seeds(tmp_path / "x", (1.0, 1.2), higher=None, name="memorization")
    seeds(tmp_path / "y", (1.0, 1.2), higher=None, name="memorization", **HINGE)
    assert type_in("compare", f"runs={tmp_path / 'x'}", "value=best").code == 0
    both = [f"runs=[{tmp_path / 'x'},{tmp_path / 'y'}]", f"out={tmp_path}"]
    assert type_in("compare", *both, "value=best").code == 0
    report = (tmp_path / "comparison.md").read_text()
    row, _ = parsed(report)["memorization: neither is better"]
    assert (row["seeds"], row["final"], row["best"]) == ("2", "1.10 ± 0.14", "-")
    assert "No difference to loss=minimax; loss=hinge is claimed: no best value." in report
    assert type_in("compare", *both).code == 0  # last values can be compared
    assert "within the spread" in (tmp_path / "comparison.md").read_text()


def test_without_matplotlib_the_rest_is_written(sweep, type_in, monkeypatch, figures):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    typed = type_in("compare", f"runs={sweep}")
    assert typed.code == 0
    assert "matplotlib is not installed" in typed.err
    assert "comparison.png" not in (sweep / "comparison.md").read_text()


@pytest.mark.parametrize(
    ("argument", "code", "message"),
    [
        ("runs=nowhere", 1, "runs=nowhere: no run folder there or below"),
        ("value=mean", 2, "value must be one of final, best"),
        ("level=1", 2, "level must be between 0 and 1"),
        ("by=los", 2, "by=los: no run has that setting; did you mean 'loss'?"),
        ("run=x", 2, "did you mean 'runs'?"),
    ],
)
def test_what_is_refused(sweep, type_in, argument, code, message):
    typed = type_in("compare", argument)
    assert typed.code == code
    assert message in typed.err


def test_many_runs_without_anything_heavy(tmp_path):
    for rate in range(20):
        settings = {"optimizer.generator.lr": rate}
        seeds(tmp_path / str(rate), (20.0 + rate, 21.0 + rate), settings=settings)
    code = f"""
import sys
sys.modules["matplotlib.figure"] = None  # other tests draw
from ganforge import cli
code = cli.run(["compare", "runs={tmp_path}"])
print([name for name in ("torch", "lightning", "wandb") if name in sys.modules])
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr
    # Twenty groups have many pairs: each group is only compared with the first.
    tables = parsed((tmp_path / "comparison.md").read_text())
    assert len(tables["40 completed runs in 20 groups: final scores"]) == 20
    assert len(tables["Differences in fid_classifier"]) == 19


# ---------------------------------------------------------------------- parts


def test_numbers():
    assert plain(204.0210) == "204"
    assert plain(0.00123456) == "0.001235"
    assert plain(123456.7) == "123,457"
    assert cell(spread([1.0, 2.0])) == "1.50 ± 0.71"
    assert cell(spread([204.0210, 204.0230])) == "204.0220 ± 0.0014"
    assert cell(spread([64000.0, 128000.0])) == "96,000 ± 45,255"
    assert cell(spread([3.0, 3.0])) == "3 ± 0"
    assert cell(spread([1.0])) == "1"
    assert cell(spread([])) == "-"


def test_markdown_renders_whatever_is_in_it():
    row = {"a|b": r"x | \ *y* `z` <b> [fid] __w__", "c": "1"}
    table = Table("A *title* of [a](b)", list(row), [list(row.values())])
    assert parsed(table.markdown())["A *title* of [a](b)"] == [row]
