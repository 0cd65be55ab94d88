from __future__ import annotations

import torch

from ganforge.data.images import to_uint8
from tests.metrics.stand_ins import Pictures, noise_images


class Domains:
    """Data of two domains, of given images."""

    num_classes = 0

    def __init__(self, inputs, targets, paired=True, test=0):
        self.name = "domains"
        self.gives = frozenset({"inputs", "pairs"} if paired else {"inputs"})
        tests = test if isinstance(test, tuple) else (test, test)
        self.domains = {
            "input": Pictures(inputs, test=tests[0], name="domains"),
            "target": Pictures(targets, test=tests[1], name="domains"),
        }
        self.channels, self.input_channels = targets.shape[1], inputs.shape[1]
        self.image_size = targets.shape[-1]

    def domain(self, role):
        return self.domains[role]

    def size(self, split="train"):
        return self.domains["target"].size(split)

    def reals(self, n, split="train", start=0):
        return self.domains["target"].reals(n, split, start)

    def input_size(self, split="train"):
        return self.domains["input"].size(split)

    def inputs(self, n, split="train", start=0):
        return self.domains["input"].reals(n, split, start)[0]


class Shift:
    """Translates by adding a number: ``there`` in the first direction, ``back`` in the second."""

    device = torch.device("cpu")
    needs = frozenset({"inputs"})

    def __init__(self, there=0.0, back=None):
        self.by = {"AtoB": there} if back is None else {"AtoB": there, "BtoA": back}
        self.directions = tuple(self.by)
        self.asked = []

    def translate(self, inputs, direction=None, weights="ema", seed=0, start=0):
        assert inputs.dtype == torch.float32
        self.asked.append((direction, len(inputs), start, weights, seed))
        return inputs + self.by[direction]


class Wobble(Shift):
    """Adds noise of (seed, index), as dropout would."""

    def translate(self, inputs, direction=None, weights="ema", seed=0, start=0):
        rows = [
            torch.rand(inputs.shape[1:], generator=torch.Generator().manual_seed(start + i))
            for i in range(len(inputs))
        ]
        moved = super().translate(inputs, direction, weights, seed, start)
        return (moved + torch.stack(rows) / 9).clamp(-1, 1)


def flat(values, channels=1, size=16):
    """Returns uint8 images of one gray each."""
    greys = torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1)
    return greys.expand(-1, channels, size, size).contiguous()


def noise_domains(n=23, paired=True, test=11, channels=(1, 1), size=12):
    """Returns two domains of noise, B darker than A."""
    first = noise_images(n, seed=1, channels=channels[0], size=size)
    second = to_uint8(noise_images(n, seed=2, channels=channels[1], size=size).float() / 255 - 1)
    return Domains(first, second, paired, test)
