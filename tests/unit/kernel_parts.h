/* What the tests of our kernels share: numbers, and a team of threads of their own. Include it behind cmocka.h. */
#ifndef LK_TESTS_UNIT_KERNEL_PARTS_H
#define LK_TESTS_UNIT_KERNEL_PARTS_H

#include "trainer/kernels/team.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 4 };

static uint64_t mixed(uint64_t i)
{
    uint64_t bits = (i + 1) * 0x9e3779b97f4a7c15u;
    bits = (bits ^ bits >> 31) * 0xbf58476d1ce4e5b9u;
    return bits ^ bits >> 29;
}

/* In -1 ... 1, of some shape of their own for each array. */
static float *random_numbers(size_t count, uint64_t array)
{
    float *out = malloc(count * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((double)(mixed(array << 40 | i) >> 11) / (double)(1ull << 52) - 1);
    return out;
}

/* As a kernel reads them; rounds the numbers themselves to what is stored. */
static void *stored(float *values, size_t count, bool bf16)
{
    unsigned char *out = malloc(count * sizeof *values);
    assert_non_null(out);
    for (size_t i = 0; bf16 && i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits = isnan(values[i]) ? 0x7fc00000 : (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        memcpy(&values[i], &bits, sizeof bits);
        memcpy(out + 2 * i, (const char *)&bits + 2, 2);
    }
    return bf16 ? out : memcpy(out, values, count * sizeof *values);
}

typedef struct part {
    lk_team_range *range;
    void *context;
    int begin;
} part;

static void *run_part(void *argument)
{
    const part *p = argument;
    p->range(p->begin, p->begin + 1, p->context);
    return NULL;
}

static void run_on_threads(int count, lk_team_range *range, void *context)
{
    pthread_t threads[MOST_THREADS];
    part parts[MOST_THREADS];
    assert_true(count <= MOST_THREADS);
    for (int i = 0; i < count; i++) {
        parts[i] = (part){range, context, i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_part, &parts[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

#endif
