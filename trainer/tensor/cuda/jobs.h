/* What our CUDA kernels are asked to do: one struct a kernel, filled by the host (trainer/tensor/device_kernels_cuda.c), read by
 * the kernels (*.cu), so that neither side can get number, order or type of the arguments wrong. No includes: NVRTC has none.
 *
 * Pointers are of device memory. `void` is an array of the kernel's number format. Activations lie channels_last:
 * [samples][height][width][channels], a "row" being the channels of one pixel. Kernels that add up leave partial sums, one a
 * block, for a second kernel: both say here where.
 */
#ifndef LK_TRAINER_TENSOR_CUDA_JOBS_H
#define LK_TRAINER_TENSOR_CUDA_JOBS_H

enum {
    LK_CUDA_THREADS = 256, /* of every block; two-dimensional blocks: x over a row's packs, y over rows */
    LK_CUDA_PACK = 16      /* bytes that a thread loads and stores at once, where memory allows */
};

/* Element by element: relu_backward, add, scale. */
typedef struct lk_flat_job {
    void *out;
    const void *in; /* not of scale */
    long long count;
    float factor; /* of scale */
} lk_flat_job;

/* narrow: float32 to bfloat16, widen: back. */
enum { LK_CUDA_CONVERTED = 8 }; /* numbers of a pack */
typedef struct lk_convert_job {
    void *out;
    const void *in;
    long long count;
    long long packs; /* whole ones, from the first number on; 0: memory does not begin at a multiple of 16 bytes */
} lk_convert_job;

/* z [rows][channels]: bias and ReLU, and the way back. */
typedef struct lk_bias_job {
    void *z;           /* forward: in and out; backward: dy, in and out */
    const void *y;     /* backward: output of the ReLU; NULL: there was none */
    const float *bias; /* forward: [channels] */
    float *partial;    /* backward: [blocks in x][channels]; NULL: no bias gradient is wanted */
    long long rows;
    int channels;
    int relu; /* forward */
} lk_bias_job;

/* Bias, ReLU and 2x2 pool. `full` [samples][height][width][channels], pooled [samples][height/2][width/2][channels]. */
typedef struct lk_pool_job {
    void *full;            /* forward: in; backward: out, every number of it */
    void *pooled;          /* forward: out; backward: in */
    const float *bias;     /* forward: [channels] */
    unsigned char *choice; /* one for each of pooled: which of the four (0 1 above 2 3), LK_CUDA_DEAD: the ReLU gave zero */
    float *partial;        /* as above */
    int samples, height, width, channels;
} lk_pool_job;
enum { LK_CUDA_DEAD = 4 };

/* out[c] = sum over blocks of partial[block][c] */
typedef struct lk_columns_job {
    const float *partial;
    float *out;
    int blocks, channels;
} lk_columns_job;

/* Group norm. A sample's pixels are cut into chunks; sums [samples][chunks][2][channels]: of u v, and of u. */
typedef struct lk_norm_sums_job {
    const void *u, *v;
    double *sums;
    int pixels, channels, chunks; /* grid: chunks, packs, samples */
} lk_norm_sums_job;
typedef struct lk_norm_statistics_job {
    double *sums;
    const float *scale, *shift; /* [channels]; shift: forward */
    double *mean, *rstd;        /* [samples][groups]: forward out, backward in */
    double *products, *totals;  /* backward: [samples][channels], sums over pixels of dy x and of dy */
    float *factors;             /* [samples][3][channels]: a, b, k of out = a u + b v + k */
    float *dscale, *dshift;     /* backward: [channels] */
    double eps;
    int samples, pixels, channels, chunks, groups;
} lk_norm_statistics_job;
typedef struct lk_norm_apply_job {
    const void *u, *v; /* v: NULL forward */
    const float *factors;
    void *out;
    int pixels, channels; /* grid: rows, packs, samples */
} lk_norm_apply_job;

/* Bytes of pictures [count], channels innermost, three of them. */
typedef struct lk_pictures_job {
    const unsigned char *pixels;
    void *values;
    long long count;
    float mean[3], deviation[3];
} lk_pictures_job;
typedef struct lk_pixels_job {
    const float *values;
    unsigned char *pixels;
    long long count;
} lk_pixels_job;

/* Sums in float64 over the rows of y - target [rows][length]: of squares, or of absolutes. Rows are cut into chunks. */
typedef struct lk_row_sums_job {
    const float *y, *target;
    double *partial; /* [rows][chunks] */
    long long length;
    int chunks; /* grid: chunks, rows */
    int squares;
} lk_row_sums_job;
typedef struct lk_finish_rows_job {
    const double *partial;
    double *out;
    int rows, chunks;
} lk_finish_rows_job;

/* The losses over pictures, from those sums. y, target, dy [samples][length]. */
typedef struct lk_pixel_job {
    const float *y, *target;
    float *dy;
    double *sums;   /* [samples]: squares in, norms out, */
    float *factors; /* and what each sample's difference is multiplied by */
    double share;
    long long length;
    int samples;
    float step; /* absolute_gradient: of every number */
} lk_pixel_job;

/* partial[block] = the block's share of the sum of x^2 */
typedef struct lk_squares_job {
    const float *x;
    double *partial;
    long long count;
} lk_squares_job;
/* One block: *out += sum of values[0..count-1] / divisor. */
typedef struct lk_total_job {
    const double *values;
    double *out;
    double divisor;
    int count;
} lk_total_job;

/* Groups of choices, side by side: group g is columns begins[g] .. begins[g + 1] - 1. */
enum { LK_CUDA_GROUPS = 64 };
typedef struct lk_groups {
    int count;
    int begins[LK_CUDA_GROUPS + 1];
} lk_groups;

/* Cross-entropy of each group of logits [samples][columns]. */
typedef struct lk_entropy_job {
    const float *logits;
    const unsigned char *labels; /* [samples][groups] */
    float *dlogits;              /* NULL: not wanted */
    double *losses;              /* [samples][groups] */
    double share;
    int samples;
    lk_groups groups;
} lk_entropy_job;

/* input [samples][continuous_count + columns]: the parameters as a decoder takes them, the discrete ones as zeros and a one. */
typedef struct lk_decoder_input_job {
    const float *continuous; /* [samples][continuous_count] */
    const unsigned char *labels;
    float *input;
    int samples, continuous_count;
    lk_groups groups;
} lk_decoder_input_job;

/* Batch norm's saved mean and 1/deviation -> this micro-batch's share of the running mean and variance (n - 1). */
typedef struct lk_batch_statistics_job {
    const float *mean, *rstd;
    float *mean_out, *variance_out;
    double eps, samples, share;
    int channels;
} lk_batch_statistics_job;

#endif
