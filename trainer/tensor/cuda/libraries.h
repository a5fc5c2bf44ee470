/* NVIDIA's libraries as our kernels use them, found when the program runs: NVRTC, which compiles, and the driver, which loads and
 * launches. Tables of functions, so that the tests can put others in their place. Names, codes and meanings are those of NVIDIA's
 * documentation ("NVRTC", "CUDA Driver API"); handles are void *, 0 is success. */
#ifndef LK_TRAINER_TENSOR_CUDA_LIBRARIES_H
#define LK_TRAINER_TENSOR_CUDA_LIBRARIES_H

#include "base/error.h"

#include <stddef.h>

/* member, symbol, arguments; all return int but error_text */
#define LK_NVRTC_FUNCTIONS(X)                                                                                                    \
    X(version, nvrtcVersion, (int *major, int *minor))                                                                           \
    X(arch_count, nvrtcGetNumSupportedArchs, (int *count))                                                                       \
    X(archs, nvrtcGetSupportedArchs, (int *archs))                                                                               \
    X(create, nvrtcCreateProgram,                                                                                                \
      (void **program, const char *source, const char *name, int header_count, const char *const *headers,                       \
       const char *const *header_names))                                                                                         \
    X(destroy, nvrtcDestroyProgram, (void **program))                                                                            \
    X(compile, nvrtcCompileProgram, (void *program, int option_count, const char *const *options))                               \
    X(log_size, nvrtcGetProgramLogSize, (void *program, size_t *size))                                                           \
    X(log, nvrtcGetProgramLog, (void *program, char *log))                                                                       \
    X(cubin_size, nvrtcGetCUBINSize, (void *program, size_t *size))                                                              \
    X(cubin, nvrtcGetCUBIN, (void *program, char *cubin))                                                                        \
    X(ptx_size, nvrtcGetPTXSize, (void *program, size_t *size))                                                                  \
    X(ptx, nvrtcGetPTX, (void *program, char *ptx))

#define LK_CUDA_DRIVER_FUNCTIONS(X)                                                                                              \
    X(context, cuCtxGetCurrent, (void **context))                                                                                \
    X(set_context, cuCtxSetCurrent, (void *context))                                                                             \
    X(device, cuCtxGetDevice, (int *device))                                                                                     \
    X(attribute, cuDeviceGetAttribute, (int *value, int attribute, int device))                                                  \
    X(load, cuModuleLoadData, (void **module, const void *image))                                                                \
    X(unload, cuModuleUnload, (void *module))                                                                                    \
    X(function, cuModuleGetFunction, (void **function, void *module, const char *name))                                          \
    X(launch, cuLaunchKernel,                                                                                                    \
      (void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,  \
       unsigned shared_bytes, void *stream, void **arguments, void **extra))                                                     \
    X(error_name, cuGetErrorName, (int code, const char **name))                                                                 \
    X(error_text, cuGetErrorString, (int code, const char **text))

#define LK_FUNCTION_POINTER(member, symbol, arguments) int(*member) arguments;
typedef struct lk_nvrtc {
    LK_NVRTC_FUNCTIONS(LK_FUNCTION_POINTER)
} lk_nvrtc;
typedef struct lk_cuda_driver {
    LK_CUDA_DRIVER_FUNCTIONS(LK_FUNCTION_POINTER)
} lk_cuda_driver;
#undef LK_FUNCTION_POINTER

/* Looks them up; the libraries stay loaded. LK_INTERNAL: which library or function is missing and what installs it. */
lk_status lk_nvrtc_load(lk_nvrtc *out);
lk_status lk_cuda_driver_load(lk_cuda_driver *out);

#endif
