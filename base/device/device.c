#include "base/device/device.h"

#include "base/device/backend.h"

#include <stdio.h>
#include <stdlib.h>

lk_status lk_device_count(lk_device_kind kind, int *count)
{
    *count = 1;
    return kind == LK_DEVICE_CPU ? LK_OK : lk_cuda_count(count);
}

lk_device *lk_device_host(void)
{
    static lk_device host = {.backend = &lk_device_cpu, .name = "cpu"};
    return &host;
}

lk_status lk_device_open(lk_device_kind kind, int index, lk_device **out)
{
    *out = NULL;
    int count;
    LK_TRY(lk_device_count(kind, &count));
    if (index < 0 || index >= count)
        return lk_fail(LK_BAD_CONFIG, "there is no device %d, only %d", index, count);
    lk_device *device = calloc(1, sizeof *device);
    if (!device)
        return lk_fail(LK_INTERNAL, "out of memory");
    device->backend = kind == LK_DEVICE_CPU ? &lk_device_cpu : &lk_device_cuda;
    device->index = index;
    snprintf(device->name, sizeof device->name, "cpu");
    lk_status status = kind == LK_DEVICE_CPU ? LK_OK : lk_cuda_open(device);
    if (status != LK_OK) {
        free(device);
        return status;
    }
    *out = device;
    return LK_OK;
}

void lk_device_close(lk_device *device)
{
    if (device)
        device->backend->close(device);
}

lk_device_kind lk_device_kind_of(const lk_device *device)
{
    return device->backend->kind;
}

int lk_device_index(const lk_device *device)
{
    return device->index;
}

const char *lk_device_name(const lk_device *device)
{
    return device->name;
}

const unsigned char *lk_device_identity(const lk_device *device)
{
    return device->identity;
}

lk_status lk_device_enter(lk_device *device)
{
    return device->backend->enter(device);
}

lk_status lk_device_state(lk_device *device)
{
    return device->backend->state(device);
}

/* ---- memory ---- */

void *lk_device_alloc(lk_device *device, size_t bytes)
{
    return device->backend->alloc(device, bytes ? bytes : 1, false);
}

void lk_device_free(lk_device *device, void *memory)
{
    if (memory)
        device->backend->free(device, memory, false);
}

void *lk_device_alloc_host(lk_device *device, size_t bytes)
{
    return device->backend->alloc(device, bytes ? bytes : 1, true);
}

void lk_device_free_host(lk_device *device, void *memory)
{
    if (memory)
        device->backend->free(device, memory, true);
}

lk_status lk_device_memory(lk_device *device, size_t *available, size_t *total)
{
    return device->backend->memory(device, available, total);
}

/* ---- copies ---- */

static lk_status copy(lk_device *device, void *stream, void *target, const void *source, size_t bytes, lk_copy_way way)
{
    return bytes ? device->backend->copy(device, stream, target, source, bytes, way) : LK_OK;
}

lk_status lk_device_to_host(lk_device *device, void *host, const void *memory, size_t bytes)
{
    LK_TRY(copy(device, device->stream, host, memory, bytes, LK_COPY_TO_HOST));
    return lk_device_wait(device);
}

lk_status lk_device_from_host(lk_device *device, void *memory, const void *host, size_t bytes)
{
    LK_TRY(copy(device, device->stream, memory, host, bytes, LK_COPY_FROM_HOST));
    return lk_device_wait(device);
}

lk_status lk_device_copy(lk_device *device, void *target, const void *source, size_t bytes)
{
    return copy(device, device->stream, target, source, bytes, LK_COPY_WITHIN);
}

lk_status lk_device_zero(lk_device *device, void *memory, size_t bytes)
{
    return bytes ? device->backend->zero(device, memory, bytes) : LK_OK;
}

lk_status lk_device_send_to_host(lk_device *device, void *stream, void *host, const void *memory, size_t bytes)
{
    return copy(device, stream, host, memory, bytes, LK_COPY_TO_HOST);
}

lk_status lk_device_send_from_host(lk_device *device, void *stream, void *memory, const void *host, size_t bytes)
{
    return copy(device, stream, memory, host, bytes, LK_COPY_FROM_HOST);
}

lk_status lk_device_wait(lk_device *device)
{
    return device->backend->wait(device, device->stream);
}

/* ---- streams and marks ---- */

void *lk_device_stream(const lk_device *device)
{
    return device->stream;
}

lk_status lk_device_stream_open(lk_device *device, void **stream)
{
    return device->backend->stream_open(device, stream);
}

void lk_device_stream_close(lk_device *device, void *stream)
{
    if (stream)
        device->backend->stream_close(device, stream);
}

lk_status lk_mark_create(lk_device *device, lk_mark **out)
{
    *out = NULL;
    lk_mark *mark = calloc(1, sizeof *mark);
    if (!mark)
        return lk_fail(LK_INTERNAL, "out of memory");
    mark->device = device;
    lk_status status = device->backend->mark_create(device, mark);
    if (status != LK_OK) {
        free(mark);
        return status;
    }
    *out = mark;
    return LK_OK;
}

void lk_mark_free(lk_mark *mark)
{
    if (!mark)
        return;
    mark->device->backend->mark_free(mark);
    free(mark);
}

lk_status lk_mark_record(lk_mark *mark, void *stream)
{
    LK_TRY(mark->device->backend->mark_record(mark, stream));
    mark->recorded = true;
    return LK_OK;
}

lk_status lk_mark_wait(lk_mark *mark)
{
    return mark->recorded ? mark->device->backend->mark_wait(mark) : LK_OK;
}

lk_status lk_mark_past(lk_mark *mark, bool *past)
{
    *past = true;
    return mark->recorded ? mark->device->backend->mark_past(mark, past) : LK_OK;
}

lk_status lk_mark_follow(lk_mark *mark, void *stream)
{
    return mark->recorded ? mark->device->backend->mark_follow(mark, stream) : LK_OK;
}

lk_status lk_mark_seconds(lk_mark *from, lk_mark *to, double *seconds)
{
    LK_TRY(lk_mark_wait(to));
    return from->device->backend->mark_seconds(from, to, seconds);
}
