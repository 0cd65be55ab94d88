// The CUDA runtime without a GPU: a kernel does nothing, and memory of a device is zeroed host
// memory. Preloaded before torch, it lets a CUDA build of PyTorch run its whole CUDA path on a
// machine without a GPU: dispatch, autocast, checks of devices and dtypes, allocator, streams,
// generators, GradScaler, DDP. Results are garbage. Launches, copies, synchronizations and the
// memory of the allocator are those of a GPU.
#define _GNU_SOURCE
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "counters.h"

#define EXPORT __attribute__((visibility("default")))
#define API EXPORT cudaError_t
#define IGNORED(signature) \
  API signature { return cudaSuccess; }

// ---------------------------------------------------------------------- what Python reads

EXPORT nullcuda_counters_t nullcuda_counters;

EXPORT nullcuda_counters_t* nullcuda_counts(void) { return &nullcuda_counters; }

EXPORT const char* nullcuda_counter_names(void) {
#define NULLCUDA_NAME(name) #name " "
  return NULLCUDA_COUNTERS(NULLCUDA_NAME);
}

// Called at each synchronization of the host with the device, with its kind.
typedef void (*hook_t)(const char* kind);
static hook_t hook;
EXPORT void nullcuda_hook(hook_t function) { hook = function; }
static void report(const char* kind) {
  if (hook) hook(kind);
}

// The stream whose operations are recorded as a graph, if there is one. All operations count as
// recorded meanwhile: PyTorch starts none on other streams then.
static cudaStream_t capturing = 0;
static int invalidated = 0;
#define COUNT(name) (*(capturing ? &nullcuda_counters.captured : &nullcuda_counters.name))++

// The libraries (stubs.c, driver.c) count through these.
EXPORT void nullcuda_blas(void) { COUNT(blas); }
EXPORT void nullcuda_conv(void) { COUNT(conv); }
EXPORT void nullcuda_dnn(void) { COUNT(dnn); }
EXPORT void nullcuda_driver_launch(void) { COUNT(launches); }

// Waiting for the recording stream or for the whole device fails, and the recording with it.
static cudaError_t waited(const char* kind, int for_recording) {
  report(kind);
  if (!capturing || !for_recording) return cudaSuccess;
  invalidated = 1;
  return cudaErrorStreamCaptureUnsupported;
}

static int setting(const char* name, int otherwise) {
  const char* value = getenv(name);
  return value ? atoi(value) : otherwise;
}

// ---------------------------------------------------------------------- errors

EXPORT const char* cudaGetErrorString(cudaError_t error) {
  if (error == cudaErrorStreamCaptureUnsupported)
    return "operation not permitted when stream is capturing";
  return error ? "error of the null GPU" : "no error";
}
EXPORT const char* cudaGetErrorName(cudaError_t error) {
  return error ? "nullcudaError" : "cudaSuccess";
}
IGNORED(cudaGetLastError(void))
IGNORED(cudaPeekAtLastError(void))

// ---------------------------------------------------------------------- devices

#define GIB (1ull << 30)
#define MEMORY (141 * GIB)
static __thread int current_device = 0;

API cudaGetDeviceCount(int* count) {
  *count = setting("NULLCUDA_DEVICES", 1);
  return cudaSuccess;
}
API cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
API cudaSetDevice(int device) {
  if (device < 0 || device >= setting("NULLCUDA_DEVICES", 1)) return cudaErrorInvalidDevice;
  current_device = device;
  return cudaSuccess;
}
API cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
API cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

// The numbers of an H200, unless the environment names another capability.
API cudaGetDeviceProperties(struct cudaDeviceProp* properties, int device) {
  memset(properties, 0, sizeof *properties);
  snprintf(properties->name, sizeof properties->name, "NVIDIA H200 (null)");
  properties->totalGlobalMem = MEMORY;
  properties->sharedMemPerBlock = 49152;
  properties->regsPerBlock = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024;
  properties->maxThreadsDim[2] = 64;
  properties->maxGridSize[0] = 2147483647;
  properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
  properties->totalConstMem = 65536;
  properties->major = setting("NULLCUDA_MAJOR", 9);
  properties->minor = setting("NULLCUDA_MINOR", 0);
  properties->multiProcessorCount = 132;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->sharedMemPerMultiprocessor = 233472;
  properties->regsPerMultiprocessor = 65536;
  properties->sharedMemPerBlockOptin = 232448;
  properties->maxBlocksPerMultiProcessor = 32;
  properties->l2CacheSize = 50 << 20;
  properties->memoryBusWidth = 6144;
  properties->asyncEngineCount = 3;
  properties->unifiedAddressing = 1;
  properties->concurrentKernels = 1;
  properties->streamPrioritiesSupported = 1;
  properties->memoryPoolsSupported = 1;
  properties->textureAlignment = 512;
  properties->memPitch = 2147483647;
  properties->pciBusID = device + 1;
  properties->uuid.bytes[0] = (char)(device + 1);
  return cudaSuccess;
}

