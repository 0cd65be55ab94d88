// The wheels of the CUDA runtime leave out this header of the compiler; gcc needs no attributes.
#pragma once
#define __device_builtin__
#define __device_builtin_texture_type__
#define __device_builtin_surface_type__
#define __cudart_builtin__
#define __host__
#define __device__
#define __global__
#define __shared__
#define __constant__
#define __managed__
#define __forceinline__ inline
#define __inline__ inline
#define __no_sanitize__(x)
#define __annotate__(a)
#define __location__(a)
#define __noinline__
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __align__(n)
#define __specialization_static static
#define CUDARTAPI
#define CUDARTAPI_CDECL
#define __CUDA_HOSTDEVICE__
#define CUDACC_WARNING
