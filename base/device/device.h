/* Devices: where the numbers of a model lie, and the order in which work on them is done. The CPU, or one GPU through the CUDA
 * runtime. Memory, copies and marks, nothing else: what is computed is the business of trainer/tensor/, sums over ranks are that
 * of collectives/.
 *
 * A GPU does what it is asked on streams: work of one stream is done in the order of asking, two streams run beside each other.
 * "Asked for" is therefore not "done". A function of this header either waits and says so, or only asks. The device's own stream
 * is the one of computing; further ones (of a reducer, of a checkpoint's copy) are opened beside it, and marks order them:
 *
 *     lk_mark_record(mark, lk_device_stream(device));    all that was asked on the stream so far
 *     lk_mark_follow(mark, side);                        what `side` is asked from now on waits for that; the host does not
 *     lk_mark_wait(mark);                                here the host does
 *
 * On the CPU asked is done: there is one stream, NULL, marks are readings of the clock, and nothing ever waits. So one path of
 * code serves both.
 *
 * Memory of a CUDA device is not the host's to read: lk_device_to_host. Memory from lk_device_alloc begins at a multiple of
 * LK_DEVICE_ALIGNMENT bytes and holds zeros.
 *
 * Errors: LK_BAD_CONFIG, this machine has no such device: no driver, one that is too old, no library, no card; LK_INTERNAL, no
 * memory, or a call failed; LK_DEVICE_LOST, the GPU itself failed and the process can do nothing with it any more: another try
 * belongs on another GPU. A GPU tells of a failure when it is next asked or waited for, so the sentence names the call that heard
 * of it.
 *
 * Any thread may use a device; two that write the same memory order themselves by marks.
 */
#ifndef LK_BASE_DEVICE_DEVICE_H
#define LK_BASE_DEVICE_DEVICE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { LK_DEVICE_ALIGNMENT = 256 };

typedef struct lk_device lk_device;
typedef struct lk_mark lk_mark;

typedef enum lk_device_kind { LK_DEVICE_CPU, LK_DEVICE_CUDA } lk_device_kind;

/* What a user asks for; auto: a GPU where there is one. */
typedef enum lk_device_choice { LK_ON_AUTO, LK_ON_CPU, LK_ON_CUDA } lk_device_choice;

/* How many there are for this process: 1 CPU; the GPUs that CUDA_VISIBLE_DEVICES and the scheduler's binding leave. Why there is
 * none is an error, which names the library, the driver or the card. */
lk_status lk_device_count(lk_device_kind kind, int *count);

/* The CPU, which is always there and is not closed. */
lk_device *lk_device_host(void);
/* Number `index` of those. Where it fails, *out is NULL. */
lk_status lk_device_open(lk_device_kind kind, int index, lk_device **out);
/* After all that was got from it is freed. NULL is fine. */
void lk_device_close(lk_device *device);

lk_device_kind lk_device_kind_of(const lk_device *device);
int lk_device_index(const lk_device *device);
/* "cpu", "cuda:0 NVIDIA H100 80GB HBM3" */
const char *lk_device_name(const lk_device *device);
/* Which card of the world it is, whatever its index here: CUDA's UUID. Zeros on the CPU. */
enum { LK_DEVICE_IDENTITY = 16 };
const unsigned char *lk_device_identity(const lk_device *device);

/* Makes it the one that the libraries of this thread mean (CUDA's current device). What is below does so by itself. */
lk_status lk_device_enter(lk_device *device);
/* LK_DEVICE_LOST if a call of whatever library heard that the GPU failed. Does not wait. */
lk_status lk_device_state(lk_device *device);

/* Whether a code of CUDA's runtime or driver, which number alike, says that a process can do nothing on its GPU any more: the
 * card, its memory or its links failed, or a kernel ran wild. */
bool lk_cuda_is_lost(int code);

/* ---- memory ---- */

/* NULL: there is not enough, and the sentence says how much was wanted (LK_INTERNAL). */
void *lk_device_alloc(lk_device *device, size_t bytes);
void lk_device_free(lk_device *device, void *memory);
/* The host's memory from and to which copies run beside the host's and the device's work (CUDA: pinned); zeroed, aligned as
 * above. Scarce: for what is copied in every step. NULL as above. */
void *lk_device_alloc_host(lk_device *device, size_t bytes);
void lk_device_free_host(lk_device *device, void *memory);
/* Free and all bytes of a GPU, for whatever process; on the CPU, of the machine. */
lk_status lk_device_memory(lk_device *device, size_t *available, size_t *total);

/* ---- copies, on the device's stream ---- */

/* Any host memory. They wait: the copy, and all that was asked before, is done on return. */
lk_status lk_device_to_host(lk_device *device, void *host, const void *memory, size_t bytes);
lk_status lk_device_from_host(lk_device *device, void *memory, const void *host, size_t bytes);
/* They only ask. */
lk_status lk_device_copy(lk_device *device, void *target, const void *source, size_t bytes);
lk_status lk_device_zero(lk_device *device, void *memory, size_t bytes);
/* They only ask, on the stream given; `host` is of lk_device_alloc_host and stays as it is until a mark says that it is done. */
lk_status lk_device_send_to_host(lk_device *device, void *stream, void *host, const void *memory, size_t bytes);
lk_status lk_device_send_from_host(lk_device *device, void *stream, void *memory, const void *host, size_t bytes);
/* Waits for all that the device's stream was asked. */
lk_status lk_device_wait(lk_device *device);

/* ---- streams and marks ---- */

/* The device's own stream (CUDA: cudaStream_t); NULL on the CPU. */
void *lk_device_stream(const lk_device *device);
/* One beside it; on the CPU NULL, which is right. */
lk_status lk_device_stream_open(lk_device *device, void **stream);
void lk_device_stream_close(lk_device *device, void *stream);

lk_status lk_mark_create(lk_device *device, lk_mark **out);
void lk_mark_free(lk_mark *mark); /* NULL is fine */
/* Marks all that `stream` was asked so far; an earlier record is forgotten. */
lk_status lk_mark_record(lk_mark *mark, void *stream);
/* The host waits. A mark that was never recorded is past, here and below. */
lk_status lk_mark_wait(lk_mark *mark);
/* Whether it is past, without waiting. */
lk_status lk_mark_past(lk_mark *mark, bool *past);
/* What `stream` is asked from now on begins after the mark. Does not wait. */
lk_status lk_mark_follow(lk_mark *mark, void *stream);
/* Seconds on the device from one mark to the other, both recorded and past; waits for the second. */
lk_status lk_mark_seconds(lk_mark *from, lk_mark *to, double *seconds);

#endif
