"""Runs the `ganforge` command for `python -m ganforge`, without the current folder on sys.path."""

import sys
from pathlib import Path

import ganforge

# With -m, Python puts the current folder first on sys.path. A run folder with a file wandb.py in it
# would then shadow the package. In a checkout that is not installed, ganforge's own folder stays.
if not sys.flags.safe_path and Path(sys.path[0]) != Path(ganforge.__file__).parents[1]:
    sys.path.pop(0)

from ganforge.start import main

main()
