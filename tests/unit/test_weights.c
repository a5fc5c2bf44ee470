/* The way of a gradient: each is handed in exactly once a micro-batch, in the opposite order of adding, whatever fails; and each
 * weight is updated, however many there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/check.h"

#include "base/hash.h"
#include "trainer/model/decoder.h"
#include "trainer/model/encoder.h"
#include "trainer/model/weights_file.h"
#include "trainer/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who is told what ---- */

typedef struct listener {
    const lk_weights *weights;
    int heard; /* gradients of this micro-batch */
} listener;

static void hear(void *context, int i)
{
    listener *l = context;
    assert_int_equal(lk_weights_place(l->weights, i), l->heard);
    l->heard++;
}

static void check_zero(const lk_weights *weights, const float *gradients)
{
    for (size_t k = 0; k < weights->total; k++)
        assert_true(gradients[k] == 0);
}

static void fill(float *values, size_t count, float value)
{
    for (size_t k = 0; k < count; k++)
        values[k] = value;
}

/* ---- the models ---- */

enum { SAMPLES = 2, CONTINUOUS = 3, CHOICES = 5, SIZE = 64 };

static lk_tensor *ones(int dims, const int64_t *sizes)
{
    size_t count = 1;
    for (int i = 0; i < dims; i++)
        count *= (size_t)sizes[i];
    float *values = malloc(count * sizeof *values);
    fill(values, count, 1);
    lk_tensor *t = lk_tensor_from_floats(values, LK_DTYPE_F32, dims, sizes);
    free(values);
    return t;
}

/* Pictures of `channels` channels: with other than 3 the first convolution fails. */
static lk_status pass_encoder(lk_encoder *e, int channels)
{
    lk_tensor *x = ones(4, (int64_t[]){SAMPLES, channels, SIZE, SIZE});
    lk_tensor *continuous = NULL;
    lk_tensor *logits = NULL;
    lk_encoder_forward(e, x, true, &continuous, &logits);
    lk_encoder_backward(e, ones(2, (int64_t[]){SAMPLES, CONTINUOUS}), ones(2, (int64_t[]){SAMPLES, CHOICES}));
    lk_tensor_free(&continuous);
    lk_tensor_free(&logits);
    lk_tensor_free(&x);
    return lk_tensor_check();
}

static void check_encoder(lk_norm norm)
{
    lk_encoder e;
    lk_encoder_shape shape = {
        .size = SIZE, .width = 1.0 / 16, .norm = norm, .continuous_count = CONTINUOUS, .choice_count = CHOICES};
    assert_ok(lk_encoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &e));
    assert_ok(lk_encoder_initialize(&e, 1));
    float *gradients = malloc(e.weights.total * sizeof *gradients);
    float *once = malloc(e.weights.total * sizeof *once);
    assert_ok(lk_weights_bind_gradients(&e.weights, gradients, 2));
    fill(gradients, e.weights.total, 7);
    for (int micro_batch = 0; micro_batch < 2; micro_batch++) {
        listener l = {.weights = &e.weights};
        lk_weights_begin(&e.weights, micro_batch > 0, hear, &l);
        assert_ok(lk_weights_end(&e.weights, pass_encoder(&e, 3)));
        assert_int_equal(l.heard, e.weights.count);
        if (micro_batch == 0)
            memcpy(once, gradients, e.weights.total * sizeof *once);
    }
    for (size_t k = 0; k < e.weights.total; k++)
        assert_true(gradients[k] == once[k] + once[k]);
    /* Forward failed: all are handed in, with nothing in them. */
    listener l = {.weights = &e.weights};
    lk_weights_begin(&e.weights, false, hear, &l);
    assert_int_equal(pass_encoder(&e, 4), LK_INTERNAL);
    assert_int_equal(l.heard, e.weights.count);
    assert_int_equal(lk_weights_end(&e.weights, LK_INTERNAL), LK_INTERNAL);
    assert_int_equal(l.heard, e.weights.count);
    lk_encoder_free(&e);
    free(gradients);
    free(once);
}

static void encoder(void **state)
{
    (void)state;
    check_encoder(LK_NORM_NONE);
    check_encoder(LK_NORM_GROUP);
}

static lk_status pass_decoder(lk_decoder *d, int inputs)
{
    lk_tensor *p = ones(2, (int64_t[]){SAMPLES, inputs});
    lk_tensor *y = lk_decoder_forward(d, p, true);
    lk_tensor *dp = lk_decoder_backward(d, y ? lk_tensor_share(y) : NULL);
    assert_null(dp);
    lk_tensor_free(&y);
    lk_tensor_free(&p);
    return lk_tensor_check();
}

