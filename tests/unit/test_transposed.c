/* Our transposed convolutions of float32 and of bfloat16, of many outputs and of few, against sums in float64, for the decoder's
 * layers and for odd shapes, with every instruction set that this CPU has; and the same bits for all of them, for any number of
 * threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/kernel_layer.h"

enum { TAPS = 16, FEW = 7 /* outputs */ };

typedef enum method { MANY_OUTPUTS, FEW_OUTPUTS, METHODS } method;

/* What is computed; what is rounded to bfloat16 once loses 0.0017 of its norm. */
static const double tolerance = 2e-5, bf16_tolerance = 2e-3;

/* ---- the reference: the definition, as a scattering of each input pixel ---- */

typedef struct truth {
    double *y, *dx, *dfilters, *dbias;
} truth;

/* The gradient in front of the ReLU, which goes the way that forward took. */
static double *slopes_of(const layer *l, const results *r)
{
    double *slopes = calloc(l->outputs, sizeof *slopes);
    for (size_t i = 0; i < l->outputs; i++)
        slopes[i] = l->shape.relu && r->y[i] <= 0 ? 0 : l->dy[i];
    return slopes;
}

/* What pixel `pixel` of x and `slope`, the first channel of one of dy, have to do with each other by one tap. */
static void add_products(const layer *l, truth *t, const double *slopes, size_t pixel, size_t target, int tap)
{
    const lk_convolution3 *s = &l->shape;
    for (int i = 0; i < s->in; i++) {
        double x = l->x[pixel * (size_t)s->in + (size_t)i], sum = 0;
        size_t weight = ((size_t)i * TAPS + (size_t)tap) * (size_t)s->out, first = target * (size_t)s->out;
        for (int o = 0; o < s->out; o++) {
            t->y[first + (size_t)o] += x * (double)l->filters[weight + (size_t)o];
            t->dfilters[weight + (size_t)o] += x * slopes[first + (size_t)o];
            sum += slopes[first + (size_t)o] * (double)l->filters[weight + (size_t)o];
        }
        t->dx[pixel * (size_t)s->in + (size_t)i] += sum;
    }
}

static truth find_truth(const layer *l, const results *r)
{
    const lk_convolution3 *s = &l->shape;
    truth t = {calloc(l->outputs, sizeof(double)), calloc(l->inputs, sizeof(double)), calloc(l->weights, sizeof(double)),
               calloc((size_t)s->out, sizeof(double))};
    double *slopes = slopes_of(l, r);
    for (size_t i = 0; i < l->outputs; i++) {
        t.y[i] = l->bias[i % (size_t)s->out];
        t.dbias[i % (size_t)s->out] += slopes[i];
    }
    for (int n = 0; n < s->batch; n++)
        for (int y = 0; y < s->height; y++)
            for (int x = 0; x < s->width; x++)
                for (int tap = 0; tap < TAPS; tap++) {
                    int row = 2 * y - 1 + tap / 4, column = 2 * x - 1 + tap % 4;
                    if (row >= 0 && row < 2 * s->height && column >= 0 && column < 2 * s->width)
                        add_products(l, &t, slopes, (size_t)((n * s->height + y) * s->width + x),
                                     (size_t)((n * 2 * s->height + row) * 2 * s->width + column), tap);
                }
    for (size_t i = 0; s->relu && i < l->outputs; i++)
        t.y[i] = fmax(t.y[i], 0);
    free(slopes);
    return t;
}

static void require_near(const layer *l, const char *what, double most, const float *got, const double *expected, size_t count)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        error += pow((double)got[i] - expected[i], 2);
        norm += pow(expected[i], 2);
    }
    double relative = sqrt(error / (norm > 0 ? norm : 1));
    const lk_convolution3 *s = &l->shape;
    if (!(relative < most))
        fail_msg("%s: %d x %d x %d, %d to %d%s%s: error %g", what, s->batch, s->height, s->width, s->in, s->out,
                 s->relu ? ", relu" : "", s->bf16 ? ", bf16" : "", relative);
}

static void check_errors(const layer *l, const results *r)
{
    truth t = find_truth(l, r);
    double most = l->shape.bf16 ? bf16_tolerance : tolerance;
    require_near(l, "forward", most, r->y, t.y, l->outputs);
    require_near(l, "data gradient", most, r->dx, t.dx, l->inputs);
    require_near(l, "filters' gradient", tolerance, r->dfilters, t.dfilters, l->weights);
    require_near(l, "bias' gradient", tolerance, r->dbias, t.dbias, (size_t)l->shape.out);
    free(t.y);
    free(t.dx);
    free(t.dfilters);
    free(t.dbias);
}

/* Its rows for such numbers, also where a shape is so small that it does not suit. */
static bool is_ours(const lk_kernel *k, method m, bool bf16)
{
    lk_convolution3 easy = {.batch = 1, .height = 8, .width = 8, .in = 8, .transposed = true, .bf16 = bf16};
    easy.out = m == FEW_OUTPUTS ? FEW : FEW + 1;
    return (k->needs & lk_cpu_detect()) == k->needs && k->suits(&easy);
}

