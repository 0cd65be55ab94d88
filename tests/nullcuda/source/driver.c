// The part of the CUDA driver that PyTorch is linked with.
#include <stddef.h>
#include <string.h>

#define CONTEXT ((void*)0x77000)
#define MODULE ((void*)0x88100)
#define FUNCTION ((void*)0x88000)
#define IGNORED(name) \
  int name(void) { return 0; }

// Defined by runtime.c, which may not be loaded.
extern void nullcuda_driver_launch(void) __attribute__((weak));

IGNORED(cuInit)
IGNORED(cuCtxSetCurrent)
IGNORED(cuCtxPushCurrent)
IGNORED(cuFuncSetAttribute)
IGNORED(cuFuncSetCacheConfig)
IGNORED(cuLaunchCooperativeKernel)
IGNORED(cuLinkAddData_v2)
IGNORED(cuLinkComplete)
IGNORED(cuLinkCreate_v2)
IGNORED(cuModuleUnload)
IGNORED(cuTensorMapEncodeTiled)

int cuDriverGetVersion(int* version) {
  *version = CUDA_RELEASE;
  return 0;
}
int cuDeviceGetCount(int* count) {
  *count = 1;
  return 0;
}
int cuDeviceGet(int* device, int number) {
  *device = number;
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = 0;
  return 0;
}
int cuCtxGetCurrent(void** context) {
  *context = CONTEXT;
  return 0;
}
int cuCtxPopCurrent(void** context) {
  if (context) *context = CONTEXT;
  return 0;
}
int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
  if (flags) *flags = 0;
  if (active) *active = 1;
  return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int device) {
  *context = CONTEXT;
  return 0;
}
int cuPointerGetAttribute(void* value, int attribute, void* address) {
  *(void**)value = CONTEXT;
  return 0;
}
int cuFuncGetAttribute(int* value, int attribute, void* function) {
  *value = 0;
  return 0;
}
int cuGetErrorString(int error, const char** text) {
  *text = "error of the null GPU";
  return 0;
}
int cuLaunchKernel(void) {
  if (nullcuda_driver_launch) nullcuda_driver_launch();
  return 0;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  *function = FUNCTION;
  return 0;
}
int cuModuleLoad(void** module, const char* name) {
  *module = MODULE;
  return 0;
}
int cuModuleLoadData(void** module, const void* image) {
  *module = MODULE;
  return 0;
}
int cuModuleLoadDataEx(void** module, const void* image) {
  *module = MODULE;
  return 0;
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void* function, int size,
                                                size_t shared) {
  *blocks = 4;
  return 0;
}
