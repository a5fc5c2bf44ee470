/* Internal to trainer/tensor/: loops over raw memory that are no operators of libtorch, a table for each kind of device. That of
 * the CPU (device_kernels_cpu.c) is the reference: every test of another table compares with it.
 *
 * Pointers are memory of the device, but for structs, `ranges`, and mean and deviation of pictures, which are the host's and read
 * before the call returns. Kernels only ask (base/device/device.h): work is put on the device's stream, in order. 4-d maps
 * lie channels_last without gaps. Where a type is not named, T is `dtype`. Flat buffers begin at multiples of 16 bytes; what is
 * kept in them begins wherever lk_tensor_alignment says. Sums are taken in float64 and in an order that does not change from call
 * to call: equal arguments give equal bits.
 *
 * LK_INTERNAL or LK_DEVICE_LOST with a sentence that names the kernel.
 */
#ifndef LK_TRAINER_TENSOR_DEVICE_KERNELS_H
#define LK_TRAINER_TENSOR_DEVICE_KERNELS_H

#include "base/device/device.h"
#include "trainer/tensor/dtype.h"
#include "trainer/tensor/tensor.h"

#include <stdint.h>

/* A map [samples, rows, columns, channels]. */
typedef struct lk_map_shape {
    int64_t samples, rows, columns, channels;
} lk_map_shape;

typedef struct lk_group_norm_shape {
    lk_dtype dtype;  /* of x, y and their gradients: F32, F64, BF16 */
    lk_dtype weight; /* of scale and shift and theirs: F32, F64 */
    lk_map_shape map;
    int64_t groups; /* of channels side by side */
    double eps;
} lk_group_norm_shape;

