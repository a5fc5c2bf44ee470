/* A GPU as a device (base/device/device_cuda.c) against a stand-in for the CUDA runtime: this program defines the functions
 * of the runtime itself, so that dlsym finds them before any library's. It does at once what it is asked for, notes on which
 * stream, and lets the n-th call fail. What a real GPU does is not tried here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/device/device.h"
#include "tests/unit/check.h"

#include <unistd.h>

/* ---- the stand-in ---- */

static struct {
    int driver, gpus, count_code;
    int calls, fail_at, fail_code; /* call fail_at, from 1, returns fail_code */
    int held;                      /* memory, streams and events that were taken and not given back */
    char failed[64];               /* the name of the call that failed */
    char log[4096];                /* "copy 2 on 1, ..." */
    int streams;
    bool not_ready;
} runtime;

typedef struct stream {
    int number;
} stream;

static int enter(const char *name)
{
    if (++runtime.calls != runtime.fail_at)
        return 0;
    snprintf(runtime.failed, sizeof runtime.failed, "%s", name);
    return runtime.fail_code;
}

static void note(const char *what, int detail, void *on)
{
    size_t used = strlen(runtime.log);
    snprintf(runtime.log + used, sizeof runtime.log - used, "%s %d on %d, ", what, detail, on ? ((stream *)on)->number : 0);
}

#define RETURN_IF_FAILED()                                                                                                       \
    do {                                                                                                                         \
        int code = enter(__func__);                                                                                              \
        if (code)                                                                                                                \
            return code;                                                                                                         \
    } while (0)

/* The prototypes of the runtime's header, which is not here. */
int cudaDriverGetVersion(int *version);
int cudaRuntimeGetVersion(int *version);
int cudaGetDeviceCount(int *count);
int cudaGetDeviceProperties(void *properties, int index);
int cudaSetDevice(int index);
int cudaMemGetInfo(size_t *available, size_t *total);
int cudaMalloc(void **memory, size_t bytes);
int cudaFree(void *memory);
int cudaHostAlloc(void **memory, size_t bytes, unsigned flags);
int cudaFreeHost(void *memory);
int cudaMemsetAsync(void *memory, int value, size_t bytes, void *on);
int cudaMemcpyAsync(void *target, const void *source, size_t bytes, int way, void *on);
int cudaStreamCreateWithFlags(void **out, unsigned flags);
int cudaStreamDestroy(void *on);
int cudaStreamSynchronize(void *on);
int cudaStreamWaitEvent(void *on, void *event, unsigned flags);
int cudaEventCreate(void **event);
int cudaEventDestroy(void *event);
int cudaEventRecord(void *event, void *on);
int cudaEventSynchronize(void *event);
int cudaEventQuery(void *event);
int cudaEventElapsedTime(float *milliseconds, void *from, void *to);
int cudaGetLastError(void);
const char *cudaGetErrorString(int code);

int cudaDriverGetVersion(int *version)
{
    *version = runtime.driver;
    return 0;
}

int cudaRuntimeGetVersion(int *version)
{
    *version = 13020;
    return 0;
}

int cudaGetDeviceCount(int *count)
{
    *count = runtime.gpus;
    return runtime.count_code;
}

int cudaGetDeviceProperties(void *properties, int index)
{
    RETURN_IF_FAILED();
    snprintf(properties, 256, "Stand-in %d", index);
    memset((char *)properties + 256, 'A' + index, 16);
    return 0;
}

int cudaSetDevice(int index)
{
    RETURN_IF_FAILED();
    return index < runtime.gpus ? 0 : 101;
}

int cudaMemGetInfo(size_t *available, size_t *total)
{
    RETURN_IF_FAILED();
    *available = (size_t)5 << 20;
    *total = (size_t)80 << 20;
    return 0;
}

static int take(void **memory, size_t bytes)
{
    *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(*memory, 0xab, bytes);
    runtime.held++;
    return 0;
}

static int give_back(void *memory)
{
    free(memory);
    runtime.held--;
    return 0;
}

