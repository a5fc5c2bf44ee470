/* A GPU through the CUDA runtime, which is looked up when it is asked for: the program needs neither it nor a driver to start.
 * Declared in base/device/backend.h. */
#include "base/device/backend.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used of the runtime, in versions 12 and 13 alike: its header is not needed to build. Codes and flags are part of its
 * binary interface. */
#define RUNTIME(X)                                                                                                               \
    X(cudaDriverGetVersion, (int *version))                                                                                      \
    X(cudaRuntimeGetVersion, (int *version))                                                                                     \
    X(cudaGetDeviceCount, (int *count))                                                                                          \
    X(cudaGetDeviceProperties, (void *properties, int index))                                                                    \
    X(cudaSetDevice, (int index))                                                                                                \
    X(cudaMemGetInfo, (size_t * available, size_t * total))                                                                      \
    X(cudaMalloc, (void **memory, size_t bytes))                                                                                 \
    X(cudaFree, (void *memory))                                                                                                  \
    X(cudaHostAlloc, (void **memory, size_t bytes, unsigned flags))                                                              \
    X(cudaFreeHost, (void *memory))                                                                                              \
    X(cudaMemsetAsync, (void *memory, int value, size_t bytes, void *stream))                                                    \
    X(cudaMemcpyAsync, (void *target, const void *source, size_t bytes, int way, void *stream))                                  \
    X(cudaStreamCreateWithFlags, (void **stream, unsigned flags))                                                                \
    X(cudaStreamDestroy, (void *stream))                                                                                         \
    X(cudaStreamSynchronize, (void *stream))                                                                                     \
    X(cudaStreamWaitEvent, (void *stream, void *event, unsigned flags))                                                          \
    X(cudaEventCreate, (void **event))                                                                                           \
    X(cudaEventDestroy, (void *event))                                                                                           \
    X(cudaEventRecord, (void *event, void *stream))                                                                              \
    X(cudaEventSynchronize, (void *event))                                                                                       \
    X(cudaEventQuery, (void *event))                                                                                             \
    X(cudaEventElapsedTime, (float *milliseconds, void *from, void *to))                                                         \
    X(cudaGetLastError, (void))

enum { SUCCESS = 0, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INSUFFICIENT_DRIVER = 35, NOT_READY = 600 };
enum { STREAM_NON_BLOCKING = 1, HOST_PORTABLE = 1 };
static const int ways[] = {[LK_COPY_TO_HOST] = 2, [LK_COPY_FROM_HOST] = 1, [LK_COPY_WITHIN] = 3};

#define DECLARE(name, arguments) int(*name) arguments;
static struct runtime {
    RUNTIME(DECLARE)
    const char *(*cudaGetErrorString)(int code);
} cuda;

static pthread_once_t loaded = PTHREAD_ONCE_INIT;
static lk_error not_loaded; /* LK_OK: it is */

/* libtorch brings it, mostly: then it is there already, whatever its version. */
static void load(void)
{
    static const char *const names[] = {"libcudart.so.13", "libcudart.so.12", "libcudart.so"};
    lk_status status = LK_OK;
    bool there = dlsym(RTLD_DEFAULT, "cudaGetDeviceCount") != NULL;
    for (size_t i = 0; !there && i < sizeof names / sizeof *names; i++)
        there = dlopen(names[i], RTLD_NOW | RTLD_GLOBAL) != NULL;
    if (!there)
        status = lk_fail(LK_BAD_CONFIG, "the CUDA runtime is missing: %s; make deps CUDA=1 installs it", dlerror());
    const char *missing = NULL;
#define FIND(name, arguments)                                                                                                    \
    cuda.name = (int(*) arguments)dlsym(RTLD_DEFAULT, #name);                                                                    \
    missing = cuda.name ? missing : #name;
    if (there) {
        RUNTIME(FIND)
        cuda.cudaGetErrorString = (const char *(*)(int))dlsym(RTLD_DEFAULT, "cudaGetErrorString");
        missing = cuda.cudaGetErrorString ? missing : "cudaGetErrorString";
        if (missing)
            status = lk_fail(LK_BAD_CONFIG, "the CUDA runtime has no %s: it is of another version; make deps CUDA=1 installs one",
                             missing);
    }
    lk_error_take(&not_loaded, status);
}

bool lk_cuda_is_lost(int code)
{
    static const int codes[] = {46, 201, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 802, 999};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i] == code)
            return true;
    return false;
}

