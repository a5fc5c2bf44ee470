/* Our kernels behind the blocks of a whole encoder and decoder: outputs and gradients are those of libtorch's operators but for
 * rounding, after the weights changed too. In bfloat16 they are no further from float64's than libtorch's are. */
#include "base/random.h"
#include "trainer/model/decoder.h"
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

static lk_tensor *random_tensor(lk_dtype dtype, int dims, const int64_t *sizes, uint64_t stream)
{
    size_t count = 1;
    for (int i = 0; i < dims; i++)
        count *= (size_t)sizes[i];
    float *values = random_floats(count, stream);
    lk_tensor *t = lk_tensor_from_floats(values, dtype, dims, sizes);
    free(values);
    return t;
}

/* The gradients of a random direction, and the continuous outputs, by one way of computing. The same for either precision. */
static void pass_adding(lk_encoder *e, bool own, bool accumulate, float *gradients, float *outputs)
{
    e->weights.own_kernels = own;
    assert_ok(lk_weights_bind_gradients(&e->weights, gradients, 1));
    lk_dtype dtype = e->weights.compute_dtype;
    lk_tensor *x = random_tensor(dtype, 4, (int64_t[]){BATCH, 3, SIZE, SIZE}, 1), *continuous = NULL, *logits = NULL;
    lk_encoder_forward(e, x, true, &continuous, &logits);
    lk_tensor_to_floats(continuous, outputs);
    int fused = 0, norms = 0;
    for (int i = 0; i < LK_VGG_BLOCKS; i++) {
        fused += e->features[i].is_fused;
        norms += e->features[i].has_fused_norm;
    }
    assert_int_equal(fused, own ? LK_VGG_BLOCKS : 0);
    assert_int_equal(norms, own && e->shape.norm == LK_NORM_GROUP ? LK_VGG_BLOCKS : 0);
    lk_weights_begin(&e->weights, accumulate, NULL, NULL);
    lk_encoder_backward(e, random_tensor(dtype, 2, (int64_t[]){BATCH, CONTINUOUS}, 2),
                        random_tensor(dtype, 2, (int64_t[]){BATCH, CHOICES}, 3));
    assert_ok(lk_weights_end(&e->weights, lk_tensor_check()));
    lk_tensor_free(&x);
    lk_tensor_free(&continuous);
    lk_tensor_free(&logits);
}