int cudaMalloc(void **memory, size_t bytes)
{
    RETURN_IF_FAILED();
    return take(memory, bytes);
}

int cudaFree(void *memory)
{
    return give_back(memory);
}

int cudaHostAlloc(void **memory, size_t bytes, unsigned flags)
{
    RETURN_IF_FAILED();
    assert_int_equal(flags, 1);
    return take(memory, bytes);
}

int cudaFreeHost(void *memory)
{
    return give_back(memory);
}

int cudaMemsetAsync(void *memory, int value, size_t bytes, void *on)
{
    RETURN_IF_FAILED();
    memset(memory, value, bytes);
    note("zero", (int)bytes, on);
    return 0;
}

int cudaMemcpyAsync(void *target, const void *source, size_t bytes, int way, void *on)
{
    RETURN_IF_FAILED();
    memcpy(target, source, bytes);
    note("copy", way, on);
    return 0;
}

int cudaStreamCreateWithFlags(void **out, unsigned flags)
{
    RETURN_IF_FAILED();
    assert_int_equal(flags, 1); /* does not wait for the default stream */
    stream *s = malloc(sizeof *s);
    s->number = ++runtime.streams;
    *out = s;
    runtime.held++;
    return 0;
}

int cudaStreamDestroy(void *on)
{
    return give_back(on);
}

int cudaStreamSynchronize(void *on)
{
    RETURN_IF_FAILED();
    note("wait", 0, on);
    return 0;
}

int cudaStreamWaitEvent(void *on, void *event, unsigned flags)
{
    RETURN_IF_FAILED();
    (void)flags;
    note("follow", *(int *)event, on);
    return 0;
}

int cudaEventCreate(void **event)
{
    static int number;
    RETURN_IF_FAILED();
    int *e = malloc(sizeof *e);
    *e = number++ % 2;
    *event = e;
    runtime.held++;
    return 0;
}

int cudaEventDestroy(void *event)
{
    return give_back(event);
}

int cudaEventRecord(void *event, void *on)
{
    RETURN_IF_FAILED();
    note("mark", *(int *)event, on);
    return 0;
}

int cudaEventSynchronize(void *event)
{
    RETURN_IF_FAILED();
    (void)event;
    return 0;
}

int cudaEventQuery(void *event)
{
    RETURN_IF_FAILED();
    (void)event;
    return runtime.not_ready ? 600 : 0;
}

int cudaEventElapsedTime(float *milliseconds, void *from, void *to)
{
    RETURN_IF_FAILED();
    *milliseconds = from == to ? 0 : 250;
    return 0;
}

int cudaGetLastError(void)
{
    return 0;
}

const char *cudaGetErrorString(int code)
{
    return code == 2 ? "out of memory" : code == 719 ? "unspecified launch failure" : "a failure";
}

static int reset(void **state)
{
    (void)state;
    memset(&runtime, 0, sizeof runtime);
    runtime.driver = 13030;
    runtime.gpus = 2;
    unsetenv("CUDA_VISIBLE_DEVICES");
    return 0;
}

/* ---- what is not there ---- */

static void what_is_missing_is_named(void **state)
{
    (void)state;
    int count;
    assert_ok(lk_device_count(LK_DEVICE_CUDA, &count));
    assert_int_equal(count, 2);
    runtime.driver = 0;
    assert_fails(lk_device_count(LK_DEVICE_CUDA, &count), LK_BAD_CONFIG, "no NVIDIA driver");
    assert_int_equal(count, 0);
    runtime.driver = 12040;
    runtime.count_code = 35;
    assert_fails(lk_device_count(LK_DEVICE_CUDA, &count), LK_BAD_CONFIG,
                 "too old: it knows CUDA up to 12.4, the runtime is 13.2");
    runtime.count_code = 100;
    assert_fails(lk_device_count(LK_DEVICE_CUDA, &count), LK_BAD_CONFIG, "there is no GPU for this process");
    setenv("CUDA_VISIBLE_DEVICES", "7", 1);
    assert_fails(lk_device_count(LK_DEVICE_CUDA, &count), LK_BAD_CONFIG, "CUDA_VISIBLE_DEVICES is '7'");
    runtime.count_code = 802;
    assert_fails(lk_device_count(LK_DEVICE_CUDA, &count), LK_DEVICE_LOST, "a failure (802)");
}

