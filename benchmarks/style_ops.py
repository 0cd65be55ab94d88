"""Compares StyleGAN2's operations with naive implementations: forward and double backward.

    uv run python benchmarks/style_ops.py
    uv run python benchmarks/style_ops.py --device cuda --compile

The naive implementations follow the equations: insert zeros between pixels, apply the
two-dimensional filter at every position, convolve each image in turn with its own weights. A round
is a forward pass, the gradient of the output's sum of squares with respect to the inputs, and the
gradient of that gradient's sum of squares, as in path-length regularization and R1. Rounds are
interleaved, so that all run under the same load. The results of both are compared first.

A second table compares the derivatives of ganforge's filters and grouped convolutions with those of
PyTorch, which loops over the groups in second derivatives: R1 through one operation, and R1 and
path lengths of whole networks, with the gradients of all weights. Prints the tables and writes
style_ops.md.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.networks import R3GANDiscriminator, StyleGAN2Discriminator, StyleGAN2Generator
from ganforge.networks.layers import modulated_convolution as modulated
from ganforge.networks.layers import upfirdn2d as filters
from ganforge.networks.layers.convolution import GroupedConv2d
from ganforge.networks.layers.modulated_convolution import EPSILON, modulated_convolution
from ganforge.networks.layers.upfirdn2d import (
    Downsample,
    Upsample,
    downsample2d,
    filter_kernel,
    upsample2d,
)
from ganforge.regularizers.input_gradient import input_gradient, norm, squared_norm

HERE = Path(__file__).parent
Operation = Callable[..., Tensor]


def insert_zeros(images: Tensor) -> Tensor:
    """Inserts zeros between pixels; returns [B, C, 2H, 2W]."""
    batch, channels, height, width = images.shape
    zeros = images.new_zeros(batch, channels, height, 2, width, 2)
    zeros[:, :, :, 0, :, 0] = images
    return zeros.view(batch, channels, 2 * height, 2 * width)


def filtered(images: Tensor, kernel: Tensor, pad: tuple[int, ...], gain: float) -> Tensor:
    """Filters with the outer product of the taps at every position."""
    square = (gain * torch.outer(kernel, kernel)).expand(images.shape[1], 1, -1, -1)
    return F.conv2d(F.pad(images, pad), square, groups=images.shape[1])


def naive_up(images: Tensor, kernel: Tensor) -> Tensor:
    """Returns [B, C, 2H, 2W]."""
    return filtered(insert_zeros(images), kernel, (2, 1, 2, 1), 4.0)


def naive_down(images: Tensor, kernel: Tensor) -> Tensor:
    """Returns [B, C, H/2, W/2]."""
    return filtered(images, kernel, (1, 1, 1, 1), 1.0)[:, :, ::2, ::2]


def naive_modulated(
    features: Tensor, weight: Tensor, styles: Tensor, kernel: Tensor | None = None
) -> Tensor:
    """Convolves the images one by one."""
    # Pad by three: outputs beyond the border still contribute through the filter.
    features, pad = (features, 1) if kernel is None else (insert_zeros(features), 3)
    features = F.pad(features, (pad,) * 4)
    rows = []
    for image, style in zip(features, styles, strict=True):
        own = weight * style[:, None, None]
        own = own * (own.square().sum((1, 2, 3), keepdim=True) + EPSILON).rsqrt()
        rows.append(F.conv2d(image[None], own))
    output = torch.cat(rows)
    return output if kernel is None else filtered(output, kernel, (0, -1, 0, -1), 4.0)


def cases(
    batch: int, channels: int, side: int, device: str
) -> dict[str, tuple[list[Tensor], Operation, dict[str, Operation]]]:
    """Returns the inputs of each operation, the naive implementation and those of ganforge."""
    torch.manual_seed(0)
    draw = partial(torch.randn, device=device)
    kernel = filter_kernel().to(device)
    images = [draw(batch, channels, side, side)]
    weights = draw(channels, channels, 3, 3) / (channels * 9) ** 0.5
    modulated = [*images, weights, draw(batch, channels) + 1]

    def ours(upsampling: Tensor | None) -> dict[str, Operation]:
        ways = {"scaled": False, "grouped": True}
        return {
            name: partial(modulated_convolution, upsampling=upsampling, grouped=grouped)
            for name, grouped in ways.items()
        }

    up, down = ({"": partial(way, kernel=kernel)} for way in (upsample2d, downsample2d))
    return {
        "upsample": (images, partial(naive_up, kernel=kernel), up),
        "downsample": (images, partial(naive_down, kernel=kernel), down),
        "modulated convolution": (modulated, naive_modulated, ours(None)),
        "the same, up": (modulated, partial(naive_modulated, kernel=kernel), ours(kernel)),
    }


def double_backward(operation: Operation, inputs: list[Tensor]) -> list[Tensor]:
    """Returns the output, and the gradients of its squared gradient norm at all inputs."""
    leaves = [tensor.detach().requires_grad_(True) for tensor in inputs]
    output = operation(*leaves)
    gradients = torch.autograd.grad(output.square().sum(), leaves, create_graph=True)
    penalty = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
    return [output.detach(), *torch.autograd.grad(penalty, leaves)]


def seconds(operation: Operation, inputs: list[Tensor]) -> float:
    """Returns the seconds of one round."""
    wait = torch.cuda.synchronize if inputs[0].is_cuda else lambda: None
    wait()
    start = time.perf_counter()
    double_backward(operation, inputs)
    wait()
    return time.perf_counter() - start


def check(name: str, naive: Operation, ours: Operation, inputs: list[Tensor]) -> None:
    """Raises AssertionError if the results differ."""
    results = double_backward(naive, inputs), double_backward(ours, inputs)
    for expected, found in zip(*results, strict=True):
        scale = float(expected.abs().max())
        torch.testing.assert_close(found / scale, expected / scale, atol=1e-3, rtol=1e-3, msg=name)


def measure(inputs: list[Tensor], operations: list[Operation], rounds: int) -> list[list[float]]:
    """Returns the seconds of each operation in each round."""
    for operation in operations:  # the first call allocates and compiles
        seconds(operation, inputs)
    times = [[seconds(operation, inputs) for operation in operations] for _ in range(rounds)]
    return [list(column) for column in zip(*times, strict=True)]


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Replaces ganforge's convolutions by those of PyTorch inside the context."""
    with contextlib.ExitStack() as patches:
        for module in (filters, modulated):
            patches.enter_context(patch.object(module, "conv2d", F.conv2d))
            patches.enter_context(patch.object(module, "conv_transpose2d", F.conv_transpose2d))
        patches.enter_context(patch.object(GroupedConv2d, "forward", nn.Conv2d.forward))
        yield


