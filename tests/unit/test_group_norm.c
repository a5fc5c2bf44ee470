/* Group norm with the ReLU and the pool behind it: our kernels, and the CPU's plain loops, against the formula in float64; and of
 * our kernels the same bits with every instruction set that this CPU has, for any number of threads. */
#include "base/bfloat.h"
#include "trainer/kernels/norm.h"
#include "trainer/tensor/device_kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"
#include "tests/unit/kernel_parts.h"

static const double eps = 1e-5;

/* ---- numbers ---- */

typedef struct layer {
    lk_norm_shape shape;
    size_t inputs, outputs, groups; /* numbers of x, of y, groups of all pictures */
    float *x, *dy, *scale, *shift;  /* x and dy hold what `stored` ones do */
    void *stored_x, *stored_dy;
} layer;

typedef struct results {
    void *y, *dx;
    uint8_t *choice;
    double *mean, *rstd;
    float *dscale, *dshift;
} results;

static size_t size_of(const layer *l)
{
    return l->shape.bf16 ? sizeof(uint16_t) : sizeof(float);
}

static double number_at(const layer *l, const void *values, size_t i)
{
    return (double)(l->shape.bf16 ? lk_bfloat_to_float(((const uint16_t *)values)[i]) : ((const float *)values)[i]);
}

static layer make_layer(lk_norm_shape s)
{
    layer l = {.shape = s,
               .inputs = (size_t)s.batch * (size_t)s.height * (size_t)s.width * (size_t)s.channels,
               .groups = (size_t)s.batch * (size_t)s.groups};
    l.outputs = l.inputs / (s.pool ? 4 : 1);
    l.x = random_numbers(l.inputs, 1);
    l.dy = random_numbers(l.outputs, 2);
    l.scale = random_numbers((size_t)s.channels, 3);
    l.shift = random_numbers((size_t)s.channels, 4);
    for (size_t i = 0; i < l.inputs; i++)
        l.x[i] = 1.5F * l.x[i] + 0.25F;
    for (int c = 0; c < s.channels; c++)
        l.scale[c] = 1 + l.scale[c] / 2;
    l.stored_x = stored(l.x, l.inputs, s.bf16);
    l.stored_dy = stored(l.dy, l.outputs, s.bf16);
    return l;
}

static void free_layer(layer *l)
{
    free(l->x);
    free(l->dy);
    free(l->scale);
    free(l->shift);
    free(l->stored_x);
    free(l->stored_dy);
}

static results make_results(const layer *l)
{
    size_t channels = (size_t)l->shape.channels;
    return (results){calloc(l->outputs, size_of(l)),    calloc(l->inputs, size_of(l)),     calloc(l->outputs, 1),
                     calloc(l->groups, sizeof(double)), calloc(l->groups, sizeof(double)), calloc(channels, sizeof(float)),
                     calloc(channels, sizeof(float))};
}

static void free_results(results *r)
{
    free(r->y);
    free(r->dx);
    free(r->choice);
    free(r->mean);
    free(r->rstd);
    free(r->dscale);
    free(r->dshift);
}

static results compute(const lk_norm_kernel *k, int threads, const layer *l)
{
    lk_team team = {threads, run_on_threads};
    results r = make_results(l);
    lk_output_gradient g = {l->stored_dy, r.y, r.choice};
    assert_ok(k->forward(&team, &l->shape, l->stored_x, l->scale, l->shift, eps, r.y, r.choice, r.mean, r.rstd));
    assert_ok(k->backward(&team, &l->shape, &g, l->stored_x, l->scale, r.mean, r.rstd, r.dx, r.dscale, r.dshift));
    return r;
}