static lk_status check(const lk_device *device, int code, const char *what)
{
    if (code == SUCCESS)
        return LK_OK;
    cuda.cudaGetLastError(); /* what is told here is not told again */
    if (lk_cuda_is_lost(code))
        return lk_fail(LK_DEVICE_LOST, "%s failed: %s: %s (%d); run again, on another GPU if it comes again", device->name, what,
                       cuda.cudaGetErrorString(code), code);
    return lk_fail(LK_INTERNAL, "%s: %s: %s (%d)", device->name, what, cuda.cudaGetErrorString(code), code);
}
#define CALL(device, function, ...) check(device, cuda.function(__VA_ARGS__), #function)

/* CUDA keeps the current device for each thread. */
static lk_status enter(const lk_device *device)
{
    return CALL(device, cudaSetDevice, device->index);
}

lk_status lk_cuda_count(int *count)
{
    *count = 0;
    pthread_once(&loaded, load);
    LK_TRY(lk_error_put(&not_loaded));
    int driver = 0, runtime = 0;
    cuda.cudaDriverGetVersion(&driver);
    cuda.cudaRuntimeGetVersion(&runtime);
    if (driver == 0)
        return lk_fail(LK_BAD_CONFIG, "there is no NVIDIA driver on this machine (no libcuda.so.1)");
    int code = cuda.cudaGetDeviceCount(count);
    if (code == SUCCESS && *count > 0)
        return LK_OK;
    *count = 0;
    cuda.cudaGetLastError();
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (code == INSUFFICIENT_DRIVER)
        return lk_fail(LK_BAD_CONFIG,
                       "the NVIDIA driver is too old: it knows CUDA up to %d.%d, the runtime is %d.%d; update the driver, or "
                       "install a libtorch for its version",
                       driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    if (code == SUCCESS || code == NO_DEVICE)
        return lk_fail(LK_BAD_CONFIG, "there is no GPU for this process%s%s%s", visible ? ": CUDA_VISIBLE_DEVICES is '" : "",
                       visible ? visible : "", visible ? "'" : "");
    return lk_fail(lk_cuda_is_lost(code) ? LK_DEVICE_LOST : LK_BAD_CONFIG, "the GPUs cannot be counted: %s (%d)",
                   cuda.cudaGetErrorString(code), code);
}

/* The struct grew from version to version; its begin, name and UUID, did not change. */
static lk_status introduce(lk_device *device)
{
    enum { NAME = 256, ROOM = 8192 };
    char *properties = calloc(1, ROOM);
    if (!properties)
        return lk_fail(LK_INTERNAL, "out of memory");
    lk_status status = CALL(device, cudaGetDeviceProperties, properties, device->index);
    if (status == LK_OK) {
        snprintf(device->name, sizeof device->name, "cuda:%d %.80s", device->index, properties);
        memcpy(device->identity, properties + NAME, sizeof device->identity);
    }
    free(properties);
    return status;
}

lk_status lk_cuda_open(lk_device *device)
{
    snprintf(device->name, sizeof device->name, "cuda:%d", device->index);
    LK_TRY(introduce(device));
    LK_TRY(enter(device));
    return CALL(device, cudaStreamCreateWithFlags, &device->stream, STREAM_NON_BLOCKING);
}

/* Giving back never fails: it often follows a failure, whose sentence must stay. */
static void leave_stream(const lk_device *device, void *stream)
{
    cuda.cudaSetDevice(device->index);
    cuda.cudaStreamSynchronize(stream);
    cuda.cudaStreamDestroy(stream);
}

static void close_device(lk_device *device)
{
    leave_stream(device, device->stream);
    free(device);
}

static lk_status use_on_this_thread(lk_device *device)
{
    return enter(device);
}

/* ---- memory ---- */

static lk_status zero(lk_device *device, void *memory, size_t bytes)
{
    LK_TRY(enter(device));
    return CALL(device, cudaMemsetAsync, memory, 0, bytes, device->stream);
}

static lk_status wait_for_stream(lk_device *device, void *stream)
{
    LK_TRY(enter(device));
    return CALL(device, cudaStreamSynchronize, stream);
}

static void fail_alloc(lk_device *device, int code, size_t bytes, bool host)
{
    size_t available = 0, total = 0;
    if (code != OUT_OF_MEMORY) {
        check(device, code, host ? "cudaHostAlloc" : "cudaMalloc");
        return;
    }
    cuda.cudaGetLastError();
    if (host)
        lk_fail(LK_INTERNAL, "%s: no memory of the host can be pinned for %zu bytes; lower data.prefetch", device->name, bytes);
    else if (cuda.cudaMemGetInfo(&available, &total) != SUCCESS)
        lk_fail(LK_INTERNAL, "%s: out of memory for %zu bytes; lower train.micro_batch", device->name, bytes);
    else
        lk_fail(LK_INTERNAL, "%s: out of memory for %zu bytes, %zu of %zu MiB are free; lower train.micro_batch", device->name,
                bytes, available >> 20, total >> 20);
}

static void *alloc(lk_device *device, size_t bytes, bool host)
{
    void *memory = NULL;
    if (enter(device) != LK_OK)
        return NULL;
    int code = host ? cuda.cudaHostAlloc(&memory, bytes, HOST_PORTABLE) : cuda.cudaMalloc(&memory, bytes);
    if (code != SUCCESS) {
        fail_alloc(device, code, bytes, host);
        return NULL;
    }
    if (host) {
        memset(memory, 0, bytes);
    } else if (zero(device, memory, bytes) != LK_OK || wait_for_stream(device, device->stream) != LK_OK) { /* for all streams */
        cuda.cudaFree(memory);
        return NULL;
    }
    return memory;
}

/* Work that was asked for may still use it: cudaFree waits for the whole device, and pinned memory for our streams by its owner's
 * marks. */
static void free_memory(lk_device *device, void *memory, bool host)
{
    cuda.cudaSetDevice(device->index);
    if (host)
        cuda.cudaFreeHost(memory);
    else
        cuda.cudaFree(memory);
}

static lk_status memory_of_card(lk_device *device, size_t *available, size_t *total)
{
    LK_TRY(enter(device));
    return CALL(device, cudaMemGetInfo, available, total);
}

/* ---- copies ---- */

static lk_status copy(lk_device *device, void *stream, void *target, const void *source, size_t bytes, lk_copy_way way)
{
    LK_TRY(enter(device));
    return CALL(device, cudaMemcpyAsync, target, source, bytes, ways[way], stream);
}

static lk_status state(lk_device *device)
{
    LK_TRY(enter(device));
    int code = cuda.cudaGetLastError();
    return lk_cuda_is_lost(code) ? check(device, code, "an earlier call") : LK_OK;
}

/* ---- streams and marks ---- */

static lk_status stream_open(lk_device *device, void **stream)
{
    *stream = NULL;
    LK_TRY(enter(device));
    return CALL(device, cudaStreamCreateWithFlags, stream, STREAM_NON_BLOCKING);
}

static void stream_close(lk_device *device, void *stream)
{
    leave_stream(device, stream);
}

static lk_status mark_create(lk_device *device, lk_mark *mark)
{
    LK_TRY(enter(device));
    return CALL(device, cudaEventCreate, &mark->event);
}

static void mark_free(lk_mark *mark)
{
    cuda.cudaSetDevice(mark->device->index);
    cuda.cudaEventDestroy(mark->event);
}

static lk_status mark_record(lk_mark *mark, void *stream)
{
    LK_TRY(enter(mark->device));
    return CALL(mark->device, cudaEventRecord, mark->event, stream);
}

static lk_status mark_wait(lk_mark *mark)
{
    LK_TRY(enter(mark->device));
    return CALL(mark->device, cudaEventSynchronize, mark->event);
}

static lk_status mark_past(lk_mark *mark, bool *past)
{
    LK_TRY(enter(mark->device));
    int code = cuda.cudaEventQuery(mark->event);
    *past = code == SUCCESS;
    if (code != NOT_READY)
        return check(mark->device, code, "cudaEventQuery");
    cuda.cudaGetLastError(); /* no failure */
    return LK_OK;
}

static lk_status mark_follow(lk_mark *mark, void *stream)
{
    LK_TRY(enter(mark->device));
    return CALL(mark->device, cudaStreamWaitEvent, stream, mark->event, 0);
}

static lk_status mark_seconds(lk_mark *from, lk_mark *to, double *seconds)
{
    float milliseconds = 0;
    LK_TRY(enter(from->device));
    LK_TRY(CALL(from->device, cudaEventElapsedTime, &milliseconds, from->event, to->event));
    *seconds = milliseconds / 1e3;
    return LK_OK;
}

const lk_device_backend lk_device_cuda = {
    .kind = LK_DEVICE_CUDA,
    .close = close_device,
    .enter = use_on_this_thread,
    .alloc = alloc,
    .free = free_memory,
    .memory = memory_of_card,
    .copy = copy,
    .zero = zero,
    .wait = wait_for_stream,
    .state = state,
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
