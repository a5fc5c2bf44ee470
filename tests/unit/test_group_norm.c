/* The loops of group norm: what is compiled for wider vectors gives the same bits as what runs everywhere, and both what the
 * formula says. */
#include "trainer/tensor/group_norm_loops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Channels that fill no vector, and pixels that fill no block of sums. */
enum { SAMPLES = 3, PIXELS = 77, CHANNELS = 50, GROUPS = 5, SIZE = PIXELS * CHANNELS, ALL = SAMPLES * SIZE };

typedef struct results {
    double mean[SAMPLES * GROUPS], rstd[SAMPLES * GROUPS], products[SAMPLES * CHANNELS], totals[SAMPLES * CHANNELS];
    unsigned char y[ALL * sizeof(double)], dx[ALL * sizeof(double)];
} results;

static double scale[CHANNELS], shift[CHANNELS], x[ALL], dy[ALL];

static double number(uint64_t i)
{
    uint64_t bits = (i + 1) * 0x9e3779b97f4a7c15u;
    bits = (bits ^ bits >> 31) * 0xbf58476d1ce4e5b9u;
    return (double)(bits >> 11) / (double)(1ull << 52) - 1;
}

static void make_numbers(void)
{
    for (int i = 0; i < ALL; i++) {
        x[i] = 1.5 * number((uint64_t)i) + 0.25;
        dy[i] = number((uint64_t)(ALL + i));
    }
    for (int c = 0; c < CHANNELS; c++) {
        scale[c] = 1 + 0.5 * number((uint64_t)(2 * ALL + c));
        shift[c] = number((uint64_t)(3 * ALL + c));
    }
}

/* `from` in a format of so many bytes an element: 2 is bfloat16, cut off. */
static void *in_format(const double *from, size_t bytes)
{
    unsigned char *out = calloc(ALL, bytes);
    for (int i = 0; i < ALL; i++) {
        float single = (float)from[i];
        if (bytes == 2)
            memcpy(out + 2 * i, (unsigned char *)&single + 2, 2); /* the upper half, little endian */
        else
            memcpy(out + bytes * (size_t)i, bytes == 4 ? (void *)&single : (const void *)&from[i], bytes);
    }
    return out;
}

static void compute(lk_norm_loop *forward, lk_norm_loop *backward, size_t bytes, results *r)
{
    bool out_of_memory = false;
    void *input = in_format(x, bytes), *slope = in_format(dy, bytes);
    lk_norm_job job = {.x = input,
                       .dy = slope,
                       .out = r->y,
                       .pixels = PIXELS,
                       .channels = CHANNELS,
                       .groups = GROUPS,
                       .eps = 1e-5,
                       .scale = scale,
                       .shift = shift,
                       .mean = r->mean,
                       .rstd = r->rstd,
                       .products = r->products,
                       .totals = r->totals,
                       .out_of_memory = &out_of_memory};
    forward(0, SAMPLES, &job);
    job.out = r->dx;
    backward(0, SAMPLES, &job);
    assert_false(out_of_memory);
    free(input);
    free(slope);
}

static void compute_all(const lk_norm_loops *loops, results *f32, results *f64, results *bf16)
{
    compute(loops->forward_f32, loops->backward_f32, 4, f32);
    compute(loops->forward_f64, loops->backward_f64, 8, f64);
    compute(loops->forward_bf16, loops->backward_bf16, 2, bf16);
}

static void plain_loops_compute_the_formula(void **state)
{
    (void)state;
    results *r = calloc(3, sizeof *r);
    compute_all(&lk_norm_loops_plain, &r[0], &r[1], &r[2]);
    enum { WIDTH = CHANNELS / GROUPS, COUNT = PIXELS * WIDTH };
    for (int n = 0; n < SAMPLES; n++)
        for (int g = 0; g < GROUPS; g++) {
            double mean = 0, variance = 0;
            for (int i = 0; i < COUNT; i++)
                mean += x[n * SIZE + i / WIDTH * CHANNELS + g * WIDTH + i % WIDTH] / COUNT;
            for (int i = 0; i < COUNT; i++)
                variance += pow(x[n * SIZE + i / WIDTH * CHANNELS + g * WIDTH + i % WIDTH] - mean, 2) / COUNT;
            assert_true(fabs(r[1].mean[n * GROUPS + g] - mean) < 1e-12);
            for (int i = 0; i < COUNT; i++) {
                int at = n * SIZE + i / WIDTH * CHANNELS + g * WIDTH + i % WIDTH, c = at % CHANNELS;
                double wanted = scale[c] * (x[at] - mean) / sqrt(variance + 1e-5) + shift[c], got;
                float single;
                memcpy(&got, r[1].y + sizeof got * (size_t)at, sizeof got);
                memcpy(&single, r[0].y + sizeof single * (size_t)at, sizeof single);
                assert_true(fabs(got - wanted) < 1e-10);
                assert_true(fabs((double)single - wanted) < 1e-5);
            }
        }
    free(r);
}

static void chosen_loops_give_the_bits_of_plain_ones(void **state)
{
    (void)state;
    results *plain = calloc(3, sizeof *plain), *chosen = calloc(3, sizeof *chosen);
    compute_all(&lk_norm_loops_plain, &plain[0], &plain[1], &plain[2]);
    compute_all(lk_norm_loops_choose(), &chosen[0], &chosen[1], &chosen[2]);
    print_message("this CPU runs the loops for %s\n", lk_norm_loops_choose() == &lk_norm_loops_avx512 ? "AVX-512" : "every CPU");
    for (int format = 0; format < 3; format++)
        assert_memory_equal(&plain[format], &chosen[format], sizeof *plain);
    free(plain);
    free(chosen);
}

int main(void)
{
    make_numbers();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_loops_compute_the_formula),
        cmocka_unit_test(chosen_loops_give_the_bits_of_plain_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
