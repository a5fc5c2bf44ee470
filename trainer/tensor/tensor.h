/* Tensors: the one place that knows libtorch and the device. libtorch's stable C ABI underneath (docs/architecture.md).
 *
 * Ownership: every function that returns a lk_tensor * gives the caller a new one, to be freed with lk_tensor_free; arguments
 * are only borrowed. In-place functions end in an underscore, as in PyTorch, and return nothing.
 *
 * Errors are sticky, so that forward and backward read like the formula: an operation on a NULL tensor does nothing and
 * returns NULL, and the first failure of a thread is kept until lk_tensor_check() reports it. Check once a pass.
 *
 *     lk_tensor *y = lk_convolution(x, w, b, &shape);
 *     lk_relu_(y);
 *     lk_status status = lk_tensor_check();     // names the operation and libtorch's reason
 *
 * 4-d tensors are NCHW by shape and channels_last (NHWC) in memory; everything else is contiguous. Gradients are computed by
 * explicit backward functions beside their forward ones; no tape is kept. A tensor is used by one thread at a time.
 */
#ifndef LK_TRAINER_TENSOR_TENSOR_H
#define LK_TRAINER_TENSOR_TENSOR_H

#include "base/error.h"
#include "trainer/tensor/dtype.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_tensor lk_tensor;

enum { LK_MAX_DIMS = 4 };

/* ---- the library ---- */

/* "libtorch 2.15.0", the one that is loaded. */
void lk_tensor_library(char *out, size_t size);

/* Once per process, before any other call and again in every further thread that computes (libtorch keeps it per thread):
 * turns libtorch's own gradient tape off. threads > 0 sets the size of the intra-op pool. */
lk_status lk_tensor_start(int threads);
/* How many the pool of this thread has. */
int lk_tensor_threads(void);
/* The first failure since the last check on this thread, cleared by the call. */
lk_status lk_tensor_check(void);
/* Keeps a failure of the caller's own (memory for the host's part of a pass) for lk_tensor_check. */
void lk_tensor_fail(lk_status status, const char *what);

/* ---- making, reading, freeing: of F32, F64 and BF16 ---- */

lk_tensor *lk_tensor_empty(lk_dtype dtype, int dims, const int64_t *sizes);
/* A window on memory that the caller keeps alive: contiguous, or channels_last where dims is 4. Host memory. */
lk_tensor *lk_tensor_view(void *memory, lk_dtype dtype, int dims, const int64_t *sizes);
/* From and to contiguous host arrays (NCHW order, PyTorch's file layout) of the shape's length, converting as needed. */
lk_tensor *lk_tensor_from_floats(const float *values, lk_dtype dtype, int dims, const int64_t *sizes);
void lk_tensor_to_floats(const lk_tensor *t, float *values);
lk_tensor *lk_tensor_from_doubles(const double *values, lk_dtype dtype, int dims, const int64_t *sizes);
void lk_tensor_to_doubles(const lk_tensor *t, double *values);
/* Frees and sets to NULL. */
void lk_tensor_free(lk_tensor **t);
/* Another handle on the same memory. */
lk_tensor *lk_tensor_share(const lk_tensor *t);

int64_t lk_tensor_count(const lk_tensor *t);
int64_t lk_tensor_dim(const lk_tensor *t, int dim);
lk_dtype lk_tensor_dtype(const lk_tensor *t);

/* Converted to `dtype`; shares the memory if it has that type already. */
lk_tensor *lk_tensor_cast(const lk_tensor *t, lk_dtype dtype);
/* target = source, converting; shapes equal. */
void lk_tensor_copy_(lk_tensor *target, const lk_tensor *source);

/* ---- convolution ---- */

typedef struct lk_convolution_shape {
    bool transposed;
    int stride, padding;
} lk_convolution_shape;

/* x [N,Ci,H,W]; w [Co,Ci,k,k], transposed [Ci,Co,k,k]; b [Co] or NULL. */
lk_tensor *lk_convolution(const lk_tensor *x, const lk_tensor *w, const lk_tensor *b, const lk_convolution_shape *shape);
/* From dy: *dx, *dw, *db; each may be NULL and is then not computed. */
void lk_convolution_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *w, const lk_convolution_shape *shape,
                             lk_tensor **dx, lk_tensor **dw, lk_tensor **db);

/* ---- pieces of a block ---- */

