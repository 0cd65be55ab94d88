"""Lightning and the scores need few of torchmetrics' modules, and the rest is there when needed."""

from __future__ import annotations

import subprocess
import sys

CHECK = """
import sys
import ganforge.commands.sample
import ganforge.metrics.scores.frechet
late = ["torchvision", "scipy.signal", "torchmetrics.functional"]
assert not sys.modules.keys() & {*late}, sys.modules.keys() & {*late}

import torchmetrics
from torchmetrics.metric import Metric
assert torchmetrics.Metric is Metric
assert torchmetrics.__version__
assert not hasattr(torchmetrics, "__wrapped__")
assert "torchmetrics.functional" not in sys.modules

assert torchmetrics.SumMetric()(2.0) == 2
assert torchmetrics.Metric is Metric
assert type(torchmetrics) is type(sys)
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchmetrics import *
assert issubclass(MeanMetric, Metric)
try:
    torchmetrics.nothing
except AttributeError:
    print("complete")
"""


def test_torchmetrics_is_complete_when_it_is_needed_and_not_before():
    done = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "complete\n", done.stderr
