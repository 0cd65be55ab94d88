from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from lightning.pytorch import Callback
from omegaconf import DictConfig
from torch import nn

from ganforge.compute.compilers import resolved_compilation, silence_cuda_search
from ganforge.compute.hardware import Hardware, TrainerSettings
from ganforge.compute.idle import idle_settings
from ganforge.compute.recording import resolved_graphs
from ganforge.data.module import ImageDataModule
from ganforge.data.order import check_divisible
from ganforge.data.sets.fake import FakeImages
from ganforge.data.translation.module import TranslationData
from ganforge.errors import ConfigError, DataError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.compilation import compile_networks
from ganforge.models.translation import TranslationModel
from ganforge.networks.contract import ComparesRows, contract_of
from ganforge.networks.layers.synchronized import synchronize_batch_norm
from ganforge.runs.load import build, build_model
from ganforge.streams import split_rows

log = logging.getLogger("ganforge")


@dataclass
class Parts:
    """The objects built from a configuration, before there is a run folder.

    Attributes:
        settings: length and hardware as configured.
        hardware: the resolved hardware settings.
        data: the data module, set up.
        model: the model, prepared for the hardware.
        callbacks: callbacks by name.
        random: whether random images replace missing data, in a dry run.
    """

    settings: TrainerSettings
    hardware: Hardware
    data: ImageDataModule
    model: AdversarialModule
    callbacks: dict[str, Callback]
    random: bool = False


def build_parts(cfg: DictConfig) -> Parts:
    """Builds and checks all parts of a run, before anything is written to disk.

    Raises:
        ConfigError: parts do not fit each other, the hardware or the data.
        DataError: the data are missing or unreadable.
    """
    # instantiate() resolves its configuration in place, but a run keeps its interpolations.
    cfg = copy.deepcopy(cfg)
    settings = cast(TrainerSettings, build(cfg.trainer))
    hardware = settings.hardware()
    for warning in (*hardware.warnings, *idle_settings(settings, hardware)):
        log.warning("%s", warning)
    data = cast(ImageDataModule, build(cfg.data))
    model = build_model(cfg)
    callbacks = {name: build(node) for name, node in cfg.callbacks.items() if node is not None}
    wanted, data = data, _prepared(data, or_random=cfg.dry_run)
    data.setup()
    _check_fit(model, data)
    _check_batches(model, data, hardware)
    if settings.sync_batchnorm and hardware.processes > 1:
        for network in model.players.values():
            synchronize_batch_norm(network)
    if settings.channels_last == "auto":
        hardware = with_layout(hardware, model)
    prepare(model, hardware)
    compiled = resolved_compilation(settings.compile, hardware.accelerator)
    graphs = model.recording = resolved_graphs(settings, hardware)
    hardware = replace(hardware, compiled=compiled, graphs=graphs)
    if compiled != "none":
        compile_model(model, compiled)
    _check_optimizers(model)
    return Parts(settings, hardware, data, model, callbacks, random=data is not wanted)


def _prepared(data: ImageDataModule, or_random: bool) -> ImageDataModule:
    """Returns the prepared data; or random images of the same shape, if allowed and needed.

    Raises:
        DataError: the data are unavailable, and random images are not allowed or not possible.
    """
    try:
        data.prepare_data()
    except DataError as fault:
        if not or_random or isinstance(data, TranslationData):
            raise
        log.warning("THE DATA WERE NOT FOUND: one step is taken on random images: %s", fault)
        missing = f"random images, because the data were not found: {fault}"
        data = FakeImages(
            size=max(8 * data.batch_size, data.num_classes),
            name=data.name,
            image_size=data.image_size,
            channels=data.channels,
            num_classes=data.num_classes,
            batch_size=data.batch_size,
        )
        data.remarks.append(missing)
    return data


def prepare(model: AdversarialModule, hardware: Hardware) -> None:
    """Sets the model's memory layout and fused optimizers as the hardware settings say."""
    if hardware.channels_last:
        model.memory_format = torch.channels_last
        cast(Any, model).to(memory_format=torch.channels_last)
    model.fused_optimizers = hardware.fused


