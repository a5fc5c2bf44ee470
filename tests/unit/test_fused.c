/* Our kernels behind the blocks of a whole encoder: its outputs and gradients are those of libtorch's operators but for rounding,
 * after the weights changed too. */
#include "base/random.h"
#include "trainer/model/encoder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

enum { SIZE = 64, BATCH = 2, CONTINUOUS = 5, CHOICES = 4 };

static float *random_floats(size_t count, uint64_t stream)
{
    lk_random random = lk_random_make(7, stream);
    float *out = malloc(count * sizeof *out);
    for (size_t i = 0; i < count; i++)
        out[i] = lk_random_normal(&random);
    return out;
}

static lk_tensor *random_tensor(int dims, const int64_t *sizes, uint64_t stream)
{
    size_t count = 1;
    for (int i = 0; i < dims; i++)
        count *= (size_t)sizes[i];
    float *values = random_floats(count, stream);
    lk_tensor *t = lk_tensor_from_floats(values, LK_DTYPE_F32, dims, sizes);
    free(values);
    return t;
}

/* The gradients of a random direction, and the continuous outputs, by one way of computing. */
static void pass(lk_encoder *e, bool own, float *gradients, float *outputs)
{
    e->weights.own_kernels = own;
    assert_ok(lk_weights_bind_gradients(&e->weights, gradients, 1));
    lk_tensor *x = random_tensor(4, (int64_t[]){BATCH, 3, SIZE, SIZE}, 1), *continuous = NULL, *logits = NULL;
    lk_encoder_forward(e, x, true, &continuous, &logits);
    lk_tensor_to_floats(continuous, outputs);
    int fused = 0;
    for (int i = 0; i < LK_VGG_BLOCKS; i++)
        fused += e->features[i].is_fused;
    assert_int_equal(fused, own ? LK_VGG_BLOCKS - 1 : 0); /* all but the first layer */
    lk_weights_begin(&e->weights, false, NULL, NULL);
    lk_encoder_backward(e, random_tensor(2, (int64_t[]){BATCH, CONTINUOUS}, 2), random_tensor(2, (int64_t[]){BATCH, CHOICES}, 3));
    assert_ok(lk_weights_end(&e->weights, lk_tensor_check()));
    lk_tensor_free(&x);
    lk_tensor_free(&continuous);
    lk_tensor_free(&logits);
}

static double relative(const float *a, const float *b, size_t count)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        error += pow((double)a[i] - (double)b[i], 2);
        norm += pow((double)b[i], 2);
    }
    return sqrt(error / norm);
}

static void compare(lk_encoder *e)
{
    size_t total = e->weights.total;
    float *ours = calloc(total, sizeof *ours), *torch = calloc(total, sizeof *torch);
    float outputs[2][BATCH * CONTINUOUS];
    pass(e, true, ours, outputs[0]);
    pass(e, false, torch, outputs[1]);
    assert_true(relative(outputs[0], outputs[1], BATCH * CONTINUOUS) < 1e-5);
    for (int i = 0; i < e->weights.count; i++) {
        const lk_weight *w = &e->weights.items[i];
        double error = relative(ours + w->offset, torch + w->offset, w->count);
        if (!(error < 1e-3))
            fail_msg("gradient of %s: relative error %g", w->name, error);
    }
    print_message("whole gradient: relative error %.1e\n", relative(ours, torch, total));
    assert_false(memcmp(ours, torch, total * sizeof *ours) == 0);
    free(ours);
    free(torch);
}

static void check_encoder(lk_norm norm)
{
    lk_encoder e;
    lk_encoder_shape shape = {.size = SIZE, .width = 0.25, .norm = norm, .continuous_count = CONTINUOUS, .choice_count = CHOICES};
    assert_ok(lk_encoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &e));
    assert_ok(lk_encoder_initialize(&e, 11));
    compare(&e);
    if (norm == LK_NORM_NONE) { /* other weights: what was made of the old ones is made anew */
        assert_ok(lk_encoder_initialize(&e, 12));
        compare(&e);
    }
    lk_encoder_free(&e);
}

static void an_encoder_without_norm(void **state)
{
    (void)state;
    check_encoder(LK_NORM_NONE);
}

static void an_encoder_with_group_norm(void **state)
{
    (void)state;
    check_encoder(LK_NORM_GROUP);
}

int main(void)
{
    if (lk_tensor_start(2) != LK_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_encoder_without_norm), cmocka_unit_test(an_encoder_with_group_norm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
