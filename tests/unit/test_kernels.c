/* Our convolutions of float32 and of bfloat16 against sums in float64, for every layer of both models and for odd shapes, with
 * every instruction set that this CPU has; and the same bits for all of them, for any number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/kernel_layer.h"

enum { SAMPLES = 600 };

/* What is computed; what is rounded to bfloat16 once loses 0.0017 of its norm. */
static const double tolerance = 2e-5, bf16_tolerance = 2e-3;

/* ---- the reference ---- */

static double input_at(const layer *l, int n, int y, int x, int c)
{
    const lk_convolution3 *s = &l->shape;
    if (y < 0 || x < 0 || y >= s->height || x >= s->width)
        return 0;
    return l->x[(((size_t)n * (size_t)s->height + (size_t)y) * (size_t)s->width + (size_t)x) * (size_t)s->in + (size_t)c];
}

static double filter_at(const layer *l, int out, int tap, int in)
{
    return l->filters[((size_t)out * 9 + (size_t)tap) * (size_t)l->shape.in + (size_t)in];
}

static double convolved(const layer *l, int n, int y, int x, int out)
{
    double sum = l->bias[out];
    for (int tap = 0; tap < 9; tap++)
        for (int c = 0; c < l->shape.in; c++)
            sum += input_at(l, n, y + tap / 3 - 1, x + tap % 3 - 1, c) * filter_at(l, out, tap, c);
    return l->shape.relu && sum < 0 ? 0 : sum;
}

/* The gradient with respect to the convolution's own output, which goes the way that forward took. */
static double slope_at(const layer *l, const results *r, int n, int y, int x, int out)
{
    const lk_convolution3 *s = &l->shape;
    int half = s->pool;
    if (y < 0 || x < 0 || y >= s->height || x >= s->width)
        return 0;
    size_t line = (size_t)n * (size_t)(s->height >> half) + (size_t)(y >> half);
    size_t at = (line * (size_t)(s->width >> half) + (size_t)(x >> half)) * (size_t)s->out + (size_t)out;
    if ((s->relu && r->y[at] <= 0) || (s->pool && r->choice[at] != 2 * (y & 1) + (x & 1)))
        return 0;
    return l->dy[at];
}

typedef struct error_sum {
    double error, norm;
} error_sum;

static void add_error(error_sum *e, double got, double expected)
{
    e->error += (got - expected) * (got - expected);
    e->norm += expected * expected;
}

static void require_small(const error_sum *e, double tolerated, const layer *l, const char *instructions, const char *what)
{
    double relative = sqrt(e->error / (e->norm > 0 ? e->norm : 1));
    const lk_convolution3 *s = &l->shape;
    if (!(relative < tolerated))
        fail_msg("%s, %s: %d x %d x %d, %d to %d%s%s%s: error %g", instructions, what, s->batch, s->height, s->width, s->in,
                 s->out, s->relu ? ", relu" : "", s->pool ? ", pool" : "", s->bf16 ? ", bf16" : "", relative);
}

static void check_forward(const layer *l, const results *r, const char *instructions)
{
    const lk_convolution3 *s = &l->shape;
    error_sum e = {0};
    int half = s->pool, height = s->height >> half, width = s->width >> half;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        size_t at = mixed(i) % l->outputs, pixel = at / (size_t)s->out;
        int out = (int)(at % (size_t)s->out), x = (int)(pixel % (size_t)width), y = (int)(pixel / (size_t)width % (size_t)height);
        int n = (int)(pixel / (size_t)width / (size_t)height);
        double expected = convolved(l, n, y << half, x << half, out);
        if (s->pool) {
            for (int k = 1; k < 4; k++)
                expected = fmax(expected, convolved(l, n, 2 * y + k / 2, 2 * x + k % 2, out));
            int k = r->choice[at];
            assert_in_range(k, 0, 3);
            /* Behind the ReLU all may be 0. */
            add_error(&e, convolved(l, n, 2 * y + k / 2, 2 * x + k % 2, out), expected);
        }
        add_error(&e, r->y[at], expected);
    }
    require_small(&e, s->bf16 ? bf16_tolerance : tolerance, l, instructions, "forward");
}

static void check_data_gradient(const layer *l, const results *r, const char *instructions)
{
    const lk_convolution3 *s = &l->shape;
    error_sum e = {0};
    for (uint64_t i = 0; i < SAMPLES; i++) {
        size_t at = mixed(i) % l->inputs, pixel = at / (size_t)s->in;
        int c = (int)(at % (size_t)s->in), x = (int)(pixel % (size_t)s->width);
        int y = (int)(pixel / (size_t)s->width % (size_t)s->height), n = (int)(pixel / (size_t)s->width / (size_t)s->height);
        double expected = 0;
        for (int tap = 0; tap < 9; tap++)
            for (int out = 0; out < s->out; out++)
                expected += slope_at(l, r, n, y + 1 - tap / 3, x + 1 - tap % 3, out) * filter_at(l, out, tap, c);
        add_error(&e, r->dx[at], expected);
    }
    require_small(&e, s->bf16 ? bf16_tolerance : tolerance, l, instructions, "data gradient");
}

