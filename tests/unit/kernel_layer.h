/* A convolution with random numbers, and what one of our kernels makes of it in all three directions. Include it behind
 * cmocka.h. */
#ifndef LK_TESTS_UNIT_KERNEL_LAYER_H
#define LK_TESTS_UNIT_KERNEL_LAYER_H

#include "tests/unit/kernel_parts.h"
#include "trainer/kernels/kernels.h"

/* What a kernel wrote; frees `written`. */
static float *taken(void *written, size_t count, bool bf16)
{
    if (!bf16)
        return written;
    float *out = calloc(count, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        memcpy((char *)&out[i] + 2, (const char *)written + 2 * i, 2);
    free(written);
    return out;
}

typedef struct layer {
    lk_convolution3 shape;
    size_t inputs, outputs, weights;
    float *x, *filters, *bias, *dy;
    void *stored_x, *stored_dy;
} layer;

typedef struct results {
    float *y, *dx, *dfilters, *dbias;
    uint8_t *choice;
} results;

static layer make_layer(lk_convolution3 s)
{
    size_t pixels = (size_t)s.batch * (size_t)s.height * (size_t)s.width;
    layer l = {.shape = s,
               .inputs = pixels * (size_t)s.in,
               .outputs = pixels * (s.transposed ? 4 : 1) / (s.pool ? 4 : 1) * (size_t)s.out,
               .weights = (size_t)(s.transposed ? 16 : 9) * (size_t)s.in * (size_t)s.out};
    l.x = random_numbers(l.inputs, 1);
    l.filters = random_numbers(l.weights, 2);
    l.bias = random_numbers((size_t)s.out, 3);
    l.dy = random_numbers(l.outputs, 4);
    l.stored_x = stored(l.x, l.inputs, s.bf16);
    l.stored_dy = stored(l.dy, l.outputs, s.bf16);
    return l;
}

static void free_layer(layer *l)
{
    free(l->x);
    free(l->filters);
    free(l->bias);
    free(l->dy);
    free(l->stored_x);
    free(l->stored_dy);
}

static float *transformed(const lk_kernel *k, const lk_team *team, const layer *l, lk_direction direction)
{
    size_t size = k->filter_size(&l->shape, direction);
    float *out = size ? malloc(size * sizeof *out) : NULL;
    if (out)
        k->transform(team, &l->shape, direction, l->filters, out);
    return out;
}

/* By an even number of threads without transformed filters: the digits are the same. */
static results compute(const lk_kernel *k, int threads, const layer *l)
{
    const lk_convolution3 *s = &l->shape;
    lk_team team = {threads, run_on_threads};
    bool kept = threads % 2;
    size_t size = s->bf16 ? 2 : 4;
    void *y = malloc(l->outputs * size), *dx = calloc(l->inputs, size);
    results r = {.dfilters = malloc(l->weights * sizeof(float)),
                 .dbias = malloc((size_t)s->out * sizeof(float)),
                 .choice = malloc(l->outputs)};
    float *forward = kept ? transformed(k, &team, l, LK_FORWARD) : NULL;
    float *back = kept && !s->first ? transformed(k, &team, l, LK_DATA_GRADIENT) : NULL;
    lk_output_gradient g = {l->stored_dy, y, r.choice};
    assert_int_equal(k->forward(&team, s, l->stored_x, &(lk_filters){l->filters, forward}, l->bias, y, r.choice), LK_OK);
    if (!s->first)
        assert_int_equal(k->data_gradient(&team, s, &g, &(lk_filters){l->filters, back}, dx), LK_OK);
    assert_int_equal(k->weight_gradient(&team, s, l->stored_x, &g, r.dfilters, r.dbias), LK_OK);
    r.y = taken(y, l->outputs, s->bf16);
    r.dx = taken(dx, l->inputs, s->bf16);
    free(forward);
    free(back);
    return r;
}

static void free_results(results *r)
{
    free(r->y);
    free(r->dx);
    free(r->dfilters);
    free(r->dbias);
    free(r->choice);
}

static void require_same_bits(const layer *l, const results *a, const results *b)
{
    assert_memory_equal(a->y, b->y, l->outputs * sizeof(float));
    assert_memory_equal(a->dx, b->dx, l->inputs * sizeof(float));
    assert_memory_equal(a->dfilters, b->dfilters, l->weights * sizeof(float));
    assert_memory_equal(a->dbias, b->dbias, (size_t)l->shape.out * sizeof(float));
    if (l->shape.pool)
        assert_memory_equal(a->choice, b->choice, l->outputs);
}

#endif
