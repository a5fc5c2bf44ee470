#include "trainer/model/block.h"

int lk_norm_groups(int channels)
{
    return channels >= 64 ? 32 : channels / 2;
}

void lk_block_add_weights(lk_block *b, lk_weights *weights, const char *name, const char *norm_name)
{
    int64_t kernel[4] = {b->out, b->in, b->kernel, b->kernel};
    if (b->convolution.transposed) {
        kernel[0] = b->in;
        kernel[1] = b->out;
    }
    int64_t channels[1] = {b->out};
    b->weight = lk_weights_add(weights, 4, kernel, "%s.weight", name);
    b->bias = lk_weights_add(weights, 1, channels, "%s.bias", name);
    b->scale = b->shift = b->mean = b->variance = -1;
    if (b->norm == LK_NORM_NONE)
        return;
    b->scale = lk_weights_add(weights, 1, channels, "%s.weight", norm_name);
    b->shift = lk_weights_add(weights, 1, channels, "%s.bias", norm_name);
    if (b->norm != LK_NORM_BATCH)
        return;
    b->mean = lk_weights_add(weights, 1, channels, "%s.running_mean", norm_name);
    b->variance = lk_weights_add(weights, 1, channels, "%s.running_var", norm_name);
    weights->items[b->mean].statistic = weights->items[b->variance].statistic = true;
}

void lk_block_forget(lk_block *b)
{
    lk_tensor_free(&b->x);
    lk_tensor_free(&b->linear);
    lk_tensor_free(&b->saved[0]);
    lk_tensor_free(&b->saved[1]);
    lk_tensor_free(&b->y);
    lk_tensor_free(&b->indices);
    lk_fused_forget(&b->fused);
    lk_epilogue_forget(&b->epilogue);
    lk_fused_norm_forget(&b->fused_norm);
    b->is_fused = b->has_epilogue = b->has_fused_norm = false;
}

void lk_block_free(lk_block *b)
{
    lk_block_forget(b);
    lk_fused_free(&b->fused);
}

/* Norms compute their statistics in float32 and take their scale and shift from the float32 values. */
static lk_tensor *normalize(lk_block *b, const lk_weights *weights, const lk_tensor *x)
{
    const lk_tensor *scale = weights->items[b->scale].value;
    const lk_tensor *shift = weights->items[b->shift].value;
    b->has_fused_norm = weights->own_kernels && b->norm == LK_NORM_GROUP &&
                        lk_fused_norm_suits(&b->fused_norm, x, lk_norm_groups(b->out), b->relu, b->pool);
    if (b->has_fused_norm)
        return lk_fused_norm_forward(&b->fused_norm, x, scale, shift, LK_NORM_EPS);
    if (b->norm == LK_NORM_GROUP)
        return lk_group_norm(x, scale, shift, lk_norm_groups(b->out), LK_NORM_EPS, b->saved);
    return lk_batch_norm(x, scale, shift, LK_NORM_EPS, b->saved);
}

/* Whether ReLU and pool are part of a kernel: the norm's, or the convolution's where no norm follows it. */
static bool kernel_has_all(const lk_block *b)
{
    return b->has_fused_norm || ((b->is_fused || b->has_epilogue) && b->norm == LK_NORM_NONE);
}

/* Convolutions of ours take the float32 values, and round none of them. */
static const lk_tensor *weight_of(const lk_block *b, const lk_weights *weights)
{
    return b->is_fused ? weights->items[b->weight].value : lk_weights_compute(weights, b->weight);
}

static const lk_tensor *bias_of(const lk_block *b, const lk_weights *weights)
{
    return b->is_fused || b->has_epilogue ? weights->items[b->bias].value : lk_weights_compute(weights, b->bias);
}

bool lk_block_has_kernels(const lk_block *b)
{
    const lk_convolution_shape *c = &b->convolution;
    return c->transposed ? b->kernel == 4 && c->stride == 2 && c->padding == 1
                         : b->kernel == 3 && c->stride == 1 && c->padding == 1;
}

/* Of the filters that a kernel makes, four times the weights of its layer. */
static uint64_t version_of(const lk_weights *weights, bool training)
{
    return training && weights->single_pass ? 0 : weights->version;
}

static lk_tensor *convolve(lk_block *b, const lk_weights *weights, const lk_tensor *x, bool keep)
{
    bool bare = b->norm != LK_NORM_NONE;
    lk_convolution3 wanted = {.out = b->out,
                              .transposed = b->convolution.transposed,
                              .first = b->first,
                              .relu = b->relu && !bare,
                              .pool = b->pool && !bare};
    b->is_fused = weights->own_kernels && lk_block_has_kernels(b) && lk_fused_suits(&b->fused, x, &wanted);
    b->has_epilogue = !b->is_fused && lk_epilogue_suits(&b->epilogue, x, b->out, wanted.relu, wanted.pool);
    const lk_tensor *w = weight_of(b, weights), *bias = bias_of(b, weights);
    if (b->is_fused)
        return lk_fused_forward(&b->fused, x, w, bias, version_of(weights, keep));
    if (b->has_epilogue)
        return lk_epilogue_forward(&b->epilogue, x, w, &b->convolution, bias, lk_weights_compute(weights, b->bias));
    return lk_convolution(x, w, bias, &b->convolution);
}

