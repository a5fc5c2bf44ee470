/* Where tensors lie: the CPU, or a GPU on whose stream libtorch then works. Declared in trainer/tensor/tensor.h and
 * trainer/tensor/dispatch.h. */
#include "base/log.h"
#include "trainer/tensor/device_kernels_cuda.h"
#include "trainer/tensor/dispatch.h"
#include "trainer/tensor/epilogue.h"
#include "trainer/tensor/memory.h"

#include <dlfcn.h>
#include <malloc.h>
#include <string.h>

/* What libtorch_cuda adds to the C ABI; the CPU's libtorch does not have it. */
static struct {
    AOTITorchError (*stream_guard)(void *stream, int32_t device, void **guard);
    AOTITorchError (*free_guard)(void *guard);
    AOTITorchError (*fill)(AtenTensorHandle tensor, double value);
} torch_cuda;

static lk_device *device; /* NULL: the CPU */
static const lk_device_kernels *kernels = &lk_device_kernels_cpu;

/* Of a thread that computes on a GPU. */
static _Thread_local void *guard;   /* makes the device's stream libtorch's */
static _Thread_local lk_mark *lent; /* after the last copy of what was lent */

lk_device *lk_tensor_device(void)
{
    return device ? device : lk_device_host();
}

const lk_device_kernels *lk_tensor_kernels(void)
{
    return kernels;
}

void lk_tensor_set_kernels(const lk_device_kernels *table)
{
    kernels = table;
}

int lk_tensor_alignment(void)
{
    return device ? LK_TENSOR_ALIGNMENT : 1;
}

bool lk_tensor_on_host(void)
{
    return !device;
}

size_t lk_tensor_memory(void)
{
    size_t available = 0, total = 0;
    return device && lk_device_memory(device, &available, &total) == LK_OK ? total : 0;
}

const char *lk_tensor_operators(void)
{
    return device ? "cuda" : "torch";
}

int32_t lk_torch_device(void)
{
    return device ? aoti_torch_device_type_cuda() : aoti_torch_device_type_cpu();
}

/* ---- starting ---- */

/* A step frees and takes the same large blocks as the one before; given back to the system in between, each would come again as
 * pages to be cleared. */
static void keep_freed_memory(void)
{
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1); /* never */
}

/* libtorch's stream is the thread's own affair: whoever computes makes ours its current one, for good. */
static lk_status take_stream(void)
{
    if (!device || guard)
        return LK_OK;
    LK_TRY(lk_device_enter(device));
    LK_TRY(lk_torch_status(torch_cuda.stream_guard(lk_device_stream(device), lk_device_index(device), &guard), "stream guard"));
    return lk_mark_create(device, &lent);
}

lk_status lk_tensor_start(int threads)
{
    keep_freed_memory();
    aoti_torch_grad_mode_set_enabled(false);
    if (threads > 0) {
        /* libtorch brings its own OpenMP; its pool has no call in the C ABI. */
        void (*set_threads)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
        if (!set_threads)
            return lk_fail(LK_INTERNAL, "libtorch's OpenMP library is not loaded; run make deps again");
        set_threads(threads);
    }
    return take_stream();
}

int lk_tensor_threads(void)
{
    int (*threads)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "omp_get_max_threads");
    return threads ? threads() : 1;
}

/* ---- a GPU ---- */

lk_status lk_tensor_find_cuda(void)
{
    int count;
    LK_TRY(lk_device_count(LK_DEVICE_CUDA, &count));
    if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL))
        return lk_fail(LK_BAD_CONFIG, "libtorch's part for CUDA is missing: %s; make deps CUDA=1 installs it", dlerror());
    torch_cuda.stream_guard =
        (AOTITorchError(*)(void *, int32_t, void **))dlsym(RTLD_DEFAULT, "aoti_torch_create_cuda_stream_guard");
    torch_cuda.fill = (AOTITorchError(*)(AtenTensorHandle, double))dlsym(RTLD_DEFAULT, "aoti_torch_cuda_fill__Scalar");
    torch_cuda.free_guard = (AOTITorchError(*)(void *))dlsym(RTLD_DEFAULT, "aoti_torch_delete_cuda_stream_guard");
    if (!torch_cuda.stream_guard || !torch_cuda.free_guard || !torch_cuda.fill)
        return lk_fail(LK_BAD_CONFIG, "libtorch_cuda.so is not that of libtorch 2.11 or later; make deps CUDA=1 installs one");
    return LK_OK;
}

