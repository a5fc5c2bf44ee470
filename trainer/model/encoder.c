#include "trainer/model/encoder.h"

#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* VGG19, configuration E; the last of each group is followed by a pool. */
static const struct {
    int channels;
    bool pool;
} vgg19[LK_VGG_BLOCKS] = {
    {64, false},  {64, true},   {128, false}, {128, true}, {256, false}, {256, false}, {256, false}, {256, true},
    {512, false}, {512, false}, {512, false}, {512, true}, {512, false}, {512, false}, {512, false}, {512, true},
};

static int scaled(int channels, double width)
{
    return (int)(channels * width);
}

static lk_block convolution_block(int in, int out, lk_norm norm, bool relu, bool pool)
{
    return (lk_block){
        .in = in, .out = out, .kernel = 3, .convolution = {.stride = 1, .padding = 1}, .norm = norm, .relu = relu, .pool = pool};
}

/* N counts the modules of torchvision's nn.Sequential: convolution, norm if there is one, ReLU, pool. */
static int add_features(lk_encoder *e)
{
    int channels = 3;
    int module = 0;
    lk_norm norm = e->shape.norm;
    for (int i = 0; i < LK_VGG_BLOCKS; i++) {
        char name[LK_WEIGHT_NAME], norm_name[LK_WEIGHT_NAME];
        int out = scaled(vgg19[i].channels, e->shape.width);
        e->features[i] = convolution_block(channels, out, norm, true, vgg19[i].pool);
        e->features[i].first = i == 0;
        snprintf(name, sizeof name, "encoder.features.%d", module);
        snprintf(norm_name, sizeof norm_name, "encoder.features.%d", module + 1);
        lk_block_add_weights(&e->features[i], &e->weights, name, norm_name);
        module += 2 + (norm != LK_NORM_NONE) + vgg19[i].pool;
        channels = out;
    }
    return channels;
}

static void add_residual(lk_encoder *e, int channels)
{
    for (int i = 0; i < LK_RESIDUAL_BLOCKS; i++)
        for (int k = 0; k < 2; k++) {
            char name[LK_WEIGHT_NAME], norm_name[LK_WEIGHT_NAME];
            e->residual[i][k] = convolution_block(channels, channels, e->shape.norm, k == 0, false);
            snprintf(name, sizeof name, "encoder.residual.%d.conv%d", i, k + 1);
            snprintf(norm_name, sizeof norm_name, "encoder.residual.%d.norm%d", i, k + 1);
            lk_block_add_weights(&e->residual[i][k], &e->weights, name, norm_name);
        }
}

lk_status lk_encoder_create(const lk_encoder_shape *shape, lk_dtype dtype, lk_dtype compute, lk_encoder *e)
{
    *e = (lk_encoder){.shape = *shape};
    int least = scaled(64, shape->width);
    int needed = shape->norm == LK_NORM_GROUP ? 2 : 1;
    if (least < needed)
        return lk_fail(LK_BAD_CONFIG, "model.encoder.width %g leaves %d channels in the first layer; it needs %g or more",
                       shape->width, least, needed / 64.0);
    lk_weights_init(&e->weights, dtype, compute);
    int channels = add_features(e);
    add_residual(e, channels);
    e->map_channels = channels;
    e->map_size = shape->size / 32;
    int64_t flat = (int64_t)channels * e->map_size * e->map_size;
    const char *names[2] = {"continuous", "discrete"};
    int64_t outputs[2] = {shape->continuous_count, shape->choice_count};
    for (int h = 0; h < 2; h++) {
        e->heads[h][0] = lk_weights_add(&e->weights, 2, (int64_t[]){outputs[h], flat}, "encoder.%s.weight", names[h]);
        e->heads[h][1] = lk_weights_add(&e->weights, 1, (int64_t[]){outputs[h]}, "encoder.%s.bias", names[h]);
    }
    lk_status status = lk_weights_finish(&e->weights);
    if (status != LK_OK)
        lk_encoder_free(e);
    return status;
}

void lk_encoder_free(lk_encoder *e)
{
    for (int i = 0; i < LK_VGG_BLOCKS; i++)
        lk_block_free(&e->features[i]);
    for (int i = 0; i < LK_RESIDUAL_BLOCKS; i++) {
        lk_block_free(&e->residual[i][0]);
        lk_block_free(&e->residual[i][1]);
        lk_tensor_free(&e->residual_y[i]);
    }
    lk_tensor_free(&e->flat);
    lk_tensor_free(&e->continuous);
    lk_weights_free(&e->weights);
}

lk_status lk_encoder_initialize(lk_encoder *e, uint64_t seed)
{
    for (int i = 0; i < e->weights.count; i++) {
        lk_weight *w = &e->weights.items[i];
        double deviation = w->dims == 4 ? sqrt(2.0 / (double)(w->sizes[0] * w->sizes[2] * w->sizes[3])) : 0.01;
        lk_random random = lk_random_make(seed, (uint64_t)i);
        bool norm_scale = false;
        for (int b = 0; b < LK_VGG_BLOCKS; b++)
            norm_scale |= e->features[b].scale == i;
        for (int b = 0; b < 2 * LK_RESIDUAL_BLOCKS; b++)
            norm_scale |= e->residual[b / 2][b % 2].scale == i;
        float *values = malloc(w->count * sizeof *values);
        if (!values)
            return lk_fail(LK_INTERNAL, "out of memory for the first values of %s", w->name);
        for (size_t k = 0; k < w->count; k++)
            values[k] = w->dims == 1 ? (float)norm_scale : (float)deviation * lk_random_normal(&random);
        lk_tensor *start = lk_tensor_from_floats(values, LK_DTYPE_F32, w->dims, w->sizes);
        lk_tensor_copy_(w->value, start);
        lk_tensor_free(&start);
        free(values);
    }
    lk_weights_refresh(&e->weights);
    return lk_tensor_check();
}