lk_tensor *lk_block_forward(lk_block *b, const lk_weights *weights, const lk_tensor *x, bool keep)
{
    lk_block_forget(b);
    b->x = lk_tensor_share(x);
    lk_tensor *y = convolve(b, weights, x, keep);
    if (b->norm != LK_NORM_NONE) {
        b->linear = y;
        y = normalize(b, weights, b->linear);
    }
    bool done = kernel_has_all(b);
    if (b->relu && !done)
        lk_relu_(y);
    if ((b->relu || b->pool) && !(done && b->has_epilogue))
        b->y = lk_tensor_share(y);
    if (b->pool && !done) {
        lk_tensor *pooled = lk_max_pool(y, &b->indices);
        lk_tensor_free(&y);
        y = pooled;
    }
    if (!keep)
        lk_block_forget(b);
    return y;
}

void lk_block_keep_first(lk_block *b, int64_t samples)
{
    lk_tensor *kept[2] = {b->x, b->y};
    b->x = lk_tensor_first(kept[0], samples);
    b->y = kept[1] ? lk_tensor_first(kept[1], samples) : NULL;
    lk_tensor_free(&kept[0]);
    lk_tensor_free(&kept[1]);
    lk_fused_keep_first(&b->fused, samples);
}

/* Hands in the statistics of this micro-batch. */
static void give_statistics(const lk_block *b, lk_weights *weights)
{
    lk_tensor *mean, *variance;
    double samples = (double)lk_tensor_count(b->linear) / b->out;
    lk_batch_statistics(b->saved, samples, LK_NORM_EPS, weights->statistic_share, weights->dtype, &mean, &variance);
    lk_weights_give_gradient(weights, b->variance, variance);
    lk_weights_give_gradient(weights, b->mean, mean);
}

static lk_tensor *normalize_backward(lk_block *b, lk_weights *weights, lk_tensor *dy)
{
    lk_tensor *dx = NULL;
    lk_tensor *dscale = NULL;
    lk_tensor *dshift = NULL;
    const lk_tensor *scale = weights->items[b->scale].value;
    if (b->has_fused_norm) {
        dscale = lk_weights_gradient_place(weights, b->scale);
        dshift = lk_weights_gradient_place(weights, b->shift);
        dx = lk_fused_norm_backward(&b->fused_norm, dy, b->linear, b->y, scale, &dscale, &dshift);
    } else if (b->norm == LK_NORM_GROUP) {
        dx = lk_group_norm_backward(dy, b->linear, scale, lk_norm_groups(b->out), b->saved, &dscale, &dshift);
    } else {
        dx = lk_batch_norm_backward(dy, b->linear, scale, LK_NORM_EPS, b->saved, &dscale, &dshift);
    }
    lk_tensor_free(&dy);
    if (b->norm == LK_NORM_BATCH)
        give_statistics(b, weights);
    lk_weights_give_gradient(weights, b->shift, dshift);
    lk_weights_give_gradient(weights, b->scale, dscale);
    return dx;
}

lk_tensor *lk_block_backward(lk_block *b, lk_weights *weights, lk_tensor *dy)
{
    bool done = kernel_has_all(b);
    if (b->pool && !done) {
        lk_tensor *unpooled = lk_max_pool_backward(dy, b->y, b->indices);
        lk_tensor_free(&dy);
        dy = unpooled;
    }
    if (b->relu && !done)
        lk_relu_backward_(dy, b->y);
    if (b->norm != LK_NORM_NONE)
        dy = normalize_backward(b, weights, dy);
    lk_tensor *dx = NULL;
    lk_tensor *dw = NULL;
    lk_tensor *db = NULL;
    bool train = !weights->frozen;
    const lk_tensor *w = weight_of(b, weights);
    lk_tensor **wanted[3] = {b->first ? NULL : &dx, train ? &dw : NULL, train ? &db : NULL};
    if (b->is_fused && train) {
        dw = lk_weights_gradient_place(weights, b->weight);
        db = lk_weights_gradient_place(weights, b->bias);
    }
    if (b->is_fused) {
        lk_fused_backward(&b->fused, dy, b->x, b->y, w, version_of(weights, true), wanted[0], wanted[1], wanted[2]);
    } else if (b->has_epilogue) {
        dy = lk_epilogue_backward(&b->epilogue, dy, wanted[2]);
        lk_convolution_backward(dy, b->x, w, &b->convolution, wanted[0], wanted[1], NULL);
    } else {
        lk_convolution_backward(dy, b->x, w, &b->convolution, wanted[0], wanted[1], wanted[2]);
    }
    lk_tensor_free(&dy);
    if (train) {
        lk_weights_give_gradient(weights, b->bias, db);
        lk_weights_give_gradient(weights, b->weight, dw);
    }
    lk_block_forget(b);
    return dx;
}
