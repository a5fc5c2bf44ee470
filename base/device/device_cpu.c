/* The CPU as a device: asked is done. Declared in base/device/backend.h. */
#include "base/clock.h"
#include "base/device/backend.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void close_device(lk_device *device)
{
    free(device);
}

static lk_status nothing(lk_device *device)
{
    (void)device;
    return LK_OK;
}

/* From calloc, which leaves fresh pages to be cleared at their first use; the block's own begin stands before the memory. */
static void *alloc(lk_device *device, size_t bytes, bool host)
{
    (void)device;
    (void)host;
    size_t room = LK_DEVICE_ALIGNMENT + sizeof(void *);
    unsigned char *block = bytes <= SIZE_MAX - room ? calloc(1, bytes + room) : NULL;
    if (!block) {
        lk_fail(LK_INTERNAL, "out of memory for %zu bytes", bytes);
        return NULL;
    }
    uintptr_t first = (uintptr_t)block + sizeof(void *);
    size_t ahead = (LK_DEVICE_ALIGNMENT - first % LK_DEVICE_ALIGNMENT) % LK_DEVICE_ALIGNMENT;
    unsigned char *memory = block + sizeof(void *) + ahead;
    memcpy(memory - sizeof block, &block, sizeof block);
    return memory;
}

static void free_memory(lk_device *device, void *memory, bool host)
{
    (void)device;
    (void)host;
    void *block;
    memcpy(&block, (unsigned char *)memory - sizeof block, sizeof block);
    free(block);
}

static lk_status memory_of_machine(lk_device *device, size_t *available, size_t *total)
{
    (void)device;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *available = page * (size_t)sysconf(_SC_AVPHYS_PAGES);
    *total = page * (size_t)sysconf(_SC_PHYS_PAGES);
    return LK_OK;
}

static lk_status copy(lk_device *device, void *stream, void *target, const void *source, size_t bytes, lk_copy_way way)
{
    (void)device;
    (void)stream;
    (void)way;
    memcpy(target, source, bytes);
    return LK_OK;
}

static lk_status zero(lk_device *device, void *memory, size_t bytes)
{
    (void)device;
    memset(memory, 0, bytes);
    return LK_OK;
}

static lk_status wait_for_stream(lk_device *device, void *stream)
{
    (void)device;
    (void)stream;
    return LK_OK;
}

static lk_status stream_open(lk_device *device, void **stream)
{
    (void)device;
    *stream = NULL;
    return LK_OK;
}

static void stream_close(lk_device *device, void *stream)
{
    (void)device;
    (void)stream;
}

static lk_status mark_create(lk_device *device, lk_mark *mark)
{
    (void)device;
    (void)mark;
    return LK_OK;
}

static void mark_free(lk_mark *mark)
{
    (void)mark;
}

static lk_status mark_record(lk_mark *mark, void *stream)
{
    (void)stream;
    mark->time = lk_clock();
    return LK_OK;
}

static lk_status mark_wait(lk_mark *mark)
{
    (void)mark;
    return LK_OK;
}

static lk_status mark_past(lk_mark *mark, bool *past)
{
    (void)mark;
    *past = true;
    return LK_OK;
}

static lk_status mark_follow(lk_mark *mark, void *stream)
{
    (void)mark;
    (void)stream;
    return LK_OK;
}

static lk_status mark_seconds(lk_mark *from, lk_mark *to, double *seconds)
{
    *seconds = to->time - from->time;
    return LK_OK;
}

const lk_device_backend lk_device_cpu = {
    .kind = LK_DEVICE_CPU,
    .close = close_device,
    .enter = nothing,
    .state = nothing,
    .alloc = alloc,
    .free = free_memory,
    .memory = memory_of_machine,
    .copy = copy,
    .zero = zero,
    .wait = wait_for_stream,
    .stream_open = stream_open,
    .stream_close = stream_close,
    .mark_create = mark_create,
    .mark_free = mark_free,
    .mark_record = mark_record,
    .mark_wait = mark_wait,
    .mark_past = mark_past,
    .mark_follow = mark_follow,
    .mark_seconds = mark_seconds,
};