/* With batch norm, whose statistics travel as gradients do. */
static void decoder(void **state)
{
    (void)state;
    lk_decoder d;
    lk_decoder_shape shape = {.size = 32, .width = 1.0 / 32, .inputs = 9};
    assert_ok(lk_decoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &d));
    assert_ok(lk_decoder_initialize(&d, 1));
    float *gradients = malloc(d.weights.total * sizeof *gradients);
    assert_ok(lk_weights_bind_gradients(&d.weights, gradients, 1));
    fill(gradients, d.weights.total, 7);
    listener l = {.weights = &d.weights};
    lk_weights_begin(&d.weights, false, hear, &l);
    assert_ok(lk_weights_end(&d.weights, pass_decoder(&d, 9)));
    assert_int_equal(l.heard, d.weights.count);
    for (size_t k = 0; k < d.weights.total; k++)
        assert_true(gradients[k] != 7);
    /* The wrong number of inputs: neither this step's nor the last one's gradients reach the sum. */
    l.heard = 0;
    lk_weights_begin(&d.weights, false, hear, &l);
    assert_int_equal(pass_decoder(&d, 8), LK_INTERNAL);
    assert_int_equal(l.heard, d.weights.count);
    check_zero(&d.weights, gradients);
    assert_int_equal(lk_weights_end(&d.weights, LK_INTERNAL), LK_INTERNAL);
    lk_decoder_free(&d);
    free(gradients);
}

/* ---- a backward that does not keep to it ---- */

enum { FEW = 5 };

static void make_few(lk_weights *w, int count, float **gradients)
{
    lk_weights_init(w, LK_DTYPE_F32, LK_DTYPE_F32);
    for (int i = 0; i < count; i++)
        assert_int_equal(lk_weights_add(w, 1, (int64_t[]){2}, "w%d", i), i);
    assert_ok(lk_weights_finish(w));
    *gradients = calloc(w->total, sizeof **gradients);
    assert_ok(lk_weights_bind_gradients(w, *gradients, 1));
}

static void give(lk_weights *w, int i)
{
    lk_weights_give_gradient(w, i, ones(1, (int64_t[]){2}));
}

static void misplaced(void **state)
{
    (void)state;
    lk_weights w;
    float *gradients;
    make_few(&w, FEW, &gradients);
    const struct {
        int order[FEW + 1], count;
        const char *named;
    } cases[] = {{{4, 3, 2, 1}, 4, "w0"}, {{4, 3, 3, 2, 1, 0}, 6, "w3"}, {{4, 3, 1, 2, 0}, 5, "w1"}, {{0}, 0, "w4"}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        listener l = {.weights = &w};
        fill(gradients, w.total, 7);
        lk_weights_begin(&w, false, hear, &l);
        for (int k = 0; k < cases[c].count; k++)
            give(&w, cases[c].order[k]);
        assert_int_equal(lk_weights_end(&w, LK_OK), LK_INTERNAL);
        assert_non_null(strstr(lk_error_text(), cases[c].named));
        assert_int_equal(l.heard, FEW);
        for (size_t k = 0; k < w.total; k++)
            assert_true(gradients[k] == 0 || gradients[k] == 1);
    }
    lk_weights_free(&w);
    free(gradients);
}

/* ---- weights that lie apart, as a GPU wants them ---- */

/* The same three weights, each at a multiple of so many numbers. */
static void make_apart(lk_weights *w, int alignment)
{
    const int64_t sizes[3][4] = {{3, 2, 3, 3}, {7}, {2, 5}};
    const int dims[3] = {4, 1, 2};
    float values[54];
    lk_weights_init(w, LK_DTYPE_F32, LK_DTYPE_BF16);
    w->alignment = alignment;
    for (int i = 0; i < 3; i++)
        lk_weights_add(w, dims[i], sizes[i], "w%d", i);
    w->items[1].statistic = true;
    assert_ok(lk_weights_finish(w));
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 54; k++)
            values[k] = (float)(i + 1) / (float)(k + 3);
        lk_tensor *source = lk_tensor_from_floats(values, LK_DTYPE_F32, dims[i], sizes[i]);
        lk_tensor_copy_(w->items[i].value, source);
        lk_tensor_free(&source);
    }
    lk_weights_refresh(w);
    assert_ok(lk_tensor_check());
}

