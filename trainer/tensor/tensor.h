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

#include "base/device/device.h"
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
 * turns libtorch's own gradient tape off, and makes the GPU's stream this thread's. threads > 0 sets the size of the intra-op
 * pool. */
lk_status lk_tensor_start(int threads);
/* How many the pool of this thread has. */
int lk_tensor_threads(void);

/* What cuDNN and cuBLAS may do on a GPU. Where this libtorch has no switch for one of them, a warning says so. */
typedef struct lk_cuda_settings {
    bool tf32;          /* products of float32 with 10 bits behind the point */
    bool benchmark;     /* convolutions by what is measured to be fastest, which may differ from run to run */
    bool deterministic; /* only convolutions that repeat themselves digit for digit */
    bool fuse;          /* bias and ReLU within cuDNN's convolutions, which then need not repeat themselves */
} lk_cuda_settings;

/* Whether tensors could lie on a GPU. LK_BAD_CONFIG with what is missing: what lk_device_count misses, or libtorch's own part. */
lk_status lk_tensor_find_cuda(void);
/* All tensors from here on lie on this CUDA device, which belongs to the tensors now, and stays until the process ends. Once,
 * after lk_tensor_find_cuda, before any tensor is made and before lk_tensor_start, on the thread that computes. A failure leaves
 * the CPU and closes the device. */
lk_status lk_tensor_use_cuda(lk_device *device, const lk_cuda_settings *settings);
/* Back to the CPU, where no tensor was made since; the device is closed. Nothing to do where lk_tensor_use_cuda failed. */
void lk_tensor_leave_cuda(void);

/* Where tensors are, and what else lies beside them: flat buffers of weights, gradients. The CPU at first. */
lk_device *lk_tensor_device(void);
/* For sums over ranks, in memory of that device, asked for on that stream of it: sum += term; to bfloat16, and back. */
lk_status lk_tensor_add_floats(lk_device *device, void *stream, float *sum, const float *term, size_t count);
lk_status lk_tensor_narrow_floats(lk_device *device, void *stream, uint16_t *out, const float *in, size_t count);
lk_status lk_tensor_widen_floats(lk_device *device, void *stream, float *out, const uint16_t *in, size_t count);
/* Whether the host may work on their memory, as the kernels of trainer/kernels/ do. */
bool lk_tensor_on_host(void);
/* Bytes of a device that has memory of its own; 0: they lie in the host's. */
size_t lk_tensor_memory(void);
/* What computes where no kernels of trainer/kernels/ do: "torch", or "cuda". */
const char *lk_tensor_operators(void);
/* In flat buffers a tensor begins at a multiple of so many numbers, for the device's fast loads: 1 on the CPU, else
 * LK_TENSOR_ALIGNMENT. Between them are zeros. */
int lk_tensor_alignment(void);
enum { LK_TENSOR_ALIGNMENT = 64 };
/* The first failure since the last check on this thread, cleared by the call. */
lk_status lk_tensor_check(void);
/* Keeps a status that is not LK_OK, with this thread's sentence, for lk_tensor_check; true if there is nothing to keep. */
bool lk_tensor_keep(lk_status status);
/* Keeps a failure of the caller's own (memory for the host's part of a pass) for lk_tensor_check. */
void lk_tensor_fail(lk_status status, const char *what);

/* ---- making, reading, freeing: of F32, F64, BF16; for bytes U8 ---- */

lk_tensor *lk_tensor_empty(lk_dtype dtype, int dims, const int64_t *sizes);
/* A window on memory of lk_tensor_device that the caller keeps alive: contiguous, or channels_last where dims is 4. */
lk_tensor *lk_tensor_view(void *memory, lk_dtype dtype, int dims, const int64_t *sizes);
/* Numbers of the host that are only read, laid out as in a view. They stay as they are until lk_tensor_lent says that the device
 * has them (on the CPU, where they are used in their place, until the tensor is freed): a GPU copies them beside the host's work,
 * if they are pinned. */
