/* Every layer's backward against central differences in float64: relative error under 1e-6. */
#include "base/random.h"
#include "trainer/model/block.h"
#include "trainer/model/decoder.h"
#include "trainer/model/encoder.h"
#include "trainer/tensor/loss.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A function of `count` numbers that also tells its gradient (NULL: not wanted). */
typedef double scalar_function(void *context, const double *at, double *gradient);

static lk_random noise;

static void fill(double *values, size_t count, double deviation)
{
    for (size_t i = 0; i < count; i++)
        values[i] = deviation * lk_random_normal(&noise);
}

/* ||g - numeric|| / ||numeric|| over at most 60 of the numbers, picked at random. */
static void check_gradient(const char *what, scalar_function *f, void *context, double *at, size_t count)
{
    double *gradient = calloc(count, sizeof *gradient);
    f(context, at, gradient);
    double error = 0, scale = 0;
    size_t checks = count < 60 ? count : 60;
    for (size_t k = 0; k < checks; k++) {
        size_t i = count <= 60 ? k : lk_random_below(&noise, (uint32_t)count);
        double kept = at[i];
        double h = 1e-6; /* small, so that few ReLUs and maxima switch between the two sides */
        at[i] = kept + h;
        double up = f(context, at, NULL);
        at[i] = kept - h;
        double down = f(context, at, NULL);
        at[i] = kept;
        double numeric = (up - down) / (2 * h);
        error += (gradient[i] - numeric) * (gradient[i] - numeric);
        scale += numeric * numeric;
    }
    free(gradient);
    double relative = sqrt(error) / (sqrt(scale) + 1e-12);
    print_message("%-40s relative error %.2e\n", what, relative);
    assert_true(scale > 0);
    assert_true(relative < 1e-6);
    assert_int_equal(lk_tensor_check(), LK_OK);
}

/* ---- blocks: f = sum of (random direction) * block(x), with respect to x and every weight ---- */

typedef struct block_case {
    lk_block block;
    lk_weights weights;
    double *gradients;
    int64_t x_sizes[4];
    size_t x_count;
    double *direction;
    int varied; /* -1: the input, else the index of a weight */
    double *x;
} block_case;

static double block_value(void *context, const double *at, double *gradient)
{
    block_case *c = context;
    if (c->varied >= 0) {
        lk_weight *w = &c->weights.items[c->varied];
        lk_tensor *t = lk_tensor_from_doubles(at, LK_DTYPE_F64, w->dims, w->sizes);
        lk_tensor_copy_(w->value, t);
        lk_tensor_free(&t);
    }
    lk_tensor *x = lk_tensor_from_doubles(c->varied < 0 ? at : c->x, LK_DTYPE_F64, 4, c->x_sizes);
    lk_tensor *y = lk_block_forward(&c->block, &c->weights, x, gradient != NULL);
    size_t n = (size_t)lk_tensor_count(y);
    double *values = malloc(n * sizeof *values);
    lk_tensor_to_doubles(y, values);
    if (!c->direction) {
        c->direction = malloc(n * sizeof(double));
        fill(c->direction, n, 1);
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i] * c->direction[i];
    if (gradient) {
        int64_t sizes[4] = {lk_tensor_dim(y, 0), lk_tensor_dim(y, 1), lk_tensor_dim(y, 2), lk_tensor_dim(y, 3)};
        lk_tensor *dy = lk_tensor_from_doubles(c->direction, LK_DTYPE_F64, 4, sizes);
        lk_weights_begin(&c->weights, false, NULL, NULL);
        lk_tensor *dx = lk_block_backward(&c->block, &c->weights, dy);
        assert_int_equal(lk_weights_end(&c->weights, LK_OK), LK_OK);
        lk_tensor_to_doubles(c->varied < 0 ? dx : c->weights.items[c->varied].gradient, gradient);
        lk_tensor_free(&dx);
    }
    free(values);
    lk_tensor_free(&y);
    lk_tensor_free(&x);
    return sum;
}

