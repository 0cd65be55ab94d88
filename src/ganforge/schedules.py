"""Learning-rate schedules: functions from a generator update, from 0, to a factor on the rate.

They have no state, so there is nothing to save or to step: a resumed run computes the same values.
"""

from __future__ import annotations

import math

from ganforge.errors import ConfigError


def warmup_factor(step: int, warmup: int) -> float:
    """Returns the linear ramp (step + 1) / warmup, at most 1. It is above 0 at step 0."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def decay_progress(step: int, begin: int, total: int) -> float:
    """Returns the completed fraction of the decay from ``begin`` to ``total``, in [0, 1]."""
    return min(1.0, max(0.0, (step - begin) / (total - begin)))


class Constant:
    """A constant factor of 1, after a linear warm-up.

    Args:
        warmup: generator updates until the full rate.
    """

    def __init__(self, warmup: int = 0) -> None:
        _check_warmup("Constant", warmup)
        self.warmup = warmup

    def __call__(self, step: int) -> float:
        """Returns the factor on the learning rate of generator update ``step``, from 0."""
        return warmup_factor(step, self.warmup)


class _Decay:
    def __init__(self, total: int, final: float = 0.0, warmup: int = 0) -> None:
        name = type(self).__name__
        _check_warmup(name, warmup)
        if total < 1:
            raise ConfigError(
                f"{name}: total must be at least 1, got {total}; a decaying rate needs the run's "
                "length: trainer.max_steps=N, or schedule.total=N with trainer.max_seconds"
            )
        _check_final(name, final)
        if warmup >= total:
            raise ConfigError(f"{name}: warmup must be below total={total}, got {warmup}")
        self.total = total
        self.final = final
        self.warmup = warmup


class LinearDecay(_Decay):
    """A factor of 1 up to ``start``, then a linear decay to ``final`` at ``total``.

    Args:
        total: generator updates of the run; after them the factor stays at ``final``.
        start: update at which the decay begins, but not before the end of the warm-up.
        final: factor at ``total``, in [0, 1].
        warmup: generator updates until the full rate.
    """

    def __init__(self, total: int, start: int = 0, final: float = 0.0, warmup: int = 0) -> None:
        super().__init__(total, final, warmup)
        if not 0 <= start < total:
            raise ConfigError(f"LinearDecay: start must be in [0, total={total}), got {start}")
        self.start = start

    def __call__(self, step: int) -> float:
        """Returns the factor on the learning rate of generator update ``step``, from 0."""
        progress = decay_progress(step, max(self.start, self.warmup), self.total)
        return warmup_factor(step, self.warmup) * (1 - progress * (1 - self.final))


class LateLinearDecay(LinearDecay):
    """A factor of 1 for a fraction of the run, then a linear decay to ``final``.

    Args:
        total: generator updates of the run.
        share: fraction of the run before the decay begins, at least 0 and below 1.
        final: factor at ``total``, in [0, 1].
        warmup: generator updates until the full rate.
    """

    def __init__(self, total: int, share: float = 0.5, final: float = 0.0, warmup: int = 0) -> None:
        if not 0 <= share < 1:
            raise ConfigError(f"LateLinearDecay: share must be in [0, 1), got {share}")
        super().__init__(total, int(share * total), final, warmup)


class CosineDecay(_Decay):
    """A half cosine from 1 at the end of the warm-up down to ``final`` at ``total``.

    Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts.

    Args:
        total: generator updates of the run; after them the factor stays at ``final``.
        final: factor at ``total``, in [0, 1].
        warmup: generator updates until the full rate.
    """

    def __call__(self, step: int) -> float:
        """Returns the factor on the learning rate of generator update ``step``, from 0."""
        progress = decay_progress(step, self.warmup, self.total)
        height = (1 + math.cos(math.pi * progress)) / 2
        return warmup_factor(step, self.warmup) * (self.final + (1 - self.final) * height)


class CosineDecayByImages:
    """A half cosine from 1 down to ``final`` over ``images`` real images, then ``final``.

    For recipes that count images, such as R3GAN's (Huang et al. 2024, arXiv:2501.05441): the decay
    does not change with the batch size.

    Args:
        images: real images after which the decay ends.
        batch_size: images of one critic update, over all processes.
        critic_steps: critic updates for each generator update.
        final: factor at the end, in [0, 1].
    """

    def __init__(
        self, images: int, batch_size: int, critic_steps: int = 1, final: float = 0.0
    ) -> None:
        counts = {"images": images, "batch_size": batch_size, "critic_steps": critic_steps}
        for name, value in counts.items():
            if value < 1:
                raise ConfigError(f"CosineDecayByImages: {name} must be at least 1, got {value}")
        _check_final("CosineDecayByImages", final)
        self.images = images
        self.images_per_step = batch_size * critic_steps
        self.final = final

    def __call__(self, step: int) -> float:
        """Returns the factor on the learning rate of generator update ``step``, from 0."""
        progress = decay_progress(step * self.images_per_step, 0, self.images)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2


def _check_warmup(name: str, warmup: int) -> None:
    if warmup < 0:
        raise ConfigError(f"{name}: warmup must be at least 0, got {warmup}")


def _check_final(name: str, final: float) -> None:
    if not 0 <= final <= 1:
        raise ConfigError(f"{name}: final must be in [0, 1], got {final}")