static void check_weight_gradient(const layer *l, const results *r, const char *instructions)
{
    const lk_convolution3 *s = &l->shape;
    error_sum filters = {0}, biases = {0};
    size_t pixels = (size_t)s->batch * (size_t)s->height * (size_t)s->width;
    int samples = (int)(20000000 / pixels < SAMPLES ? 20000000 / pixels : SAMPLES);
    for (uint64_t i = 0; i < (uint64_t)samples; i++) {
        size_t at = mixed(i) % l->weights;
        int in = (int)(at % (size_t)s->in), tap = (int)(at / (size_t)s->in % 9), out = (int)(at / (size_t)s->in / 9);
        double expected = 0, bias = 0;
        for (int n = 0; n < s->batch; n++)
            for (int y = 0; y < s->height; y++)
                for (int x = 0; x < s->width; x++) {
                    double slope = slope_at(l, r, n, y, x, out);
                    expected += slope == 0 ? 0 : slope * input_at(l, n, y + tap / 3 - 1, x + tap % 3 - 1, in);
                    bias += slope;
                }
        add_error(&filters, r->dfilters[at], expected);
        add_error(&biases, r->dbias[out], bias);
    }
    require_small(&filters, tolerance, l, instructions, "filters' gradient");
    require_small(&biases, tolerance, l, instructions, "bias' gradient");
}

/* Whether the kernel is one for such numbers and layers, and runs here; also where it leaves so small a shape to libtorch. */
static bool computes(const lk_kernel *k, const lk_convolution3 *s)
{
    lk_convolution3 easy = *s;
    easy.height = easy.width = 32;
    if (!s->first)
        easy.in = easy.out = 64;
    return (k->needs & lk_cpu_detect()) == k->needs && k->suits(&easy);
}

/* Every instruction set, with some number of threads each; the first one's errors, and all the same bits as the first. */
static void check_shape(lk_convolution3 s)
{
    layer l = make_layer(s);
    results first = {0};
    for (int i = 0, threads = 1 + (s.in + s.height) % MOST_THREADS; lk_kernel_at(i); i++, threads = threads % MOST_THREADS + 1) {
        const lk_kernel *k = lk_kernel_at(i);
        if (!computes(k, &s))
            continue;
        results r = compute(k, threads, &l);
        if (first.y) {
            require_same_bits(&l, &first, &r);
            free_results(&r);
            continue;
        }
        first = r;
        check_forward(&l, &r, k->instructions);
        if (!s.first)
            check_data_gradient(&l, &r, k->instructions);
        check_weight_gradient(&l, &r, k->instructions);
    }
    assert_non_null(first.y);
    free_results(&first);
    free_layer(&l);
}

/* ---- cases ---- */

/* VGG19's blocks, with the pools behind them; then the residual blocks' two kinds. */
static void check_encoder(int size, double width, int batch, bool bf16)
{
    static const int channels[] = {64, 64, 128, 128, 256, 256, 512, 512, 512, 512};
    int in = 3;
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        int out = (int)(channels[i] * width);
        check_shape((lk_convolution3){.batch = batch,
                                      .height = size,
                                      .width = size,
                                      .in = in,
                                      .out = out,
                                      .bf16 = bf16,
                                      .first = i == 0,
                                      .relu = true,
                                      .pool = i % 2 == 1});
        if (i % 2 == 1)
            size /= 2;
        in = out;
    }
    lk_convolution3 residual = {.batch = batch, .height = size, .width = size, .in = in, .out = in, .bf16 = bf16, .relu = true};
    check_shape(residual);
    residual.relu = false;
    check_shape(residual);
}

static void test_every_layer_of_the_full_size_encoder(void **state)
{
    (void)state;
    check_encoder(128, 1, 1, false);
    check_encoder(128, 1, 1, true);
}

static void test_every_layer_of_the_demo_s_encoder(void **state)
{
    (void)state;
    check_encoder(64, 0.25, 16, false);
    check_encoder(64, 0.25, 16, true);
}

