"""Writes the libraries of the null GPU as C functions that succeed and do nothing.

What PyTorch imports from cuBLAS, cuDNN, cuSOLVER, cuSPARSE and cuFFT is read from its own
libraries. Most results are ignored, so a function may leave out its parameters. Those that the
caller reads from are written out here.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

LIBRARIES = ("libtorch_cuda.so", "libtorch_python.so", "libtorch_cuda_linalg.so")
IMPORTED = re.compile(r"(cublas|cudnn|cusolver|cusparse|cufft)")
# Left to the real libraries, which are loaded as well and need no device for these.
REAL = re.compile(r"GetVersion|ErrorString|GetErrorName|GetCudartVersion|cusparseLtGet|GetProperty")

HEADER = """\
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#pragma GCC visibility push(default)
void nullcuda_blas(void);
void nullcuda_conv(void);
void nullcuda_dnn(void);
struct performance {
  int algorithm, status;
  float time;
  size_t memory;
  int determinism, math, reserved[3];
};
static void *new_handle(void) {
  static uintptr_t last = 0x900000;
  return (void *)__sync_add_and_fetch(&last, 64);
}
"""

WRITTEN = {
    "cublasGetMathMode": "(void *handle, int *mode) { *mode = 0; return 0; }",
    "cublasGetPointerMode_v2": "(void *handle, int *mode) { *mode = 0; return 0; }",
    # One algorithm; the result is a struct of 96 bytes.
    "cublasLtMatmulAlgoGetHeuristic": """(
        void *handle, void *operation, void *a, void *b, void *c, void *d, void *preference,
        int wanted, char *results, int *found) {
      memset(results, 0, 96); *found = 1; return 0; }""",
    "cudnnDropoutGetStatesSize": "(void *handle, size_t *size) { *size = 1024; return 0; }",
    "cudnnBackendCreateDescriptor": "(int type, void **out) { *out = new_handle(); return 0; }",
    "cudnnBackendExecute": "(void *handle, void *plan, void *pack) { nullcuda_conv(); return 0; }",
    # Attributes of which there is one: engine (202), configurations (300), plan's (402) and the
    # graph's number of engines (1301). Types: 15 is a descriptor; 3, 5, 6 have 8 bytes.
    "cudnnBackendGetAttribute": """(
        void *descriptor, int name, int type, int64_t wanted, int64_t *found, void *values) {
      int64_t count = name == 202 || name == 300 || name == 402 || name == 1301;
      if (wanted && count > wanted) count = wanted;
      if (found) *found = count;
      size_t size = type == 3 || type == 5 || type == 6 ? 8 : 4;
      if (values && count && type != 15) memset(values, 0, size);
      return 0; }""",
    "cusolverDnDpotrf_bufferSize": """(
        void *handle, int half, int n, void *matrix, int stride, int *size) {
      *size = 256; return 0; }""",
    "cusolverDnDsyevd_bufferSize": """(
        void *handle, int job, int half, int n, void *matrix, int stride, void *values, int *size) {
      *size = 256; return 0; }""",
    "cusolverDnXpotrf_bufferSize": """(
        void *handle, void *parameters, int half, int64_t n, int type, void *matrix, int64_t stride,
        int compute, size_t *device, size_t *host) {
      *device = 1024; *host = 1024; return 0; }""",
    "cusolverDnXsyevd_bufferSize": """(
        void *handle, void *parameters, int job, int half, int64_t n, int type, void *matrix,
        int64_t stride, int values_type, void *values, int compute, size_t *device, size_t *host) {
      *device = 1024; *host = 1024; return 0; }""",
    "cusolverDnXsyevBatched_bufferSize": """(
        void *handle, void *parameters, int job, int half, int64_t n, int type, void *matrix,
        int64_t stride, int values_type, void *values, int compute, size_t *device, size_t *host,
        int64_t batch) {
      *device = 1024; *host = 1024; return 0; }""",
}

# Functions that write a size, and the number of pointers before it.
SIZES = {
    "cudnnGetConvolutionForwardWorkspaceSize": 6,
    "cudnnGetConvolutionBackwardDataWorkspaceSize": 6,
    "cudnnGetConvolutionBackwardFilterWorkspaceSize": 6,
    "cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize": 8,
    "cudnnGetBatchNormalizationBackwardExWorkspaceSize": 10,
    "cudnnGetBatchNormalizationTrainingExReserveSpaceSize": 5,
}
PASSES = ("Forward", "BackwardData", "BackwardFilter")


def write_stubs(torch_folder: Path, path: Path) -> None:
    """Writes the C source of all functions that PyTorch imports from the libraries.

    Args:
        torch_folder: the installed package of PyTorch.
        path: the file to write.
    """
    names = [name for name in _imported(torch_folder / "lib") if not REAL.search(name)]
    written = _written()
    functions = [f"int {name}{written.get(name) or _stub(name)}" for name in names]
    path.write_text(HEADER + "\n".join(functions) + "\n")


def _imported(folder: Path) -> list[str]:
    """Returns the names of the functions that PyTorch's libraries import."""
    names: set[str] = set()
    for library in LIBRARIES:
        command = ["nm", "--dynamic", "--undefined-only", str(folder / library)]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        names |= {line.split()[-1].split("@")[0] for line in lines.splitlines() if line}
    return sorted(name for name in names if IMPORTED.match(name))


def _written() -> dict[str, str]:
    """Returns the parameters and bodies of the functions whose results are read."""
    found = dict(WRITTEN)
    for name, before in SIZES.items():
        pointers = ", ".join(f"void *p{i}" for i in range(before))
        found[name] = f"({pointers}, size_t *size) {{ *size = 16; return 0; }}"
    chosen = (
        "memset(results, 0, sizeof *results); results->algorithm = 1; "
        "results->determinism = 1; *found = 1; return 0; }"
    )
    for kind in PASSES:
        found[f"cudnnGetConvolution{kind}Algorithm_v7"] = (
            "(void *handle, void *a, void *b, void *c, void *d, int wanted, int *found, "
            f"struct performance *results) {{ {chosen}"
        )
        found[f"cudnnFindConvolution{kind}AlgorithmEx"] = (
            "(void *handle, void *a, void *x, void *b, void *y, void *c, void *d, void *z, "
            "int wanted, int *found, struct performance *results, void *workspace, size_t size) "
            f"{{ {chosen}"
        )
    return found


def _stub(name: str) -> str:
    """Returns the body of a function whose results are not read, except for a new handle."""
    if re.search(r"Create(?!PreMul)", name):
        return "(void **out) { *out = new_handle(); return 0; }"
    return f"(void) {{ {_count(name)}return 0; }}"


def _count(name: str) -> str:
    """Returns the call that counts a function, if it runs on the device."""
    if name.startswith("cudnn"):
        if re.match(r"cudnnConvolution(Forward|Backward|Bias)", name):
            return "nullcuda_conv(); "
        runs = re.match(r"cudnn(BatchNorm|Pooling|RNN|CTCLoss$|Spatial)", name)
        return "nullcuda_dnn(); " if runs else ""
    products = r"(gemm|gemv|Gemm|dot|Dot|trsm|getr|geqrf|gels|cublasLtMatmul$)"
    prepares = re.search("Create|Destroy|Set|bufferSize|Get", name)
    if re.search(products, name) or (name.startswith("cusolver") and not prepares):
        return "nullcuda_blas(); "
    return ""