/* What a GPU has not failed of must not be tried again elsewhere. */
static void only_a_failed_gpu_is_lost(void **state)
{
    (void)state;
    enum { ECC = 214, NVLINK = 220, ILLEGAL_ADDRESS = 700, LAUNCH_FAILURE = 719 };
    enum { OUT_OF_MEMORY = 2, NO_GRAPHICS = 219, NO_PTX_COMPILER = 221, TOO_LARGE_COOPERATIVE = 720 };
    assert_true(lk_cuda_is_lost(ECC) && lk_cuda_is_lost(NVLINK) && lk_cuda_is_lost(ILLEGAL_ADDRESS) &&
                lk_cuda_is_lost(LAUNCH_FAILURE));
    assert_false(lk_cuda_is_lost(OUT_OF_MEMORY) || lk_cuda_is_lost(NO_GRAPHICS) || lk_cuda_is_lost(NO_PTX_COMPILER) ||
                 lk_cuda_is_lost(TOO_LARGE_COOPERATIVE));
}

/* ---- one use of everything ---- */

enum { COUNT = 300 };
static uint32_t numbers[COUNT], back[COUNT];

static lk_status use_marks(lk_device *gpu, void *side)
{
    lk_mark *from = NULL, *to = NULL;
    double seconds = 0;
    bool past = false;
    lk_status status;
    LK_TRY_OR(done, lk_mark_create(gpu, &from));
    LK_TRY_OR(done, lk_mark_create(gpu, &to));
    LK_TRY_OR(done, lk_mark_wait(to)); /* never recorded: nothing to wait for */
    LK_TRY_OR(done, lk_mark_record(from, lk_device_stream(gpu)));
    LK_TRY_OR(done, lk_mark_follow(from, side));
    LK_TRY_OR(done, lk_mark_record(to, side));
    runtime.not_ready = true;
    LK_TRY_OR(done, lk_mark_past(to, &past));
    assert_false(past);
    runtime.not_ready = false;
    LK_TRY_OR(done, lk_mark_past(to, &past));
    assert_true(past);
    LK_TRY_OR(done, lk_mark_seconds(from, to, &seconds));
    assert_true(seconds == 0.25);
done:
    runtime.not_ready = false;
    lk_mark_free(from);
    lk_mark_free(to);
    return status;
}

static lk_status use_memory(lk_device *gpu, void *side)
{
    size_t available = 0, total = 0;
    uint32_t *first = lk_device_alloc(gpu, sizeof numbers), *second = NULL, *pinned = NULL;
    lk_status status = LK_DEVICE_LOST;
    if (!first || !(second = lk_device_alloc(gpu, sizeof numbers)) || !(pinned = lk_device_alloc_host(gpu, sizeof numbers)))
        goto done;
    for (int i = 0; i < COUNT; i++)
        assert_true(first[i] == 0 && pinned[i] == 0);
    LK_TRY_OR(done, lk_device_from_host(gpu, first, numbers, sizeof numbers));
    LK_TRY_OR(done, lk_device_copy(gpu, second, first, sizeof numbers));
    LK_TRY_OR(done, lk_device_zero(gpu, first, sizeof numbers));
    LK_TRY_OR(done, lk_device_send_to_host(gpu, side, pinned, second, sizeof numbers));
    LK_TRY_OR(done, lk_device_send_from_host(gpu, side, first, pinned, sizeof numbers));
    LK_TRY_OR(done, lk_device_to_host(gpu, back, first, sizeof numbers));
    assert_memory_equal(back, numbers, sizeof numbers);
    LK_TRY_OR(done, lk_device_memory(gpu, &available, &total));
    assert_int_equal(total - available, (size_t)75 << 20);
    status = lk_device_state(gpu);
done:
    lk_device_free(gpu, first);
    lk_device_free(gpu, second);
    lk_device_free_host(gpu, pinned);
    return status;
}

