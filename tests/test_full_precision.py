"""TF32 settings are those of PyTorch's process, and can be set without a GPU."""

from __future__ import annotations

import warnings

import pytest
import torch

from ganforge.full_precision import full_precision, tf32

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
MATMUL, CUDNN = torch.backends.cuda.matmul, torch.backends.cudnn
HAS_PRECISIONS = hasattr(MATMUL, "fp32_precision")  # from PyTorch 2.9


def state() -> dict[str, object]:
    """Everything that PyTorch reports on the precision of float32."""
    found = {"products": MATMUL.allow_tf32, "convolutions": CUDNN.allow_tf32}
    found["matmul"] = torch.get_float32_matmul_precision()
    if HAS_PRECISIONS:
        for name, one in {"m": MATMUL, "c": CUDNN.conv, "r": CUDNN.rnn}.items():
            found[name] = one.fp32_precision
        found["cpu"] = torch.backends.mkldnn.matmul.fp32_precision
    return found


def allowed() -> tuple[bool, bool]:
    return MATMUL.allow_tf32, CUDNN.allow_tf32


@pytest.fixture(params=["default", "flags", "high", "medium"])
def usual(request):
    """What a program may have set before; restored afterwards."""
    before = MATMUL.allow_tf32, CUDNN.allow_tf32, torch.get_float32_matmul_precision()
    if request.param == "flags":
        MATMUL.allow_tf32, CUDNN.allow_tf32 = True, False
    elif request.param != "default":
        torch.set_float32_matmul_precision(request.param)
    yield state()
    MATMUL.allow_tf32, CUDNN.allow_tf32, matmul = before
    torch.set_float32_matmul_precision(matmul)
    if HAS_PRECISIONS:
        MATMUL.fp32_precision = torch.backends.mkldnn.matmul.fp32_precision = "none"


@pytest.mark.parametrize("on", [True, False])
def test_it_is_set_and_restored_without_a_warning(usual, on):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tf32(on):
            assert allowed() == (on, on)
            torch.get_float32_matmul_precision()  # Lightning asks; a contradiction would raise
        assert state() == usual
        with pytest.raises(ZeroDivisionError), tf32(on):
            raise ZeroDivisionError
        assert state() == usual
        with tf32(None):
            assert state() == usual


def test_full_precision_forbids_it_on_gpus(usual):
    with tf32(True):
        training = state()
        with full_precision(CUDA):
            assert allowed() == (False, False)
        assert state() == training
        with full_precision(CPU):  # knows no TF32
            assert state() == training
    with full_precision(CUDA):  # outside of a training, as in `ganforge evaluate`
        assert allowed() == (False, False)
    assert state() == usual


def test_a_training_may_allow_it_everywhere():
    with tf32(True, everywhere=True):
        with full_precision(CUDA):
            assert allowed() == (True, True)
        with tf32(False), full_precision(CUDA):
            assert allowed() == (False, False)
    with tf32(True), full_precision(CUDA):
        assert allowed() == (False, False)


def test_full_precision_leaves_autocast():
    x = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with full_precision(CPU):
            assert (x @ x).dtype == torch.float32


@pytest.mark.skipif(not HAS_PRECISIONS, reason="PyTorch before 2.9 has flags only")
def test_precisions_that_a_program_has_set_are_restored():
    """The flags of such a program cannot be read."""
    before = state()
    try:
        MATMUL.fp32_precision = "tf32"
        with pytest.raises(RuntimeError):
            _ = MATMUL.allow_tf32
        with tf32(False):
            assert MATMUL.fp32_precision == "ieee"
            assert CUDNN.conv.fp32_precision == "ieee"
        assert MATMUL.fp32_precision == "tf32"
        assert CUDNN.conv.fp32_precision == before["c"]
    finally:
        MATMUL.allow_tf32 = before["products"]
        MATMUL.fp32_precision = before["m"]
    assert state() == before