static bool can(method m, const lk_convolution3 *s)
{
    return m == MANY_OUTPUTS || s->out <= FEW;
}

/* The errors of the first instruction set, and the same bits by all, each with some number of threads. */
static void check_method(const layer *l, method m)
{
    const lk_convolution3 *s = &l->shape;
    results first = {0};
    for (int i = 0, threads = 1 + (s->in + s->height) % MOST_THREADS; lk_kernel_at(i); i++) {
        if (!is_ours(lk_kernel_at(i), m, s->bf16))
            continue;
        results r = compute(lk_kernel_at(i), threads, l);
        threads = threads % MOST_THREADS + 1;
        if (first.y) {
            require_same_bits(l, &first, &r);
            free_results(&r);
            continue;
        }
        first = r;
        check_errors(l, &r);
    }
    assert_non_null(first.y);
    free_results(&first);
}

static void check_shape(lk_convolution3 s)
{
    s.transposed = true;
    layer l = make_layer(s);
    for (method m = 0; m < METHODS; m++)
        if (can(m, &s))
            check_method(&l, m);
    free_layer(&l);
}

/* ---- cases ---- */

static void test_the_decoder_s_layers(void **state)
{
    (void)state;
    static const int channels[] = {512, 512, 512, 256, 128, 64};
    for (int i = 0; i < 5; i++) {
        if (i < 3) /* of full size; the others are this many numbers of a few more tiles */
            check_shape((lk_convolution3){
                .batch = 1, .height = 4 << i, .width = 4 << i, .in = channels[i], .out = channels[i + 1], .relu = true});
        for (int bf16 = 0; bf16 < 2; bf16++)
            check_shape((lk_convolution3){.batch = 4,
                                          .height = 4 << i,
                                          .width = 4 << i,
                                          .in = channels[i] / 4,
                                          .out = channels[i + 1] / 4,
                                          .bf16 = bf16,
                                          .relu = i % 2 == 0});
    }
}

/* The colours, of the demo's size and of full size. */
static void test_the_decoder_s_last_layer(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        check_shape((lk_convolution3){.batch = 3, .height = 32, .width = 32, .in = 64, .out = 3, .bf16 = bf16});
        check_shape((lk_convolution3){.batch = 1, .height = 64, .width = 64, .in = 128, .out = 3, .bf16 = bf16});
    }
}

/* Sizes of a few pixels, and of more than the sums of a band or of a slice take in. */
static void test_odd_shapes_of_few_outputs(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 42; i++) {
        lk_convolution3 s = {.batch = 1 + (int)(mixed(9 * i) % 9),
                             .height = 1 + (int)(mixed(9 * i + 1) % 40),
                             .width = 1 + (int)(mixed(9 * i + 2) % 140),
                             .in = 3 + (int)(mixed(9 * i + 3) % 518),
                             .out = 1 + (int)(i % FEW),
                             .bf16 = i % 2,
                             .relu = i % 3 != 0};
        while ((double)s.batch * s.height * s.width * s.in * s.out > 5e5 && s.in > 3)
            if (s.batch > 1)
                s.batch--;
            else if (i % 4 && s.height * s.width > 30)
                s.height -= s.height / 2, s.width -= s.width / 3;
            else
                s.in -= s.in / 3;
        check_shape(s);
    }
    for (int bf16 = 0; bf16 < 2; bf16++) {
        check_shape((lk_convolution3){.batch = 9, .height = 1, .width = 1, .in = 520, .out = 3, .bf16 = bf16});
        check_shape((lk_convolution3){.batch = 1, .height = 2, .width = 300, .in = 3, .out = 3, .bf16 = bf16});
        check_shape((lk_convolution3){.batch = 2, .height = 33, .width = 3, .in = 1, .out = 1, .bf16 = bf16, .relu = true});
    }
}

static void test_odd_shapes(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 24; i++) {
        lk_convolution3 s = {.batch = 1 + (int)(mixed(9 * i) % 9),
                             .height = 32 * (1 + (int)(mixed(9 * i + 1) % 8)),
                             .width = 32 * (1 + (int)(mixed(9 * i + 2) % 8)),
                             .in = 3 + (int)(mixed(9 * i + 3) % 518),
                             .out = 3 + (int)(mixed(9 * i + 4) % 518),
                             .bf16 = i % 2,
                             .relu = i % 3 != 0};
        /* A map of the decoder's before some doublings, small enough to be quick. */
        while ((double)s.batch * s.height * s.width * s.in * s.out > 4e6 && s.height * s.width > 1) {
            s.height = (s.height + 1) / 2;
            s.width = s.width > 2 ? s.width / 2 : s.width;
        }
        check_shape(s);
    }
    /* Less than a tile, and one more than some. */
    for (int bf16 = 0; bf16 < 2; bf16++) {
        check_shape((lk_convolution3){.batch = 3, .height = 1, .width = 1, .in = 5, .out = 7, .bf16 = bf16, .relu = true});
        check_shape((lk_convolution3){.batch = 2, .height = 3, .width = 9, .in = 31, .out = 33, .bf16 = bf16, .relu = true});
        check_shape((lk_convolution3){.batch = 5, .height = 5, .width = 13, .in = 17, .out = 16, .bf16 = bf16});
    }
}