static void check_block(const char *name, lk_block block, int n, int size)
{
    block_case c = {.block = block, .x_sizes = {n, block.in, size, size}, .varied = -1};
    lk_weights_init(&c.weights, LK_DTYPE_F64, LK_DTYPE_F64);
    lk_block_add_weights(&c.block, &c.weights, "w", "norm");
    assert_int_equal(lk_weights_finish(&c.weights), LK_OK);
    c.gradients = calloc(c.weights.total, sizeof(double));
    assert_int_equal(lk_weights_bind_gradients(&c.weights, c.gradients, 1), LK_OK);
    fill(c.weights.values, c.weights.total, 0.5);
    c.x_count = (size_t)(n * block.in * size * size);
    c.x = malloc(c.x_count * sizeof(double));
    fill(c.x, c.x_count, 1);
    char what[100];
    snprintf(what, sizeof what, "%s: input", name);
    check_gradient(what, block_value, &c, c.x, c.x_count);
    for (int i = 0; i < c.weights.count; i++) {
        if (c.weights.items[i].statistic)
            continue;
        lk_weight *w = &c.weights.items[i];
        /* A bias before a norm with one channel a group (or batch norm) cancels: its gradient is zero by construction. */
        if (i == c.block.bias && block.norm == LK_NORM_BATCH)
            continue;
        double *at = malloc(w->count * sizeof(double));
        lk_tensor_to_doubles(w->value, at);
        c.varied = i;
        snprintf(what, sizeof what, "%s: %s", name, w->name);
        check_gradient(what, block_value, &c, at, w->count);
        lk_tensor *t = lk_tensor_from_doubles(at, LK_DTYPE_F64, w->dims, w->sizes);
        lk_tensor_copy_(w->value, t);
        lk_tensor_free(&t);
        free(at);
    }
    lk_block_forget(&c.block);
    lk_weights_free(&c.weights);
    free(c.gradients);
    free(c.direction);
    free(c.x);
}

static void blocks(void **state)
{
    (void)state;
    lk_convolution_shape plain = {.stride = 1, .padding = 1};
    check_block("convolution", (lk_block){.in = 3, .out = 5, .kernel = 3, .convolution = plain}, 2, 6);
    check_block("convolution, relu", (lk_block){.in = 3, .out = 5, .kernel = 3, .convolution = plain, .relu = true}, 2, 6);
    check_block("convolution, relu, pool",
                (lk_block){.in = 3, .out = 5, .kernel = 3, .convolution = plain, .relu = true, .pool = true}, 2, 6);
    check_block(
        "group norm, relu, pool",
        (lk_block){.in = 3, .out = 8, .kernel = 3, .convolution = plain, .norm = LK_NORM_GROUP, .relu = true, .pool = true}, 2,
        6);
    check_block("group norm, 64 channels",
                (lk_block){.in = 3, .out = 64, .kernel = 3, .convolution = plain, .norm = LK_NORM_GROUP}, 2, 4);
    check_block("transposed, stride 1",
                (lk_block){.in = 7, .out = 5, .kernel = 4, .convolution = {.transposed = true, .stride = 1}, .relu = true}, 3, 1);
    check_block("transposed, stride 2",
                (lk_block){.in = 4, .out = 3, .kernel = 4, .convolution = {.transposed = true, .stride = 2, .padding = 1}}, 2, 4);
    check_block("transposed, batch norm, relu",
                (lk_block){.in = 4,
                           .out = 5,
                           .kernel = 4,
                           .convolution = {.transposed = true, .stride = 2, .padding = 1},
                           .norm = LK_NORM_BATCH,
                           .relu = true},
                3, 4);
}

/* ---- heads, sigmoid, losses ---- */

typedef struct loss_case {
    lk_choices choices;
    lk_sums *sum;
    int n;
    const uint8_t *labels;
    lk_tensor *target;
    int64_t sizes[4];
    bool l1;
} loss_case;

static double loss_of(loss_case *c)
{
    double loss = 0;
    assert_int_equal(lk_sums_read(c->sum, 1, &loss), LK_OK);
    return loss;
}

static double discrete_value(void *context, const double *at, double *gradient)
{
    loss_case *c = context;
    lk_tensor *logits = lk_tensor_from_doubles(at, LK_DTYPE_F64, 2, (int64_t[]){c->n, c->choices.begins[c->choices.groups]});
    lk_tensor *labels = lk_tensor_lend(c->labels, LK_DTYPE_U8, 2, (int64_t[]){c->n, c->choices.groups});
    lk_tensor *slope = NULL;
    lk_sums_clear(c->sum);
    lk_discrete_loss(&c->choices, logits, labels, 1.0, gradient ? &slope : NULL, lk_sums_at(c->sum, 0));
    if (gradient)
        lk_tensor_to_doubles(slope, gradient);
    lk_tensor_free(&slope);
    lk_tensor_free(&labels);
    lk_tensor_free(&logits);
    return loss_of(c);
}

