#include "trainer/kernels/peak.h"

#include "base/clock.h"
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/peak_loops.h"

#define LK_LANES 8
#include "trainer/kernels/simd.h"

enum { ROUNDS = 500000, ITEMS_OF_THREAD = 8, REPEATS = 5 };

void lk_peak_f32_avx2(int64_t rounds, float *numbers)
{
    vec sums[LK_PEAK_SUMS], x = vec_all(numbers[0]), y = vec_all(numbers[1]);
    UNROLL for (int i = 0; i < LK_PEAK_SUMS; i++) sums[i] = vec_all(numbers[0] + (float)i);
    for (int64_t r = 0; r < rounds; r++)
        UNROLL for (int i = 0; i < LK_PEAK_SUMS; i++) sums[i] = vec_fma(x, y, sums[i]);
    float all[LANES];
    UNROLL for (int i = 1; i < LK_PEAK_SUMS; i++) sums[0] = vec_add(sums[0], sums[i]);
    vec_store(all, sums[0]);
    numbers[2] = all[0] + all[LANES - 1];
}

typedef struct peak {
    lk_peak_loop *loop;
    int products; /* of an instruction */
} peak;

static peak peak_of(lk_peak_kind kind)
{
    unsigned cpu = lk_cpu_detect();
    if (kind == LK_PEAK_BF16)
        return (cpu & LK_CPU_AVX512) && __builtin_cpu_supports("avx512bf16") ? (peak){lk_peak_bf16_avx512, 32} : (peak){0};
    if (cpu & LK_CPU_AVX512)
        return (peak){lk_peak_f32_avx512, 16};
    return cpu & LK_CPU_AVX2 ? (peak){lk_peak_f32_avx2, 8} : (peak){0};
}

static void run_loop(void *context, int lane, int item)
{
    const peak *p = context;
    float numbers[3] = {0.5f, (float)lane, (float)item};
    p->loop(ROUNDS, numbers);
}

double lk_peak_gflops(const lk_team *team, lk_peak_kind kind)
{
    peak p = peak_of(kind);
    int items = ITEMS_OF_THREAD * team->threads;
    double best = 0;
    for (int i = 0; p.loop && i < REPEATS; i++) {
        double start = lk_clock();
        lk_team_each(team, items, run_loop, &p);
        double rate = 2e-9 * p.products * LK_PEAK_SUMS * ROUNDS * items / (lk_clock() - start);
        best = rate > best ? rate : best;
    }
    return best;
}