/* The plain loops, which know neither ReLU nor pool. */
static results compute_plainly(const layer *l)
{
    const lk_norm_shape *s = &l->shape;
    results r = make_results(l);
    lk_group_norm_shape shape = {.dtype = s->bf16 ? LK_DTYPE_BF16 : LK_DTYPE_F32,
                                 .weight = LK_DTYPE_F32,
                                 .map = {s->batch, s->height, s->width, s->channels},
                                 .groups = s->groups,
                                 .eps = eps};
    const lk_device_kernels *cpu = &lk_device_kernels_cpu;
    assert_ok(cpu->group_norm(lk_device_host(), &shape, l->stored_x, l->scale, l->shift, r.y, r.mean, r.rstd));
    assert_ok(cpu->group_norm_backward(lk_device_host(), &shape, l->stored_dy, l->stored_x, l->scale, r.mean, r.rstd, r.dx,
                                       r.dscale, r.dshift));
    return r;
}

/* ---- the formula ---- */

/* Picture n, group g of the place i of x. */
static size_t group_of(const lk_norm_shape *s, size_t i)
{
    size_t picture = (size_t)s->height * (size_t)s->width * (size_t)s->channels, channels = (size_t)s->channels;
    return i / picture * (size_t)s->groups + i % channels / (channels / (size_t)s->groups);
}

/* Where the number at place i of x goes: its place in y, and which of the pool's four it is. */
static size_t place_in_output(const lk_norm_shape *s, size_t i, int *which)
{
    size_t channels = (size_t)s->channels, width = (size_t)s->width, c = i % channels, x = i / channels % width;
    size_t line = i / channels / width; /* of all pictures, of an even height each where there is a pool */
    *which = s->pool ? (int)(2 * (line % 2) + x % 2) : 0;
    return s->pool ? ((line / 2) * (width / 2) + x / 2) * channels + c : i;
}

static void find_statistics(const layer *l, double *mean, double *rstd)
{
    double count = (double)l->inputs / (double)l->groups;
    for (size_t g = 0; g < l->groups; g++)
        mean[g] = rstd[g] = 0;
    for (size_t i = 0; i < l->inputs; i++)
        mean[group_of(&l->shape, i)] += (double)l->x[i] / count;
    for (size_t i = 0; i < l->inputs; i++)
        rstd[group_of(&l->shape, i)] += pow((double)l->x[i] - mean[group_of(&l->shape, i)], 2) / count;
    for (size_t g = 0; g < l->groups; g++)
        rstd[g] = 1 / sqrt(rstd[g] + eps);
}

static void check_forward(const layer *l, const results *r, const double *mean, const double *rstd)
{
    double *wanted = malloc(l->outputs * sizeof *wanted), tolerance = l->shape.bf16 ? 0.004 : 1e-5;
    for (size_t i = 0; i < l->outputs; i++)
        wanted[i] = -INFINITY;
    double *all = malloc(l->inputs * sizeof *all);
    int which;
    for (size_t i = 0; i < l->inputs; i++) {
        size_t g = group_of(&l->shape, i), to = place_in_output(&l->shape, i, &which), c = i % (size_t)l->shape.channels;
        all[i] = (double)l->scale[c] * ((double)l->x[i] - mean[g]) * rstd[g] + (double)l->shift[c];
        all[i] = l->shape.relu ? fmax(all[i], 0) : all[i];
        wanted[to] = fmax(wanted[to], all[i]);
    }
    for (size_t i = 0; i < l->outputs; i++)
        if (!(fabs(number_at(l, r->y, i) - wanted[i]) <= tolerance * (1 + fabs(wanted[i]))))
            fail_msg("y[%zu]: %g is not %g", i, number_at(l, r->y, i), wanted[i]);
    for (size_t i = 0; i < l->inputs; i++) { /* the one that was chosen is a greatest */
        size_t to = place_in_output(&l->shape, i, &which);
        if (r->choice[to] == which)
            assert_true(fabs(all[i] - wanted[to]) < 1e-5 * (1 + fabs(wanted[to])));
    }
    free(wanted);
    free(all);
}

static void check_norm(const char *what, double error, double norm, double tolerance)
{
    if (!(sqrt(error) <= tolerance * sqrt(norm)) || !(norm > 0))
        fail_msg("%s: error %g of %g", what, sqrt(error), sqrt(norm));
}

