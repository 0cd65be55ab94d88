from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from ganforge import atomic
from ganforge.callbacks.grid import picture, save, single
from ganforge.console import console
from ganforge.data.images import to_uint8
from ganforge.errors import ConfigError
from ganforge.experiments.loading import load
from ganforge.experiments.run_folder import RunFolder

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
    if torch.cuda.is_available():
        model = model.cuda()
    # Block by block, so that any number fits on the device.
    blocks = [
        to_uint8(model.sample(min(BLOCK, cfg.n - first), cfg.seed, cfg.weights, first)).cpu()
        for first in range(0, cfg.n, BLOCK)
    ]
    images = torch.cat(blocks)
    default = folder.path / "samples" / f"sample-s{cfg.seed}-n{cfg.n}.png"
    out = default if cfg.out is None else Path(cfg.out)
    write_images(images, out)
    console.print(f"{cfg.n} images, seed {cfg.seed}: {out}", soft_wrap=True, highlight=False)
    return out


def write_images(images: torch.Tensor, out: Path) -> None:
    """Writes uint8 [N, C, H, W]: a grid to FILE.png, an array to FILE.npz, else single PNGs.

    The array is ``images`` uint8 [N, H, W, C], as the evaluation suites of the field read it.
    """
    if out.suffix == ".npz":
        with atomic.writing(out) as file:
            np.savez_compressed(file, images=images.permute(0, 2, 3, 1).numpy())
    elif out.suffix == ".png":
        save(picture(images), out)
    elif out.suffix:
        raise ConfigError(f"out={out}: must end in .png (a grid), .npz (an array), or be a folder")
    else:
        out.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            save(single(image), out / f"{i:06d}.png")