static void test_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    static const lk_convolution3 shapes[] = {
        {.batch = 5, .height = 32, .width = 32, .in = 24, .out = 40, .transposed = true, .relu = true}, /* many chunks */
        {.batch = 2, .height = 8, .width = 8, .in = 300, .out = 70, .transposed = true},
        {.batch = 5, .height = 16, .width = 16, .in = 24, .out = 40, .transposed = true, .bf16 = true, .relu = true},
        {.batch = 2, .height = 37, .width = 20, .in = 70, .out = 3, .transposed = true}, /* some bands */
        {.batch = 3, .height = 5, .width = 7, .in = 200, .out = 5, .transposed = true, .bf16 = true, .relu = true},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        layer l = make_layer(shapes[i]);
        for (int k = 0; lk_kernel_at(k); k++) {
            if (!is_ours(lk_kernel_at(k), shapes[i].out <= FEW ? FEW_OUTPUTS : MANY_OUTPUTS, shapes[i].bf16))
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

/* Pixel 2, 3 leads to rows 3 ... 6 and columns 5 ... 8 of the output; output pixel 5, 8 to its four pixels. */
static void test_a_number_that_is_not_finite_stays_one(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        lk_convolution3 s = {.batch = 1, .height = 8, .width = 8, .in = 20, .out = 3, .transposed = true, .bf16 = i / 2};
        s.relu = i % 2;
        layer l = make_layer(s);
        void *finite_dy = l.stored_dy;
        l.x[(2 * 8 + 3) * s.in + 19] = l.dy[(5 * 16 + 8) * s.out + 1] = NAN;
        free(l.stored_x);
        l.stored_x = stored(l.x, l.inputs, s.bf16);
        l.stored_dy = stored(l.dy, l.outputs, s.bf16);
        free(finite_dy);
        for (int k = 0; lk_kernel_at(k); k++) {
            if (!is_ours(lk_kernel_at(k), FEW_OUTPUTS, s.bf16))
                continue;
            results r = compute(lk_kernel_at(k), 1, &l);
            for (int pixel = 0; pixel < 256; pixel++)
                for (int c = 0; c < s.out; c++) {
                    bool reached = abs(2 * (pixel / 16) - 9) <= 3 && abs(2 * (pixel % 16) - 13) <= 3;
                    assert_int_equal(isnan(r.y[pixel * s.out + c]), reached);
                }
            for (int pixel = 0; pixel < 64; pixel++)
                for (int c = 0; c < s.in; c++) {
                    bool reached = (pixel / 8 == 2 || pixel / 8 == 3) && (pixel % 8 == 4 || pixel % 8 == 3);
                    assert_int_equal(isnan(r.dx[pixel * s.in + c]), reached);
                }
            free_results(&r);
        }
        free_layer(&l);
    }
}

static void test_the_choice(void **state)
{
    (void)state;
    lk_convolution3 s = {.batch = 8, .height = 8, .width = 8, .in = 64, .out = 64, .transposed = true, .relu = true};
    assert_string_equal(lk_kernel_choose(&s, LK_CPU_AVX2 | LK_CPU_AVX512)->name, "transposed");
    assert_string_equal(lk_kernel_choose(&s, LK_CPU_AVX2)->instructions, "avx2");
    s.pool = true;
    assert_null(lk_kernel_choose(&s, LK_CPU_AVX2));
    s.out = FEW;
    assert_null(lk_kernel_choose(&s, LK_CPU_AVX2));
    s.pool = false;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        s.bf16 = bf16;
        s.out = FEW;
        assert_string_equal(lk_kernel_choose(&s, LK_CPU_AVX2 | LK_CPU_AVX512)->name, "narrow-4x4");
        assert_int_equal(!lk_kernel_choose(&s, LK_CPU_AVX2 | LK_CPU_AVX512 | LK_CPU_AMX), bf16); /* libtorch's tiles */
        s.out = FEW + 1;
        assert_string_equal(lk_kernel_choose(&s, LK_CPU_AVX2 | LK_CPU_AVX512)->name, "transposed");
    }
    s.transposed = s.bf16 = false;
    assert_string_equal(lk_kernel_choose(&s, LK_CPU_AVX2)->name, "winograd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_decoder_s_layers),
        cmocka_unit_test(test_the_decoder_s_last_layer),
        cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_odd_shapes_of_few_outputs),
        cmocka_unit_test(test_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(test_a_number_that_is_not_finite_stays_one),
        cmocka_unit_test(test_the_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