static void pass(lk_encoder *e, bool own, float *gradients, float *outputs)
{
    pass_adding(e, own, false, gradients, outputs);
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

static lk_encoder make_encoder(lk_norm norm, lk_dtype compute)
{
    lk_encoder e;
    lk_encoder_shape shape = {.size = SIZE, .width = 0.25, .norm = norm, .continuous_count = CONTINUOUS, .choice_count = CHOICES};
    assert_ok(lk_encoder_create(&shape, LK_DTYPE_F32, compute, &e));
    assert_ok(lk_encoder_initialize(&e, 11));
    return e;
}

static void check_encoder(lk_norm norm)
{
    lk_encoder e = make_encoder(norm, LK_DTYPE_F32);
    compare(&e);
    if (norm == LK_NORM_NONE) { /* other weights: what was made of the old ones is made anew */
        assert_ok(lk_encoder_initialize(&e, 12));
        compare(&e);
    }
    lk_encoder_free(&e);
}

/* The first micro-batch's gradients are written in their place, the next one's are added. */
static void gradients_of_micro_batches_are_added(void **state)
{
    (void)state;
    lk_encoder e = make_encoder(LK_NORM_NONE, LK_DTYPE_F32);
    size_t total = e.weights.total;
    float *once = calloc(total, sizeof *once), *twice = calloc(total, sizeof *twice), outputs[BATCH * CONTINUOUS];
    pass(&e, true, once, outputs);
    pass(&e, true, twice, outputs);
    pass_adding(&e, true, true, twice, outputs);
    for (size_t i = 0; i < total; i++)
        assert_true(twice[i] == 2 * once[i]);
    free(once);
    free(twice);
    lk_encoder_free(&e);
}

static int layers_with_filters(const lk_encoder *e)
{
    int count = 0;
    for (int i = 0; i < LK_VGG_BLOCKS; i++)
        count += e->features[i].fused.filters[LK_FORWARD].values || e->features[i].fused.filters[LK_DATA_GRADIENT].values;
    return count;
}

/* Filters of weights that change after each pass are made anew, refreshed or not, and not kept; those of others are. */
static void filters_of_a_single_pass_are_not_kept(void **state)
{
    (void)state;
    lk_encoder e = make_encoder(LK_NORM_NONE, LK_DTYPE_F32), other = make_encoder(LK_NORM_NONE, LK_DTYPE_F32);
    size_t total = e.weights.total;
    float *kept = calloc(total, sizeof *kept), *single = calloc(total, sizeof *single), outputs[2][BATCH * CONTINUOUS];
    pass(&e, true, kept, outputs[0]);
    assert_true(layers_with_filters(&e) > 0);
    e.weights.single_pass = true;
    pass(&e, true, single, outputs[1]);
    assert_int_equal(layers_with_filters(&e), 0);
    assert_memory_equal(single, kept, total * sizeof *kept);
    assert_memory_equal(outputs[1], outputs[0], sizeof outputs[0]);

    assert_ok(lk_encoder_initialize(&other, 12));
    pass(&other, true, kept, outputs[0]);
    memcpy(e.weights.values, other.weights.values, total * sizeof *kept);
    pass(&e, true, single, outputs[1]);
    assert_memory_equal(single, kept, total * sizeof *kept);
    free(kept);
    free(single);
    lk_encoder_free(&e);
    lk_encoder_free(&other);
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

/* ---- the decoder ---- */

enum { INPUTS = 9, PICTURE = 3 * SIZE * SIZE };

/* What a step sees of a decoder: the picture, and the gradients of the weights, or of the input where it is frozen. */
static void decoder_pass(lk_decoder *d, bool own, float *picture, float *gradients)
{
    d->weights.own_kernels = own;
    lk_tensor *p = random_tensor(LK_DTYPE_F32, 2, (int64_t[]){BATCH, INPUTS}, 1);
    lk_tensor *y = lk_decoder_forward(d, p, true);
    lk_tensor_to_floats(y, picture);
    bool tiles = d->weights.compute_dtype == LK_DTYPE_BF16 && (lk_cpu_detect() & LK_CPU_AMX); /* libtorch's, then */
    for (int i = 1; i < d->block_count; i++) /* the first makes 4 x 4 pixels out of one */
        assert_int_equal(d->blocks[i].is_fused, own && !tiles);
    lk_tensor *dy = random_tensor(LK_DTYPE_F32, 4, (int64_t[]){BATCH, 3, SIZE, SIZE}, 2);
    if (d->folded) {
        lk_tensor *dp = lk_decoder_backward(d, dy);
        lk_tensor_to_floats(dp, gradients);
        lk_tensor_free(&dp);
    } else {
        assert_ok(lk_weights_bind_gradients(&d->weights, gradients, 1));
        lk_weights_begin(&d->weights, false, NULL, NULL);
        assert_null(lk_decoder_backward(d, dy));
        assert_ok(lk_weights_end(&d->weights, LK_OK));
    }
    assert_ok(lk_tensor_check());
    lk_tensor_free(&p);
    lk_tensor_free(&y);
}

/* Of the exact one by libtorch, the other by ours and by libtorch: picture and gradients of both, no further off by ours. */
static void compare_decoders(lk_decoder *exact, lk_decoder *d, double most_of_torch_s, double most)
{
    size_t count = d->folded ? BATCH * INPUTS : d->weights.total;
    float *pictures[3], *gradients[3];
    lk_decoder *of[3] = {exact, d, d};
    for (int i = 0; i < 3; i++) {
        pictures[i] = calloc(BATCH * PICTURE, sizeof(float));
        gradients[i] = calloc(count, sizeof(float));
        decoder_pass(of[i], i == 1, pictures[i], gradients[i]);
    }
    double picture = relative(pictures[1], pictures[0], BATCH * PICTURE), gradient = relative(gradients[1], gradients[0], count);
    double allowed[2] = {most_of_torch_s * relative(pictures[2], pictures[0], BATCH * PICTURE) + most,
                         most_of_torch_s * relative(gradients[2], gradients[0], count) + most};
    print_message("decoder: picture %.1e, gradient %.1e\n", picture, gradient);
    assert_true(picture > 0 && picture <= allowed[0]);
    assert_true(gradient > 0 && gradient <= allowed[1]);
    for (int i = 0; i < 3; i++) {
        free(pictures[i]);
        free(gradients[i]);
    }
}

/* All three directions of its last layer in its own stage; forward and the data gradient where it is frozen. */
static void a_decoder_in_both_stages(void **state)
{
    (void)state;
    lk_decoder_shape shape = {.size = SIZE, .width = 0.25, .inputs = INPUTS};
    lk_decoder exact, narrow, folded[2];
    assert_ok(lk_decoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &exact));
    assert_ok(lk_decoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_BF16, &narrow));
    assert_ok(lk_decoder_initialize(&exact, 15));
    assert_ok(lk_decoder_initialize(&narrow, 15));
    compare_decoders(&exact, &exact, 0, 1e-2); /* a ReLU near 0 that lets one through and not the other is 0.005 */
    compare_decoders(&exact, &narrow, 1.3, 0);
    for (int i = 0; i < 2; i++)
        assert_ok(lk_decoder_fold(&exact, i ? LK_DTYPE_BF16 : LK_DTYPE_F32, &folded[i]));
    compare_decoders(&folded[0], &folded[0], 0, 1e-2);
    compare_decoders(&folded[0], &folded[1], 1.3, 0);
    for (int i = 0; i < 2; i++)
        lk_decoder_free(&folded[i]);
    lk_decoder_free(&exact);
    lk_decoder_free(&narrow);
}