/* By the way that y and choice tell. */
static void check_backward(const layer *l, const results *r, const double *mean, const double *rstd)
{
    const lk_norm_shape *s = &l->shape;
    size_t channels = (size_t)s->channels;
    double *g = calloc(l->inputs, sizeof *g), *sums = calloc(2 * l->groups, sizeof *sums);
    double *weights = calloc(2 * channels, sizeof *weights), count = (double)l->inputs / (double)l->groups;
    for (size_t i = 0; i < l->inputs; i++) {
        int which;
        size_t to = place_in_output(s, i, &which), group = group_of(s, i);
        bool passes = (!s->relu || number_at(l, r->y, to) > 0) && (!s->pool || r->choice[to] == which);
        g[i] = passes ? (double)l->dy[to] : 0;
        double deviation = ((double)l->x[i] - mean[group]) * rstd[group];
        weights[i % channels] += g[i] * deviation;
        weights[channels + i % channels] += g[i];
        sums[group] += g[i] * (double)l->scale[i % channels] * deviation;
        sums[l->groups + group] += g[i] * (double)l->scale[i % channels];
    }
    double error = 0, norm = 0;
    for (size_t i = 0; i < l->inputs; i++) {
        size_t group = group_of(s, i);
        double deviation = ((double)l->x[i] - mean[group]) * rstd[group];
        double wanted =
            rstd[group] * ((double)l->scale[i % channels] * g[i] - (sums[l->groups + group] + deviation * sums[group]) / count);
        error += pow(number_at(l, r->dx, i) - wanted, 2);
        norm += wanted * wanted;
    }
    check_norm("dx", error, norm, s->bf16 ? 2e-3 : 2e-6);
    for (int k = 0; k < 2; k++) {
        error = norm = 0;
        for (size_t c = 0; c < channels; c++) {
            error += pow((double)(k ? r->dshift : r->dscale)[c] - weights[(size_t)k * channels + c], 2);
            norm += pow(weights[(size_t)k * channels + c], 2);
        }
        check_norm(k ? "dshift" : "dscale", error, norm, 2e-6);
    }
    free(g);
    free(sums);
    free(weights);
}

static void check_formula(const layer *l, const results *r)
{
    double *mean = malloc(l->groups * sizeof *mean), *rstd = malloc(l->groups * sizeof *rstd);
    find_statistics(l, mean, rstd);
    for (size_t g = 0; g < l->groups; g++) {
        assert_true(fabs(r->mean[g] - mean[g]) < 1e-6);
        assert_true(fabs(r->rstd[g] - rstd[g]) < 1e-6);
    }
    check_forward(l, r, mean, rstd);
    check_backward(l, r, mean, rstd);
    free(mean);
    free(rstd);
}

/* ---- all kernels, for shapes with parts of vectors, of bands and of chains ---- */

typedef void layer_check(const layer *l);

static void each_layer(layer_check *check)
{
    static const lk_norm_shape shapes[] = {
        {.batch = 3, .height = 6, .width = 10, .channels = 50, .groups = 25},
        {.batch = 2, .height = 24, .width = 22, .channels = 12, .groups = 6},
        {.batch = 5, .height = 2, .width = 2, .channels = 128, .groups = 32},
        {.batch = 1, .height = 32, .width = 32, .channels = 32, .groups = 16},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = 0; kind < 6; kind++) {
            lk_norm_shape s = shapes[i];
            s.bf16 = kind % 2;
            s.relu = kind >= 2;
            s.pool = kind >= 4;
            layer l = make_layer(s);
            check(&l);
            free_layer(&l);
        }
}

static bool runs_here(const lk_norm_kernel *k, const layer *l)
{
    return k->bf16 == l->shape.bf16 && (k->needs & lk_cpu_detect()) == k->needs;
}

