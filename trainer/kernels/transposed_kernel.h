/* Internal to trainer/kernels/transposed_*.c, which define LK_LANES, LK_BF16 and LK_TRANSPOSED (the row), and include this
 * once. */
#include "trainer/kernels/transposed.h"
#include "trainer/kernels/transposed_output.h"
#include "trainer/kernels/transposed_weight_gradient.h"

/* Few channels would leave most of a panel empty, a single tile most of a row of tiles. */
static bool suits(const lk_convolution3 *s)
{
    return s->transposed && s->bf16 == LK_BF16 && !s->pool && s->in >= 8 && s->out >= 8 && s->height >= 3 && s->width >= 3;
}

/* Taps are transformed by whoever uses them. */
static size_t filter_size(const lk_convolution3 *s, lk_direction direction)
{
    (void)s;
    (void)direction;
    return 0;
}

const lk_kernel LK_TRANSPOSED = {
    .name = "transposed",
    .instructions = LK_LANES == 16 ? "avx512" : "avx2",
    .needs = LK_LANES == 16 ? LK_CPU_AVX512 : LK_CPU_AVX2,
    .yields_to = LK_BF16 ? LK_CPU_AMX : 0,
    .suits = suits,
    .filter_size = filter_size,
    .forward = forward,
    .data_gradient = data_gradient,
    .weight_gradient = weight_gradient,
};