static double pixel_value(void *context, const double *at, double *gradient)
{
    loss_case *c = context;
    lk_tensor *y = lk_tensor_from_doubles(at, LK_DTYPE_F64, 4, c->sizes);
    lk_tensor *dy = NULL;
    lk_sums_clear(c->sum);
    (c->l1 ? lk_l1_loss : lk_pixel_loss)(y, c->target, 1.0, gradient ? &dy : NULL, lk_sums_at(c->sum, 0));
    if (gradient)
        lk_tensor_to_doubles(dy, gradient);
    lk_tensor_free(&dy);
    lk_tensor_free(&y);
    return loss_of(c);
}

static void losses(void **state)
{
    (void)state;
    const uint8_t labels[6] = {0, 4, 2, 1, 1, 0};
    loss_case c = {.choices = {.groups = 2, .begins = {0, 3, 8}}, .n = 3, .labels = labels, .sizes = {2, 3, 4, 4}};
    assert_int_equal(lk_sums_create(1, &c.sum), LK_OK);
    double logits[24], pixels[96], target[96];
    fill(logits, 24, 2);
    check_gradient("discrete loss", discrete_value, &c, logits, 24);
    fill(pixels, 96, 1);
    fill(target, 96, 1);
    c.target = lk_tensor_from_doubles(target, LK_DTYPE_F64, 4, c.sizes);
    check_gradient("pixel loss", pixel_value, &c, pixels, 96);
    c.l1 = true;
    check_gradient("L1 loss", pixel_value, &c, pixels, 96);

    /* At a zero difference the norm has no gradient: it must be zero, not NaN. */
    lk_tensor *dy = NULL;
    double gradient[96];
    lk_sums_clear(c.sum);
    lk_pixel_loss(c.target, c.target, 1.0, &dy, lk_sums_at(c.sum, 0));
    assert_true(loss_of(&c) == 0);
    lk_tensor_to_doubles(dy, gradient);
    for (int i = 0; i < 96; i++)
        assert_true(gradient[i] == 0);
    lk_tensor_free(&dy);
    lk_tensor_free(&c.target);
    lk_sums_free(c.sum);
}

/* ---- the whole encoder, and the frozen decoder with respect to its input ----
 * At 64 px: in a 1x1 map group norm of two channels has no gradient. */

typedef struct model_case {
    lk_encoder encoder;
    lk_decoder decoder;
    double *x;
    int n, varied;
} model_case;

static double encoder_value(void *context, const double *at, double *gradient)
{
    model_case *m = context;
    lk_weight *w = &m->encoder.weights.items[m->varied];
    lk_tensor *t = lk_tensor_from_doubles(at, LK_DTYPE_F64, w->dims, w->sizes);
    lk_tensor_copy_(w->value, t);
    lk_tensor_free(&t);
    lk_tensor *x = lk_tensor_from_doubles(m->x, LK_DTYPE_F64, 4, (int64_t[]){m->n, 3, 64, 64});
    lk_tensor *continuous = NULL, *logits = NULL;
    lk_encoder_forward(&m->encoder, x, gradient != NULL, &continuous, &logits);
    double sum = 0, c[12], l[20], one[20];
    lk_tensor_to_doubles(continuous, c);
    lk_tensor_to_doubles(logits, l);
    for (int i = 0; i < 3 * m->n; i++)
        sum += c[i] * (i + 1);
    for (int i = 0; i < 5 * m->n; i++)
        sum += l[i] * (i - 3);
    if (gradient) {
        for (int i = 0; i < 3 * m->n; i++)
            c[i] = i + 1;
        for (int i = 0; i < 5 * m->n; i++)
            one[i] = i - 3;
        lk_weights_begin(&m->encoder.weights, false, NULL, NULL);
        lk_encoder_backward(&m->encoder, lk_tensor_from_doubles(c, LK_DTYPE_F64, 2, (int64_t[]){m->n, 3}),
                            lk_tensor_from_doubles(one, LK_DTYPE_F64, 2, (int64_t[]){m->n, 5}));
        assert_int_equal(lk_weights_end(&m->encoder.weights, LK_OK), LK_OK);
        lk_tensor_to_doubles(w->gradient, gradient);
    }
    lk_tensor_free(&continuous);
    lk_tensor_free(&logits);
    lk_tensor_free(&x);
    return sum;
}

