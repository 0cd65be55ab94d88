"""What commands do without is not imported, and is complete as soon as it is needed."""

from __future__ import annotations

import subprocess
import sys

from tests.support.trainings import ROOT, environment

# Runs commands as typed, and trains up to the first line about the run.
COMMANDS = """
import sys
import ganforge.commands.train as training
from ganforge import cli

LATE = {
    "matplotlib", "scipy", "sklearn", "sympy", "tensorboard", "torch._dynamo", "torch._inductor",
    "torch.distributed.fsdp", "torch_fidelity", "torchmetrics.functional", "torchvision", "triton",
    "wandb",
}
frozen, run = sys.argv[1], cli.run

def check(command):
    assert not sys.modules.keys() & LATE, (command, sys.modules.keys() & LATE)

def end(*_):
    check("train")
    print("complete")
    raise SystemExit

training.print_header = end
for typed in (
    ["sample", f"run={frozen}/gan", "n=4", "out=samples"],
    ["translate", f"run={frozen}/translation", f"input={frozen}/expected/input.png", "out=drawn"],
    ["evaluate", f"run={frozen}/gan", "n=16", "metrics=[fid]", "out=scores",
     "features=module", "features.module=torch.nn.Flatten", "features.size=8"],
):
    assert run(typed) == 0
    check(typed[0])
run(["train", "data=digits", "trainer=cpu", "logger=csv", "metrics=[]"])
"""

TORCHMETRICS = """
import ganforge.commands.sample
import ganforge.metrics.scores.frechet
late = {"matplotlib", "scipy.signal", "torchmetrics.functional", "torchvision"}
assert not sys.modules.keys() & late, sys.modules.keys() & late

import torchmetrics
from torchmetrics.metric import Metric
assert torchmetrics.Metric is Metric
assert torchmetrics.__version__
assert not hasattr(torchmetrics, "__wrapped__")
assert "torchmetrics.functional" not in sys.modules

from torchmetrics.aggregation import SumMetric
figure, axes = SumMetric().plot(torch.tensor(1.0))
from matplotlib.axes import Axes
assert isinstance(axes, Axes)
import torchmetrics.utilities.plot as plots
assert plots._AX_TYPE is Axes

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

COMPILER = """
import sys
import ganforge
import lightning
import torch
from lightning.fabric.wrappers import OptimizedModule, is_wrapped
from lightning.pytorch.utilities.compile import to_uncompiled
from lightning.pytorch.utilities.model_summary.model_summary import FlopCounterMode
from torch.optim import Optimizer

assert type(lightning.__spec__.loader) is type(torch.__spec__.loader) is type(lightning.__loader__)

module = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(module.parameters())
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
assert not is_wrapped(module)
assert not isinstance(module, OptimizedModule)
assert "torch._dynamo" not in sys.modules
alone = Optimizer.zero_grad.__wrapped__.__dynamo_disable

compiled = torch.compile(lightning.LightningModule(), backend="eager")
assert isinstance(compiled, OptimizedModule)
assert isinstance(compiled, torch._dynamo.OptimizedModule)
assert isinstance(to_uncompiled(compiled), lightning.LightningModule)
assert not isinstance(module, OptimizedModule)
module(torch.ones(1, 2)).sum().backward()
optimizer.step()
assert not any(p.grad is None for p in module.parameters())
optimizer.zero_grad()
assert all(p.grad is None for p in module.parameters())
disabled = Optimizer.zero_grad.__wrapped__.__dynamo_disable
assert disabled is not alone
assert torch._dynamo.trace_rules.check(Optimizer.zero_grad)
with FlopCounterMode(display=False) as counter:
    module(torch.ones(1, 2))
assert counter.get_total_flops() == 4
from torch.utils import flop_counter
assert isinstance(counter, flop_counter.FlopCounterMode)
"""

# A version of Lightning that imports more.
LIGHTNING = """
import sys
from torch.compiler import disable
assert "torch._dynamo.config" not in sys.modules

@disable
def early(x):
    return x + 1

import torch._dynamo.config as config
from torch._dynamo import OptimizedModule, reset
from torch.utils.flop_counter import FlopCounterMode, flop_registry
"""

ANOTHER = """
import sys
import ganforge
import lightning
import torch
import torch._dynamo.utils
assert lightning.config is torch._dynamo.config is sys.modules["torch._dynamo.config"]
assert lightning.config.__spec__.origin == lightning.config.__file__
assert lightning.reset is torch._dynamo.reset
assert lightning.OptimizedModule is torch._dynamo.OptimizedModule
assert isinstance(lightning.FlopCounterMode(), torch.utils.flop_counter.FlopCounterMode)
assert lightning.flop_registry is torch.utils.flop_counter.flop_registry
assert lightning.early(1) == 2
print("complete")
"""


def run(code: str, *arguments: str, folder=None, paths=()) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment() | {"PYTHONPATH": ":".join([*map(str, paths), str(ROOT / "src")])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines()[-1:] == ["complete"], done.stderr


def test_commands_import_little(tmp_path):
    run(COMMANDS, str(ROOT / "tests" / "frozen"), folder=tmp_path)


def test_libraries_are_complete_when_needed_and_not_before(tmp_path):
    run(COMPILER + TORCHMETRICS, folder=tmp_path)


def test_a_library_that_imports_more_gets_it(tmp_path):
    (tmp_path / "lightning").mkdir()
    (tmp_path / "lightning" / "__init__.py").write_text(LIGHTNING)
    run(ANOTHER, folder=tmp_path, paths=[tmp_path])