typedef struct lk_device_kernels {
    /* ---- element by element ---- */

    /* dy = y > 0 ? dy : 0. F32, F64, BF16; y is the output of a ReLU. */
    lk_status (*relu_backward)(lk_device *d, lk_dtype dtype, void *dy, const void *y, int64_t count);
    /* a += b. F32, F64. */
    lk_status (*add)(lk_device *d, lk_dtype dtype, void *a, const void *b, int64_t count);
    /* What sums over ranks need, asked for on another stream than the device's: the same of F32; F32 rounded to BF16
     * (base/bfloat.h), and back. */
    lk_status (*add_on)(lk_device *d, void *stream, float *a, const float *b, int64_t count);
    lk_status (*narrow_on)(lk_device *d, void *stream, uint16_t *out, const float *in, int64_t count);
    lk_status (*widen_on)(lk_device *d, void *stream, float *out, const uint16_t *in, int64_t count);
    /* a *= (T)factor. F32, F64. */
    lk_status (*scale)(lk_device *d, lk_dtype dtype, void *a, double factor, int64_t count);
    /* uint8 [count, 3] -> T (v / 255 - mean[c]) / deviation[c], in float32, then rounded. F32, BF16. */
    lk_status (*pictures)(lk_device *d, lk_dtype dtype, const uint8_t *pixels, int64_t count, const float mean[3],
                          const float deviation[3], void *values);
    /* [0,1] -> uint8, v * 255 + 0.5 cut off at 0 and 255. F32. */
    lk_status (*pixels)(lk_device *d, const float *values, int64_t count, uint8_t *pixels);

    /* ---- sums ---- */

    /* *sum += the squares in the ranges of values[]. Squares of float32 summed in float64 cannot overflow, so the sum is finite
     * exactly if all numbers are. Each range lies before the one that came before it; between two that lie less
     * than LK_TENSOR_ALIGNMENT apart are zeros. */
    lk_status (*sum_squares)(lk_device *d, const float *values, const lk_range *ranges, int count, double *sum);

    /* ---- losses: T is F32 or F64; *sum += the sum over samples; a gradient that is NULL is not wanted ---- */

    /* Sum over samples of ||y - target||_2 with difference and gradient in T, the norm in float64:
     * dy = (y - target) * (T)(share / norm), 0 where the norm is 0. [n, length] each. */
    lk_status (*pixel_loss)(lk_device *d, lk_dtype dtype, const void *y, const void *target, int64_t n, int64_t length,
                            double share, void *dy, double *sum);
    /* Sum over samples of the mean of |y - target|: dy = sign(y - target) * (T)(share / length). */
    lk_status (*l1_loss)(lk_device *d, lk_dtype dtype, const void *y, const void *target, int64_t n, int64_t length, double share,
                         void *dy, double *sum);
    /* Cross-entropy of the softmax of each group of columns of logits [n, columns] against labels [n, groups], summed over
     * groups, in float64: dlogits = share (softmax - one-hot). */
    lk_status (*discrete_loss)(lk_device *d, lk_dtype dtype, const lk_choices *choices, const void *logits, const uint8_t *labels,
                               int64_t n, double share, void *dlogits, double *sum);

    /* input [n, nc + columns] = continuous [n, nc] and, beside it, one for each label, zero elsewhere. F32. */
    lk_status (*decoder_input)(lk_device *d, const lk_choices *choices, const float *continuous, const uint8_t *labels, int64_t n,
                               int64_t nc, float *input);

    /* ---- norms (tensor.h) ---- */

    /* mean and rstd [samples, groups] are kept for backward. Sums over at most 32 pixels of a channel may be taken in float32. */
    lk_status (*group_norm)(lk_device *d, const lk_group_norm_shape *shape, const void *x, const void *scale, const void *shift,
                            void *y, double *mean, double *rstd);
    lk_status (*group_norm_backward)(lk_device *d, const lk_group_norm_shape *shape, const void *dy, const void *x,
                                     const void *scale, const double *mean, const double *rstd, void *dx, void *dscale,
                                     void *dshift);
    /* What a micro-batch of `samples` numbers a channel adds to the running statistics of batch norm, from what its forward kept
     * (mean and 1/deviation [channels], T): mean * share, and the variance as PyTorch counts it (n - 1),
     * (1 / rstd^2 - eps) * samples / (samples - 1) * share. Computed in float64, given as `out`: F32, F64. */
    lk_status (*batch_statistics)(lk_device *d, lk_dtype dtype, const void *mean, const void *rstd, int64_t channels,
                                  double samples, double eps, double share, lk_dtype out, void *mean_out, void *variance_out);

    /* ---- what follows a convolution, in one pass: F32, BF16. All NULL where libtorch's operators do as well (the CPU). ---- */

    /* Whether they take so many channels. */
    bool (*fuses)(lk_dtype dtype, int64_t channels);
    /* z = z + bias[c], with relu max(z + bias[c], 0). Biases are F32, the weights' own. */
    lk_status (*bias_relu)(lk_device *d, lk_dtype dtype, void *z, const float *bias, int64_t pixels, int64_t channels, bool relu);
    /* dy = y > 0 ? dy : 0 (y NULL: there was no ReLU) and db[c] = sum of the result over pixels (NULL: not wanted). */
    lk_status (*bias_relu_backward)(lk_device *d, lk_dtype dtype, void *dy, const void *y, int64_t pixels, int64_t channels,
                                    float *db);
    /* y [samples, rows/2, columns/2, channels] = the 2x2 maxima of max(z + bias, 0); choice, one byte for each of y: which of the
     * four (row by row, the first of equals), 4 where y is 0. `map` is z's. */
    lk_status (*bias_relu_pool)(lk_device *d, lk_dtype dtype, const void *z, const float *bias, const lk_map_shape *map, void *y,
                                uint8_t *choice);
    /* dz in full, from dy of y's shape, and db as above (NULL: not wanted); `map` is z's. */
    lk_status (*bias_relu_pool_backward)(lk_device *d, lk_dtype dtype, const void *dy, const uint8_t *choice,
                                         const lk_map_shape *map, void *dz, float *db);
} lk_device_kernels;

extern const lk_device_kernels lk_device_kernels_cpu;
/* For a CUDA device, compiled or taken from a cache; they stay until the process ends. After the device's first use by libtorch,
 * on a thread that has entered it. LK_BAD_CONFIG: the GPU is too old. LK_INTERNAL: the compiler or a library. */
lk_status lk_device_kernels_cuda_open(lk_device *device, const lk_device_kernels **out);

/* Those of the device that tensors are on. */
const lk_device_kernels *lk_tensor_kernels(void);
/* Others for that device, as tests want them. */
void lk_tensor_set_kernels(const lk_device_kernels *table);

#endif
