/* What our CUDA kernels do, as calls of the host: which form, how many blocks, which sums come first. All of them only ask, on
 * the device's stream. Memory is the device's; activations lie channels_last, [samples][height][width][channels]. What begins at
 * a multiple of 16 bytes and has rows of whole 16 bytes is moved 16 bytes at a time, everything else number by number.
 *
 * Sums are taken in an order that depends on the sizes alone, not on the GPU or the time: the same bits in every run.
 *
 * Errors: LK_INTERNAL, memory or a size that no GPU takes; LK_DEVICE_LOST, the GPU failed. One thread at a time.
 */
#ifndef LK_TRAINER_TENSOR_CUDA_OPERATIONS_H
#define LK_TRAINER_TENSOR_CUDA_OPERATIONS_H

#include "base/device/device.h"
#include "trainer/tensor/cuda/libraries.h"

#include <stdint.h>

/* The kernels of one device, and room for partial sums. */
typedef struct lk_cuda lk_cuda;

/* Number formats, float32 or bfloat16; everything else is in the type that it is declared as. */
typedef enum lk_cuda_format { LK_CUDA_FLOAT, LK_CUDA_BFLOAT } lk_cuda_format;

/* driver and nvrtc as in module.h; the device's context is current on this thread. */
lk_status lk_cuda_open(lk_device *device, const lk_cuda_driver *driver, const lk_nvrtc *nvrtc, lk_cuda **out);
void lk_cuda_close(lk_cuda *cuda); /* NULL is fine */

/* ---- element by element, on ranges of any memory ---- */

/* dy *= (y > 0) */
lk_status lk_cuda_relu_backward(lk_cuda *cuda, lk_cuda_format format, void *dy, const void *y, int64_t count);
/* a += factor b */
lk_status lk_cuda_add(lk_cuda *cuda, lk_cuda_format format, void *a, const void *b, float factor, int64_t count);
lk_status lk_cuda_scale(lk_cuda *cuda, lk_cuda_format format, void *a, float factor, int64_t count);
/* a[row] *= factors[row] */
lk_status lk_cuda_multiply_rows(lk_cuda *cuda, lk_cuda_format format, void *a, const double *factors, int64_t rows,
                                int64_t length);
/* float32 -> bfloat16; both begin at multiples of 16 bytes. */
lk_status lk_cuda_narrow(lk_cuda *cuda, const float *in, uint16_t *out, int64_t count);

/* ---- sums in float64 ---- */

/* out[row] = sum over x[row] of squares, or of absolutes */
lk_status lk_cuda_row_sums(lk_cuda *cuda, lk_cuda_format format, const void *x, bool squares, int64_t rows, int64_t length,
                           double *out);
/* *out = sum of x^2, or *out += it. Finite exactly if every number is. */
lk_status lk_cuda_sum_squares(lk_cuda *cuda, const float *x, int64_t count, bool add, double *out);

/* ---- what follows a convolution ---- */

typedef struct lk_cuda_maps {
    int64_t samples;
    int height, width, channels;
} lk_cuda_maps;

/* z = z + bias, relu: and ReLU of it. bias [channels] */
lk_status lk_cuda_bias(lk_cuda *cuda, lk_cuda_format format, void *z, const void *bias, bool relu, const lk_cuda_maps *maps);
/* dy *= (y > 0), y being the output, or NULL where there was no ReLU; dbias [channels], may be NULL. */
lk_status lk_cuda_bias_backward(lk_cuda *cuda, lk_cuda_format format, void *dy, const void *y, float *dbias,
                                const lk_cuda_maps *maps);
/* pooled [samples][height/2][width/2][channels] = 2x2 maxima of relu(z + bias); choice, a byte for each, is kept for backward,
 * which needs neither z nor pooled. maps: those of z. */
lk_status lk_cuda_bias_pool(lk_cuda *cuda, lk_cuda_format format, const void *z, const void *bias, void *pooled, uint8_t *choice,
                            const lk_cuda_maps *maps);
/* dz, every number of it, from dpooled; dbias may be NULL. */
lk_status lk_cuda_bias_pool_backward(lk_cuda *cuda, lk_cuda_format format, const void *dpooled, const uint8_t *choice, void *dz,
                                     float *dbias, const lk_cuda_maps *maps);

/* ---- group norm (tensor.h) ---- */

/* scale, shift [channels]; mean, rstd [samples][groups] are kept for backward. */
lk_status lk_cuda_group_norm(lk_cuda *cuda, lk_cuda_format format, const void *x, const float *scale, const float *shift,
                             int groups, double eps, const lk_cuda_maps *maps, void *y, double *mean, double *rstd);
lk_status lk_cuda_group_norm_backward(lk_cuda *cuda, lk_cuda_format format, const void *dy, const void *x, const float *scale,
                                      int groups, const double *mean, const double *rstd, const lk_cuda_maps *maps, void *dx,
                                      float *dscale, float *dshift);
/* Batch norm's saved mean and 1/deviation [channels] over `samples` numbers -> share times what the running mean and variance
 * (n - 1) take. */
lk_status lk_cuda_batch_statistics(lk_cuda *cuda, const float *mean, const float *rstd, int channels, double samples, double eps,
                                   double share, float *mean_out, float *variance_out);

/* ---- pictures: bytes, three channels innermost ---- */

/* values = (byte / 255 - mean[channel]) / deviation[channel] */
lk_status lk_cuda_pictures(lk_cuda *cuda, lk_cuda_format format, const uint8_t *pixels, const float mean[3],
                           const float deviation[3], void *values, int64_t count);
/* [0,1] -> bytes, rounded and held within 0 .. 255 */
lk_status lk_cuda_pixels(lk_cuda *cuda, lk_cuda_format format, const void *values, uint8_t *pixels, int64_t count);

/* ---- losses (trainer/model/loss.h) ---- */

/* *loss += the sum over samples of ||y - t||; dy, its gradient times share, may be NULL. */
lk_status lk_cuda_pixel_loss(lk_cuda *cuda, lk_cuda_format format, const void *y, const void *t, int64_t samples, int64_t length,
                             double share, void *dy, double *loss);
/* *loss += the sum over samples of the mean absolute difference; dy as above. */
lk_status lk_cuda_l1_loss(lk_cuda *cuda, lk_cuda_format format, const void *y, const void *t, int64_t samples, int64_t length,
                          double share, void *dy, double *loss);
/* Groups of choices: group g's logits are begins[g] .. begins[g + 1] - 1 of a row. */
typedef struct lk_cuda_choices {
    const int *begins; /* [groups + 1] */
    int groups, choices;
} lk_cuda_choices;
/* *loss += the sum of cross-entropies; logits, dlogits (may be NULL) [samples][choices], labels [samples][groups]. */
lk_status lk_cuda_cross_entropy(lk_cuda *cuda, const lk_cuda_choices *choices, const float *logits, const uint8_t *labels,
                                int64_t samples, double share, float *dlogits, double *loss);
/* input [samples][continuous_count + choices] */
lk_status lk_cuda_decoder_input(lk_cuda *cuda, const lk_cuda_choices *choices, const float *continuous, int continuous_count,
                                const uint8_t *labels, int64_t samples, float *input);
/* dcontinuous [samples][columns] = the first columns of dinput [samples][width] */
lk_status lk_cuda_first_columns(lk_cuda *cuda, const float *dinput, int64_t samples, int width, int columns, float *dcontinuous);

#endif