static void apart(void **state)
{
    (void)state;
    lk_weights close, wide;
    uint64_t hashes[2];
    make_apart(&close, 1);
    make_apart(&wide, LK_TENSOR_ALIGNMENT);
    assert_int_equal(close.total, 71);
    assert_int_equal(close.numbers, 71);
    assert_int_equal(wide.total, 2 * LK_TENSOR_ALIGNMENT + 54);
    assert_int_equal(wide.numbers, 71);
    size_t extents = 0;
    for (int i = 0; i < 3; i++) {
        float one[54], other[54];
        assert_int_equal(wide.items[i].offset % LK_TENSOR_ALIGNMENT, 0);
        lk_tensor_to_floats(lk_weights_compute(&close, i), one);
        lk_tensor_to_floats(lk_weights_compute(&wide, i), other);
        assert_memory_equal(one, other, wide.items[i].count * sizeof *one);
        extents += lk_weights_extent(&wide, i);
    }
    assert_int_equal(extents, wide.total);
    /* Neither hash nor file knows. */
    assert_true(lk_weights_hash(&close) == lk_weights_hash(&wide));
    assert_true(lk_weights_hash(&close) == lk_hash(close.values, 71 * sizeof(float)));
    assert_ok(lk_weights_save("close.safetensors", &close, NULL, 0, &hashes[0]));
    assert_ok(lk_weights_save("wide.safetensors", &wide, NULL, 0, &hashes[1]));
    assert_true(hashes[0] == hashes[1]);
    /* What is not finite is heard of by its square, and then found. */
    double sums[2];
    lk_sums *both;
    float *values = wide.values;
    assert_ok(lk_sums_create(2, &both));
    assert_null(lk_weights_find_nonfinite(&wide, values));
    values[wide.items[1].offset + 6] = INFINITY;
    lk_sum_squares(values, wide.trained, wide.trained_count, lk_sums_at(both, 0));
    lk_sum_squares(values, wide.statistics, wide.statistic_count, lk_sums_at(both, 1));
    assert_ok(lk_sums_read(both, 2, sums));
    assert_true(isfinite(sums[0]) && !isfinite(sums[1]));
    assert_string_equal(lk_weights_find_nonfinite(&wide, values), "w1");
    values[wide.items[0].offset] = NAN;
    assert_string_equal(lk_weights_find_nonfinite(&wide, values), "w0");
    lk_sums_free(both);
    lk_weights_free(&close);
    lk_weights_free(&wide);
}

/* ---- more weights than one fused call takes ---- */

enum { MANY = 2 * LK_FUSED_MAX + 3 };

static void check_many(const char *optimizer)
{
    char yaml[512];
    lk_config *config;
    lk_weights w;
    lk_optimizer o;
    float *gradients;
    snprintf(yaml, sizeof yaml,
             "run: {dir: many}\ndata: {train: none, val: none}\nmodel: {size: 32}\n"
             "optimizer: {name: %s, momentum: 0, weight_decay: 0}\n"
             "train: {stage: decoder, global_batch: 1, micro_batch: 1, steps: 1}\n",
             optimizer);
    assert_ok(lk_config_parse(yaml, "many", &config));
    make_few(&w, MANY, &gradients);
    /* The first and the last have a rate of their own. */
    w.items[0].lr_factor = w.items[MANY - 1].lr_factor = 0.5;
    assert_ok(lk_optimizer_create(config, &w, &o));
    lk_weights_begin(&w, false, NULL, NULL);
    for (int i = MANY - 1; i >= 0; i--)
        give(&w, i);
    assert_ok(lk_weights_end(&w, LK_OK));
    assert_ok(lk_optimizer_update(&o, 0.25));
    for (int i = 0; i < MANY; i++) {
        float moved[2];
        lk_tensor_to_floats(w.items[i].value, moved);
        for (int k = 0; k < 2; k++)
            assert_true(moved[k] < -0.249F * (float)w.items[i].lr_factor && moved[k] > -0.251F * (float)w.items[i].lr_factor);
    }
    lk_optimizer_free(&o);
    lk_weights_free(&w);
    lk_config_free(config);
    free(gradients);
}

static void many(void **state)
{
    (void)state;
    check_many("sgd");
    check_many("adamw");
}

/* The copy is that of the values at the last refresh, of weights alone that somebody asks for. */
static void copies_are_made_for_those_who_ask(void **state)
{
    (void)state;
    lk_weights w;
    float values[54];
    make_apart(&w, 1);
    assert_false(w.items[0].is_computed);
    lk_tensor_to_floats(lk_weights_compute(&w, 0), values);
    assert_true(fabsf(values[0] - 1.0f / 3) < 1e-2f);
    float *numbers = w.values;
    numbers[w.items[0].offset] = 2;
    numbers[w.items[1].offset] = 3;
    lk_weights_refresh(&w);
    assert_true(w.items[0].is_computed);
    assert_false(w.items[1].is_computed || w.items[2].is_computed);
    for (int i = 0; i < 2; i++) {
        lk_tensor_to_floats(lk_weights_compute(&w, i), values);
        assert_true(values[0] == (float)(2 + i));
    }
    lk_weights_free(&w);
}

int main(void)
{
    if (lk_tensor_start(1) != LK_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(encoder),   cmocka_unit_test(decoder),
                                       cmocka_unit_test(misplaced), cmocka_unit_test(apart),
                                       cmocka_unit_test(many),      cmocka_unit_test(copies_are_made_for_those_who_ask)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
