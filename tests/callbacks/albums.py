"""A logger that collects pictures, and the files of a run's samples."""

from __future__ import annotations

from lightning.pytorch.loggers import Logger


class Album(Logger):
    name = "album"
    version = ""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[tuple[str, int, bytes]] = []
        self.images_seen: list[int] = []

    def log_metrics(self, metrics, step=None):
        pass

    def log_hyperparams(self, params):
        pass

    def log_picture(self, name, picture, step, caption="", images_seen=None):
        self.images_seen.append(images_seen)
        self.pictures.append((name, step, picture.tobytes()))


def names(tmp_path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "samples").iterdir())


def grids(*steps: int) -> list[str]:
    return [f"step_{step:07d}.png" for step in steps]
