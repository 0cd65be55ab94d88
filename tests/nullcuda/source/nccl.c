// NCCL between the processes of one machine, through shared memory. Real bytes are exchanged, so
// that processes agree on sizes and flags that they hold on the "device".
#define _GNU_SOURCE
#include "nccl.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "counters.h"

#pragma GCC visibility push(default)

#define SLOT (8u << 20)  // bytes that a process passes on at once
#define HEAD 4096
#define CHUNKS(count, per, offset, size)                                                 \
  for (size_t offset = 0, size;                                                          \
       offset < (count) && (size = (count) - offset < (per) ? (count) - offset : (per)); \
       offset += (per))

typedef struct {
  volatile int ready;
  pthread_barrier_t barrier;
} head_t;
struct ncclComm {
  int rank, size;
  head_t* head;
  char* slots;
};

static char* slot(ncclComm_t comm, int rank) { return comm->slots + (size_t)rank * SLOT; }
static void wait_for_all(ncclComm_t comm) { pthread_barrier_wait(&comm->head->barrier); }

// ---------------------------------------------------------------------- communicators

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static int number = 0;
  memset(id, 0, sizeof *id);
  snprintf(id->internal, sizeof id->internal, "/nullnccl_%d_%d", getpid(), number++);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* out, int size, ncclUniqueId id, int rank) {
  size_t bytes = HEAD + (size_t)size * SLOT;
  int file = shm_open(id.internal, O_CREAT | O_RDWR, 0600);
  if (file < 0 || ftruncate(file, bytes)) return ncclSystemError;
  char* shared = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (shared == MAP_FAILED) return ncclSystemError;
  struct ncclComm* comm = calloc(1, sizeof *comm);
  if (!comm) return ncclSystemError;
  comm->rank = rank;
  comm->size = size;
  comm->head = (head_t*)shared;
  comm->slots = shared + HEAD;
  if (rank == 0) {
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&comm->head->barrier, &attributes, size);
    __sync_synchronize();
    comm->head->ready = 1;
  }
  while (!comm->head->ready) usleep(1000);
  wait_for_all(comm);
  if (rank == 0) shm_unlink(id.internal);
  *out = comm;
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* out, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  return ncclCommInitRank(out, size, id, rank);
}
ncclResult_t ncclCommInitRankScalable(ncclComm_t* out, int size, int rank, int count,
                                      ncclUniqueId* ids, ncclConfig_t* config) {
  return ncclCommInitRank(out, size, ids[0], rank);
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  *error = ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) { return ncclSuccess; }
ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclSuccess; }
ncclResult_t ncclCommFinalize(ncclComm_t comm) { return ncclSuccess; }
ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  *count = comm->size;
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  *rank = comm->rank;
  return ncclSuccess;
}
ncclResult_t ncclCommRegister(const ncclComm_t comm, void* start, size_t size, void** handle) {
  *handle = start;
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t comm, void* handle) { return ncclSuccess; }
ncclResult_t ncclGroupStart(void) { return ncclSuccess; }
ncclResult_t ncclGroupEnd(void) { return ncclSuccess; }
const char* ncclGetErrorString(ncclResult_t result) { return result ? "null NCCL error" : "ok"; }
const char* ncclGetLastError(ncclComm_t comm) { return ""; }
ncclResult_t ncclRedOpCreatePreMulSum(ncclRedOp_t* op, void* scalar, ncclDataType_t type,
                                      ncclScalarResidence_t residence, ncclComm_t comm) {
  *op = ncclSum;
  return ncclSuccess;
}
ncclResult_t ncclRedOpDestroy(ncclRedOp_t op, ncclComm_t comm) { return ncclSuccess; }

// ---------------------------------------------------------------------- collectives

static size_t width(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
    case ncclFloat8e4m3:
    case ncclFloat8e5m2: return 1;
    case ncclFloat16:
    case ncclBfloat16: return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32: return 4;
    default: return 8;
  }
}

