#include "trainer/kernels/kernels.h"

#include "trainer/kernels/narrow.h"
#include "trainer/kernels/narrow_transposed.h"
#include "trainer/kernels/transposed.h"
#include "trainer/kernels/winograd.h"

#include <cpuid.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const lk_kernel *const table[] = {
    &lk_winograd_avx512,
    &lk_winograd_avx2,
    &lk_winograd_bf16_avx512,
    &lk_winograd_bf16_avx2,
    &lk_narrow_avx512,
    &lk_narrow_avx2,
    &lk_narrow_bf16_avx512,
    &lk_narrow_bf16_avx2,
    &lk_transposed_avx512,
    &lk_transposed_avx2,
    &lk_transposed_bf16_avx512,
    &lk_transposed_bf16_avx2,
    &lk_narrow_transposed_avx512,
    &lk_narrow_transposed_avx2,
    &lk_narrow_transposed_bf16_avx512,
    &lk_narrow_transposed_bf16_avx2,
};

enum { COUNT = sizeof table / sizeof *table };
static const unsigned ASKED = 1u << 31; /* beside lk_cpu's bits */

/* amx-tile and amx-bf16, which compilers' __builtin_cpu_supports do not all know. */
static bool has_amx(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 1) && (d >> 22 & 1);
}

/* oneDNN's own variable, so that one word masks what is newer for libtorch's kernels and for ours. */
static bool is_masked(lk_cpu instructions)
{
    static const char *const older[] = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"};
    const char *most = getenv("ONEDNN_MAX_CPU_ISA");
    if (most && instructions == LK_CPU_AMX && strcasecmp(most, "ALL") != 0 && strcasecmp(most, "DEFAULT") != 0)
        return !strcasestr(most, "AMX");
    for (size_t i = 0; most && i < sizeof older / sizeof *older; i++)
        if (strcasecmp(most, older[i]) == 0)
            return true;
    return false;
}

static unsigned detect(void)
{
    unsigned cpu = 0;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        cpu |= LK_CPU_AVX2;
    if (!is_masked(LK_CPU_AVX512) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        cpu |= LK_CPU_AVX512;
    if (!is_masked(LK_CPU_AMX) && has_amx())
        cpu |= LK_CPU_AMX;
    return cpu;
}

/* Asked once: on a virtual machine each question is one to its host. */
unsigned lk_cpu_detect(void)
{
    static atomic_uint known;
    unsigned cpu = atomic_load_explicit(&known, memory_order_relaxed);
    if (cpu == 0) {
        cpu = detect() | ASKED;
        atomic_store_explicit(&known, cpu, memory_order_relaxed);
    }
    return cpu & ~ASKED;
}

const lk_kernel *lk_kernel_at(int index)
{
    return index >= 0 && index < COUNT ? table[index] : NULL;
}

const lk_kernel *lk_kernel_choose(const lk_convolution3 *shape, unsigned cpu)
{
    for (int i = 0; i < COUNT; i++)
        if ((table[i]->needs & cpu) == table[i]->needs && !(table[i]->yields_to & cpu) && table[i]->suits(shape))
            return table[i];
    return NULL;
}
