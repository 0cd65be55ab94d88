// The compiler of kernels at run time: compiles everything to nothing.
#include <stddef.h>
#include <string.h>

int nvrtcVersion(int* major, int* minor) {
  *major = CUDA_RELEASE / 1000;
  *minor = CUDA_RELEASE % 1000 / 10;
  return 0;
}
int nvrtcGetNumSupportedArchs(int* count) {
  *count = 1;
  return 0;
}
int nvrtcGetSupportedArchs(int* list) {
  list[0] = 90;
  return 0;
}
int nvrtcCreateProgram(void** program, const char* source, const char* name, int count,
                       const char* const* headers, const char* const* names) {
  *program = (void*)0x99000;
  return 0;
}
int nvrtcCompileProgram(void* program, int count, const char* const* options) { return 0; }
int nvrtcDestroyProgram(void** program) { return 0; }
int nvrtcAddNameExpression(void* program, const char* name) { return 0; }
int nvrtcGetLoweredName(void* program, const char* name, const char** lowered) {
  *lowered = "kernel";
  return 0;
}
int nvrtcGetProgramLogSize(void* program, size_t* size) {
  *size = 1;
  return 0;
}
int nvrtcGetProgramLog(void* program, char* log) {
  *log = 0;
  return 0;
}
int nvrtcGetPTXSize(void* program, size_t* size) {
  *size = 8;
  return 0;
}
int nvrtcGetPTX(void* program, char* code) {
  memset(code, 0, 8);
  return 0;
}
int nvrtcGetCUBINSize(void* program, size_t* size) {
  *size = 8;
  return 0;
}
int nvrtcGetCUBIN(void* program, char* code) {
  memset(code, 0, 8);
  return 0;
}
const char* nvrtcGetErrorString(int error) { return "error of the null GPU"; }