static lk_status use_all(int index)
{
    lk_device *gpu;
    void *side = NULL;
    for (uint32_t i = 0; i < COUNT; i++)
        numbers[i] = i * 2654435761u;
    memset(back, 0, sizeof back);
    LK_TRY(lk_device_open(LK_DEVICE_CUDA, index, &gpu));
    lk_status status;
    LK_TRY_OR(done, lk_device_stream_open(gpu, &side));
    LK_TRY_OR(done, use_memory(gpu, side));
    status = use_marks(gpu, side);
done:
    lk_device_stream_close(gpu, side);
    lk_device_close(gpu);
    return status;
}

static void work_is_asked_on_its_stream(void **state)
{
    (void)state;
    lk_device *gpu;
    assert_ok(lk_device_open(LK_DEVICE_CUDA, 1, &gpu));
    assert_string_equal(lk_device_name(gpu), "cuda:1 Stand-in 1");
    assert_memory_equal(lk_device_identity(gpu), "BBBBBBBBBBBBBBBB", LK_DEVICE_IDENTITY);
    assert_int_equal(lk_device_index(gpu), 1);
    assert_int_equal(lk_device_kind_of(gpu), LK_DEVICE_CUDA);
    lk_device_close(gpu);
    reset(NULL);
    assert_ok(use_all(0));
    /* Cleared at once for all streams; copies that wait on the device's stream, sent ones on the side. */
    assert_string_equal(runtime.log,
                        "zero 1200 on 1, wait 0 on 1, zero 1200 on 1, wait 0 on 1, copy 1 on 1, wait 0 on 1, copy 3 on 1, "
                        "zero 1200 on 1, copy 2 on 2, copy 1 on 2, copy 2 on 1, wait 0 on 1, mark 0 on 1, "
                        "follow 0 on 2, mark 1 on 2, wait 0 on 2, wait 0 on 1, ");
    assert_int_equal(runtime.held, 0);
}

/* Wherever a GPU fails it is one sentence and LK_DEVICE_LOST, and everything is given back. */
static void each_call_can_fail(void **state)
{
    (void)state;
    assert_ok(use_all(0));
    int calls = runtime.calls, failures = 0;
    assert_true(calls > 50);
    for (int n = 1; n <= calls; n++) {
        reset(NULL);
        runtime.fail_at = n;
        runtime.fail_code = 719;
        lk_status status = use_all(0);
        assert_true(runtime.failed[0]);
        assert_int_equal(runtime.held, 0);
        if (status == LK_OK) /* giving back does not complain */
            continue;
        failures++;
        assert_int_equal(status, LK_DEVICE_LOST);
        assert_told("cuda:0");
        assert_told("unspecified launch failure (719)");
        if (runtime.failed[0] && strstr(lk_error_text(), runtime.failed) == NULL)
            fail_msg("'%s' does not name %s", lk_error_text(), runtime.failed);
    }
    assert_true(failures > 40);
}

static void too_little_memory_says_what_to_lower(void **state)
{
    (void)state;
    lk_device *gpu;
    assert_ok(lk_device_open(LK_DEVICE_CUDA, 0, &gpu));
    runtime.fail_code = 2;
    runtime.fail_at = runtime.calls + 2; /* after cudaSetDevice */
    assert_null(lk_device_alloc(gpu, 1000000));
    assert_told("cuda:0 Stand-in 0: out of memory for 1000000 bytes, 5 of 80 MiB are free; lower train.micro_batch");
    runtime.fail_at = runtime.calls + 2;
    assert_null(lk_device_alloc_host(gpu, 1000000));
    assert_told("no memory of the host can be pinned for 1000000 bytes; lower data.prefetch");
    lk_device_close(gpu);
    assert_int_equal(runtime.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_missing_is_named, reset),
        cmocka_unit_test(only_a_failed_gpu_is_lost),
        cmocka_unit_test_setup(work_is_asked_on_its_stream, reset),
        cmocka_unit_test_setup(each_call_can_fail, reset),
        cmocka_unit_test_setup(too_little_memory_says_what_to_lower, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