/* ---- bfloat16 ---- */

static void the_whole_gradient_in_bfloat16_is_as_exact_as_libtorch_s(void **state)
{
    (void)state;
    static const lk_norm norms[] = {LK_NORM_NONE, LK_NORM_GROUP};
    for (int i = 0; i < 2; i++) {
        lk_encoder exact = make_encoder(norms[i], LK_DTYPE_F32), narrow = make_encoder(norms[i], LK_DTYPE_BF16);
        size_t total = exact.weights.total;
        float *gradients[3], outputs[BATCH * CONTINUOUS];
        for (int k = 0; k < 3; k++)
            gradients[k] = calloc(total, sizeof(float));
        pass(&exact, false, gradients[0], outputs);
        pass(&narrow, true, gradients[1], outputs);
        pass(&narrow, false, gradients[2], outputs);
        double ours = relative(gradients[1], gradients[0], total), torch = relative(gradients[2], gradients[0], total);
        print_message("whole gradient in bfloat16: error %.3f, libtorch's %.3f\n", ours, torch);
        assert_true(ours > 0 && ours < 1.3 * torch);
        for (int k = 0; k < 3; k++)
            free(gradients[k]);
        lk_encoder_free(&exact);
        lk_encoder_free(&narrow);
    }
}

enum { OUTPUT, DATA_GRADIENT, WEIGHT_GRADIENT, BIAS_GRADIENT, KINDS };

typedef struct pieces {
    lk_tensor *of[KINDS];
} pieces;

static void free_pieces(pieces *p)
{
    for (int i = 0; i < KINDS; i++)
        lk_tensor_free(&p->of[i]);
}

static pieces by_libtorch(lk_dtype dtype, const lk_tensor *x, const lk_tensor *w, const lk_tensor *b, const lk_tensor *dy,
                          bool first)
{
    lk_convolution_shape shape = {.stride = 1, .padding = 1};
    const lk_tensor *given[] = {x, w, b, dy};
    lk_tensor *cast[4];
    pieces p = {0};
    for (int i = 0; i < 4; i++)
        cast[i] = lk_tensor_cast(given[i], dtype);
    p.of[OUTPUT] = lk_convolution(cast[0], cast[1], cast[2], &shape);
    lk_convolution_backward(cast[3], cast[0], cast[1], &shape, first ? NULL : &p.of[DATA_GRADIENT], &p.of[WEIGHT_GRADIENT],
                            &p.of[BIAS_GRADIENT]);
    for (int i = 0; i < 4; i++)
        lk_tensor_free(&cast[i]);
    return p;
}