API cudaDeviceGetAttribute(int* value, enum cudaDeviceAttr attribute, int device) {
  struct cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, device);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 232448; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = 49152; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 233472; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrMaxGridDimX: *value = 2147483647; break;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ: *value = 65535; break;
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY: *value = 1024; break;
    case cudaDevAttrMaxBlockDimZ: *value = 64; break;
    default: *value = 0;
  }
  return cudaSuccess;
}
API cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  *can = device != peer;
  return cudaSuccess;
}
IGNORED(cudaDeviceEnablePeerAccess(int device, unsigned flags))
API cudaDeviceGetPCIBusId(char* name, int length, int device) {
  snprintf(name, length, "0000:%02d:00.0", device + 1);
  return cudaSuccess;
}
API cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
API cudaDeviceSynchronize(void) {
  nullcuda_counters.device_synchronize++;
  return waited("device_synchronize", 1);
}
API cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  *pool = (cudaMemPool_t)0x1000;
  return cudaSuccess;
}
API cudaDeviceGetGraphMemAttribute(int device, enum cudaGraphMemAttributeType which, void* value) {
  *(uint64_t*)value = 0;
  return cudaSuccess;
}
IGNORED(cudaDeviceSetGraphMemAttribute(int device, enum cudaGraphMemAttributeType which,
                                       void* value))
API cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr which, void* value) {
  *(uint64_t*)value = 0;
  return cudaSuccess;
}
IGNORED(cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr which, void* value))
IGNORED(cudaMemPoolSetAccess(cudaMemPool_t pool, const struct cudaMemAccessDesc* list, size_t n))
IGNORED(cudaMemPoolTrimTo(cudaMemPool_t pool, size_t size))
IGNORED(cudaProfilerStart(void))
IGNORED(cudaProfilerStop(void))
API cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned version,
                                     unsigned long long flags,
                                     enum cudaDriverEntryPointQueryResult* result) {
  *function = 0;
  if (result) *result = cudaDriverEntryPointSymbolNotFound;
  return cudaErrorNotSupported;
}

// ---------------------------------------------------------------------- memory

typedef enum { PAGEABLE, DEVICE, PINNED } place_t;
#define MAX_REGIONS 1000000
static struct {
  char* start;
  size_t size;
  place_t place;
  int device;
} regions[MAX_REGIONS];
static int region_count = 0;
static size_t live_bytes = 0;
static pthread_mutex_t regions_lock = PTHREAD_MUTEX_INITIALIZER;

static void* allocate(size_t wanted, place_t place) {
  size_t size = wanted ? (wanted + 4095) & ~4095ull : 4096;
  void* start =
      mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return 0;
  pthread_mutex_lock(&regions_lock);
  if (region_count == MAX_REGIONS || (place == DEVICE && live_bytes + size > MEMORY)) {
    pthread_mutex_unlock(&regions_lock);
    munmap(start, size);
    return 0;
  }
  regions[region_count].start = start;
  regions[region_count].size = size;
  regions[region_count].place = place;
  regions[region_count++].device = current_device;
  if (place == DEVICE) live_bytes += size;
  pthread_mutex_unlock(&regions_lock);
  return start;
}

static void release(void* start) {
  pthread_mutex_lock(&regions_lock);
  for (int i = 0; i < region_count; i++)
    if (regions[i].start == start) {
      munmap(start, regions[i].size);
      if (regions[i].place == DEVICE) live_bytes -= regions[i].size;
      regions[i] = regions[--region_count];
      break;
    }
  pthread_mutex_unlock(&regions_lock);
}

static place_t place_of(const void* address, int* device) {
  place_t place = PAGEABLE;
  pthread_mutex_lock(&regions_lock);
  for (int i = 0; i < region_count; i++)
    if ((char*)address >= regions[i].start && (char*)address < regions[i].start + regions[i].size) {
      place = regions[i].place;
      if (device) *device = regions[i].device;
      break;
    }
  pthread_mutex_unlock(&regions_lock);
  return place;
}

