#include "trainer/model/decoder.h"

#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const int channels_of_step[LK_DECODER_BLOCKS - 1] = {512, 512, 512, 256, 128, 64, 64};

/* Modules in the nn.Sequential before block i: three a block. */
static int module_of(int i)
{
    return 3 * i;
}

static lk_status build(const lk_decoder_shape *shape, bool folded, lk_dtype dtype, lk_dtype compute, lk_decoder *d)
{
    *d = (lk_decoder){.shape = *shape, .folded = folded};
    lk_weights_init(&d->weights, dtype, compute);
    d->weights.frozen = folded;
    for (int size = 4; size <= shape->size; size *= 2)
        d->block_count++;
    if (shape->size != 4 << (d->block_count - 1) || d->block_count > LK_DECODER_BLOCKS)
        return lk_fail(LK_BAD_CONFIG, "model.size %d: the decoder doubles from 4 pixels, so it needs a power of two up to 512",
                       shape->size);
    int in = shape->inputs;
    for (int i = 0; i < d->block_count; i++) {
        bool last = i == d->block_count - 1;
        int out = last ? 3 : (int)(channels_of_step[i] * shape->width);
        if (out < 1)
            return lk_fail(LK_BAD_CONFIG, "model.decoder.width %g leaves no channels", shape->width);
        char name[LK_WEIGHT_NAME], norm_name[LK_WEIGHT_NAME];
        d->blocks[i] = (lk_block){.in = in,
                                  .out = out,
                                  .kernel = 4,
                                  .convolution = {.transposed = true, .stride = i == 0 ? 1 : 2, .padding = i == 0 ? 0 : 1},
                                  .norm = last || folded ? LK_NORM_NONE : LK_NORM_BATCH,
                                  .relu = !last,
                                  .first = i == 0 && !folded};
        snprintf(name, sizeof name, "decoder.layers.%d", module_of(i));
        snprintf(norm_name, sizeof norm_name, "decoder.layers.%d", module_of(i) + 1);
        lk_block_add_weights(&d->blocks[i], &d->weights, name, norm_name);
        in = out;
    }
    return lk_weights_finish(&d->weights);
}

lk_status lk_decoder_create(const lk_decoder_shape *shape, lk_dtype dtype, lk_dtype compute, lk_decoder *out)
{
    lk_status status = build(shape, false, dtype, compute, out);
    if (status != LK_OK)
        lk_decoder_free(out);
    return status;
}

void lk_decoder_free(lk_decoder *d)
{
    for (int i = 0; i < LK_DECODER_BLOCKS; i++)
        lk_block_free(&d->blocks[i]);
    lk_tensor_free(&d->y);
    lk_weights_free(&d->weights);
}

/* ---- folding: w' = w * scale / sqrt(var + eps) per output channel, b' = (b - mean) * scale / sqrt(var + eps) + shift ---- */

static double *doubles_of(const lk_weights *weights, int i)
{
    const lk_weight *w = &weights->items[i];
    double *values = malloc(w->count * sizeof *values);
    if (values)
        lk_tensor_to_doubles(w->value, values);
    return values;
}

static void set_doubles(lk_weights *weights, int i, const double *values)
{
    lk_weight *w = &weights->items[i];
    lk_tensor *source = lk_tensor_from_doubles(values, LK_DTYPE_F64, w->dims, w->sizes);
    lk_tensor_copy_(w->value, source);
    lk_tensor_free(&source);
}

static lk_status fold_block(const lk_decoder *trained, lk_decoder *folded, int i)
{
    const lk_block *from = &trained->blocks[i];
    const lk_block *to = &folded->blocks[i];
    bool normed = from->norm == LK_NORM_BATCH;
    lk_status status = LK_OK;
    double *w = doubles_of(&trained->weights, from->weight);
    double *b = doubles_of(&trained->weights, from->bias);
    double *scale = normed ? doubles_of(&trained->weights, from->scale) : NULL;
    double *shift = normed ? doubles_of(&trained->weights, from->shift) : NULL;
    double *mean = normed ? doubles_of(&trained->weights, from->mean) : NULL;
    double *variance = normed ? doubles_of(&trained->weights, from->variance) : NULL;
    if (!w || !b || (normed && (!scale || !shift || !mean || !variance))) {
        status = lk_fail(LK_INTERNAL, "out of memory folding the decoder");
        goto done;
    }
    for (int c = 0; normed && c < from->out; c++) {
        double factor = scale[c] / sqrt(variance[c] + LK_NORM_EPS);
        b[c] = (b[c] - mean[c]) * factor + shift[c];
        for (int in = 0; in < from->in; in++)
            for (int k = 0; k < 16; k++)
                w[((size_t)in * (size_t)from->out + (size_t)c) * 16 + (size_t)k] *= factor;
    }
    set_doubles(&folded->weights, to->weight, w);
    set_doubles(&folded->weights, to->bias, b);
done:
    free(w);
    free(b);
    free(scale);
    free(shift);
    free(mean);
    free(variance);
    return status;
}

