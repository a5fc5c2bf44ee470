#include "launch/bench/kernels.h"

#include "base/clock.h"
#include "base/random.h"
#include "trainer/micro_batch.h"
#include "trainer/model/decoder.h"
#include "trainer/model/encoder.h"
#include "trainer/tensor/fused.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LAYERS = LK_VGG_BLOCKS + 2 * LK_RESIDUAL_BLOCKS + LK_DECODER_BLOCKS, LEAST_RUNS = 3 };
static const double least_seconds = 0.1;

/* The demo's schema has as many. */
enum { CONTINUOUS = 35, CHOICES = 28 };

/* ---- the layers ---- */

typedef struct layer {
    char name[LK_WEIGHT_NAME];
    int count;
    lk_block block; /* what it is; nothing kept in it */
    int batch, size;
} layer;

typedef struct layer_list {
    layer items[MOST_LAYERS];
    int count;
} layer_list;

static bool is_same(const layer *l, const layer *m)
{
    const lk_block *a = &l->block, *b = &m->block;
    return l->size == m->size && a->in == b->in && a->out == b->out && a->kernel == b->kernel &&
           a->convolution.transposed == b->convolution.transposed && a->relu == b->relu && a->pool == b->pool &&
           a->first == b->first;
}

static void add_layer(layer_list *list, const lk_weights *weights, const lk_block *b, int batch, int size)
{
    /* A norm stands between: ReLU and pool are then no part of what kernels compute. */
    bool bare = b->norm != LK_NORM_NONE;
    layer new = {.count = 1,
                 .batch = batch,
                 .size = size,
                 .block = {.in = b->in,
                           .out = b->out,
                           .kernel = b->kernel,
                           .convolution = b->convolution,
                           .relu = b->relu && !bare,
                           .pool = b->pool && !bare,
                           .first = b->first}};
    snprintf(new.name, sizeof new.name, "%s", weights->items[b->weight].name);
    for (int i = 0; i < list->count; i++)
        if (is_same(&list->items[i], &new)) {
            list->items[i].count++;
            return;
        }
    list->items[list->count++] = new;
}

static lk_status add_encoder(layer_list *list, int size, double width, lk_norm norm, int batch)
{
    lk_encoder e;
    lk_encoder_shape shape = {size, width, norm, CONTINUOUS, CHOICES};
    LK_TRY(lk_encoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &e));
    for (int i = 0; i < LK_VGG_BLOCKS; i++) {
        add_layer(list, &e.weights, &e.features[i], batch, size);
        size /= e.features[i].pool ? 2 : 1;
    }
    for (int i = 0; i < LK_RESIDUAL_BLOCKS; i++)
        for (int k = 0; k < 2; k++)
            add_layer(list, &e.weights, &e.residual[i][k], batch, size);
    lk_encoder_free(&e);
    return LK_OK;
}

/* The frozen one, which trains the encoder. */
static lk_status add_decoder(layer_list *list, int size, double width, int batch)
{
    lk_decoder trained, d;
    lk_decoder_shape shape = {size, width, CONTINUOUS + CHOICES};
    LK_TRY(lk_decoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &trained));
    lk_status status = lk_decoder_fold(&trained, LK_DTYPE_F32, &d);
    lk_decoder_free(&trained);
    LK_TRY(status);
    for (int i = 0, map = 1; i < d.block_count; map = i == 0 ? 4 : 2 * map, i++)
        add_layer(list, &d.weights, &d.blocks[i], batch, map);
    lk_decoder_free(&d);
    return LK_OK;
}

/* ---- one layer's tensors ---- */

typedef struct bench {
    const layer *layer;
    lk_dtype dtype;
    const lk_peaks *peaks;
    lk_kernel_tell *tell;
    void *context;

    lk_tensor *x, *w, *b, *dy;       /* x and dy as the layer sees them; w and b as our kernels do */
    lk_tensor *narrow_w, *narrow_b;  /* as libtorch's operators do */
    lk_tensor *slope;                /* dy behind pool and ReLU */
    lk_tensor *y, *linear, *indices; /* of libtorch's forward: the output; in front of the pool; of its maxima */
    double *truth[3];                /* of lk_direction, in float64: y without ReLU and pool, dx, dw */
    size_t truth_count[3];
} bench;