static void test_odd_shapes(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 24; i++) {
        lk_convolution3 s = {.batch = 1 + (int)(mixed(9 * i) % 9),
                             .height = 32 * (1 + (int)(mixed(9 * i + 1) % 8)),
                             .width = 32 * (1 + (int)(mixed(9 * i + 2) % 8)),
                             .in = 3 + (int)(mixed(9 * i + 3) % 518),
                             .out = 3 + (int)(mixed(9 * i + 4) % 518)};
        s.bf16 = i % 2;
        s.relu = i % 3 != 0;
        s.pool = i % 3 == 2;
        /* A map of the encoder's after some pools, small enough to be quick. */
        while ((int64_t)s.batch * s.height * s.width * (s.in + s.out) > 1000000) {
            s.height = s.height > 2 ? s.height / 2 : s.height;
            s.width = s.width > 2 ? s.width / 2 : s.width;
        }
        s.pool = s.pool && s.height % 2 == 0 && s.width % 2 == 0;
        check_shape(s);
    }
    for (int bf16 = 0; bf16 < 2; bf16++) {
        /* Less than a tile, and one more than some. */
        check_shape((lk_convolution3){3, 1, 1, 5, 7, .bf16 = bf16, .relu = true});
        check_shape((lk_convolution3){2, 3, 9, 31, 33, .bf16 = bf16, .relu = true});
        check_shape((lk_convolution3){5, 6, 10, 17, 16, .bf16 = bf16, .relu = true, .pool = true});
        check_shape((lk_convolution3){1, 13, 5, 520, 3, .bf16 = bf16, .relu = false});
        for (int in = 1; in < 8; in++)
            check_shape((lk_convolution3){2, 5 * in, 37 - 6 * (in % 4), in, 9 * in, .bf16 = bf16, .first = true, .relu = in % 2});
    }
}

static void test_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    static const lk_convolution3 shapes[] = {
        {8, 32, 32, 24, 40, .relu = true, .pool = true}, /* many chunks of the weight gradient */
        {2, 8, 8, 512, 256, .bf16 = true, .relu = true}, /* large filters, a panel at a time */
        {9, 4, 4, 48, 48, .relu = false},
        {3, 40, 40, 3, 40, .first = true, .relu = true},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        layer l = make_layer(shapes[i]);
        for (int k = 0; lk_kernel_at(k); k++) {
            if (!computes(lk_kernel_at(k), &shapes[i]))
                continue;
            results one = compute(lk_kernel_at(k), 1, &l);
            for (int threads = 2; threads <= MOST_THREADS; threads++) {
                results more = compute(lk_kernel_at(k), threads, &l);
                require_same_bits(&l, &one, &more);
                free_results(&more);
            }
            free_results(&one);
        }
        free_layer(&l);
    }
}

static void test_a_number_that_is_not_finite_stays_one(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool pool = i % 2, bf16 = i / 2;
        layer l = make_layer((lk_convolution3){1, 16, 16, 16, 16, .bf16 = bf16, .relu = true, .pool = pool});
        l.x[5 * 16 * 16 + 6 * 16 + 3] = NAN; /* pixel 5, 6 */
        free(l.stored_x);
        l.stored_x = stored(l.x, l.inputs, bf16);
        for (int k = 0; lk_kernel_at(k); k++) {
            if (!computes(lk_kernel_at(k), &l.shape))
                continue;
            results r = compute(lk_kernel_at(k), 1, &l);
            int side = pool ? 8 : 16, y = pool ? 2 : 5, x = pool ? 3 : 6;
            for (int c = 0; c < 16; c++)
                assert_true(isnan(r.y[(y * side + x) * 16 + c]));
            free_results(&r);
        }
        free_layer(&l);
    }
}

static void test_the_choice_follows_shape_and_cpu(void **state)
{
    (void)state;
    unsigned all = LK_CPU_AVX2 | LK_CPU_AVX512;
    lk_convolution3 s = {8, 32, 32, 64, 64, .relu = true, .pool = true},
                    first = {8, 128, 128, 3, 64, .first = true, .relu = true};
    assert_string_equal(lk_kernel_choose(&s, all)->instructions, "avx512");
    assert_string_equal(lk_kernel_choose(&s, LK_CPU_AVX2)->instructions, "avx2");
    assert_null(lk_kernel_choose(&s, 0));
    assert_string_equal(lk_kernel_choose(&first, all)->name, "narrow");
    first.first = false; /* of which the gradient is wanted */
    assert_null(lk_kernel_choose(&first, all));
    const lk_kernel *of_floats = lk_kernel_choose(&s, all | LK_CPU_AMX);
    assert_non_null(of_floats);
    s.bf16 = true;
    assert_non_null(lk_kernel_choose(&s, all));
    assert_ptr_not_equal(lk_kernel_choose(&s, all), of_floats);
    assert_null(lk_kernel_choose(&s, all | LK_CPU_AMX)); /* libtorch's tiles are faster */
    s.height = 33;
    assert_null(lk_kernel_choose(&s, LK_CPU_AVX2)); /* a pool would leave a row out */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_layer_of_the_full_size_encoder),
        cmocka_unit_test(test_every_layer_of_the_demo_s_encoder),
        cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(test_a_number_that_is_not_finite_stays_one),
        cmocka_unit_test(test_the_choice_follows_shape_and_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
