/* All our CUDA kernels: the one program that NVRTC compiles (module.c). kernel_list.h names them for the host. */
#include "trainer/tensor/cuda/cuda_c.h"
#include "trainer/tensor/cuda/jobs.h"

#include "trainer/tensor/cuda/convert.cu"
#include "trainer/tensor/cuda/sums.cu"
#include "trainer/tensor/cuda/pixel_loss.cu"
#include "trainer/tensor/cuda/faces.cu"
#include "trainer/tensor/cuda/group_norm_statistics.cu"

#define NAME(f) f##_f32
#define ELEMENT float
#define LANES 4
#define VECTOR lk_bytes16
#define BYTES lk_bytes4
#define WIDEN(v) (v)
#define NARROW(v) (v)
#include "trainer/tensor/cuda/format.cu"

#define NAME(f) f##_bf16
#define ELEMENT unsigned short
#define LANES 8
#define VECTOR lk_bytes16
#define BYTES lk_bytes8
#define WIDEN(v) lk_widen(v)
#define NARROW(v) lk_narrow(v)
#include "trainer/tensor/cuda/format.cu"

#define NAME(f) f##_f32_single
#define ELEMENT float
#define LANES 1
#define VECTOR lk_bytes4
#define BYTES lk_bytes1
#define WIDEN(v) (v)
#define NARROW(v) (v)
#include "trainer/tensor/cuda/format.cu"

#define NAME(f) f##_bf16_single
#define ELEMENT unsigned short
#define LANES 1
#define VECTOR lk_bytes2
#define BYTES lk_bytes1
#define WIDEN(v) lk_widen(v)
#define NARROW(v) lk_narrow(v)
#include "trainer/tensor/cuda/format.cu"
