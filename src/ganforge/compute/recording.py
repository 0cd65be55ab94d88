from __future__ import annotations

from ganforge.compute.hardware import Hardware, TrainerSettings
from ganforge.errors import ConfigError
from ganforge.models.engine.recorders import recovers


def resolved_graphs(settings: TrainerSettings, hardware: Hardware) -> bool:
    """Returns whether updates are recorded as CUDA graphs, for ``trainer.cuda_graphs``.

    Raises:
        ConfigError: they are wanted, and the device or another setting does not allow them.
    """
    reason = _obstacle(settings, hardware)
    if settings.cuda_graphs == "auto" and not recovers():
        return False  # a run that would do without must not end
    if settings.cuda_graphs is True and reason is not None:
        raise ConfigError(
            f"trainer.cuda_graphs=true: {reason}; use trainer.cuda_graphs=false, or auto, which "
            "records where it is possible"
        )
    return bool(settings.cuda_graphs) and reason is None


def _obstacle(settings: TrainerSettings, hardware: Hardware) -> str | None:
    if hardware.accelerator != "cuda":
        return f"only NVIDIA GPUs have graphs, and this run trains on {hardware.accelerator}"
    if settings.sync_batchnorm and hardware.processes > 1:
        return "trainer.sync_batchnorm exchanges statistics within an update"
    if settings.log_every_n_steps == 1:
        return "trainer.log_every_n_steps=1 logs every step, and logged steps are not replayed"
    if settings.detect_anomaly:
        return "trainer.detect_anomaly reads values within an update"
    return None