lk_tensor *lk_tensor_lend(const void *memory, lk_dtype dtype, int dims, const int64_t *sizes);
/* Waits until all that was lent so far has been read; not for what is computed with it. */
lk_status lk_tensor_lent(void);
/* From and to contiguous host arrays (NCHW order, PyTorch's file layout) of the shape's length, converting as needed. */
lk_tensor *lk_tensor_from_floats(const float *values, lk_dtype dtype, int dims, const int64_t *sizes);
void lk_tensor_to_floats(const lk_tensor *t, float *values);
lk_tensor *lk_tensor_from_doubles(const double *values, lk_dtype dtype, int dims, const int64_t *sizes);
void lk_tensor_to_doubles(const lk_tensor *t, double *values);
/* A single float32, dims 0. */
lk_tensor *lk_tensor_number(float value);
/* Frees and sets to NULL. */
void lk_tensor_free(lk_tensor **t);
/* Another handle on the same memory. */
lk_tensor *lk_tensor_share(const lk_tensor *t);
/* Whether both are handles on the same memory. */
bool lk_tensor_is_same(const lk_tensor *a, const lk_tensor *b);
/* The same of so many samples (of the first dimension), from the first one or behind the first ones. */
lk_tensor *lk_tensor_first(const lk_tensor *t, int64_t samples);
lk_tensor *lk_tensor_behind(const lk_tensor *t, int64_t samples);
/* a's samples, then b's. */
lk_tensor *lk_tensor_append(const lk_tensor *a, const lk_tensor *b);

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
/* max(0, that), of a convolution that is not transposed, by cuDNN in one pass: on a GPU alone. b has x's type. */
lk_tensor *lk_cudnn_convolution_relu(const lk_tensor *x, const lk_tensor *w, const lk_tensor *b,
                                     const lk_convolution_shape *shape);
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
/* What one micro-batch of `samples` numbers a channel adds to the running statistics: its mean, and its variance as PyTorch's
 * running_var counts it (n - 1), both times `share`, as `dtype`. */
void lk_batch_statistics(lk_tensor *const saved[2], double samples, double eps, double share, lk_dtype dtype, lk_tensor **mean,
                         lk_tensor **variance);

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
/* a += b, same shape and type. */
void lk_add_(lk_tensor *a, const lk_tensor *b);
/* F32, F64. */
void lk_scale_(lk_tensor *a, double factor);
/* The first `columns` of x [N,C], contiguous. */
lk_tensor *lk_first_columns(const lk_tensor *x, int64_t columns);

/* ---- sums: float64 numbers where the tensors are, read all at once, since reading waits for the device ---- */

typedef struct lk_sums lk_sums;
lk_status lk_sums_create(int count, lk_sums **out);
void lk_sums_free(lk_sums *sums); /* NULL is fine */
/* All to zero. */
void lk_sums_clear(lk_sums *sums);
/* Number i, for operations that add to it. */
double *lk_sums_at(lk_sums *sums, int i);
/* The first `count` of them. Waits. */
lk_status lk_sums_read(lk_sums *sums, int count, double *values);

/* A part of a flat buffer, in numbers. */
typedef struct lk_range {
    int64_t begin, count;
} lk_range;
/* *sum += the squares of the float32 numbers in these ranges of a flat buffer, of which each lies before the one that came
 * before it: finite exactly if all are. */
void lk_sum_squares(const float *values, const lk_range *ranges, int count, double *sum);
void lk_scale_ranges(float *values, const lk_range *ranges, int count, float factor);

/* ---- faces: continuous parameters, and one choice of each group ---- */

enum { LK_CHOICE_GROUPS = 64 };
typedef struct lk_choices {
    int groups;
    int32_t begins[LK_CHOICE_GROUPS + 1]; /* group g has the columns begins[g] .. begins[g + 1] - 1 */
} lk_choices;

/* The decoder's input [n, nc + columns]: continuous [n,nc] (F32), and beside it labels [n,groups] (U8) as one-hot. */
lk_tensor *lk_decoder_input(const lk_choices *choices, const lk_tensor *continuous, const lk_tensor *labels);

/* ---- pictures ---- */

/* uint8 [n,S,S,3] of the host, lent -> [n,3,S,S] of (x/255 - mean)/deviation with the ImageNet constants. */
lk_tensor *lk_normalized_pictures(const uint8_t *pixels, int n, int size, lk_dtype dtype);
/* The same of x/255. */
lk_tensor *lk_pictures(const uint8_t *pixels, int n, int size, lk_dtype dtype);
/* [n,3,S,S] in [0,1] -> uint8 [n,S,S,3] on the host, rounded. */
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
