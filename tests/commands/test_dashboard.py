from __future__ import annotations

import importlib.util
import json

import pytest

from ganforge.commands import dashboard
from ganforge.loggers.wandb.dashboard import USUAL, Chart, build_report, build_workspace, charts_of

SECTIONS = ["Quality", "Balance of the players", "Gradients", "Throughput", "Samples", "Sweeps"]
LOGGED = [
    *USUAL,
    "is_classifier_std",
    "fid_inception",
    "augment/p",
    "discriminator/gradient_penalty",
    "generator/path_length",
    "recall",
]


def test_names_are_sorted_by_what_they_tell_of():
    charts = charts_of(LOGGED)
    assert charts.quality == [
        Chart("fid", ("fid_classifier", "fid_inception"), log=True),
        Chart("kid", ("kid_classifier",), log=True),
        Chart("is", ("is_classifier",)),
        Chart("recall", ("recall",)),
    ]
    assert charts.balance == [
        Chart("loss", ("generator/loss", "discriminator/loss")),
        Chart("logit", ("discriminator/real_logit", "discriminator/fake_logit")),
        Chart("accuracy", ("discriminator/real_accuracy", "discriminator/fake_accuracy")),
        Chart("augment/p", ("augment/p",)),
    ]
    assert charts.gradients == [
        Chart("gradient norm", ("generator/gradient_norm", "discriminator/gradient_norm")),
        Chart("learning rate", ("generator/learning_rate", "discriminator/learning_rate")),
        Chart("gradient penalty", ("discriminator/gradient_penalty",)),
        Chart("path length", ("generator/path_length",)),
    ]
    assert charts.throughput == [Chart("images_per_second", ("images_per_second",))]
    assert charts.score == "fid_classifier"


def test_no_name_is_lost():
    charts = charts_of(LOGGED)
    shown = [n for part in vars(charts).values() for chart in part for n in chart.names]
    assert sorted(shown) == sorted(
        {*LOGGED} - {"step", "images_seen", "seconds", "is_classifier_std"}
    )


def sections(sent: dict) -> dict[str, list[dict]]:
    bank = sent["spec"]["section"]["panelBankConfig"]
    return {section["name"]: section["panels"] for section in bank["sections"]}


def test_the_workspace_has_its_sections_over_the_images_seen():
    charts = charts_of(LOGGED)
    sent = dashboard.described(
        build_workspace("team", "p", charts), build_report("team", "p", charts)
    )
    found = sections(sent["workspace"])
    assert list(found) == SECTIONS
    lines = [p["config"] for panels in found.values() for p in panels if "Line" in p["viewType"]]
    assert {line["xAxis"] for line in lines} == {"images_seen"}
    assert next(line["metrics"] for line in lines) == ["fid_classifier", "fid_inception"]
    assert [p["config"]["mediaKeys"] for p in found["Samples"]] == [["samples"], ["reals"]]
    (importance,) = [p for p in found["Sweeps"] if p["viewType"] == "Parameter Importance"]
    assert importance["config"]["targetKey"] == "best/fid_classifier"


def test_the_report_compares_models():
    text = json.dumps(
        dashboard.described(
            build_workspace("team", "p", charts_of(USUAL)),
            build_report("team", "p", charts_of(USUAL)),
        )["report"]
    )
    assert (
        text.count('"groupBy": "choices.value.model"') == 8
    )  # of three scores, their bests twice, of losses, logits, accuracies
    assert "fid_classifier" in text


def test_panels_are_of_what_runs_logged(type_in, tmp_path):
    run = tmp_path / "logs" / "train" / "day" / "run"
    run.mkdir(parents=True)
    (run / "composed.yaml").write_text("seed: 1\n")
    (run / "metrics.csv").write_text("step,images_seen,seconds,kid,generator/loss\n")
    typed = type_in("dashboard", "--print", "entity=team")
    assert typed.code == 0, typed.err
    found = sections(json.loads(typed.out)["workspace"])
    assert list(found) == ["Quality", "Balance of the players", "Samples", "Sweeps"]
    assert [p["config"]["metrics"] for p in found["Quality"]] == [["kid"]]


def test_without_runs_they_are_of_what_is_usual(type_in):
    typed = type_in("dashboard", "print=true")
    assert typed.code == 0, typed.err
    assert list(sections(json.loads(typed.out)["workspace"])) == SECTIONS
    assert type_in("dashboard", "--print", "runs=nowhere").code == 1


def test_without_an_account_nothing_is_sent(type_in, monkeypatch):
    from ganforge.loggers.wandb import access as wandb_access

    monkeypatch.setattr(wandb_access, "has_credentials", lambda: False)
    typed = type_in("dashboard", "entity=team")
    assert typed.code == 1
    assert "not logged in to W&B" in typed.err


def test_without_the_library_the_extra_is_named(type_in, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    typed = type_in("dashboard", "--print")
    assert typed.code == 2
    assert "uv sync --extra dashboard" in typed.err


@pytest.mark.parametrize("known", [True, False])
def test_saving_overwrites_the_previous_dashboard(type_in, monkeypatch, known):
    import wandb
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    saved = {}

    def from_url(url):
        if not known:
            raise ValueError(f"nothing at {url}")
        found = ws.Workspace(entity="team", project="p")
        found._internal_name, found._internal_id = "nw-ganforge-v", "id of the workspace"
        return found

    class Known:
        url = "https://wandb.ai/team/p/reports/x"
        id = "id of the report"

    class Api:
        def reports(self, path, name):
            return [Known()] if known else []

    def keep(self):
        saved[type(self).__name__] = getattr(self, "_internal_id", None) or getattr(self, "id", "")
        return Known()

    monkeypatch.setattr(dashboard, "require_server", lambda timeout: None)
    monkeypatch.setattr(wandb, "Api", Api)
    monkeypatch.setattr(ws.Workspace, "from_url", from_url)
    monkeypatch.setattr(wr.Report, "from_url", lambda url: Known())
    monkeypatch.setattr(ws.Workspace, "save", keep)
    monkeypatch.setattr(wr.Report, "save", keep)
    typed = type_in("dashboard", "entity=team", "project=p")
    assert typed.code == 0, typed.err
    ids = ("id of the workspace", "id of the report") if known else ("", "")
    assert (saved["Workspace"], saved["Report"]) == ids
    assert typed.out.count("https://wandb.ai/team/p/reports/x") == 2