API cudaMalloc(void** start, size_t size) {
  nullcuda_counters.malloc++;
  nullcuda_counters.malloc_bytes += size;
  *start = allocate(size, DEVICE);
  return *start ? cudaSuccess : cudaErrorMemoryAllocation;
}
API cudaMallocAsync(void** start, size_t size, cudaStream_t stream) {
  return cudaMalloc(start, size);
}
API cudaMallocManaged(void** start, size_t size, unsigned flags) { return cudaMalloc(start, size); }
API cudaFree(void* start) {
  nullcuda_counters.free++;
  if (start) release(start);
  return cudaSuccess;
}
API cudaFreeAsync(void* start, cudaStream_t stream) { return cudaFree(start); }
API cudaHostAlloc(void** start, size_t size, unsigned flags) {
  nullcuda_counters.host_malloc++;
  *start = allocate(size, PINNED);
  return *start ? cudaSuccess : cudaErrorMemoryAllocation;
}
API cudaMallocHost(void** start, size_t size) { return cudaHostAlloc(start, size, 0); }
API cudaFreeHost(void* start) {
  release(start);
  return cudaSuccess;
}
IGNORED(cudaHostRegister(void* start, size_t size, unsigned flags))
IGNORED(cudaHostUnregister(void* start))
API cudaMemGetInfo(size_t* free, size_t* total) {
  *total = MEMORY;
  *free = MEMORY > live_bytes + GIB ? MEMORY - live_bytes - GIB : 0;
  return cudaSuccess;
}
API cudaPointerGetAttributes(struct cudaPointerAttributes* attributes, const void* address) {
  int device = current_device;
  place_t place = place_of(address, &device);
  memset(attributes, 0, sizeof *attributes);
  attributes->device = device;
  attributes->type = place == DEVICE   ? cudaMemoryTypeDevice
                     : place == PINNED ? cudaMemoryTypeHost
                                       : cudaMemoryTypeUnregistered;
  attributes->devicePointer = place == PAGEABLE ? 0 : (void*)address;
  attributes->hostPointer = place == DEVICE ? 0 : (void*)address;
  return cudaSuccess;
}

// ---------------------------------------------------------------------- copies

static void count_copy(const void* target, const void* source, size_t size) {
  place_t to = place_of(target, 0), from = place_of(source, 0);
  if (to == DEVICE && from == DEVICE) {
    COUNT(device_to_device);
  } else if (to == DEVICE) {
    nullcuda_counters.to_device_bytes += size;
    if (from == PINNED)
      nullcuda_counters.pinned_to_device++;
    else
      nullcuda_counters.pageable_to_device++;
  } else if (from == DEVICE) {
    nullcuda_counters.device_to_host++;
    nullcuda_counters.to_host_bytes += size;
  } else {
    nullcuda_counters.host_to_host++;
  }
}
API cudaMemcpyAsync(void* target, const void* source, size_t size, enum cudaMemcpyKind kind,
                    cudaStream_t stream) {
  count_copy(target, source, size);
  memmove(target, source, size);
  return cudaSuccess;
}
API cudaMemcpy(void* target, const void* source, size_t size, enum cudaMemcpyKind kind) {
  nullcuda_counters.blocking_copy++;
  cudaError_t error = waited("blocking_copy", 1);
  return error ? error : cudaMemcpyAsync(target, source, size, kind, 0);
}
API cudaMemcpyPeerAsync(void* target, int target_device, const void* source, int source_device,
                        size_t size, cudaStream_t stream) {
  return cudaMemcpyAsync(target, source, size, cudaMemcpyDeviceToDevice, stream);
}
API cudaMemcpy2DAsync(void* target, size_t target_pitch, const void* source, size_t source_pitch,
                      size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t stream) {
  count_copy(target, source, width * height);
  for (size_t i = 0; i < height; i++)
    memmove((char*)target + i * target_pitch, (const char*)source + i * source_pitch, width);
  return cudaSuccess;
}
IGNORED(cudaMemcpyToSymbol(const void* symbol, const void* source, size_t size, size_t offset,
                           enum cudaMemcpyKind kind))