def compile_model(model: AdversarialModule, mode: str, backend: str = "inductor") -> None:
    """Compiles the networks of a model, its average and its augmentations.

    Arguments as in :func:`ganforge.models.engine.compilation.compile_networks`.
    """
    silence_cuda_search()
    averages = [model.average.module] if model.average is not None else []
    augmentations = {critic.augment for critic in model.critics().values()}
    parts = [part for augment in augmentations for part in augment.tensor_functions()]
    compile_networks([*model.players.values(), *averages, *parts], mode, backend)
    model.compiled = True


def with_layout(hardware: Hardware, model: AdversarialModule) -> Hardware:
    """Returns hardware settings without channels_last if the model has layers that it slows down.

    CUDA's InstanceNorm copies channels-last features to the contiguous layout and back.
    """
    copied = any(isinstance(layer, nn.InstanceNorm2d) for layer in model.modules())
    copied = copied and hardware.accelerator == "cuda"
    return replace(hardware, channels_last=hardware.channels_last and not copied)


def _check_fit(model: AdversarialModule, data: ImageDataModule) -> None:
    if isinstance(model, TranslationModel):
        _check_translation(model, cast(TranslationData, data))
        return
    for player in ("generator", "discriminator"):
        network = getattr(model, player)
        built = contract_of(network)
        shape = (built.channels, built.image_size)
        if None not in shape and shape != (data.channels, data.image_size):
            raise ConfigError(
                f"network.{player} is built for {shape[0]} x {shape[1]} x {shape[1]} images, and "
                f"data={data.name} has {data.channels} x {data.image_size} x {data.image_size}"
            )


def _check_translation(model: TranslationModel, data: TranslationData) -> None:
    """Rejects translators with other channels than the data, or unable to take its image size."""
    both = [data.input_channels, data.channels]
    for direction, expected in zip(model.directions, (both, both[::-1]), strict=False):
        built = contract_of(model.translator(direction, "raw"))
        channels = [built.in_channels, built.out_channels]
        if None not in channels and channels != expected:
            raise ConfigError(
                f"network.generator translates {channels[0]} channels into {channels[1]}, and "
                f"data={data.name} has {expected[0]} and {expected[1]} in direction {direction}"
            )
        if data.image_size % built.multiple:
            raise ConfigError(
                f"network.generator takes sides that are multiples of {built.multiple}, and "
                f"data.image_size is {data.image_size}"
            )


def _check_batches(model: AdversarialModule, data: ImageDataModule, hardware: Hardware) -> None:
    """Rejects batch sizes that the processes, packs or minibatch-stddev groups do not divide.

    For a progressively growing model, checks the batch sizes of all resolutions.
    """
    sizes, growth = [data.batch_size], model.growth
    if growth is not None:
        sizes = growth.all_batch_sizes(data.batch_size)
    for size in sizes:
        check_divisible(size, hardware.processes, hardware.nodes, sizes)
        _check_packs(model, size // hardware.processes)


def _check_packs(model: AdversarialModule, rows: int) -> None:
    """Rejects a per-process batch that packs, or minibatch-stddev groups of packs, do not divide.

    Args:
        model: the model, with its packing and number of accumulated parts.
        rows: images of a batch on one process.
    """
    packing = model.packing
    parts = split_rows(torch.empty(rows), min(model.accumulate, rows))
    if uneven := [len(part) for part in parts if len(part) % packing]:
        raise ConfigError(
            f"model.packing={packing} does not divide {uneven[0]} images, which one process gets "
            f"together (data.batch_size over processes, over model.accumulate={model.accumulate})"
        )
    for layer in model.discriminator.modules():
        if isinstance(layer, ComparesRows):
            for part in parts:
                layer.check_rows(len(part) // packing)


def _check_optimizers(model: AdversarialModule) -> None:
    # Built once here, so that wrong arguments fail before the run has a folder.
    try:
        model.configure_optimizers()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"optimizer: {error}") from error
