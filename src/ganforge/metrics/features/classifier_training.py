from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.errors import DataError
from ganforge.metrics.scores.score import own_random_numbers
from ganforge.metrics.source import ImageSource

SIDE = 32
SHIFT = 2
SEED = 20_240_229
CHUNK = 500
LEAST_SEEN = 20_000  # training images, with repetitions
MOST_SEEN = 90_000


class ClassifierNetwork(nn.Module):
    """A small convolutional classifier of 32x32 images.

    Args:
        channels: C of the images.
        num_classes: k.
        width: filters of the first layer.
    """

    num_features = 128

    def __init__(self, channels: int, num_classes: int, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            *_block(width, 2 * width),
            *_block(2 * width, 4 * width),
            nn.Flatten(),
            nn.Linear(4 * width * (SIDE // 8) ** 2, self.num_features),
            nn.BatchNorm1d(self.num_features),
            nn.ReLU(),
        )
        self.head = nn.Linear(self.num_features, num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Returns [B, 128] for uint8 images [B, C, 32, 32]."""
        hidden: Tensor = self.body(images.float() / 127.5 - 1)
        return hidden

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits [B, k] for uint8 images [B, C, 32, 32]."""
        logits: Tensor = self.head(self.features(images))
        return logits


def shrink(images: Tensor) -> Tensor:
    """Resizes images [B, C, H, W] in 0 ... 255 to 32x32, bilinear with antialiasing.

    uint8 images are rounded to uint8; float images are not rounded.
    """
    if images.shape[-2:] == (SIDE, SIDE):
        return images
    size = (SIDE, SIDE)
    small = F.interpolate(images.float(), size=size, mode="bilinear", antialias=True).clamp(0, 255)
    return small if images.is_floating_point() else small.round().to(torch.uint8)


class Trained(NamedTuple):
    """A trained classifier.

    Attributes:
        state: weights and buffers.
        accuracy: accuracy on the test split, NaN if there are no labelled test images.
    """

    state: dict[str, Tensor]
    accuracy: float


def train(data: ImageSource, max_images: int) -> Trained:
    """Trains a classifier of ``data``'s labels, reproducibly for the same images.

    Training always uses the CPU, so that runs on different devices share the same weights. The
    global random state is restored afterwards.
    """
    count = min(max_images, data.size("train"))
    if count < 2:
        raise DataError(f"a classifier needs at least 2 images, data={data.name} has {count}")
    return train_on(*_gather(data, "train", count), data)


def train_on(images: Tensor, labels: Tensor, data: ImageSource) -> Trained:
    """Trains a classifier on other images than those of ``data``, for the same classes.

    Args:
        images: training images, uint8 [n, C, 32, 32].
        labels: their classes, int64 [n].
        data: the data whose test split the classifier is tested on.
    """
    with _reproducibly(), torch.inference_mode(False), torch.enable_grad():
        network = ClassifierNetwork(data.channels, data.num_classes)
        network.to(memory_format=torch.channels_last)
        _fit(network, images, labels)
    state = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    return Trained(state, _accuracy(network, data))


@contextmanager
def _reproducibly() -> Iterator[None]:
    # One thread: sums then do not depend on the number of cores; small batches lose little speed.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with own_random_numbers(SEED):
            yield
    finally:
        torch.set_num_threads(threads)


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)


def _gather(data: ImageSource, split: str, count: int) -> tuple[Tensor, Tensor]:
    # Each chunk is resized immediately: all large images together would not fit into memory.
    images, labels = [], []
    for start in range(0, count, CHUNK):
        chunk, classes = data.reals(min(CHUNK, count - start), split, start)
        if classes is None:
            raise DataError(f"data={data.name} has {data.num_classes} classes but no labels")
        images.append(shrink(chunk.cpu()))
        labels.append(classes.cpu())
    return torch.cat(images), torch.cat(labels)


def _fit(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    # 13 epochs of 1,500 images or 1.5 epochs of 60,000: both take seconds.
    seen = min(max(2 * len(images), LEAST_SEEN), MOST_SEEN)
    batch = min(len(images), 64 if len(images) < 10_000 else 128)
    steps = seen // batch
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps, pct_start=0.2)
    network.train()
    for rows, shift in _batches(len(images), batch, steps):
        batch_images = _shifted(images[rows], *shift)
        logits = network(batch_images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    network.eval()


def _batches(count: int, batch: int, steps: int) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    generator = torch.Generator().manual_seed(SEED)
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) < batch:
            order = torch.cat([order, torch.randperm(count, generator=generator)])
        down, right = torch.randint(2 * SHIFT + 1, (2,), generator=generator).tolist()
        yield order[:batch], (down, right)
        order = order[batch:]


def _shifted(images: Tensor, down: int, right: int) -> Tensor:
    padded = F.pad(images.float(), (SHIFT,) * 4, mode="replicate")
    return padded[..., down : down + SIDE, right : right + SIDE]


@torch.no_grad()
def _accuracy(network: nn.Module, data: ImageSource) -> float:
    count = min(data.size("test"), 10_000)
    if count == 0 or data.real_labels("test") is None:
        return float("nan")
    images, labels = _gather(data, "test", count)
    logits = torch.cat([network(chunk) for chunk in torch.split(images, CHUNK)])
    return float((logits.argmax(1) == labels).double().mean())