API cudaGetSymbolAddress(void** address, const void* symbol) {
  static char any[1 << 16];
  *address = any;
  return cudaSuccess;
}
API cudaMemsetAsync(void* start, int value, size_t size, cudaStream_t stream) {
  COUNT(memset);
  // Large fills would take their time and memory without effect: no kernel reads them.
  if (size < (1u << 20)) memset(start, value, size);
  return cudaSuccess;
}
API cudaMemset(void* start, int value, size_t size) {
  return cudaMemsetAsync(start, value, size, 0);
}
IGNORED(cudaIpcCloseMemHandle(void* start))
#define UNSUPPORTED(signature) \
  API signature { return cudaErrorNotSupported; }
UNSUPPORTED(cudaIpcGetEventHandle(cudaIpcEventHandle_t* handle, cudaEvent_t event))
UNSUPPORTED(cudaIpcGetMemHandle(cudaIpcMemHandle_t* handle, void* start))
UNSUPPORTED(cudaIpcOpenEventHandle(cudaEvent_t* event, cudaIpcEventHandle_t handle))
UNSUPPORTED(cudaIpcOpenMemHandle(void** start, cudaIpcMemHandle_t handle, unsigned flags))

// ---------------------------------------------------------------------- streams and events

static void* new_handle(void) {
  static uintptr_t last = 0x100000;
  return (void*)__sync_add_and_fetch(&last, 64);
}
API cudaStreamCreate(cudaStream_t* stream) {
  *stream = new_handle();
  return cudaSuccess;
}
API cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreate(stream);
}
API cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  return cudaStreamCreate(stream);
}
IGNORED(cudaStreamDestroy(cudaStream_t stream))
IGNORED(cudaStreamQuery(cudaStream_t stream))
API cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  *priority = 0;
  return cudaSuccess;
}
API cudaStreamSynchronize(cudaStream_t stream) {
  nullcuda_counters.stream_synchronize++;
  return waited("stream_synchronize", stream == capturing);
}
IGNORED(cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags))

static unsigned long long captures = 0;
static enum cudaStreamCaptureStatus capture_status(cudaStream_t stream) {
  if (!capturing || stream != capturing) return cudaStreamCaptureStatusNone;
  return invalidated ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
}
API cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus* status) {
  *status = capture_status(stream);
  return cudaSuccess;
}
API cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus* status,
                             unsigned long long* id, cudaGraph_t* graph,
                             const cudaGraphNode_t** nodes, const cudaGraphEdgeData** edges,
                             size_t* count) {
  *status = capture_status(stream);
  if (id) *id = *status == cudaStreamCaptureStatusNone ? 0 : captures;
  if (graph) *graph = (cudaGraph_t)capturing;
  if (nodes) *nodes = 0;
  if (edges) *edges = 0;
  if (count) *count = 0;
  return cudaSuccess;
}
API cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
  if (capturing) return cudaErrorIllegalState;
  capturing = stream;
  invalidated = 0;
  captures++;
  return cudaSuccess;
}
API cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!capturing || stream != capturing) return cudaErrorIllegalState;
  capturing = 0;
  *graph = invalidated ? 0 : new_handle();
  return invalidated ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
}
API cudaGraphInstantiate(cudaGraphExec_t* ready, cudaGraph_t graph, unsigned long long flags) {
  *ready = new_handle();
  return cudaSuccess;
}
API cudaGraphInstantiateWithFlags(cudaGraphExec_t* ready, cudaGraph_t graph,
                                  unsigned long long flags) {
  return cudaGraphInstantiate(ready, graph, flags);
}
API cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  nullcuda_counters.graph_launches++;
  return cudaSuccess;
}
API cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  *count = 1;
  return cudaSuccess;
}
IGNORED(cudaGraphDestroy(cudaGraph_t graph))
IGNORED(cudaGraphExecDestroy(cudaGraphExec_t graph))
IGNORED(cudaGraphRetainUserObject(cudaGraph_t graph, cudaUserObject_t object, unsigned count,
                                  unsigned flags))
IGNORED(cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode* mode))
API cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t function, void* data,
                          unsigned flags) {
  function(stream, cudaSuccess, data);
  return cudaSuccess;
}
API cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  function(data);
  return cudaSuccess;
}
API cudaEventCreate(cudaEvent_t* event) {
  *event = new_handle();
  return cudaSuccess;
}
API cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) { return cudaEventCreate(event); }
IGNORED(cudaEventDestroy(cudaEvent_t event))
API cudaEventQuery(cudaEvent_t event) {
  nullcuda_counters.event_query++;
  return cudaSuccess;
}
IGNORED(cudaEventRecord(cudaEvent_t event, cudaStream_t stream))
IGNORED(cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags))
API cudaEventSynchronize(cudaEvent_t event) {
  nullcuda_counters.event_synchronize++;
  return waited("event_synchronize", 1);
}
API cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = 1.0f;
  return cudaSuccess;
}