#define REDUCE(type)                                              \
  for (size_t i = 0; i < count; i++) {                            \
    type total = ((type*)slot(comm, 0))[i];                       \
    for (int rank = 1; rank < comm->size; rank++) {               \
      type value = ((type*)slot(comm, rank))[i];                  \
      if (op == ncclMax)                                          \
        total = value > total ? value : total;                    \
      else if (op == ncclMin)                                     \
        total = value < total ? value : total;                    \
      else if (op == ncclProd)                                    \
        total = total * value;                                    \
      else                                                        \
        total = total + value;                                    \
    }                                                             \
    ((type*)out)[i] = op == ncclAvg ? total / comm->size : total; \
  }
static void reduce(ncclComm_t comm, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op) {
  switch (type) {
    case ncclFloat32: REDUCE(float) break;
    case ncclFloat64: REDUCE(double) break;
    case ncclInt8: REDUCE(int8_t) break;
    case ncclUint8: REDUCE(uint8_t) break;
    case ncclInt32: REDUCE(int32_t) break;
    case ncclUint32: REDUCE(uint32_t) break;
    case ncclInt64: REDUCE(int64_t) break;
    case ncclUint64: REDUCE(uint64_t) break;
    default: memcpy(out, slot(comm, 0), count * width(type));  // half precision: the first's values
  }
}

ncclResult_t ncclAllReduce(const void* source, void* target, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  size_t bytes = width(type);
  nullcuda_counters.all_reduce++;
  nullcuda_counters.all_reduce_bytes += count * bytes;
  CHUNKS(count, SLOT / bytes, offset, size) {
    memcpy(slot(comm, comm->rank), (char*)source + offset * bytes, size * bytes);
    wait_for_all(comm);
    reduce(comm, (char*)target + offset * bytes, size, type, op);
    wait_for_all(comm);
  }
  return ncclSuccess;
}
ncclResult_t ncclReduce(const void* source, void* target, size_t count, ncclDataType_t type,
                        ncclRedOp_t op, int root, ncclComm_t comm, cudaStream_t stream) {
  return ncclAllReduce(source, target, count, type, op, comm, stream);
}

ncclResult_t ncclBroadcast(const void* source, void* target, size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  size_t bytes = count * width(type);
  nullcuda_counters.broadcast++;
  nullcuda_counters.broadcast_bytes += bytes;
  CHUNKS(bytes, SLOT, offset, size) {
    if (comm->rank == root) memcpy(slot(comm, 0), (char*)source + offset, size);
    wait_for_all(comm);
    memcpy((char*)target + offset, slot(comm, 0), size);
    wait_for_all(comm);
  }
  return ncclSuccess;
}
ncclResult_t ncclBcast(void* buffer, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
  return ncclBroadcast(buffer, buffer, count, type, root, comm, stream);
}

ncclResult_t ncclAllGather(const void* source, void* target, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  size_t bytes = count * width(type);
  nullcuda_counters.all_gather++;
  nullcuda_counters.all_gather_bytes += bytes;
  CHUNKS(bytes, SLOT, offset, size) {
    memcpy(slot(comm, comm->rank), (char*)source + offset, size);
    wait_for_all(comm);
    for (int rank = 0; rank < comm->size; rank++)
      memcpy((char*)target + (size_t)rank * bytes + offset, slot(comm, rank), size);
    wait_for_all(comm);
  }
  return ncclSuccess;
}

static ncclResult_t refuse(const char* what) {
  fprintf(stderr, "the null GPU has no %s\n", what);
  return ncclInvalidUsage;
}
ncclResult_t ncclReduceScatter(const void* source, void* target, size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return refuse("reduce_scatter");
}
ncclResult_t ncclSend(const void* source, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  return refuse("send");
}
ncclResult_t ncclRecv(void* target, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return refuse("receive");
}
