from __future__ import annotations

from ganforge.compute.hardware import Hardware, TrainerSettings

_DEVICES = {"cpu": "the CPU", "mps": "MPS", "cuda": "this GPU"}


def idle_settings(settings: TrainerSettings, hardware: Hardware) -> list[str]:
    """Returns warnings of settings that have no effect here.

    They are no errors: a recipe is used on several machines.

    Args:
        settings: length and hardware as configured.
        hardware: the resolved hardware settings.
    """
    warnings = []
    if settings.tf32 is True and hardware.tf32 is None:
        device = _DEVICES[hardware.accelerator]
        warnings.append(
            f"trainer.tf32=true has no effect on {device}: NVIDIA GPUs from Ampere on have TF32"
        )
    if settings.sync_batchnorm and hardware.processes == 1:
        warnings.append(
            "trainer.sync_batchnorm=true has no effect in one process, where BatchNorm is over all "
            "images of a batch anyway"
        )
    return warnings