static void check_encoder(lk_norm norm)
{
    model_case m = {.n = 2};
    lk_encoder_shape shape = {.size = 64, .width = 1.0 / 16, .norm = norm, .continuous_count = 3, .choice_count = 5};
    assert_int_equal(lk_encoder_create(&shape, LK_DTYPE_F64, LK_DTYPE_F64, &m.encoder), LK_OK);
    assert_int_equal(lk_encoder_initialize(&m.encoder, 3), LK_OK);
    double *gradients = calloc(m.encoder.weights.total, sizeof(double));
    assert_int_equal(lk_weights_bind_gradients(&m.encoder.weights, gradients, 1), LK_OK);
    m.x = malloc(2 * 3 * 64 * 64 * sizeof(double));
    fill(m.x, 2 * 3 * 64 * 64, 1);
    const char *names[] = {"encoder.continuous.weight", "encoder.discrete.weight", "encoder.residual.1.conv1.weight",
                           "encoder.residual.2.conv2.bias",
                           norm == LK_NORM_GROUP ? "encoder.features.49.weight" : "encoder.features.34.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        m.varied = lk_weights_find(&m.encoder.weights, names[i]);
        assert_true(m.varied >= 0);
        lk_weight *w = &m.encoder.weights.items[m.varied];
        double *at = malloc(w->count * sizeof(double));
        lk_tensor_to_doubles(w->value, at);
        check_gradient(names[i], encoder_value, &m, at, w->count);
        free(at);
    }
    free(m.x);
    lk_encoder_free(&m.encoder);
    free(gradients);
}

static void encoder(void **state)
{
    (void)state;
    check_encoder(LK_NORM_NONE);
    check_encoder(LK_NORM_GROUP);
}

static double decoder_value(void *context, const double *at, double *gradient)
{
    model_case *m = context;
    lk_tensor *p = lk_tensor_from_doubles(at, LK_DTYPE_F64, 2, (int64_t[]){2, 9});
    lk_tensor *y = lk_decoder_forward(&m->decoder, p, gradient != NULL);
    static double values[2 * 3 * 32 * 32];
    lk_tensor_to_doubles(y, values);
    double sum = 0;
    for (int i = 0; i < 2 * 3 * 32 * 32; i++)
        sum += values[i] * ((i % 7) - 3);
    if (gradient) {
        for (int i = 0; i < 2 * 3 * 32 * 32; i++)
            values[i] = (i % 7) - 3;
        lk_tensor *dp =
            lk_decoder_backward(&m->decoder, lk_tensor_from_doubles(values, LK_DTYPE_F64, 4, (int64_t[]){2, 3, 32, 32}));
        lk_tensor_to_doubles(dp, gradient);
        lk_tensor_free(&dp);
    }
    lk_tensor_free(&y);
    lk_tensor_free(&p);
    return sum;
}

static void frozen_decoder(void **state)
{
    (void)state;
    lk_decoder trained;
    model_case m = {0};
    lk_decoder_shape shape = {.size = 32, .width = 1.0 / 32, .inputs = 9};
    assert_int_equal(lk_decoder_create(&shape, LK_DTYPE_F64, LK_DTYPE_F64, &trained), LK_OK);
    assert_int_equal(lk_decoder_initialize(&trained, 4), LK_OK);
    assert_int_equal(lk_decoder_fold(&trained, LK_DTYPE_F64, &m.decoder), LK_OK);
    double p[18];
    fill(p, 18, 1);
    check_gradient("frozen decoder: input", decoder_value, &m, p, 18);
    lk_decoder_free(&m.decoder);
    lk_decoder_free(&trained);
}

int main(void)
{
    if (lk_tensor_start(1) != LK_OK)
        return 1;
    noise = lk_random_make(7, 7);
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks), cmocka_unit_test(losses), cmocka_unit_test(encoder),
                                       cmocka_unit_test(frozen_decoder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
