from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from ganforge import atomic
from ganforge.callbacks.grid import by_class, picture, save, single
from ganforge.callbacks.samples import ROWS
from ganforge.console import console
from ganforge.data.images import to_uint8
from ganforge.errors import ConfigError
from ganforge.experiments.loading import load
from ganforge.experiments.run_folder import RunFolder
from ganforge.models.adversarial import AdversarialModule

BLOCK = 256


def sample_run(cfg: DictConfig) -> Path:
    """Draws images from a run: a PNG grid, an array, or single PNGs.

    Args:
        cfg: composed from conf/sample.yaml.

    Returns:
        Where they are.
    """
    if cfg.n < 1:
        raise ConfigError(f"n must be at least 1, got {cfg.n}")
    folder = RunFolder.find(cfg.run, Path(cfg.log_dir))
    model = load(cfg.run, cfg.checkpoint, cfg.log_dir)
    labels = _labels(cfg["class"], cfg.n, model)
    if torch.cuda.is_available():
        model = model.cuda()
    # Block by block, so that any number fits on the device.
    blocks = [_block(model, cfg, labels, first) for first in range(0, cfg.n, BLOCK)]
    asked = "" if cfg["class"] is None else f"-c{cfg['class']}"
    default = folder.path / "samples" / f"sample-s{cfg.seed}-n{cfg.n}{asked}.png"
    out = default if cfg.out is None else Path(cfg.out)
    in_rows = 0 < model.num_classes <= ROWS and cfg["class"] is None
    write_images(torch.cat(blocks), out, labels, rows=model.num_classes if in_rows else 0)
    what = "images" if cfg["class"] is None else f"images of class {cfg['class']}"
    console.print(f"{cfg.n} {what}, seed {cfg.seed}: {out}", soft_wrap=True, highlight=False)
    return out


def _block(
    model: AdversarialModule, cfg: DictConfig, labels: torch.Tensor | None, first: int
) -> torch.Tensor:
    n = min(BLOCK, cfg.n - first)
    asked = None if labels is None else labels[first : first + n]
    return to_uint8(model.sample(n, cfg.seed, cfg.weights, first, asked)).cpu()


def _labels(asked: int | None, n: int, model: AdversarialModule) -> torch.Tensor | None:
    """Returns the class of each image, int64 [n]: the one asked for, or all in turn."""
    classes = model.num_classes
    if classes == 0:
        if asked is None:
            return None
        raise ConfigError(
            f"class={asked}: this run's model ({type(model).__name__}) makes images without "
            "classes. Leave class out, or train a model that is told them: model=cgan"
        )
    if asked is None:
        return torch.arange(n) % classes
    if not 0 <= asked < classes:
        raise ConfigError(f"class must be in 0 ... {classes - 1} for this run, got {asked}")
    return torch.full((n,), asked)


def write_images(
    images: torch.Tensor, out: Path, labels: torch.Tensor | None = None, rows: int = 0
) -> None:
    """Writes uint8 [N, C, H, W]: a grid to FILE.png, an array to FILE.npz, else single PNGs.

    The array is ``images`` uint8 [N, H, W, C], as the evaluation suites of the field read it, and
    ``labels`` int64 [N] beside it where there are any.

    Args:
        images: what is written.
        out: where to.
        labels: class of each image.
        rows: classes that have a row each in a grid; 0 for a grid as square as may be.
    """
    if out.suffix == ".npz":
        arrays = {"images": images.permute(0, 2, 3, 1).numpy()}
        arrays |= {} if labels is None else {"labels": labels.numpy()}
        with atomic.writing(out) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    elif out.suffix == ".png":
        sorted_by = (
            by_class(images, labels, rows) if labels is not None and rows else (images, None)
        )
        save(picture(*sorted_by), out)
    elif out.suffix:
        raise ConfigError(f"out={out}: must end in .png (a grid), .npz (an array), or be a folder")
    else:
        out.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            save(single(image), out / f"{i:06d}.png")