def r1(network: nn.Module, images: Tensor) -> Tensor:
    """Returns a loss and the R1 penalty."""
    slopes = squared_norm(input_gradient(lambda x: network(x).reshape(len(x), -1).sum(1), images))
    return network(images).square().mean() + slopes.mean()


def path_length(network: StyleGAN2Generator, latents: Tensor) -> Tensor:
    """Returns a loss and the mean squared length of J^T y."""
    ws = network.mapping.broadcast(network.mapping(latents))
    images = network.synthesize(ws)
    (slopes,) = torch.autograd.grad(images.cos().sum(), ws, create_graph=True)
    return images.square().mean() + norm(slopes).square().mean()


def penalized(device: str) -> dict[str, Callable[[], Tensor]]:
    """Returns functions that compute losses with second derivatives, by name."""
    torch.manual_seed(0)

    def between(wide: int, operation: nn.Module) -> nn.Module:
        layers = nn.Conv2d(3, wide, 1), nn.LeakyReLU(0.2), operation, nn.Conv2d(wide, 8, 1)
        return nn.Sequential(*layers, nn.LeakyReLU(0.2)).to(device)

    draw = partial(torch.randn, device=device)
    sizes = {"width": 64, "full_width": 16}
    r3gan = R3GANDiscriminator(32, 3, width=96, full_width=16).to(device)
    for parameter in r3gan.parameters():
        nn.init.normal_(parameter, std=0.05)  # the last convolutions of blocks start at 0
    judge = StyleGAN2Discriminator(32, 3, **sizes).to(device)
    maker = StyleGAN2Generator(32, 3, latent_dim=64, w_dim=64, mapping_layers=2, **sizes).to(device)
    grouped = GroupedConv2d(1536, 1536, 3, padding=1, groups=96)
    return {
        "R1 through downsample, 256 channels": partial(
            r1, between(256, Downsample()), draw(8, 3, 16, 16)
        ),
        "R1 through upsample, 256 channels": partial(
            r1, between(256, Upsample()), draw(8, 3, 16, 16)
        ),
        "R1 through 96 groups, 1536 channels": partial(
            r1, between(1536, grouped), draw(4, 3, 8, 8)
        ),
        "R3GAN, discriminator with R1": partial(r1, r3gan, draw(8, 3, 32, 32)),
        "StyleGAN2, discriminator with R1": partial(r1, judge, draw(8, 3, 32, 32)),
        "StyleGAN2, generator with path lengths": partial(path_length, maker, draw(8, 64)),
    }


