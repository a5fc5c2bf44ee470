#include "trainer/tensor/cuda/libraries.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* The first of the names that can be loaded; why the first could not is kept for the error. */
static void *load_any(const char *const *names, char *reason, size_t size)
{
    for (int i = 0; names[i]; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_GLOBAL);
        if (library)
            return library;
        const char *error = dlerror();
        if (i == 0)
            snprintf(reason, size, "%s", error ? error : names[i]);
    }
    return NULL;
}

typedef struct symbol {
    const char *name;
    size_t offset; /* of its pointer in the table */
} symbol;

/* Fills in a table of function pointers. */
static lk_status look_up(void *library, const char *what, const symbol *symbols, size_t count, void *table)
{
    for (size_t i = 0; i < count; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (!function)
            return lk_fail(LK_INTERNAL, "%s has no function %s; it is older than CUDA 12", what, symbols[i].name);
        memcpy((char *)table + symbols[i].offset, &function, sizeof function);
    }
    return LK_OK;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

lk_status lk_nvrtc_load(lk_nvrtc *out)
{
#define ROW(member, symbol, arguments) {#symbol, offsetof(lk_nvrtc, member)},
    static const symbol symbols[] = {LK_NVRTC_FUNCTIONS(ROW)};
#undef ROW
    char reason[512] = "";
    void *library =
        load_any((const char *const[]){"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", NULL}, reason, sizeof reason);
    if (!library)
        return lk_fail(LK_INTERNAL, "the compiler of our CUDA kernels is missing (%s); make deps CUDA=1 installs it", reason);
    return look_up(library, "libnvrtc", symbols, COUNT(symbols), out);
}

lk_status lk_cuda_driver_load(lk_cuda_driver *out)
{
#define ROW(member, symbol, arguments) {#symbol, offsetof(lk_cuda_driver, member)},
    static const symbol symbols[] = {LK_CUDA_DRIVER_FUNCTIONS(ROW)};
#undef ROW
    char reason[512] = "";
    void *library = load_any((const char *const[]){"libcuda.so.1", NULL}, reason, sizeof reason);
    if (!library)
        return lk_fail(LK_INTERNAL, "NVIDIA's driver is missing (%s); it comes with the machine, not with likeness", reason);
    return look_up(library, "libcuda.so.1", symbols, COUNT(symbols), out);
}
