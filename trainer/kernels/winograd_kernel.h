/* Internal to trainer/kernels/winograd_*.c, which define LK_LANES, LK_BF16 and LK_WINOGRAD (the row), and include this once. */
#include "trainer/kernels/winograd.h"
#include "trainer/kernels/winograd_output.h"
#include "trainer/kernels/winograd_weight_gradient.h"

static bool suits(const lk_convolution3 *s)
{
    return !s->transposed && s->bf16 == LK_BF16 && s->in >= 8 && s->out >= 8 && s->height >= 3 && s->width >= 3 &&
           (!s->pool || (s->height % 2 == 0 && s->width % 2 == 0));
}

const lk_kernel LK_WINOGRAD = {
    .name = "winograd",
    .instructions = LK_LANES == 16 ? "avx512" : "avx2",
    .needs = LK_LANES == 16 ? LK_CPU_AVX512 : LK_CPU_AVX2,
    .yields_to = LK_BF16 ? LK_CPU_AMX : 0,
    .suits = suits,
    .filter_size = kept_filter_size,
    .transform = transform_filters,
    .forward = forward,
    .data_gradient = data_gradient,
    .weight_gradient = weight_gradient,
};
