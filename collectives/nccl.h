/* NCCL as the reducer uses it, found when the program runs: one binary with and without. Names, codes and meanings are those of
 * NVIDIA's documentation ("NCCL API"); handles are void *. Inside of collectives/ only.
 *
 * NCCL reads its own environment variables (NCCL_SOCKET_IFNAME, NCCL_IB_DISABLE, NCCL_DEBUG ...); nothing here sets or hides one.
 */
#ifndef LK_COLLECTIVES_NCCL_H
#define LK_COLLECTIVES_NCCL_H

#include "base/error.h"

#include <stddef.h>

typedef struct lk_nccl_id {
    char bytes[128]; /* ncclUniqueId */
} lk_nccl_id;

/* ncclResult_t, as far as it is told apart here */
enum { LK_NCCL_INVALID_ARGUMENT = 4, LK_NCCL_INVALID_USAGE = 5, LK_NCCL_IN_PROGRESS = 7 };
/* ncclDataType_t, ncclRedOp_t */
enum { LK_NCCL_FLOAT32 = 7, LK_NCCL_BFLOAT16 = 9, LK_NCCL_SUM = 0 };

/* member, result, symbol, arguments */
#define LK_NCCL_FUNCTIONS(X)                                                                                                     \
    X(version, int, ncclGetVersion, (int *version))                                                                              \
    X(unique_id, int, ncclGetUniqueId, (lk_nccl_id * id))                                                                        \
    X(init, int, ncclCommInitRank, (void **comm, int ranks, lk_nccl_id id, int rank))                                            \
    X(all_reduce, int, ncclAllReduce,                                                                                            \
      (const void *send, void *receive, size_t count, int type, int operation, void *comm, void *stream))                        \
    X(send, int, ncclSend, (const void *send, size_t count, int type, int peer, void *comm, void *stream))                       \
    X(receive, int, ncclRecv, (void *receive, size_t count, int type, int peer, void *comm, void *stream))                       \
    X(group_start, int, ncclGroupStart, (void))                                                                                  \
    X(group_end, int, ncclGroupEnd, (void))                                                                                      \
    X(async_error, int, ncclCommGetAsyncError, (void *comm, int *error))                                                         \
    X(abort, int, ncclCommAbort, (void *comm))                                                                                   \
    X(destroy, int, ncclCommDestroy, (void *comm))                                                                               \
    X(error_text, const char *, ncclGetErrorString, (int code))                                                                  \
    X(last_error, const char *, ncclGetLastError, (void *comm))

#define LK_NCCL_POINTER(member, result, symbol, arguments) result(*member) arguments;
typedef struct lk_nccl {
    LK_NCCL_FUNCTIONS(LK_NCCL_POINTER)
} lk_nccl;
#undef LK_NCCL_POINTER

/* Looks them up; the library stays loaded. LK_INTERNAL: the library or a function of it is missing, and what installs it. */
lk_status lk_nccl_load(lk_nccl *out);

/* LK_OK, or what `call` answered as a sentence: while a communicator is opened LK_BAD_CONFIG where NCCL says that it was called
 * wrongly (two ranks on one GPU), else LK_INTERNAL; later LK_DEVICE_LOST, for what fails then is a GPU, a peer or the network. */
lk_status lk_nccl_check_open(const lk_nccl *nccl, int code, const char *call);
lk_status lk_nccl_check(const lk_nccl *nccl, void *comm, int code, const char *call);

#endif
