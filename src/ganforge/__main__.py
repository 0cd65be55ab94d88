"""`python -m ganforge` is the `ganforge` command, which imports nothing from the current folder."""

import sys
from pathlib import Path

import ganforge

# Python puts the current folder in front of sys.path for -m. It may be somebody's run folder with
# a wandb.py in it. ganforge's own folder stays, for a checkout without an installation.
if not sys.flags.safe_path and Path(sys.path[0]) != Path(ganforge.__file__).parents[1]:
    sys.path.pop(0)

from ganforge.start import main

main()
