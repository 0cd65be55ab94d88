from __future__ import annotations

import json

from ganforge.commands.train_output import describe_scores, print_results
from ganforge.runs.folder import RunFolder


def test_scores_are_described_with_the_best_one():
    final = {"value": 87.908, "step": 4}
    summary = {
        "metrics": {
            "fid": final,
            "kid": {"value": 0.5, "step": 4},
            "l1 of the input": {"value": 0.25},
            "is": {"value": None, "step": 4},
        },
        "best": {"fid": {"value": 87.894, "step": 2}, "kid": {"value": 0.5, "step": 4}},
    }
    assert describe_scores(summary) == (
        "fid 87.91 at step 4 (best 87.89 at step 2), kid 0.5 at step 4, l1 of the input 0.25"
    )
    many = {"metrics": {f"m{n}": {"value": n, "step": 1} for n in range(8)}}
    assert describe_scores(many).endswith("m5 5 at step 1 and 2 more")
    assert describe_scores({}) == ""


def test_a_run_ends_with_what_can_be_done_next(tmp_path, capsys):
    run = tmp_path / "a run"
    (run / "samples").mkdir(parents=True)
    for step in (2, 10):
        (run / "samples" / f"step_{step:07d}.png").touch()
    (run / "summary.json").write_text(json.dumps({"status": "completed"}))
    print_results(RunFolder(run), translates=False, alone=True)
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"samples:     {run}/samples/step_0000010.png",
        f"next:        ganforge sample run='{run}'",
        f"or:          ganforge report run='{run}'",
    ]
    print_results(RunFolder(run), translates=True, alone=True)
    translate = f"next:        ganforge translate run='{run}' input=DIR out=DIR"
    assert translate in capsys.readouterr().out.splitlines()
    print_results(RunFolder(run), translates=True, alone=False)
    assert "next" not in capsys.readouterr().out