def second_derivatives(device: str, rounds: int) -> list[str]:
    """Returns the second table: PyTorch's derivatives against those of ganforge."""
    lines = ["", "| loss | PyTorch, ms | ganforge, ms | speedup: median (range) |"]
    lines.append("|---|---:|---:|---:|")
    for name, loss in penalized(device).items():
        network = loss.args[0]

        def update(ours: bool, loss=loss, network=network) -> list[Tensor]:
            with contextlib.nullcontext() if ours else plain():
                leaves = list(network.parameters())
                gradients = torch.autograd.grad(loss(), leaves, allow_unused=True)
            return [gradient for gradient in gradients if gradient is not None]

        for expected, found in zip(update(False), update(True), strict=True):
            scale = float(expected.abs().max()) or 1.0
            torch.testing.assert_close(found / scale, expected / scale, atol=2e-3, rtol=1e-3)
        times = [
            [timed(partial(update, ours), device) for ours in (False, True)] for _ in range(rounds)
        ]
        lines.append(row(name, *map(list, zip(*times, strict=True))))
        print(lines[-1], flush=True)
    return lines


def timed(function: Callable[[], object], device: str) -> float:
    """Returns the seconds of a call; on the CPU those of the process, whatever else runs."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    clock = time.perf_counter if device == "cuda" else time.process_time
    wait()
    start = clock()
    function()
    wait()
    return clock() - start


def row(name: str, naive: list[float], ours: list[float]) -> str:
    """Returns a row of the table."""
    ratios = [a / b for a, b in zip(naive, ours, strict=True)]
    medians = [f"{1000 * statistics.median(times):.2f}" for times in (naive, ours)]
    ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"| {name} | {' | '.join(medians)} | {ratio} |"


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="also time the compiled forward")
    arguments = parser.parse_args()
    lines = [
        "| operation | naive, ms | ganforge, ms | speedup: median (range) |",
        "|---|---:|---:|---:|",
    ]
    shape = (arguments.batch, arguments.channels, arguments.side, arguments.device)
    for name, (inputs, naive, ways) in cases(*shape).items():
        for way, ours in ways.items():
            check(name, naive, ours, inputs)
            times = measure(inputs, [naive, ours], arguments.rounds)
            lines.append(row(f"{name}, {way}" if way else name, *times))
            print(lines[-1], flush=True)
            if arguments.compile:
                lines.append(forward_row(f"{name} {way}", naive, ours, inputs, arguments.rounds))
                print(lines[-1], flush=True)
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.machine()
    lines += [
        "",
        f"Forward and double backward of {list(shape[:2])} feature maps of size {arguments.side}, "
        f"float32, {arguments.rounds} interleaved rounds. `uv run python benchmarks/style_ops.py` "
        f"on {where}, {torch.get_num_threads()} threads, torch {torch.__version__}.",
    ]
    print(lines[-1])
    lines += second_derivatives(arguments.device, arguments.rounds)
    suffix = "" if arguments.device == "cpu" else f"_{arguments.device}"
    (HERE / f"style_ops{suffix}.md").write_text("\n".join(lines) + "\n")


def forward_row(
    name: str, naive: Operation, ours: Operation, inputs: list[Tensor], rounds: int
) -> str:
    """Returns a row for the forward pass of the compiled operation.

    Compiled functions do not support double backward (as of PyTorch 2.15).
    """
    compiled = torch.compile(ours)
    wait = torch.cuda.synchronize if inputs[0].is_cuda else lambda: None

    def forward(operation: Operation) -> float:
        wait()
        start = time.perf_counter()
        with torch.no_grad():
            operation(*inputs)
        wait()
        return time.perf_counter() - start

    for operation in (naive, compiled):
        forward(operation)
    times = [[forward(operation) for operation in (naive, compiled)] for _ in range(rounds)]
    return row(f"{name}, forward only, compiled", *map(list, zip(*times, strict=True)))


if __name__ == "__main__":
    main()
