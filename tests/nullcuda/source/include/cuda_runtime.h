// Headers of NCCL and cuDNN include the full runtime header; the interface in C is enough.
#include <cuda_runtime_api.h>