// ---------------------------------------------------------------------- kernels

#define MAX_KERNELS 400000
typedef struct {
  const void* function;
  const char* name;
  long count;
} kernel_t;
static kernel_t* kernels;
static int kernel_count = 0, sorted_count = 0, naming = 0;

EXPORT void** __cudaRegisterFatBinary(void* binary) {
  static void* handle;
  return &handle;
}
EXPORT void __cudaRegisterFatBinaryEnd(void** handle) {}
EXPORT void __cudaUnregisterFatBinary(void** handle) {}
EXPORT void __cudaRegisterVar(void** handle, char* host, char* address, const char* name,
                              int external, size_t size, int constant, int global) {}
EXPORT void __cudaRegisterFunction(void** handle, const char* function, char* stub,
                                   const char* name, int limit, void* thread, void* block,
                                   void* block_dim, void* grid_dim, int* warp) {
  if (!kernels) kernels = calloc(MAX_KERNELS, sizeof *kernels);
  if (!kernels || kernel_count == MAX_KERNELS) return;
  kernels[kernel_count].function = function;
  kernels[kernel_count++].name = name;
}

static int by_function(const void* first, const void* second) {
  const void *a = ((const kernel_t*)first)->function, *b = ((const kernel_t*)second)->function;
  return a < b ? -1 : a > b;
}
static void launched(const void* function) {
  COUNT(launches);
  if (!naming || !kernels) return;
  if (sorted_count != kernel_count) {
    qsort(kernels, kernel_count, sizeof *kernels, by_function);
    sorted_count = kernel_count;
  }
  kernel_t key = {function, 0, 0};
  kernel_t* found = bsearch(&key, kernels, kernel_count, sizeof *kernels, by_function);
  if (found) found->count++;
}

// Starts (1) or stops (0) counting the launches of each kernel by name.
EXPORT void nullcuda_name_kernels(int on) { naming = on; }

// Calls a function with the name and the launches of each kernel, and forgets them.
EXPORT void nullcuda_kernels(void (*visit)(const char* name, long count)) {
  for (int i = 0; i < kernel_count; i++)
    if (kernels[i].count) {
      visit(kernels[i].name, kernels[i].count);
      kernels[i].count = 0;
    }
}

// `kernel<<<grid, block, shared, stream>>>()` pushes its configuration and pops it in the launch.
static __thread struct {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
} pushed[16];
static __thread int depth = 0;

EXPORT unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared,
                                            struct CUstream_st* stream) {
  int top = depth++ & 15;
  pushed[top].grid = grid;
  pushed[top].block = block;
  pushed[top].shared = shared;
  pushed[top].stream = stream;
  return 0;
}
API __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  int top = --depth & 15;
  *grid = pushed[top].grid;
  *block = pushed[top].block;
  *shared = pushed[top].shared;
  *(cudaStream_t*)stream = pushed[top].stream;
  return cudaSuccess;
}
API __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = (cudaKernel_t)function;
  return cudaSuccess;
}
API __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                       cudaStream_t stream) {
  launched((const void*)kernel);
  return cudaSuccess;
}
API cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared,
                     cudaStream_t stream) {
  launched(function);
  return cudaSuccess;
}
API cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  launched(function);
  return cudaSuccess;
}
API cudaFuncGetAttributes(struct cudaFuncAttributes* attributes, const void* function) {
  memset(attributes, 0, sizeof *attributes);
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 32;
  attributes->binaryVersion = 90;
  attributes->ptxVersion = 90;
  attributes->maxDynamicSharedSizeBytes = 49152;
  return cudaSuccess;
}
IGNORED(cudaFuncSetAttribute(const void* function, enum cudaFuncAttribute which, int value))
API cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function, int size,
                                                  size_t shared) {
  int fit = 2048 / (size ? size : 256);
  *blocks = fit < 1 ? 1 : fit > 32 ? 32 : fit;
  return cudaSuccess;
}
API cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* function,
                                                           int size, size_t shared,
                                                           unsigned flags) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, size, shared);
}
