"""Python imports this at the start of every process of a command on null GPUs."""

from tests.nullcuda import patches

patches.install()
