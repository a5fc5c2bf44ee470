#include "trainer/tensor/cuda/module.h"

#include "base/clock.h"
#include "base/device/device.h"
#include "base/log.h"
#include "trainer/tensor/cuda/cache.h"
#include "trainer/tensor/cuda/compile.h"

#include <stdlib.h>

/* CUdevice_attribute and CUresult, of the CUDA Driver API. */
enum { CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76 };

struct lk_cuda_module {
    lk_cuda_driver driver;
    void *context, *module;
    void *functions[LK_CUDA_KERNEL_COUNT];
};

static lk_status fail(const lk_cuda_driver *driver, int code, const char *what)
{
    const char *name = NULL, *text = NULL;
    driver->error_name(code, &name);
    driver->error_text(code, &text);
    return lk_fail(lk_cuda_is_lost(code) ? LK_DEVICE_LOST : LK_INTERNAL, "CUDA: %s: %s (%s, code %d)", what,
                   text ? text : "unknown error", name ? name : "?", code);
}

/* The GPU that this thread's context belongs to. */
static lk_status find_capability(const lk_cuda_driver *driver, void **context, int *capability)
{
    int device = 0, major = 0, minor = 0, code = driver->context(context);
    if (code == 0 && !*context)
        return lk_fail(LK_INTERNAL, "CUDA: no context is current; the device must be opened before its kernels");
    if (code != 0 || (code = driver->device(&device)) != 0 || (code = driver->attribute(&major, CAPABILITY_MAJOR, device)) != 0 ||
        (code = driver->attribute(&minor, CAPABILITY_MINOR, device)) != 0)
        return fail(driver, code, "asking for the GPU's compute capability");
    *capability = 10 * major + minor;
    return LK_OK;
}

static lk_status load(lk_cuda_module *m, const void *image)
{
    int code = m->driver.load(&m->module, image);
    if (code != 0)
        return fail(&m->driver, code, "loading our kernels");
    for (int i = 0; i < LK_CUDA_KERNEL_COUNT; i++)
        if ((code = m->driver.function(&m->functions[i], m->module, lk_cuda_kernels[i].name)) != 0)
            return fail(&m->driver, code, lk_cuda_kernels[i].name);
    return LK_OK;
}

static void unload(lk_cuda_module *m)
{
    if (m->module)
        m->driver.unload(m->module);
    m->module = NULL;
}

/* path: where to keep the image, "" nowhere. */
static lk_status compile_and_load(lk_cuda_module *m, const lk_nvrtc *nvrtc, const lk_cuda_target *target, const char *path)
{
    void *image;
    size_t size;
    double begin = lk_clock();
    LK_TRY(lk_cuda_compile(nvrtc, target, lk_cuda_sources, &image, &size));
    lk_status status = load(m, image);
    if (status == LK_OK) {
        const char *reason = "neither XDG_CACHE_HOME nor HOME names a folder";
        bool kept = path[0] && lk_cuda_cache_write(path, image, size) == LK_OK;
        if (path[0] && !kept)
            reason = lk_error_text();
        lk_info("compiled the CUDA kernels for %s in %.1f s; %s (%s)", target->name, lk_clock() - begin,
                kept ? "kept for the next start" : "not kept", kept ? path : reason);
    }
    free(image);
    return status;
}

static lk_status open_module(lk_cuda_module *m, const lk_nvrtc *nvrtc)
{
    lk_cuda_target target;
    int capability = 0;
    char name[LK_CUDA_IMAGE_NAME], path[LK_PATH_SIZE] = "";
    void *image;
    size_t size;
    LK_TRY(find_capability(&m->driver, &m->context, &capability));
    LK_TRY(lk_cuda_target_choose(nvrtc, capability, &target));
    lk_cuda_image_name(&target, lk_cuda_sources, name);
    if (lk_cuda_cache_path(name, path) && lk_cuda_cache_read(path, &image, &size)) {
        lk_status status = load(m, image);
        free(image);
        if (status == LK_OK)
            return LK_OK;
        lk_warn("%s: %s; the kernels are compiled anew", path, lk_error_text());
        unload(m);
    }
    return compile_and_load(m, nvrtc, &target, path);
}

lk_status lk_cuda_module_open(const lk_cuda_driver *driver, const lk_nvrtc *nvrtc, lk_cuda_module **out)
{
    lk_nvrtc real;
    *out = NULL;
    lk_cuda_module *m = calloc(1, sizeof *m);
    if (!m)
        return lk_fail(LK_INTERNAL, "out of memory");
    lk_status status = LK_OK;
    if (driver)
        m->driver = *driver;
    else
        status = lk_cuda_driver_load(&m->driver);
    if (status == LK_OK && !nvrtc) {
        status = lk_nvrtc_load(&real);
        nvrtc = &real;
    }
    if (status == LK_OK)
        status = open_module(m, nvrtc);
    if (status != LK_OK) {
        lk_cuda_module_close(m);
        return status;
    }
    *out = m;
    return LK_OK;
}

void lk_cuda_module_close(lk_cuda_module *m)
{
    if (!m)
        return;
    unload(m);
    free(m);
}

lk_status lk_cuda_launch(lk_cuda_module *m, lk_cuda_kernel kernel, const lk_cuda_grid *grid, void *stream, const void *job,
                         size_t job_size)
{
    const lk_cuda_kernel_info *info = &lk_cuda_kernels[kernel];
    const unsigned *blocks = grid->blocks, *threads = grid->threads;
    void *context, *argument = (void *)(uintptr_t)job; /* the driver only reads it */
    if (job_size != info->job_size)
        return lk_fail(LK_INTERNAL, "CUDA kernel %s: a job of %zu bytes in the place of %zu", info->name, job_size,
                       info->job_size);
    int code = m->driver.context(&context); /* a thread begins without one */
    if (code == 0 && context != m->context)
        code = m->driver.set_context(m->context);
    if (code == 0)
        code = m->driver.launch(m->functions[kernel], blocks[0], blocks[1], blocks[2], threads[0], threads[1], 1, 0, stream,
                                (void *[]){argument}, NULL);
    return code == 0 ? LK_OK : fail(&m->driver, code, info->name);
}
