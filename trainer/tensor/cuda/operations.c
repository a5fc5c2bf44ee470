#include "trainer/tensor/cuda/operations.h"

#include "trainer/tensor/cuda/module.h"

#include <limits.h>
#include <stdlib.h>

enum {
    MOST_BLOCKS = 4096,   /* of a kernel that sums nothing: more would only take turns */
    SUM_BLOCKS = 1024,    /* whose partial sums a second kernel adds up */
    SUM_ROWS = 8,         /* at least so many rows a thread before another block is taken */
    NORM_PIXELS = 32,     /* that a thread adds up in float32 (group_norm.cu) */
    ROW_CHUNK = 8192,     /* numbers of a row that one block adds up */
    MOST_GRID_YZ = 65535, /* of any GPU */
    SCRATCH_ALIGNMENT = 256
};

struct lk_cuda {
    lk_device *device;
    lk_cuda_module *module;
    char *scratch;
    size_t scratch_size;
};

lk_status lk_cuda_open(lk_device *device, const lk_cuda_driver *driver, const lk_nvrtc *nvrtc, lk_cuda **out)
{
    *out = NULL;
    lk_cuda *cuda = calloc(1, sizeof *cuda);
    if (!cuda)
        return lk_fail(LK_INTERNAL, "out of memory");
    cuda->device = device;
    lk_status status = lk_cuda_module_open(driver, nvrtc, &cuda->module);
    if (status == LK_OK)
        *out = cuda;
    else
        free(cuda);
    return status;
}

void lk_cuda_close(lk_cuda *cuda)
{
    if (!cuda)
        return;
    lk_cuda_module_close(cuda->module);
    lk_device_free(cuda->device, cuda->scratch);
    free(cuda);
}

/* ---- launching ---- */

/* job: a struct, not a pointer. */
#define LAUNCH(cuda, kernel, grid, job) launch(cuda, (lk_cuda_kernel)(kernel), grid, &(job), sizeof(job))
static lk_status launch(lk_cuda *cuda, lk_cuda_kernel kernel, lk_cuda_grid grid, const void *job, size_t job_size)
{
    if (grid.blocks[1] > MOST_GRID_YZ || grid.blocks[2] > MOST_GRID_YZ)
        return lk_fail(LK_INTERNAL, "CUDA kernel %s: %u samples at once are too many; lower train.micro_batch",
                       lk_cuda_kernels[kernel].name, grid.blocks[1] > grid.blocks[2] ? grid.blocks[1] : grid.blocks[2]);
    return lk_cuda_launch(cuda->module, kernel, &grid, lk_device_stream(cuda->device), job, job_size);
}

