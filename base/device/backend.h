/* Internal to base/device/: what a device can do. device.c is the only caller of this table; a kind of device is a file that
 * fills it in. Every function has the meaning of its namesake in device.h; `memory` is never NULL, bytes are never 0. */
#ifndef LK_BASE_DEVICE_BACKEND_H
#define LK_BASE_DEVICE_BACKEND_H

#include "base/device/device.h"

typedef enum lk_copy_way { LK_COPY_TO_HOST, LK_COPY_FROM_HOST, LK_COPY_WITHIN } lk_copy_way;

typedef struct lk_device_backend {
    lk_device_kind kind;
    void (*close)(lk_device *device);
    lk_status (*enter)(lk_device *device);
    lk_status (*state)(lk_device *device);
    void *(*alloc)(lk_device *device, size_t bytes, bool host);
    void (*free)(lk_device *device, void *memory, bool host);
    lk_status (*memory)(lk_device *device, size_t *available, size_t *total);
    lk_status (*copy)(lk_device *device, void *stream, void *target, const void *source, size_t bytes, lk_copy_way way);
    lk_status (*zero)(lk_device *device, void *memory, size_t bytes);
    lk_status (*wait)(lk_device *device, void *stream);
    lk_status (*stream_open)(lk_device *device, void **stream);
    void (*stream_close)(lk_device *device, void *stream);
    lk_status (*mark_create)(lk_device *device, lk_mark *mark);
    void (*mark_free)(lk_mark *mark);
    lk_status (*mark_record)(lk_mark *mark, void *stream);
    lk_status (*mark_wait)(lk_mark *mark);
    lk_status (*mark_past)(lk_mark *mark, bool *past);
    lk_status (*mark_follow)(lk_mark *mark, void *stream);
    lk_status (*mark_seconds)(lk_mark *from, lk_mark *to, double *seconds);
} lk_device_backend;

struct lk_device {
    const lk_device_backend *backend;
    int index;
    void *stream;
    char name[128];
    unsigned char identity[LK_DEVICE_IDENTITY];
};

struct lk_mark {
    lk_device *device;
    bool recorded;
    double time; /* CPU: the clock at the record */
    void *event; /* CUDA: cudaEvent_t */
};

extern const lk_device_backend lk_device_cpu, lk_device_cuda;

/* CUDA's part of lk_device_count, and of lk_device_open for a device whose backend and index are set. */
lk_status lk_cuda_count(int *count);
lk_status lk_cuda_open(lk_device *device);

#endif