lk_status lk_encoder_set_continuous_bias(lk_encoder *e, const double *mean)
{
    lk_weight *bias = &e->weights.items[e->heads[0][1]];
    float *values = malloc(bias->count * sizeof *values);
    if (!values)
        return lk_fail(LK_INTERNAL, "out of memory for the first values of %s", bias->name);
    for (size_t k = 0; k < bias->count; k++) {
        double m = fmin(fmax(mean[k], 0.01), 0.99);
        values[k] = (float)log(m / (1.0 - m));
    }
    lk_tensor *start = lk_tensor_from_floats(values, LK_DTYPE_F32, 1, bias->sizes);
    lk_tensor_copy_(bias->value, start);
    lk_tensor_free(&start);
    free(values);
    lk_weights_refresh(&e->weights);
    return lk_tensor_check();
}

void lk_encoder_set_continuous_lr(lk_encoder *e, double factor)
{
    e->weights.items[e->heads[0][0]].lr_factor = factor;
    e->weights.items[e->heads[0][1]].lr_factor = factor;
}

/* ---- relu(x + conv2(relu(conv1(x)))) ---- */

static lk_tensor *residual_forward(lk_encoder *e, int i, lk_tensor *x, bool keep)
{
    lk_tensor *inner = lk_block_forward(&e->residual[i][0], &e->weights, x, keep);
    lk_tensor *y = lk_block_forward(&e->residual[i][1], &e->weights, inner, keep);
    lk_tensor_free(&inner);
    lk_add_(y, x);
    lk_relu_(y);
    lk_tensor_free(&x);
    lk_tensor_free(&e->residual_y[i]);
    if (keep)
        e->residual_y[i] = lk_tensor_share(y);
    return y;
}

static lk_tensor *residual_backward(lk_encoder *e, int i, lk_tensor *dy)
{
    lk_relu_backward_(dy, e->residual_y[i]);
    lk_tensor_free(&e->residual_y[i]);
    lk_tensor *inner = lk_block_backward(&e->residual[i][1], &e->weights, lk_tensor_share(dy));
    lk_tensor *dx = lk_block_backward(&e->residual[i][0], &e->weights, inner);
    lk_add_(dx, dy);
    lk_tensor_free(&dy);
    return dx;
}

/* ---- a head: fully connected, results in the values' type ---- */

static lk_tensor *head_forward(lk_encoder *e, int head)
{
    lk_tensor *narrow = lk_linear(e->flat, lk_weights_compute(&e->weights, e->heads[head][0]),
                                  lk_weights_compute(&e->weights, e->heads[head][1]));
    lk_tensor *y = lk_tensor_cast(narrow, e->weights.dtype);
    lk_tensor_free(&narrow);
    return y;
}

static lk_tensor *head_backward(lk_encoder *e, int head, lk_tensor *dy)
{
    lk_tensor *narrow = lk_tensor_cast(dy, e->weights.compute_dtype);
    lk_tensor *dx = NULL;
    lk_tensor *dw = NULL;
    lk_tensor *db = NULL;
    lk_linear_backward(narrow, e->flat, lk_weights_compute(&e->weights, e->heads[head][0]), &dx, &dw, &db);
    lk_tensor_free(&narrow);
    lk_tensor_free(&dy);
    lk_weights_give_gradient(&e->weights, e->heads[head][1], db);
    lk_weights_give_gradient(&e->weights, e->heads[head][0], dw);
    return dx;
}

/* ---- the whole ---- */

void lk_encoder_forward(lk_encoder *e, const lk_tensor *x, bool keep, lk_tensor **continuous, lk_tensor **logits)
{
    lk_tensor *h = lk_tensor_share(x);
    for (int i = 0; i < LK_VGG_BLOCKS; i++) {
        lk_tensor *next = lk_block_forward(&e->features[i], &e->weights, h, keep);
        lk_tensor_free(&h);
        h = next;
    }
    for (int i = 0; i < LK_RESIDUAL_BLOCKS; i++)
        h = residual_forward(e, i, h, keep);
    lk_tensor_free(&e->flat);
    lk_tensor_free(&e->continuous);
    e->flat = lk_flatten(h);
    lk_tensor_free(&h);
    lk_tensor *linear = head_forward(e, 0);
    *continuous = lk_sigmoid(linear);
    lk_tensor_free(&linear);
    *logits = head_forward(e, 1);
    if (keep)
        e->continuous = lk_tensor_share(*continuous);
    else
        lk_tensor_free(&e->flat);
}

void lk_encoder_backward(lk_encoder *e, lk_tensor *dcontinuous, lk_tensor *dlogits)
{
    lk_tensor *dflat = head_backward(e, 1, dlogits);
    lk_tensor *dlinear = lk_sigmoid_backward(dcontinuous, e->continuous);
    lk_tensor_free(&dcontinuous);
    lk_tensor *more = head_backward(e, 0, dlinear);
    lk_add_(dflat, more);
    lk_tensor_free(&more);
    lk_tensor_free(&e->flat);
    lk_tensor_free(&e->continuous);
    lk_tensor *dy = lk_unflatten(dflat, e->map_channels, e->map_size, e->map_size);
    lk_tensor_free(&dflat);
    for (int i = LK_RESIDUAL_BLOCKS - 1; i >= 0; i--)
        dy = residual_backward(e, i, dy);
    for (int i = LK_VGG_BLOCKS - 1; i >= 0; i--)
        dy = lk_block_backward(&e->features[i], &e->weights, dy);
}