static lk_tensor *random_tensor(lk_dtype dtype, int dims, const int64_t *sizes, double deviation, uint64_t stream)
{
    size_t count = 1;
    for (int i = 0; i < dims; i++)
        count *= (size_t)sizes[i];
    lk_random random = lk_random_make(1, stream);
    float *values = malloc(count * sizeof *values);
    if (!values) {
        lk_tensor_fail(LK_INTERNAL, "out of memory for the numbers of a layer");
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(deviation * lk_random_normal(&random));
    lk_tensor *t = lk_tensor_from_floats(values, dtype, dims, sizes);
    free(values);
    return t;
}

static int output_size(const layer *l)
{
    const lk_convolution_shape *c = &l->block.convolution;
    return c->transposed ? (l->size - 1) * c->stride - 2 * c->padding + l->block.kernel : l->size;
}

static void make_tensors(bench *t)
{
    const layer *l = t->layer;
    const lk_block *b = &l->block;
    int size = output_size(l), k = b->kernel;
    int64_t x[] = {l->batch, b->in, l->size, l->size}, y[] = {l->batch, b->out, size, size};
    int64_t w[] = {b->convolution.transposed ? b->in : b->out, b->convolution.transposed ? b->out : b->in, k, k};
    t->x = random_tensor(t->dtype, 4, x, 1, 1);
    t->slope = random_tensor(t->dtype, 4, y, 1, 2);
    t->w = random_tensor(LK_DTYPE_F32, 4, w, 1 / sqrt(k * k * b->in), 3);
    t->b = random_tensor(LK_DTYPE_F32, 1, (int64_t[]){b->out}, 1, 4);
    y[2] = y[3] = size / (b->pool ? 2 : 1);
    t->dy = random_tensor(t->dtype, 4, y, 1, 5);
    t->narrow_w = lk_tensor_cast(t->w, t->dtype);
    t->narrow_b = lk_tensor_cast(t->b, t->dtype);
}

static void free_tensors(bench *t)
{
    lk_tensor **all[] = {&t->x, &t->w, &t->b, &t->dy, &t->narrow_w, &t->narrow_b, &t->slope, &t->y, &t->linear, &t->indices};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        lk_tensor_free(all[i]);
    for (int i = 0; i < 3; i++)
        free(t->truth[i]);
}

/* ---- the truth, and errors against it: of the convolution alone, since a ReLU or a maximum may turn over by rounding ---- */

static double *doubles_of(const lk_tensor *t, size_t *count)
{
    *count = (size_t)lk_tensor_count(t);
    double *out = t ? malloc(*count * sizeof *out) : NULL;
    if (out)
        lk_tensor_to_doubles(t, out);
    else
        lk_tensor_fail(LK_INTERNAL, "out of memory for a layer in float64");
    return out;
}

static void find_truth(bench *t)
{
    const lk_convolution_shape *c = &t->layer->block.convolution;
    lk_tensor *x = lk_tensor_cast(t->x, LK_DTYPE_F64), *w = lk_tensor_cast(t->w, LK_DTYPE_F64);
    lk_tensor *b = lk_tensor_cast(t->b, LK_DTYPE_F64), *dy = lk_tensor_cast(t->slope, LK_DTYPE_F64);
    lk_tensor *results[3] = {lk_convolution(x, w, b, c), NULL, NULL};
    lk_convolution_backward(dy, x, w, c, &results[LK_DATA_GRADIENT], &results[LK_WEIGHT_GRADIENT], NULL);
    for (int i = 0; i < 3; i++) {
        t->truth[i] = doubles_of(results[i], &t->truth_count[i]);
        lk_tensor_free(&results[i]);
    }
    lk_tensor_free(&x);
    lk_tensor_free(&w);
    lk_tensor_free(&b);
    lk_tensor_free(&dy);
}

static double error_of(const bench *t, lk_direction direction, const lk_tensor *got)
{
    size_t count;
    double *values = doubles_of(got, &count), error = 0, norm = 0;
    for (size_t i = 0; values && t->truth[direction] && i < count && count == t->truth_count[direction]; i++) {
        error += pow(values[i] - t->truth[direction][i], 2);
        norm += pow(t->truth[direction][i], 2);
    }
    free(values);
    return sqrt(error / norm);
}

/* ---- ways to compute it ---- */

/* Computes the direction once; `bare` without ReLU and pool, from and to the tensors of the truth. The result is the caller's. */
typedef lk_tensor *way(bench *t, lk_fused *fused, lk_direction direction, bool bare);

static lk_tensor *torch_forward(bench *t, bool bare)
{
    const lk_block *b = &t->layer->block;
    lk_tensor *y = lk_convolution(t->x, t->narrow_w, t->narrow_b, &b->convolution);
    if (!bare && b->relu)
        lk_relu_(y);
    if (bare || !b->pool)
        return y;
    lk_tensor_free(&t->linear);
    lk_tensor_free(&t->indices);
    t->linear = y;
    return lk_max_pool(y, &t->indices);
}

/* The way back through pool and ReLU counts with the data gradient, in the first layer with that of the weights. */
static lk_tensor *by_torch(bench *t, lk_fused *fused, lk_direction direction, bool bare)
{
    const lk_block *b = &t->layer->block;
    (void)fused;
    if (direction == LK_FORWARD)
        return torch_forward(t, bare);
    bool whole = !bare && direction == (b->first ? LK_WEIGHT_GRADIENT : LK_DATA_GRADIENT);
    /* The ReLU's way back is in place, and the same when it is gone once more. */
    lk_tensor *dy = whole && b->pool ? lk_max_pool_backward(t->dy, t->linear, t->indices)
                                     : lk_tensor_share(bare || b->pool ? t->slope : t->dy);
    if (whole && b->relu)
        lk_relu_backward_(dy, b->pool ? t->linear : t->y);
    lk_tensor *dx = NULL, *dw = NULL, *db = NULL;
    if (direction == LK_DATA_GRADIENT)
        lk_convolution_backward(dy, t->x, t->narrow_w, &b->convolution, &dx, NULL, NULL);
    else
        lk_convolution_backward(dy, t->x, t->narrow_w, &b->convolution, NULL, &dw, &db);
    lk_tensor_free(&dy);
    lk_tensor_free(&db);
    return dx ? dx : dw;
}

static lk_tensor *by_kernel(bench *t, lk_fused *fused, lk_direction direction, bool bare)
{
    lk_tensor *dx = NULL, *dw = NULL, *db = NULL;
    const lk_tensor *dy = bare ? t->slope : t->dy;
    if (direction == LK_FORWARD)
        return lk_fused_forward(fused, t->x, t->w, t->b, 1);
    if (direction == LK_DATA_GRADIENT)
        lk_fused_backward(fused, dy, t->x, t->y, t->w, 1, &dx, NULL, NULL);
    else
        lk_fused_backward(fused, dy, t->x, t->y, t->w, 1, NULL, &dw, &db);
    lk_tensor_free(&db);
    return dx ? dx : dw;
}

/* ---- measuring ---- */

static double best_seconds(bench *t, way *compute, lk_fused *fused, lk_direction direction)
{
    double best = INFINITY, begin = lk_clock();
    for (int i = 0; i <= LEAST_RUNS || lk_clock() - begin < least_seconds; i++) {
        double start = lk_clock();
        lk_tensor *result = compute(t, fused, direction, false);
        double seconds = lk_clock() - start;
        lk_tensor_free(&result);
        if (i > 0 && seconds < best) /* the first makes what is kept */
            best = seconds;
    }
    return best;
}

static void measure(bench *t, way *compute, lk_fused *fused, lk_direction direction, bool chosen)
{
    static const char *const directions[] = {"forward", "data gradient", "weight gradient"};
    const layer *l = t->layer;
    const lk_block *b = &l->block;
    double outputs = b->convolution.transposed ? pow(l->size, 2) : pow(output_size(l), 2);
    double products = outputs * l->batch * b->in * b->out * b->kernel * b->kernel;
    double peak = t->dtype == LK_DTYPE_BF16 && t->peaks->bf16 > 0 ? t->peaks->bf16 : t->peaks->f32;
    lk_kernel_speed row = {.layer = l->name,
                           .layers = l->count,
                           .precision = t->dtype == LK_DTYPE_BF16 ? "bf16" : "f32",
                           .batch = l->batch,
                           .size = l->size,
                           .in = b->in,
                           .out = b->out,
                           .transposed = b->convolution.transposed,
                           .relu = b->relu,
                           .pool = b->pool,
                           .direction = directions[direction],
                           .kernel = fused ? fused->kernel->name : "torch",
                           .instructions = fused ? fused->kernel->instructions : "",
                           .chosen = chosen};
    row.ms = 1e3 * best_seconds(t, compute, fused, direction);
    row.gflops = 2e-6 * products / row.ms;
    row.share = row.gflops / peak;
    if (fused)
        fused->shape.relu = fused->shape.pool = false;
    lk_tensor *result = compute(t, fused, direction, true);
    row.error = error_of(t, direction, result);
    lk_tensor_free(&result);
    if (fused) {
        fused->shape.relu = b->relu;
        fused->shape.pool = b->pool;
    }
    t->tell(&row, t->context);
}

/* All directions by one way. Backward finds y and the pool's maxima as forward left them. */
static lk_status measure_way(bench *t, way *compute, lk_fused *fused, bool chosen)
{
    for (lk_direction d = LK_FORWARD; d <= LK_WEIGHT_GRADIENT; d++) {
        if (d == LK_DATA_GRADIENT && t->layer->block.first)
            continue;
        lk_tensor_free(&t->y);
        t->y = compute(t, fused, LK_FORWARD, false);
        measure(t, compute, fused, d, chosen);
        LK_TRY(lk_tensor_check());
    }
    return LK_OK;
}

static lk_status bench_layer(bench *t)
{
    const lk_block *b = &t->layer->block;
    make_tensors(t);
    find_truth(t);
    lk_fused fused = {0};
    lk_convolution3 wanted = {.out = b->out, .transposed = b->convolution.transposed, .relu = b->relu, .pool = b->pool};
    bool has_kernels = lk_block_has_kernels(b), suits = has_kernels && lk_fused_suits(&fused, t->x, &wanted);
    const lk_kernel *chosen = suits ? fused.kernel : NULL;
    lk_status status = lk_tensor_check();
    if (status == LK_OK)
        status = measure_way(t, by_torch, NULL, !chosen);
    for (int i = 0; status == LK_OK && has_kernels && lk_kernel_at(i); i++) {
        const lk_kernel *kernel = lk_kernel_at(i);
        if ((kernel->needs & lk_cpu_detect()) != kernel->needs || !kernel->suits(&fused.shape))
            continue;
        lk_fused one = {.kernel = kernel, .shape = fused.shape};
        status = measure_way(t, by_kernel, &one, kernel == chosen);
        lk_fused_free(&one);
    }
    free_tensors(t);
    return status;
}

/* ---- all of them ---- */

static lk_status bench_layers(const layer_list *list, lk_dtype dtype, const lk_peaks *peaks, lk_kernel_tell *tell, void *context)
{
    for (int i = 0; i < list->count; i++) {
        bench t = {.layer = &list->items[i], .dtype = dtype, .peaks = peaks, .tell = tell, .context = context};
        LK_TRY(bench_layer(&t));
    }
    return LK_OK;
}

lk_status lk_bench_kernels(const lk_config *config, const lk_peaks *peaks, lk_kernel_tell *tell, void *context)
{
    layer_list list = {.count = 0};
    if (config) {
        int batch = config->train.micro_batch ? config->train.micro_batch : lk_choose_micro_batch(config, 1, lk_tensor_memory());
        LK_TRY(add_encoder(&list, config->model.size, config->model.encoder.width, config->model.encoder.norm, batch));
        LK_TRY(add_decoder(&list, config->model.size, config->model.decoder.width, batch));
        return bench_layers(&list, config->train.precision == LK_BF16 ? LK_DTYPE_BF16 : LK_DTYPE_F32, peaks, tell, context);
    }
    static const struct {
        int size, batch;
        double width;
    } models[] = {{128, 8, 1}, {64, 16, 0.25}};
    for (int i = 0; i < 4; i++) {
        list.count = 0;
        LK_TRY(add_encoder(&list, models[i % 2].size, models[i % 2].width, LK_NORM_NONE, models[i % 2].batch));
        LK_TRY(add_decoder(&list, models[i % 2].size, models[i % 2].width, models[i % 2].batch));
        LK_TRY(bench_layers(&list, i < 2 ? LK_DTYPE_F32 : LK_DTYPE_BF16, peaks, tell, context));
    }
    return LK_OK;
}