/* Memory of the device until the next call: what later kernels write comes after what earlier ones read, on one stream. */
static lk_status take_scratch(lk_cuda *cuda, size_t bytes, void **out)
{
    if (bytes > cuda->scratch_size) {
        size_t wanted = bytes + bytes / 2;
        lk_device_free(cuda->device, cuda->scratch);
        cuda->scratch_size = 0;
        cuda->scratch = lk_device_alloc(cuda->device, wanted);
        if (!cuda->scratch)
            return LK_INTERNAL;
        cuda->scratch_size = wanted;
    }
    *out = cuda->scratch;
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

static int64_t pieces(int64_t n, int64_t size)
{
    int64_t count = (n + size - 1) / size;
    return count > 0 ? count : 1;
}

static lk_cuda_grid flat_grid(int64_t threads)
{
    return (lk_cuda_grid){{(unsigned)at_most(pieces(threads, LK_CUDA_THREADS), MOST_BLOCKS), 1, 1}, {LK_CUDA_THREADS, 1}};
}

static lk_cuda_grid one_block(void)
{
    return flat_grid(1);
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

static lk_cuda_form single_form(lk_cuda_format format)
{
    return format == LK_CUDA_BFLOAT ? LK_CUDA_BF16_SINGLE : LK_CUDA_F32_SINGLE;
}

/* Whole packs where rows of so many numbers and all of that memory (NULL counts as good) allow. */
static lk_cuda_form form_of(lk_cuda_format format, int64_t row, const void *a, const void *b, const void *c)
{
    lk_cuda_form packed = format == LK_CUDA_BFLOAT ? LK_CUDA_BF16 : LK_CUDA_F32;
    bool whole = is_aligned(a) && is_aligned(b) && is_aligned(c) && row % lanes_of(packed) == 0;
    return whole ? packed : single_form(format);
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

/* ---- element by element ---- */

lk_status lk_cuda_relu_backward(lk_cuda *cuda, lk_cuda_format format, void *dy, const void *y, int64_t count)
{
    lk_cuda_form form = form_of(format, 0, dy, y, NULL);
    lk_flat_job job = {.out = dy, .in = y, .count = count};
    return LAUNCH(cuda, LK_CUDA_relu_backward + form, flat_grid(count / lanes_of(form)), job);
}

lk_status lk_cuda_add(lk_cuda *cuda, lk_cuda_format format, void *a, const void *b, float factor, int64_t count)
{
    lk_cuda_form form = form_of(format, 0, a, b, NULL);
    lk_flat_job job = {.out = a, .in = b, .factor = factor, .count = count};
    return LAUNCH(cuda, LK_CUDA_add + form, flat_grid(count / lanes_of(form)), job);
}

lk_status lk_cuda_scale(lk_cuda *cuda, lk_cuda_format format, void *a, float factor, int64_t count)
{
    lk_cuda_form form = form_of(format, 0, a, NULL, NULL);
    lk_flat_job job = {.out = a, .factor = factor, .count = count};
    return LAUNCH(cuda, LK_CUDA_scale + form, flat_grid(count / lanes_of(form)), job);
}

lk_status lk_cuda_multiply_rows(lk_cuda *cuda, lk_cuda_format format, void *a, const double *factors, int64_t rows,
                                int64_t length)
{
    lk_cuda_grid grid = flat_grid(length);
    lk_flat_job job = {.out = a, .factors = factors, .length = length};
    grid.blocks[1] = (unsigned)rows;
    return LAUNCH(cuda, LK_CUDA_multiply_rows + single_form(format), grid, job);
}

lk_status lk_cuda_narrow(lk_cuda *cuda, const float *in, uint16_t *out, int64_t count)
{
    lk_flat_job job = {.out = out, .in = in, .count = count};
    if (!is_aligned(in) || !is_aligned(out))
        return lk_fail(LK_INTERNAL, "CUDA kernel narrow: memory that does not begin at a multiple of %d bytes", LK_CUDA_PACK);
    return LAUNCH(cuda, LK_CUDA_narrow, flat_grid(count / 8), job);
}

/* ---- sums in float64 ---- */

/* *out = sum of values / divisor, or *out += it */
static lk_status add_up(lk_cuda *cuda, const double *values, int64_t count, double divisor, bool add, double *out)
{
    lk_total_job job = {.values = values, .out = out, .divisor = divisor, .count = (int)count, .add = add};
    return LAUNCH(cuda, LK_CUDA_total, one_block(), job);
}

/* out[row] over x - t, or x where t is NULL. `partial`: row_chunks(length) doubles a row. */
static int64_t row_chunks(int64_t length)
{
    return at_most(pieces(length, ROW_CHUNK), SUM_BLOCKS);
}
static lk_status sum_rows(lk_cuda *cuda, lk_cuda_format format, const void *x, const void *t, bool squares, int64_t rows,
                          int64_t length, double *partial, double *out)
{
    int chunks = (int)row_chunks(length);
    lk_row_sums_job job = {.x = x, .t = t, .partial = partial, .length = length, .chunks = chunks, .squares = squares};
    lk_cuda_grid grid = {{(unsigned)chunks, (unsigned)rows, 1}, {LK_CUDA_THREADS, 1}};
    LK_TRY(LAUNCH(cuda, LK_CUDA_row_sums + single_form(format), grid, job));
    lk_finish_rows_job finish = {.partial = partial, .out = out, .rows = (int)rows, .chunks = chunks};
    return LAUNCH(cuda, LK_CUDA_finish_rows, flat_grid(rows), finish);
}

lk_status lk_cuda_row_sums(lk_cuda *cuda, lk_cuda_format format, const void *x, bool squares, int64_t rows, int64_t length,
                           double *out)
{
    void *partial;
    LK_TRY(take_scratch(cuda, (size_t)(rows * row_chunks(length)) * sizeof(double), &partial));
    return sum_rows(cuda, format, x, NULL, squares, rows, length, partial, out);
}

lk_status lk_cuda_sum_squares(lk_cuda *cuda, const float *x, int64_t count, bool add, double *out)
{
    lk_cuda_grid grid = flat_grid(count);
    grid.blocks[0] = (unsigned)at_most(grid.blocks[0], SUM_BLOCKS);
    lk_squares_job job = {.x = x, .count = count};
    LK_TRY(take_scratch(cuda, SUM_BLOCKS * sizeof(double), (void **)&job.partial));
    LK_TRY(LAUNCH(cuda, LK_CUDA_range_squares, grid, job));
    return add_up(cuda, job.partial, grid.blocks[0], 1, add, out);
}

/* ---- what follows a convolution ---- */

/* Pixels of all samples, which the kernels count in int. */
static lk_status rows_of(const lk_cuda_maps *maps, int64_t *rows)
{
    *rows = maps->samples * maps->height * maps->width;
    if (*rows > INT_MAX / 2)
        return lk_fail(LK_INTERNAL, "%lld pixels at once are too many for a GPU; lower train.micro_batch", (long long)*rows);
    return LK_OK;
}

lk_status lk_cuda_bias(lk_cuda *cuda, lk_cuda_format format, void *z, const void *bias, bool relu, const lk_cuda_maps *maps)
{
    int64_t rows;
    LK_TRY(rows_of(maps, &rows));
    lk_cuda_form form = form_of(format, maps->channels, z, NULL, NULL);
    lk_bias_job job = {.z = z, .bias = bias, .rows = rows, .channels = maps->channels, .relu = relu};
    return LAUNCH(cuda, LK_CUDA_bias_relu + form, row_grid(form, maps->channels, rows, 1, MOST_BLOCKS), job);
}

/* The second half of a bias gradient. */
static lk_status sum_columns(lk_cuda *cuda, const float *partial, unsigned blocks, int channels, float *out)
{
    lk_columns_job job = {.partial = partial, .out = out, .blocks = (int)blocks, .channels = channels};
    return LAUNCH(cuda, LK_CUDA_sum_columns, ((lk_cuda_grid){{(unsigned)pieces(channels, 32), 1, 1}, {32, 8}}), job);
}

static lk_status take_partial(lk_cuda *cuda, const float *dbias, unsigned blocks, int channels, float **partial)
{
    *partial = NULL;
    return dbias ? take_scratch(cuda, (size_t)blocks * (size_t)channels * sizeof **partial, (void **)partial) : LK_OK;
}

lk_status lk_cuda_bias_backward(lk_cuda *cuda, lk_cuda_format format, void *dy, const void *y, float *dbias,
                                const lk_cuda_maps *maps)
{
    int64_t rows;
    LK_TRY(rows_of(maps, &rows));
    if (!y && !dbias)
        return LK_OK;
    lk_cuda_form form = form_of(format, maps->channels, dy, y, NULL);
    lk_cuda_grid grid = row_grid(form, maps->channels, rows, SUM_ROWS, SUM_BLOCKS);
    lk_bias_job job = {.z = dy, .y = y, .rows = rows, .channels = maps->channels};
    LK_TRY(take_partial(cuda, dbias, grid.blocks[0], maps->channels, &job.partial));
    LK_TRY(LAUNCH(cuda, LK_CUDA_bias_relu_backward + form, grid, job));
    return dbias ? sum_columns(cuda, job.partial, grid.blocks[0], maps->channels, dbias) : LK_OK;
}

lk_status lk_cuda_bias_pool(lk_cuda *cuda, lk_cuda_format format, const void *z, const void *bias, void *pooled, uint8_t *choice,
                            const lk_cuda_maps *maps)
{
    int64_t rows;
    LK_TRY(rows_of(maps, &rows));
    if (maps->height < 2 || maps->width < 2)
        return lk_fail(LK_INTERNAL, "a pool of %d x %d pixels", maps->height, maps->width);
    lk_cuda_form form = form_of(format, maps->channels, z, pooled, choice);
    int64_t results = maps->samples * (maps->height / 2) * (maps->width / 2);
    lk_pool_job job = {.full = (void *)(uintptr_t)z, /* forward only reads it */
                       .pooled = pooled,
                       .bias = bias,
                       .choice = choice,
                       .samples = (int)maps->samples,
                       .height = maps->height,
                       .width = maps->width,
                       .channels = maps->channels};
    return LAUNCH(cuda, LK_CUDA_bias_relu_pool + form, row_grid(form, maps->channels, results, 1, MOST_BLOCKS), job);
}

lk_status lk_cuda_bias_pool_backward(lk_cuda *cuda, lk_cuda_format format, const void *dpooled, const uint8_t *choice, void *dz,
                                     float *dbias, const lk_cuda_maps *maps)
{
    int64_t rows;
    LK_TRY(rows_of(maps, &rows));
    lk_cuda_form form = form_of(format, maps->channels, dpooled, dz, choice);
    int64_t squares = maps->samples * ((maps->height + 1) / 2) * ((maps->width + 1) / 2);
    lk_cuda_grid grid = row_grid(form, maps->channels, squares, SUM_ROWS, SUM_BLOCKS);
    lk_pool_job job = {.full = dz,
                       .pooled = (void *)(uintptr_t)dpooled, /* backward only reads them */
                       .choice = (uint8_t *)(uintptr_t)choice,
                       .samples = (int)maps->samples,
                       .height = maps->height,
                       .width = maps->width,
                       .channels = maps->channels};
    LK_TRY(take_partial(cuda, dbias, grid.blocks[0], maps->channels, &job.partial));
    LK_TRY(LAUNCH(cuda, LK_CUDA_bias_relu_pool_backward + form, grid, job));
    return dbias ? sum_columns(cuda, job.partial, grid.blocks[0], maps->channels, dbias) : LK_OK;
}

/* ---- group norm ---- */

/* Sums of u v and of u over the pixels of each chunk. */
static lk_status norm_sums(lk_cuda *cuda, lk_cuda_form form, const void *u, const void *v, const lk_cuda_maps *maps, int chunks,
                           double *sums)
{
    lk_cuda_grid grid = channel_grid(form, maps->channels);
    grid.blocks[0] = (unsigned)chunks;
    grid.blocks[2] = (unsigned)maps->samples;
    lk_norm_sums_job job = {
        .u = u, .v = v, .sums = sums, .pixels = maps->height * maps->width, .channels = maps->channels, .chunks = chunks};
    return LAUNCH(cuda, LK_CUDA_norm_sums + form, grid, job);
}

static lk_status norm_apply(lk_cuda *cuda, lk_cuda_form form, const void *u, const void *v, const lk_cuda_maps *maps,
                            const float *factors, void *out)
{
    int pixels = maps->height * maps->width;
    lk_cuda_grid grid = row_grid(form, maps->channels, pixels, 4, MOST_BLOCKS);
    grid.blocks[2] = (unsigned)maps->samples;
    lk_norm_apply_job job = {.u = u, .v = v, .factors = factors, .out = out, .pixels = pixels, .channels = maps->channels};
    return LAUNCH(cuda, LK_CUDA_norm_apply + form, grid, job);
}

/* What both passes share: the job of the kernels in between, its memory, and the chunks of a sample. */
static lk_status norm_prepare(lk_cuda *cuda, lk_cuda_form form, const lk_cuda_maps *maps, int groups, const float *scale,
                              lk_norm_statistics_job *job, double **sums)
{
    int64_t rows;
    LK_TRY(rows_of(maps, &rows));
    int pixels = maps->height * maps->width;
    int chunks = (int)pieces(pixels, (int64_t)channel_grid(form, maps->channels).threads[1] * NORM_PIXELS);
    size_t channels = (size_t)maps->samples * (size_t)maps->channels;
    size_t sums_size = padded(2 * (size_t)chunks * channels * sizeof(double)), each = padded(channels * sizeof(double));
    void *memory;
    LK_TRY(take_scratch(cuda, sums_size + 2 * each + 3 * channels * sizeof(float), &memory));
    *sums = memory;
    *job = (lk_norm_statistics_job){.sums = memory,
                                    .scale = scale,
                                    .products = (double *)((char *)memory + sums_size),
                                    .totals = (double *)((char *)memory + sums_size + each),
                                    .factors = (float *)((char *)memory + sums_size + 2 * each),
                                    .samples = (int)maps->samples,
                                    .pixels = pixels,
                                    .channels = maps->channels,
                                    .chunks = chunks,
                                    .groups = groups};
    return LK_OK;
}

static lk_cuda_grid block_a_sample(const lk_cuda_maps *maps)
{
    return (lk_cuda_grid){{(unsigned)maps->samples, 1, 1}, {64, 1}};
}

lk_status lk_cuda_group_norm(lk_cuda *cuda, lk_cuda_format format, const void *x, const float *scale, const float *shift,
                             int groups, double eps, const lk_cuda_maps *maps, void *y, double *mean, double *rstd)
{
    lk_cuda_form form = form_of(format, maps->channels, x, y, NULL);
    lk_norm_statistics_job job;
    double *sums;
    LK_TRY(norm_prepare(cuda, form, maps, groups, scale, &job, &sums));
    job.shift = shift;
    job.eps = eps;
    job.mean = mean;
    job.rstd = rstd;
    LK_TRY(norm_sums(cuda, form, x, x, maps, job.chunks, sums));
    LK_TRY(LAUNCH(cuda, LK_CUDA_norm_statistics, block_a_sample(maps), job));
    return norm_apply(cuda, form, x, NULL, maps, job.factors, y);
}

lk_status lk_cuda_group_norm_backward(lk_cuda *cuda, lk_cuda_format format, const void *dy, const void *x, const float *scale,
                                      int groups, const double *mean, const double *rstd, const lk_cuda_maps *maps, void *dx,
                                      float *dscale, float *dshift)
{
    lk_cuda_form form = form_of(format, maps->channels, dy, x, dx);
    lk_norm_statistics_job job;
    double *sums;
    LK_TRY(norm_prepare(cuda, form, maps, groups, scale, &job, &sums));
    job.mean = (double *)(uintptr_t)mean; /* backward only reads them */
    job.rstd = (double *)(uintptr_t)rstd;
    job.dscale = dscale;
    job.dshift = dshift;
    LK_TRY(norm_sums(cuda, form, dy, x, maps, job.chunks, sums));
    LK_TRY(LAUNCH(cuda, LK_CUDA_norm_slopes, block_a_sample(maps), job));
    LK_TRY(LAUNCH(cuda, LK_CUDA_norm_gradients, flat_grid(maps->channels), job));
    return norm_apply(cuda, form, dy, x, maps, job.factors, dx);
}

lk_status lk_cuda_batch_statistics(lk_cuda *cuda, const float *mean, const float *rstd, int channels, double samples, double eps,
                                   double share, float *mean_out, float *variance_out)
{
    lk_batch_statistics_job job = {.mean = mean,
                                   .rstd = rstd,
                                   .mean_out = mean_out,
                                   .variance_out = variance_out,
                                   .eps = eps,
                                   .samples = samples,
                                   .share = share,
                                   .channels = channels};
    return LAUNCH(cuda, LK_CUDA_batch_statistics, flat_grid(channels), job);
}

/* ---- pictures ---- */

lk_status lk_cuda_pictures(lk_cuda *cuda, lk_cuda_format format, const uint8_t *pixels, const float mean[3],
                           const float deviation[3], void *values, int64_t count)
{
    lk_cuda_form form = form_of(format, 0, pixels, values, NULL);
    lk_pictures_job job = {.pixels = (uint8_t *)(uintptr_t)pixels, .values = values, .count = count};
    for (int c = 0; c < 3; c++) {
        job.mean[c] = mean[c];
        job.deviation[c] = deviation[c];
    }
    return LAUNCH(cuda, LK_CUDA_pictures + form, flat_grid(count / lanes_of(form)), job);
}

lk_status lk_cuda_pixels(lk_cuda *cuda, lk_cuda_format format, const void *values, uint8_t *pixels, int64_t count)
{
    lk_pictures_job job = {.pixels = pixels, .values = (void *)(uintptr_t)values, .count = count};
    return LAUNCH(cuda, LK_CUDA_pictures_to_pixels + single_form(format), flat_grid(count), job);
}

/* ---- losses ---- */

lk_status lk_cuda_pixel_loss(lk_cuda *cuda, lk_cuda_format format, const void *y, const void *t, int64_t samples, int64_t length,
                             double share, void *dy, double *loss)
{
    size_t partial = padded((size_t)(samples * row_chunks(length)) * sizeof(double)),
           sums = padded((size_t)samples * sizeof(double));
    void *memory;
    LK_TRY(take_scratch(cuda, partial + 2 * sums, &memory));
    lk_pixel_job job = {.y = y,
                        .t = t,
                        .dy = dy,
                        .sums = (double *)((char *)memory + partial),
                        .factors = (float *)((char *)memory + partial + sums),
                        .share = share,
                        .length = length,
                        .samples = (int)samples};
    LK_TRY(sum_rows(cuda, format, y, t, true, samples, length, memory, job.sums));
    LK_TRY(LAUNCH(cuda, LK_CUDA_pixel_norms, flat_grid(samples), job));
    LK_TRY(add_up(cuda, job.sums, samples, 1, true, loss));
    lk_cuda_grid grid = flat_grid(length);
    grid.blocks[1] = (unsigned)samples;
    return dy ? LAUNCH(cuda, LK_CUDA_pixel_gradient + single_form(format), grid, job) : LK_OK;
}

lk_status lk_cuda_l1_loss(lk_cuda *cuda, lk_cuda_format format, const void *y, const void *t, int64_t samples, int64_t length,
                          double share, void *dy, double *loss)
{
    size_t partial = padded((size_t)(samples * row_chunks(length)) * sizeof(double));
    void *memory;
    LK_TRY(take_scratch(cuda, partial + (size_t)samples * sizeof(double), &memory));
    double *sums = (double *)((char *)memory + partial);
    LK_TRY(sum_rows(cuda, format, y, t, false, samples, length, memory, sums));
    lk_pixel_job job = {
        .y = y, .t = t, .dy = dy, .length = length, .samples = (int)samples, .step = (float)(share / (double)length)};
    LK_TRY(add_up(cuda, sums, samples, (double)length, true, loss));
    return dy ? LAUNCH(cuda, LK_CUDA_absolute_gradient + single_form(format), flat_grid(samples * length), job) : LK_OK;
}

lk_status lk_cuda_cross_entropy(lk_cuda *cuda, const lk_cuda_choices *choices, const float *logits, const uint8_t *labels,
                                int64_t samples, double share, float *dlogits, double *loss)
{
    int64_t count = samples * choices->groups;
    lk_entropy_job job = {.logits = logits,
                          .labels = labels,
                          .begins = choices->begins,
                          .dlogits = dlogits,
                          .share = share,
                          .samples = (int)samples,
                          .groups = choices->groups};
    if (count == 0)
        return LK_OK;
    LK_TRY(take_scratch(cuda, (size_t)count * sizeof(double), (void **)&job.losses));
    LK_TRY(LAUNCH(cuda, LK_CUDA_cross_entropy, flat_grid(count), job));
    return add_up(cuda, job.losses, count, 1, true, loss);
}

lk_status lk_cuda_decoder_input(lk_cuda *cuda, const lk_cuda_choices *choices, const float *continuous, int continuous_count,
                                const uint8_t *labels, int64_t samples, float *input)
{
    lk_decoder_input_job job = {.continuous = continuous,
                                .labels = labels,
                                .begins = choices->begins,
                                .input = input,
                                .samples = (int)samples,
                                .continuous_count = continuous_count,
                                .groups = choices->groups};
    return LAUNCH(cuda, LK_CUDA_decoder_input, flat_grid(samples * (continuous_count + choices->choices)), job);
}

lk_status lk_cuda_first_columns(lk_cuda *cuda, const float *dinput, int64_t samples, int width, int columns, float *dcontinuous)
{
    lk_columns_of_job job = {
        .dinput = dinput, .dcontinuous = dcontinuous, .samples = (int)samples, .width = width, .columns = columns};
    return LAUNCH(cuda, LK_CUDA_decoder_input_gradient, flat_grid(samples * columns), job);
}