/* Not in the C ABI: switches of the global context, by their C++ names. */
static void set_switch(const char *symbol, bool value, const char *what)
{
    void *(*context)(void) = (void *(*)(void))dlsym(RTLD_DEFAULT, "_ZN2at13globalContextEv");
    void (*set)(void *, bool) = (void (*)(void *, bool))dlsym(RTLD_DEFAULT, symbol);
    if (context && set)
        set(context(), value);
    else
        lk_warn("this libtorch has no switch for %s: it stays as libtorch has it", what);
}

/* libtorch starts its CUDA with the first tensor; our stream is its own only after that. */
static lk_status wake_libtorch(void)
{
    lk_tensor *first = lk_tensor_empty(LK_DTYPE_F32, 1, (int64_t[]){1});
    lk_tensor_free(&first);
    return lk_tensor_check();
}

lk_status lk_tensor_use_cuda(lk_device *gpu, const lk_cuda_settings *settings)
{
    set_switch("_ZN2at7Context17setAllowTF32CuDNNEb", settings->tf32, "TF32 in cuDNN");
    set_switch("_ZN2at7Context18setAllowTF32CuBLASEb", settings->tf32, "TF32 in cuBLAS");
    set_switch("_ZN2at7Context17setBenchmarkCuDNNEb", settings->benchmark, "measuring convolutions (train.cudnn_benchmark)");
    set_switch("_ZN2at7Context21setDeterministicCuDNNEb", settings->deterministic, "deterministic convolutions");
    lk_epilogue_use_cudnn(settings->fuse);
    device = gpu;
    lk_status status = lk_device_enter(gpu);
    if (status == LK_OK)
        status = wake_libtorch();
    if (status == LK_OK)
        status = take_stream();
    if (status == LK_OK)
        status = lk_device_kernels_cuda_open(gpu, &kernels);
    if (status != LK_OK) {
        lk_error error;
        lk_error_take(&error, status);
        lk_tensor_leave_cuda();
        return lk_error_put(&error);
    }
    return LK_OK;
}

void lk_tensor_leave_cuda(void)
{
    if (guard)
        torch_cuda.free_guard(guard);
    guard = NULL;
    lk_mark_free(lent);
    lent = NULL;
    lk_epilogue_use_cudnn(false);
    kernels = &lk_device_kernels_cpu;
    lk_device_kernels_cuda_close();
    lk_device_close(device);
    device = NULL;
}

/* ---- what comes from the host ---- */

lk_tensor *lk_tensor_lend(const void *memory, lk_dtype dtype, int dims, const int64_t *sizes)
{
    if (!device)
        return lk_tensor_view((void *)(uintptr_t)memory, dtype, dims, sizes); /* the ABI has no const window */
    lk_tensor *t = lk_tensor_empty(dtype, dims, sizes);
    void *stream = lk_device_stream(device);
    size_t bytes = (size_t)lk_tensor_count(t) * lk_dtype_size(dtype);
    if (t && (!lk_tensor_keep(lk_device_send_from_host(device, stream, lk_tensor_data(t), memory, bytes)) ||
              !lk_tensor_keep(lk_mark_record(lent, stream))))
        lk_tensor_free(&t);
    return t;
}

lk_status lk_tensor_lent(void)
{
    return device ? lk_mark_wait(lent) : LK_OK;
}

lk_tensor *lk_tensor_number(float value)
{
    if (!device)
        return lk_tensor_from_floats(&value, LK_DTYPE_F32, 0, NULL);
    lk_tensor *t = lk_tensor_empty(LK_DTYPE_F32, 0, NULL);
    if (t && !lk_torch_ok(torch_cuda.fill(lk_tensor_handle(t), value), "fill_")) /* does not wait */
        lk_tensor_free(&t);
    return t;
}
