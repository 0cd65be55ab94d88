"""A null GPU: runs commands as on a machine with GPUs, on a machine without one.

    uv run python -m tests.nullcuda ganforge train model=dcgan data=digits trainer=gpu \\
        trainer.max_steps=32
    uv run python -m tests.nullcuda --devices 2 ganforge train model=dcgan data=digits \\
        trainer=ddp trainer.max_steps=32

Stands in for the CUDA runtime, the driver, cuBLAS, cuDNN, cuSOLVER, NVRTC and NCCL below the
ordinary CUDA wheel of PyTorch. Kernels do nothing, and NCCL exchanges bytes between processes. What
is above is real: dispatch, autocast, checks of devices, dtypes and layouts, the caching allocator,
generators, GradScaler, the autograd engine, the reducer of DDP, Lightning.

Exact are therefore mismatches of devices and dtypes, launches, copies, synchronizations of the
host (with their Python stacks), collectives and their bytes, and the peak of allocated memory
(without workspaces of cuDNN). Not covered are values, the times of kernels, the choice of
algorithms, `torch.compile`, and what a replayed CUDA graph computes.

Needs Linux, gcc, and a CUDA wheel of PyTorch with its headers (CUDA 13).
"""
