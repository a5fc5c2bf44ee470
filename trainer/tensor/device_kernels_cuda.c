#include "trainer/tensor/device_kernels_cuda.h"

#include "trainer/tensor/cuda/module.h"

#include <limits.h>
#include <string.h>

enum {
    MOST_BLOCKS = 4096,   /* of a kernel that sums nothing: more would only take turns */
    SUM_BLOCKS = 1024,    /* whose partial sums a second kernel adds up */
    SUM_ROWS = 8,         /* at least so many rows a thread before another block is taken */
    NORM_PIXELS = 32,     /* that a thread adds up in float32 (group_norm.cu) */
    ROW_CHUNK = 8192,     /* numbers of a row that one block adds up */
    MOST_GRID_YZ = 65535, /* of any GPU */
    SCRATCH_ALIGNMENT = 256
};
_Static_assert((int)LK_CUDA_GROUPS == (int)LK_CHOICE_GROUPS, "jobs.h and tensor.h name one limit");

static struct {
    lk_device *device;
    lk_cuda_module *module;
    char *scratch; /* for partial sums */
    size_t scratch_size;
} cuda;

lk_status lk_device_kernels_cuda_open_with(lk_device *device, const lk_cuda_driver *driver, const lk_nvrtc *nvrtc)
{
    if (cuda.device)
        return lk_fail(LK_INTERNAL, "the kernels of %s are open already", lk_device_name(cuda.device));
    LK_TRY(lk_cuda_module_open(driver, nvrtc, &cuda.module));
    cuda.device = device;
    return LK_OK;
}

lk_status lk_device_kernels_cuda_open(lk_device *device, const lk_device_kernels **out)
{
    *out = &lk_device_kernels_cuda;
    return device == cuda.device ? LK_OK : lk_device_kernels_cuda_open_with(device, NULL, NULL);
}

void lk_device_kernels_cuda_close(void)
{
    if (!cuda.device)
        return;
    lk_cuda_module_close(cuda.module);
    lk_device_free(cuda.device, cuda.scratch);
    memset(&cuda, 0, sizeof cuda);
}

/* ---- launching ---- */

/* kernel: of lk_cuda_kernel, and a form where it has forms. job: a struct, not a pointer. */
#define LAUNCH(kernel, grid, job) LAUNCH_ON(lk_device_stream(cuda.device), kernel, grid, job)
#define LAUNCH_ON(stream, kernel, grid, job) launch(stream, (lk_cuda_kernel)(kernel), grid, &(job), sizeof(job))
static lk_status launch(void *stream, lk_cuda_kernel kernel, lk_cuda_grid grid, const void *job, size_t job_size)
{
    const char *name = lk_cuda_kernels[kernel].name;
    unsigned samples = grid.blocks[1] > grid.blocks[2] ? grid.blocks[1] : grid.blocks[2];
    if (!cuda.module)
        return lk_fail(LK_INTERNAL, "CUDA kernel %s: the kernels are not open", name);
    if (samples > MOST_GRID_YZ)
        return lk_fail(LK_INTERNAL, "CUDA kernel %s: %u samples at once are too many; lower train.micro_batch", name, samples);
    return lk_cuda_launch(cuda.module, kernel, &grid, stream, job, job_size);
}

/* Memory of the device until the next call: what later kernels write there comes after what earlier ones read, on one stream. */
static lk_status take_scratch(size_t bytes, void **out)
{
    if (bytes > cuda.scratch_size) {
        size_t wanted = bytes + bytes / 2;
        lk_device_free(cuda.device, cuda.scratch);
        cuda.scratch_size = 0;
        cuda.scratch = lk_device_alloc(cuda.device, wanted);
        if (!cuda.scratch)
            return LK_INTERNAL;
        cuda.scratch_size = wanted;
    }
    *out = cuda.scratch;
    return LK_OK;
}

