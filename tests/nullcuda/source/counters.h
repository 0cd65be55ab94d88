// Counters of the null GPU. `nullcuda_counter_names` gives their names to Python, in this order.
#pragma once
#include <stddef.h>

#define NULLCUDA_COUNTERS(X)                                                     \
  X(launches) /* kernels of PyTorch, through the runtime or the driver */        \
  X(blas)     /* calls of cuBLAS and cuSOLVER that compute */                    \
  X(conv)     /* convolutions of cuDNN */                                        \
  X(dnn)      /* other operations of cuDNN: batch normalization, pooling, RNN */ \
  X(memset)                                                                      \
  X(captured)       /* operations recorded in graphs, which do not run then */   \
  X(graph_launches) /* replays of graphs */                                      \
  X(device_to_device)   /* copies within the device */                           \
  X(pinned_to_device)   /* asynchronous copies to the device */                  \
  X(pageable_to_device) /* copies to the device from ordinary memory */          \
  X(device_to_host)                                                              \
  X(host_to_host)                                                                \
  X(stream_synchronize)                                                          \
  X(device_synchronize)                                                          \
  X(event_synchronize)                                                           \
  X(blocking_copy) /* cudaMemcpy */                                              \
  X(event_query)                                                                 \
  X(malloc)                                                                      \
  X(free)                                                                        \
  X(malloc_bytes)                                                                \
  X(host_malloc)                                                                 \
  X(to_device_bytes)                                                             \
  X(to_host_bytes)                                                               \
  X(all_reduce)                                                                  \
  X(all_reduce_bytes)                                                            \
  X(broadcast)                                                                   \
  X(broadcast_bytes)                                                             \
  X(all_gather)                                                                  \
  X(all_gather_bytes)

#define NULLCUDA_FIELD(name) long name;
typedef struct {
  NULLCUDA_COUNTERS(NULLCUDA_FIELD)
} nullcuda_counters_t;
#undef NULLCUDA_FIELD

extern nullcuda_counters_t nullcuda_counters;