static pieces by_ours(lk_fused *f, const lk_tensor *x, const lk_tensor *w, const lk_tensor *b, const lk_tensor *dy, bool first)
{
    pieces p = {0};
    p.of[OUTPUT] = lk_fused_forward(f, x, w, b, 1);
    lk_fused_backward(f, dy, x, p.of[OUTPUT], w, 1, first ? NULL : &p.of[DATA_GRADIENT], &p.of[WEIGHT_GRADIENT],
                      &p.of[BIAS_GRADIENT]);
    return p;
}

static double error_of(const lk_tensor *t, const lk_tensor *exact)
{
    size_t count = (size_t)lk_tensor_count(exact);
    float *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b);
    lk_tensor_to_floats(t, a);
    lk_tensor_to_floats(exact, b);
    double error = relative(a, b, count);
    free(a);
    free(b);
    return error;
}

/* What bfloat16 holds, as float32. */
static lk_tensor *rounded_tensor(int dims, const int64_t *sizes, uint64_t stream)
{
    lk_tensor *narrow = random_tensor(LK_DTYPE_BF16, dims, sizes, stream), *wide = lk_tensor_cast(narrow, LK_DTYPE_F32);
    lk_tensor_free(&narrow);
    return wide;
}

/* The inputs are what bfloat16 holds, so that errors are those of computing alone. */
static void compare_errors(int batch, int size, int in, int out, bool first)
{
    static const char *const names[KINDS] = {"output", "data gradient", "weight gradient", "bias gradient"};
    lk_tensor *x = rounded_tensor(4, (int64_t[]){batch, in, size, size}, 1),
              *dy = rounded_tensor(4, (int64_t[]){batch, out, size, size}, 2);
    lk_tensor *w = rounded_tensor(4, (int64_t[]){out, in, 3, 3}, 3), *b = rounded_tensor(1, (int64_t[]){out}, 4);
    lk_tensor *narrow_x = lk_tensor_cast(x, LK_DTYPE_BF16), *narrow_dy = lk_tensor_cast(dy, LK_DTYPE_BF16);
    lk_fused f = {0};
    if (lk_fused_suits(&f, narrow_x, &(lk_convolution3){.out = out, .first = first})) {
        pieces ours = by_ours(&f, narrow_x, w, b, narrow_dy, first), exact = by_libtorch(LK_DTYPE_F64, x, w, b, dy, first);
        pieces torch = by_libtorch(LK_DTYPE_BF16, x, w, b, dy, first);
        assert_ok(lk_tensor_check());
        for (int i = 0; i < KINDS; i++) {
            if (first && i == DATA_GRADIENT)
                continue;
            double error = error_of(ours.of[i], exact.of[i]), allowed = 1.3 * error_of(torch.of[i], exact.of[i]);
            if (!(error <= allowed))
                fail_msg("%d to %d channels, %d px: %s: error %g, more than %g", in, out, size, names[i], error, allowed);
        }
        free_pieces(&ours);
        free_pieces(&exact);
        free_pieces(&torch);
    }
    lk_fused_free(&f);
    lk_tensor *all[] = {x, dy, w, b, narrow_x, narrow_dy};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        lk_tensor_free(&all[i]);
}

static void bfloat16_is_as_exact_as_libtorch_s_in_every_layer(void **state)
{
    static const int channels[] = {64, 64, 128, 128, 256, 256, 512, 512, 512, 512};
    (void)state;
    for (int model = 0; model < 2; model++) {
        double width = model ? 0.25 : 1;
        int size = 64, in = 3; /* smaller than at full size, where float64 would take long */
        for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
            int out = (int)(channels[i] * width);
            compare_errors(1 + model, size, in, out, i == 0);
            size /= i % 2 == 1 ? 2 : 1;
            in = out;
        }
        compare_errors(8, size, in, in, false);
    }
}

int main(void)
{
    if (lk_tensor_start(2) != LK_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_encoder_without_norm),
        cmocka_unit_test(an_encoder_with_group_norm),
        cmocka_unit_test(filters_of_a_single_pass_are_not_kept),
        cmocka_unit_test(gradients_of_micro_batches_are_added),
        cmocka_unit_test(a_decoder_in_both_stages),
        cmocka_unit_test(the_whole_gradient_in_bfloat16_is_as_exact_as_libtorch_s),
        cmocka_unit_test(bfloat16_is_as_exact_as_libtorch_s_in_every_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