static void check_kernels(const layer *l)
{
    const lk_norm_kernel *k;
    for (int i = 0; (k = lk_norm_kernel_at(i)); i++)
        if (runs_here(k, l)) {
            results r = compute(k, 1, l);
            check_formula(l, &r);
            free_results(&r);
        }
}

static void kernels_compute_the_formula(void **state)
{
    (void)state;
    each_layer(check_kernels);
}

static void check_plain_loops(const layer *l)
{
    if (l->shape.relu)
        return;
    results r = compute_plainly(l);
    check_formula(l, &r);
    free_results(&r);
}

static void plain_loops_compute_the_formula(void **state)
{
    (void)state;
    each_layer(check_plain_loops);
}

static void check_bits(const layer *l)
{
    static const int threads[] = {1, 2, 4};
    const lk_norm_kernel *k;
    results first = {0};
    for (int i = 0; (k = lk_norm_kernel_at(i)); i++)
        for (int t = 0; t < 3 && runs_here(k, l); t++) {
            results r = compute(k, threads[t], l);
            if (!first.y) {
                first = r;
                continue;
            }
            assert_memory_equal(first.y, r.y, l->outputs * size_of(l));
            assert_memory_equal(first.dx, r.dx, l->inputs * size_of(l));
            assert_memory_equal(first.choice, r.choice, l->outputs);
            assert_memory_equal(first.mean, r.mean, l->groups * sizeof *r.mean);
            assert_memory_equal(first.rstd, r.rstd, l->groups * sizeof *r.rstd);
            assert_memory_equal(first.dscale, r.dscale, (size_t)l->shape.channels * sizeof *r.dscale);
            assert_memory_equal(first.dshift, r.dshift, (size_t)l->shape.channels * sizeof *r.dshift);
            free_results(&r);
        }
    free_results(&first);
}

static void the_same_bits_for_all_vectors_and_threads(void **state)
{
    (void)state;
    each_layer(check_bits);
}

static void check_nan(const layer *l)
{
    const lk_norm_kernel *k;
    layer broken = make_layer(l->shape);
    if (l->shape.bf16)
        ((uint16_t *)broken.stored_x)[0] = lk_float_to_bfloat(NAN);
    else
        ((float *)broken.stored_x)[0] = NAN;
    for (int i = 0; (k = lk_norm_kernel_at(i)); i++)
        if (runs_here(k, l)) {
            results r = compute(k, 2, &broken);
            assert_true(isnan(number_at(l, r.y, 0)) && isnan(number_at(l, r.dx, 0)));
            assert_true(isnan((double)r.dscale[0]));
            size_t last = l->outputs - 1; /* of another group */
            assert_false(isnan(number_at(l, r.y, last)));
            free_results(&r);
        }
    free_layer(&broken);
}

static void what_is_not_a_number_stays_none(void **state)
{
    (void)state;
    each_layer(check_nan);
}

static void what_does_not_suit_has_no_kernel(void **state)
{
    (void)state;
    lk_norm_shape s = {.batch = 1, .height = 5, .width = 4, .channels = 8, .groups = 4, .relu = true};
    unsigned cpu = LK_CPU_AVX2 | LK_CPU_AVX512;
    assert_non_null(lk_norm_kernel_choose(&s, cpu));
    assert_null(lk_norm_kernel_choose(&s, 0));
    s.pool = true; /* of an odd height */
    assert_null(lk_norm_kernel_choose(&s, cpu));
    s.height = 6;
    assert_non_null(lk_norm_kernel_choose(&s, cpu));
    s.groups = 3;
    assert_null(lk_norm_kernel_choose(&s, cpu));
}

int main(void)
{
    if (lk_tensor_start(2) != LK_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_compute_the_formula),
        cmocka_unit_test(plain_loops_compute_the_formula),
        cmocka_unit_test(the_same_bits_for_all_vectors_and_threads),
        cmocka_unit_test(what_is_not_a_number_stays_none),
        cmocka_unit_test(what_does_not_suit_has_no_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