void lk_relu_(lk_tensor *x);
/* dy *= (y > 0), y being the output of the ReLU. */
void lk_relu_backward_(lk_tensor *dy, const lk_tensor *y);

/* 2x2 maxima; *indices is kept for backward. */
lk_tensor *lk_max_pool(const lk_tensor *x, lk_tensor **indices);
lk_tensor *lk_max_pool_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *indices);

/* Group norm (Wu and He 2018); saved[0..1] (mean, 1/deviation) are kept for backward. 4-d tensors in the
 * sense above, which convolutions return. */
lk_tensor *lk_group_norm(const lk_tensor *x, const lk_tensor *scale, const lk_tensor *shift, int groups, double eps,
                         lk_tensor *saved[2]);
lk_tensor *lk_group_norm_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *scale, int groups,
                                  lk_tensor *const saved[2], lk_tensor **dscale, lk_tensor **dshift);

/* Batch norm (Ioffe and Szegedy 2015) with the statistics of this batch; saved[0..1] as above, per channel. */
lk_tensor *lk_batch_norm(const lk_tensor *x, const lk_tensor *scale, const lk_tensor *shift, double eps, lk_tensor *saved[2]);
lk_tensor *lk_batch_norm_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *scale, double eps,
                                  lk_tensor *const saved[2], lk_tensor **dscale, lk_tensor **dshift);

/* ---- fully connected ---- */

/* x [N,I], w [O,I], b [O] -> [N,O]. */
lk_tensor *lk_linear(const lk_tensor *x, const lk_tensor *w, const lk_tensor *b);
void lk_linear_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *w, lk_tensor **dx, lk_tensor **dw,
                        lk_tensor **db);
/* [N,C,H,W] -> [N,C*H*W] in NCHW order, and back. */
lk_tensor *lk_flatten(const lk_tensor *x);
lk_tensor *lk_unflatten(const lk_tensor *x, int64_t channels, int64_t height, int64_t width);

/* ---- element by element ---- */

lk_tensor *lk_sigmoid(const lk_tensor *x);
lk_tensor *lk_sigmoid_backward(const lk_tensor *dy, const lk_tensor *y);
lk_tensor *lk_add(const lk_tensor *a, const lk_tensor *b);
lk_tensor *lk_subtract(const lk_tensor *a, const lk_tensor *b);
lk_tensor *lk_sign(const lk_tensor *x);
/* a += b, same shape and type. */
void lk_add_(lk_tensor *a, const lk_tensor *b);
/* a *= b, b of the same shape or [N,1,1,1] or a single number. */
void lk_multiply_(lk_tensor *a, const lk_tensor *b);
void lk_scale_(lk_tensor *a, double factor);
/* Over all but the first dimension: out[n] = sum of x[n]^2, sum of |x[n]|, in float64 on the host. */
void lk_sum_squares(const lk_tensor *x, double *out);
void lk_sum_absolute(const lk_tensor *x, double *out);

/* ---- pictures ---- */

/* uint8 [n,S,S,3] -> [n,3,S,S] of (x/255 - mean)/deviation with the ImageNet constants. */
lk_tensor *lk_normalized_pictures(const uint8_t *pixels, int n, int size, lk_dtype dtype);
/* uint8 [n,S,S,3] -> [n,3,S,S] of x/255. */
lk_tensor *lk_pictures(const uint8_t *pixels, int n, int size, lk_dtype dtype);
/* [n,3,S,S] in [0,1] -> uint8 [n,S,S,3], rounded. */
void lk_pictures_to_pixels(const lk_tensor *x, uint8_t *pixels);

/* ---- optimizers: libtorch's fused ops over lists of tensors, in place ---- */

enum { LK_FUSED_MAX = 256 }; /* tensors in one call */

typedef struct lk_sgd {
    double lr, momentum, weight_decay;
    bool first_step; /* the momentum buffer holds nothing yet */
} lk_sgd;
void lk_fused_sgd_(const lk_sgd *rule, int count, lk_tensor *const *weights, lk_tensor *const *gradients,
                   lk_tensor *const *momenta);

typedef struct lk_adamw {
    double lr, beta1, beta2, eps, weight_decay;
    int64_t step; /* from 1 */
} lk_adamw;
void lk_fused_adamw_(const lk_adamw *rule, int count, lk_tensor *const *weights, lk_tensor *const *gradients,
                     lk_tensor *const *means, lk_tensor *const *squares);

#endif