static size_t padded(size_t bytes)
{
    return (bytes + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
}

static int64_t at_most(int64_t n, int64_t most)
{
    return n < most ? n : most;
}

/* How many of that size cover n; at least one. */
static int64_t pieces(int64_t n, int64_t size)
{
    int64_t count = (n + size - 1) / size;
    return count > 0 ? count : 1;
}

static lk_cuda_grid flat_grid(int64_t threads)
{
    return (lk_cuda_grid){{(unsigned)at_most(pieces(threads, LK_CUDA_THREADS), MOST_BLOCKS), 1, 1}, {LK_CUDA_THREADS, 1}};
}

static bool is_aligned(const void *memory)
{
    return (uintptr_t)memory % LK_CUDA_PACK == 0;
}

/* Numbers that a thread takes at once. */
static int lanes_of(lk_cuda_form form)
{
    return form == LK_CUDA_F32 ? 4 : form == LK_CUDA_BF16 ? 8 : 1;
}

/* Whole packs where rows of so many numbers and all of that memory (NULL counts as good) allow. */
static lk_cuda_form form_of(lk_dtype dtype, int64_t row, const void *a, const void *b, const void *c)
{
    lk_cuda_form packed = dtype == LK_DTYPE_BF16 ? LK_CUDA_BF16 : LK_CUDA_F32;
    if (is_aligned(a) && is_aligned(b) && is_aligned(c) && row % lanes_of(packed) == 0)
        return packed;
    return dtype == LK_DTYPE_BF16 ? LK_CUDA_BF16_SINGLE : LK_CUDA_F32_SINGLE;
}

/* Blocks whose x are the packs of a row's channels and whose y are rows; the grid's y are tiles of packs. */
static lk_cuda_grid channel_grid(lk_cuda_form form, int channels)
{
    unsigned packs = (unsigned)(channels / lanes_of(form)), x = 1;
    while (x < packs && x < 32)
        x *= 2;
    return (lk_cuda_grid){{1, (packs + x - 1) / x, 1}, {x, LK_CUDA_THREADS / x}};
}

static lk_cuda_grid row_grid(lk_cuda_form form, int channels, int64_t rows, int rows_a_thread, int most)
{
    lk_cuda_grid grid = channel_grid(form, channels);
    grid.blocks[0] = (unsigned)at_most(pieces(rows, (int64_t)grid.threads[1] * rows_a_thread), most);
    return grid;
}

static lk_status require(const char *kernel, lk_dtype dtype, bool bfloat)
{
    if (dtype == LK_DTYPE_F32 || (bfloat && dtype == LK_DTYPE_BF16))
        return LK_OK;
    return lk_fail(LK_INTERNAL, "CUDA kernel %s: not made for %s", kernel, lk_dtype_name(dtype));
}

/* ---- element by element ---- */

static lk_status relu_backward(lk_device *d, lk_dtype dtype, void *dy, const void *y, int64_t count)
{
    (void)d;
    LK_TRY(require("relu_backward", dtype, true));
    lk_cuda_form form = form_of(dtype, 0, dy, y, NULL);
    lk_flat_job job = {.out = dy, .in = y, .count = count};
    return LAUNCH(LK_CUDA_relu_backward + form, flat_grid(count / lanes_of(form)), job);
}

static lk_status add(lk_device *d, lk_dtype dtype, void *a, const void *b, int64_t count)
{
    (void)d;
    LK_TRY(require("add", dtype, true));
    lk_cuda_form form = form_of(dtype, 0, a, b, NULL);
    lk_flat_job job = {.out = a, .in = b, .count = count};
    return LAUNCH(LK_CUDA_add + form, flat_grid(count / lanes_of(form)), job);
}

static lk_status add_on(lk_device *d, void *stream, float *a, const float *b, int64_t count)
{
    (void)d;
    lk_cuda_form form = form_of(LK_DTYPE_F32, 0, a, b, NULL);
    lk_flat_job job = {.out = a, .in = b, .count = count};
    return LAUNCH_ON(stream, LK_CUDA_add + form, flat_grid(count / lanes_of(form)), job);
}

static lk_status convert(void *stream, lk_cuda_kernel kernel, void *out, const void *in, int64_t count)
{
    int64_t packs = is_aligned(out) && is_aligned(in) ? count / LK_CUDA_CONVERTED : 0;
    lk_convert_job job = {.out = out, .in = in, .count = count, .packs = packs};
    return LAUNCH_ON(stream, kernel, flat_grid(packs > 0 ? packs : count), job);
}

static lk_status narrow_on(lk_device *d, void *stream, uint16_t *out, const float *in, int64_t count)
{
    (void)d;
    return convert(stream, LK_CUDA_narrow, out, in, count);
}

static lk_status widen_on(lk_device *d, void *stream, float *out, const uint16_t *in, int64_t count)
{
    (void)d;
    return convert(stream, LK_CUDA_widen, out, in, count);
}

static lk_status scale(lk_device *d, lk_dtype dtype, void *a, double factor, int64_t count)
{
    (void)d;
    LK_TRY(require("scale", dtype, true));
    lk_cuda_form form = form_of(dtype, 0, a, NULL, NULL);
    lk_flat_job job = {.out = a, .factor = (float)factor, .count = count};
    return LAUNCH(LK_CUDA_scale + form, flat_grid(count / lanes_of(form)), job);
}

static lk_status pictures(lk_device *d, lk_dtype dtype, const uint8_t *pixels, int64_t count, const float mean[3],
                          const float deviation[3], void *values)
{
    (void)d;
    LK_TRY(require("pictures", dtype, true));
    lk_cuda_form form = form_of(dtype, 0, pixels, values, NULL);
    lk_pictures_job job = {.pixels = pixels, .values = values, .count = 3 * count};
    memcpy(job.mean, mean, sizeof job.mean);
    memcpy(job.deviation, deviation, sizeof job.deviation);
    return LAUNCH(LK_CUDA_pictures + form, flat_grid(job.count / lanes_of(form)), job);
}

static lk_status pixels(lk_device *d, const float *values, int64_t count, uint8_t *out)
{
    (void)d;
    lk_pixels_job job = {.values = values, .pixels = out, .count = count};
    return LAUNCH(LK_CUDA_pixels, flat_grid(count), job);
}

/* ---- sums ---- */

/* *out += sum of values / divisor */
static lk_status add_up(const double *values, int64_t count, double divisor, double *out)
{
    lk_total_job job = {.values = values, .out = out, .divisor = divisor, .count = (int)count};
    return LAUNCH(LK_CUDA_total, flat_grid(1), job);
}

static lk_status add_squares(const float *values, int64_t count, double *sum)
{
    lk_squares_job job = {.x = values, .count = count};
    lk_cuda_grid grid = flat_grid(count);
    grid.blocks[0] = (unsigned)at_most(grid.blocks[0], SUM_BLOCKS);
    LK_TRY(take_scratch(SUM_BLOCKS * sizeof(double), (void **)&job.partial));
    LK_TRY(LAUNCH(LK_CUDA_range_squares, grid, job));
    return add_up(job.partial, grid.blocks[0], 1, sum);
}

/* Ranges that only zeros part are one launch. */
static lk_status sum_squares(lk_device *d, const float *values, const lk_range *ranges, int count, double *sum)
{
    (void)d;
    for (int i = 0; i < count;) {
        int64_t begin = ranges[i].begin, end = begin + ranges[i].count;
        for (i++; i < count && begin - ranges[i].begin - ranges[i].count < LK_TENSOR_ALIGNMENT; i++)
            begin = ranges[i].begin;
        LK_TRY(add_squares(values + begin, end - begin, sum));
    }
    return LK_OK;
}

/* ---- losses ---- */

static int64_t row_chunks(int64_t length)
{
    return at_most(pieces(length, ROW_CHUNK), SUM_BLOCKS);
}

/* Fills in job's sums, of squares or of absolutes of y - target, and takes memory for its factors. */
static lk_status sum_rows(lk_pixel_job *job, bool squares)
{
    int chunks = (int)row_chunks(job->length);
    size_t partial = padded((size_t)job->samples * (size_t)chunks * sizeof(double));
    size_t sums = padded((size_t)job->samples * sizeof(double));
    void *memory;
    LK_TRY(take_scratch(partial + 2 * sums, &memory));
    job->sums = (double *)((char *)memory + partial);
    job->factors = (float *)((char *)memory + partial + sums);
    lk_row_sums_job rows = {
        .y = job->y, .target = job->target, .partial = memory, .length = job->length, .chunks = chunks, .squares = squares};
    lk_cuda_grid grid = {{(unsigned)chunks, (unsigned)job->samples, 1}, {LK_CUDA_THREADS, 1}};
    LK_TRY(LAUNCH(LK_CUDA_row_sums, grid, rows));
    lk_finish_rows_job finish = {.partial = memory, .out = job->sums, .rows = job->samples, .chunks = chunks};
    return LAUNCH(LK_CUDA_finish_rows, flat_grid(job->samples), finish);
}

static lk_status pixel_loss(lk_device *d, lk_dtype dtype, const void *y, const void *target, int64_t n, int64_t length,
                            double share, void *dy, double *sum)
{
    (void)d;
    LK_TRY(require("pixel_loss", dtype, false));
    lk_pixel_job job = {.y = y, .target = target, .dy = dy, .share = share, .length = length, .samples = (int)n};
    LK_TRY(sum_rows(&job, true));
    LK_TRY(LAUNCH(LK_CUDA_pixel_norms, flat_grid(n), job));
    LK_TRY(add_up(job.sums, n, 1, sum));
    lk_cuda_grid grid = flat_grid(length);
    grid.blocks[1] = (unsigned)n;
    return dy ? LAUNCH(LK_CUDA_pixel_gradient, grid, job) : LK_OK;
}

static lk_status l1_loss(lk_device *d, lk_dtype dtype, const void *y, const void *target, int64_t n, int64_t length, double share,
                         void *dy, double *sum)
{
    (void)d;
    LK_TRY(require("l1_loss", dtype, false));
    lk_pixel_job job = {
        .y = y, .target = target, .dy = dy, .length = length, .samples = (int)n, .step = (float)(share / (double)length)};
    LK_TRY(sum_rows(&job, false));
    LK_TRY(add_up(job.sums, n, (double)length, sum));
    return dy ? LAUNCH(LK_CUDA_absolute_gradient, flat_grid(n * length), job) : LK_OK;
}

static lk_groups groups_of(const lk_choices *choices)
{
    lk_groups groups = {.count = choices->groups};
    memcpy(groups.begins, choices->begins, sizeof groups.begins);
    return groups;
}

static lk_status discrete_loss(lk_device *d, lk_dtype dtype, const lk_choices *choices, const void *logits, const uint8_t *labels,
                               int64_t n, double share, void *dlogits, double *sum)
{
    (void)d;
    LK_TRY(require("cross_entropy", dtype, false));
    int64_t count = n * choices->groups;
    lk_entropy_job job = {
        .logits = logits, .labels = labels, .dlogits = dlogits, .share = share, .samples = (int)n, .groups = groups_of(choices)};
    LK_TRY(take_scratch((size_t)count * sizeof(double), (void **)&job.losses));
    LK_TRY(LAUNCH(LK_CUDA_cross_entropy, flat_grid(count), job));
    return add_up(job.losses, count, 1, sum);
}

static lk_status decoder_input(lk_device *d, const lk_choices *choices, const float *continuous, const uint8_t *labels, int64_t n,
                               int64_t nc, float *input)
{
    (void)d;
    lk_decoder_input_job job = {.continuous = continuous,
                                .labels = labels,
                                .input = input,
                                .samples = (int)n,
                                .continuous_count = (int)nc,
                                .groups = groups_of(choices)};
    return LAUNCH(LK_CUDA_decoder_input, flat_grid(n * (nc + choices->begins[choices->groups])), job);
}

/* ---- norms ---- */

/* Pixels of all samples, which the kernels count in int. */
static lk_status count_pixels(const char *kernel, const lk_map_shape *map)
{
    int64_t pixels = map->samples * map->rows * map->columns;
    if (pixels <= INT_MAX / 2 && map->channels <= INT_MAX / 4)
        return LK_OK;
    return lk_fail(LK_INTERNAL, "CUDA kernel %s: %lld pixels at once are too many; lower train.micro_batch", kernel,
                   (long long)pixels);
}

/* Sums of u v and of u over the pixels of each chunk. */
static lk_status norm_sums(lk_cuda_form form, const void *u, const void *v, const lk_norm_statistics_job *between)
{
    lk_cuda_grid grid = channel_grid(form, between->channels);
    grid.blocks[0] = (unsigned)between->chunks;
    grid.blocks[2] = (unsigned)between->samples;
    lk_norm_sums_job job = {.u = u,
                            .v = v,
                            .sums = between->sums,
                            .pixels = between->pixels,
                            .channels = between->channels,
                            .chunks = between->chunks};
    return LAUNCH(LK_CUDA_norm_sums + form, grid, job);
}

static lk_status norm_apply(lk_cuda_form form, const void *u, const void *v, const lk_norm_statistics_job *between, void *out)
{
    lk_cuda_grid grid = row_grid(form, between->channels, between->pixels, 4, MOST_BLOCKS);
    grid.blocks[2] = (unsigned)between->samples;
    lk_norm_apply_job job = {
        .u = u, .v = v, .factors = between->factors, .out = out, .pixels = between->pixels, .channels = between->channels};
    return LAUNCH(LK_CUDA_norm_apply + form, grid, job);
}

/* The job of what lies between the sums and their use, with its memory. */
static lk_status norm_between(lk_cuda_form form, const lk_group_norm_shape *shape, lk_norm_statistics_job *job)
{
    const lk_map_shape *map = &shape->map;
    LK_TRY(require("group_norm", shape->dtype, true));
    LK_TRY(require("group_norm", shape->weight, false));
    LK_TRY(count_pixels("group_norm", map));
    int64_t pixels = map->rows * map->columns;
    int64_t chunks = pieces(pixels, (int64_t)channel_grid(form, (int)map->channels).threads[1] * NORM_PIXELS);
    size_t channels = (size_t)(map->samples * map->channels), each = padded(channels * sizeof(double));
    size_t sums = padded(2 * (size_t)chunks * channels * sizeof(double));
    void *memory;
    LK_TRY(take_scratch(sums + 2 * each + 3 * channels * sizeof(float), &memory));
    *job = (lk_norm_statistics_job){.sums = memory,
                                    .products = (double *)((char *)memory + sums),
                                    .totals = (double *)((char *)memory + sums + each),
                                    .factors = (float *)((char *)memory + sums + 2 * each),
                                    .eps = shape->eps,
                                    .samples = (int)map->samples,
                                    .pixels = (int)pixels,
                                    .channels = (int)map->channels,
                                    .chunks = (int)chunks,
                                    .groups = (int)shape->groups};
    return LK_OK;
}

static lk_cuda_grid block_a_sample(const lk_norm_statistics_job *job)
{
    return (lk_cuda_grid){{(unsigned)job->samples, 1, 1}, {64, 1}};
}

static lk_status group_norm(lk_device *d, const lk_group_norm_shape *shape, const void *x, const void *scales, const void *shifts,
                            void *y, double *mean, double *rstd)
{
    (void)d;
    lk_cuda_form form = form_of(shape->dtype, shape->map.channels, x, y, NULL);
    lk_norm_statistics_job job;
    LK_TRY(norm_between(form, shape, &job));
    job.scale = scales;
    job.shift = shifts;
    job.mean = mean;
    job.rstd = rstd;
    LK_TRY(norm_sums(form, x, x, &job));
    LK_TRY(LAUNCH(LK_CUDA_norm_statistics, block_a_sample(&job), job));
    return norm_apply(form, x, NULL, &job, y);
}

static lk_status group_norm_backward(lk_device *d, const lk_group_norm_shape *shape, const void *dy, const void *x,
                                     const void *scales, const double *mean, const double *rstd, void *dx, void *dscale,
                                     void *dshift)
{
    (void)d;
    lk_cuda_form form = form_of(shape->dtype, shape->map.channels, dy, x, dx);
    lk_norm_statistics_job job;
    LK_TRY(norm_between(form, shape, &job));
    job.scale = scales;
    job.mean = (double *)(uintptr_t)mean; /* backward only reads them */
    job.rstd = (double *)(uintptr_t)rstd;
    job.dscale = dscale;
    job.dshift = dshift;
    LK_TRY(norm_sums(form, dy, x, &job));
    LK_TRY(LAUNCH(LK_CUDA_norm_slopes, block_a_sample(&job), job));
    LK_TRY(LAUNCH(LK_CUDA_norm_gradients, flat_grid(job.channels), job));
    return norm_apply(form, dy, x, &job, dx);
}

static lk_status batch_statistics(lk_device *d, lk_dtype dtype, const void *mean, const void *rstd, int64_t channels,
                                  double samples, double eps, double share, lk_dtype out, void *mean_out, void *variance_out)
{
    (void)d;
    LK_TRY(require("batch_statistics", dtype, false));
    LK_TRY(require("batch_statistics", out, false));
    lk_batch_statistics_job job = {.mean = mean,
                                   .rstd = rstd,
                                   .mean_out = mean_out,
                                   .variance_out = variance_out,
                                   .eps = eps,
                                   .samples = samples,
                                   .share = share,
                                   .channels = (int)channels};
    return LAUNCH(LK_CUDA_batch_statistics, flat_grid(channels), job);
}

/* ---- what follows a convolution ---- */

static bool fuses(lk_dtype dtype, int64_t channels)
{
    return (dtype == LK_DTYPE_F32 && channels % 4 == 0) || (dtype == LK_DTYPE_BF16 && channels % 8 == 0);
}

static lk_status bias_relu(lk_device *d, lk_dtype dtype, void *z, const float *bias, int64_t rows, int64_t channels, bool relu)
{
    (void)d;
    LK_TRY(require("bias_relu", dtype, true));
    lk_cuda_form form = form_of(dtype, channels, z, NULL, NULL);
    lk_bias_job job = {.z = z, .bias = bias, .rows = rows, .channels = (int)channels, .relu = relu};
    return LAUNCH(LK_CUDA_bias_relu + form, row_grid(form, (int)channels, rows, 1, MOST_BLOCKS), job);
}

/* The second half of a bias gradient. */
static lk_status sum_columns(const float *partial, unsigned blocks, int channels, float *out)
{
    lk_columns_job job = {.partial = partial, .out = out, .blocks = (int)blocks, .channels = channels};
    return LAUNCH(LK_CUDA_sum_columns, ((lk_cuda_grid){{(unsigned)pieces(channels, 32), 1, 1}, {32, 8}}), job);
}

static lk_status take_partial(const float *db, unsigned blocks, int channels, float **partial)
{
    *partial = NULL;
    return db ? take_scratch((size_t)blocks * (size_t)channels * sizeof **partial, (void **)partial) : LK_OK;
}

static lk_status bias_relu_backward(lk_device *d, lk_dtype dtype, void *dy, const void *y, int64_t rows, int64_t channels,
                                    float *db)
{
    (void)d;
    LK_TRY(require("bias_relu_backward", dtype, true));
    if (!y && !db)
        return LK_OK;
    lk_cuda_form form = form_of(dtype, channels, dy, y, NULL);
    lk_cuda_grid grid = row_grid(form, (int)channels, rows, SUM_ROWS, SUM_BLOCKS);
    lk_bias_job job = {.z = dy, .y = y, .rows = rows, .channels = (int)channels};
    LK_TRY(take_partial(db, grid.blocks[0], job.channels, &job.partial));
    LK_TRY(LAUNCH(LK_CUDA_bias_relu_backward + form, grid, job));
    return db ? sum_columns(job.partial, grid.blocks[0], job.channels, db) : LK_OK;
}

static lk_pool_job pool_job(const lk_map_shape *map, const void *full, const void *pooled, const uint8_t *choice)
{
    return (lk_pool_job){.full = (void *)(uintptr_t)full, /* each direction only reads some of them */
                         .pooled = (void *)(uintptr_t)pooled,
                         .choice = (uint8_t *)(uintptr_t)choice,
                         .samples = (int)map->samples,
                         .height = (int)map->rows,
                         .width = (int)map->columns,
                         .channels = (int)map->channels};
}

static lk_status bias_relu_pool(lk_device *d, lk_dtype dtype, const void *z, const float *bias, const lk_map_shape *map, void *y,
                                uint8_t *choice)
{
    (void)d;
    LK_TRY(require("bias_relu_pool", dtype, true));
    LK_TRY(count_pixels("bias_relu_pool", map));
    lk_cuda_form form = form_of(dtype, map->channels, z, y, choice);
    int64_t results = map->samples * (map->rows / 2) * (map->columns / 2);
    lk_pool_job job = pool_job(map, z, y, choice);
    job.bias = bias;
    return LAUNCH(LK_CUDA_bias_relu_pool + form, row_grid(form, job.channels, results, 1, MOST_BLOCKS), job);
}

static lk_status bias_relu_pool_backward(lk_device *d, lk_dtype dtype, const void *dy, const uint8_t *choice,
                                         const lk_map_shape *map, void *dz, float *db)
{
    (void)d;
    LK_TRY(require("bias_relu_pool_backward", dtype, true));
    LK_TRY(count_pixels("bias_relu_pool_backward", map));
    lk_cuda_form form = form_of(dtype, map->channels, dy, dz, choice);
    int64_t squares = map->samples * ((map->rows + 1) / 2) * ((map->columns + 1) / 2);
    lk_cuda_grid grid = row_grid(form, (int)map->channels, squares, SUM_ROWS, SUM_BLOCKS);
    lk_pool_job job = pool_job(map, dz, dy, choice);
    LK_TRY(take_partial(db, grid.blocks[0], job.channels, &job.partial));
    LK_TRY(LAUNCH(LK_CUDA_bias_relu_pool_backward + form, grid, job));
    return db ? sum_columns(job.partial, grid.blocks[0], job.channels, db) : LK_OK;
}

const lk_device_kernels lk_device_kernels_cuda = {
    .relu_backward = relu_backward,
    .add = add,
    .add_on = add_on,
    .narrow_on = narrow_on,
    .widen_on = widen_on,
    .scale = scale,
    .pictures = pictures,
    .pixels = pixels,
    .sum_squares = sum_squares,
    .pixel_loss = pixel_loss,
    .l1_loss = l1_loss,
    .discrete_loss = discrete_loss,
    .decoder_input = decoder_input,
    .group_norm = group_norm,
    .group_norm_backward = group_norm_backward,
    .batch_statistics = batch_statistics,
    .fuses = fuses,
    .bias_relu = bias_relu,
    .bias_relu_backward = bias_relu_backward,
    .bias_relu_pool = bias_relu_pool,
    .bias_relu_pool_backward = bias_relu_pool_backward,
};