lk_status lk_decoder_fold(const lk_decoder *trained, lk_dtype compute, lk_decoder *out)
{
    lk_status status = build(&trained->shape, true, trained->weights.dtype, compute, out);
    for (int i = 0; status == LK_OK && i < trained->block_count; i++)
        status = fold_block(trained, out, i);
    lk_weights_refresh(&out->weights);
    if (status == LK_OK)
        status = lk_tensor_check();
    if (status != LK_OK)
        lk_decoder_free(out);
    return status;
}

lk_status lk_decoder_initialize(lk_decoder *d, uint64_t seed)
{
    for (int i = 0; i < d->block_count; i++) {
        const lk_block *b = &d->blocks[i];
        lk_weight *w = &d->weights.items[b->weight];
        lk_random random = lk_random_make(seed, (uint64_t)i);
        double deviation = sqrt(2.0 / ((i == 0 ? 1 : 4) * (double)b->in));
        double *values = malloc(w->count * sizeof *values);
        if (!values)
            return lk_fail(LK_INTERNAL, "out of memory for the first values of %s", w->name);
        for (size_t k = 0; k < w->count; k++)
            values[k] = deviation * lk_random_normal(&random);
        set_doubles(&d->weights, b->weight, values);
        for (int c = 0; c < b->out; c++)
            values[c] = 1.0; /* there are more weights than channels */
        if (b->norm == LK_NORM_BATCH) {
            set_doubles(&d->weights, b->scale, values);
            set_doubles(&d->weights, b->variance, values);
        }
        free(values);
    }
    lk_weights_refresh(&d->weights);
    return lk_tensor_check();
}

/* ---- forward and backward ---- */

lk_tensor *lk_decoder_forward(lk_decoder *d, const lk_tensor *p, bool keep)
{
    lk_tensor *narrow = lk_tensor_cast(p, d->weights.compute_dtype);
    lk_tensor *h = lk_unflatten(narrow, d->shape.inputs, 1, 1);
    lk_tensor_free(&narrow);
    for (int i = 0; i < d->block_count; i++) {
        lk_tensor *next = lk_block_forward(&d->blocks[i], &d->weights, h, keep);
        lk_tensor_free(&h);
        h = next;
    }
    lk_tensor *wide = lk_tensor_cast(h, d->weights.dtype);
    lk_tensor_free(&h);
    lk_tensor *y = lk_sigmoid(wide);
    lk_tensor_free(&wide);
    lk_tensor_free(&d->y);
    if (keep)
        d->y = lk_tensor_share(y);
    return y;
}

void lk_decoder_keep_first(lk_decoder *d, int64_t samples)
{
    lk_tensor *all = d->y;
    d->y = lk_tensor_first(all, samples);
    lk_tensor_free(&all);
    for (int i = 0; i < d->block_count; i++)
        lk_block_keep_first(&d->blocks[i], samples);
}

lk_tensor *lk_decoder_backward(lk_decoder *d, lk_tensor *dy)
{
    lk_tensor *wide = lk_sigmoid_backward(dy, d->y);
    lk_tensor_free(&dy);
    lk_tensor_free(&d->y);
    lk_tensor *dh = lk_tensor_cast(wide, d->weights.compute_dtype);
    lk_tensor_free(&wide);
    for (int i = d->block_count - 1; i >= 0; i--)
        dh = lk_block_backward(&d->blocks[i], &d->weights, dh);
    if (!dh)
        return NULL;
    lk_tensor *flat = lk_flatten(dh);
    lk_tensor_free(&dh);
    lk_tensor *dp = lk_tensor_cast(flat, d->weights.dtype);
    lk_tensor_free(&flat);
    return dp;
}
