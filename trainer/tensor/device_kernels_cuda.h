/* The kernels of a GPU (device_kernels.h): CUDA C of trainer/tensor/cuda/, compiled for it when they are opened. */
#ifndef LK_TRAINER_TENSOR_DEVICE_KERNELS_CUDA_H
#define LK_TRAINER_TENSOR_DEVICE_KERNELS_CUDA_H

#include "trainer/tensor/cuda/libraries.h"
#include "trainer/tensor/device_kernels.h"

/* Of F32 and BF16; of the device that was opened, one a process. What begins at a multiple of 16 bytes and has rows of whole 16
 * bytes is moved 16 bytes at a time, everything else number by number. One thread at a time. */
extern const lk_device_kernels lk_device_kernels_cuda;

/* lk_device_kernels_cuda_open with another driver and compiler than the real ones, which NULL means. */
lk_status lk_device_kernels_cuda_open_with(lk_device *device, const lk_cuda_driver *driver, const lk_nvrtc *nvrtc);
/* Also when nothing is open. */
void lk_device_kernels_cuda_close(void);

#endif
