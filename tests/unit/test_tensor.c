/* Rounding to bfloat16: ours, for every class of float32, against libtorch's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trainer/tensor/memory.h"

#include <math.h>
#include <stdlib.h>

/* Every upper half (sign, exponent, what bfloat16 keeps) with lower halves around each way of rounding: NaNs of all payloads,
 * infinities, what rounds up to infinity, subnormals, both zeros, ties to even and odd. */
static void bfloat(void **state)
{
    (void)state;
    static const uint32_t low[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    enum { UPPER = 1 << 16, LOW = sizeof low / sizeof *low };
    const int64_t sizes[] = {UPPER * LOW};
    float *values = malloc(UPPER * LOW * sizeof *values);
    for (uint32_t i = 0; i < UPPER * LOW; i++) {
        uint32_t bits = i / LOW << 16 | low[i % LOW];
        memcpy(&values[i], &bits, sizeof bits);
    }
    lk_tensor *wide = lk_tensor_view(values, LK_DTYPE_F32, 1, sizes);
    lk_tensor *narrow = lk_tensor_cast(wide, LK_DTYPE_BF16);
    assert_int_equal(lk_tensor_check(), LK_OK);
    const uint16_t *theirs = lk_tensor_data(narrow);
    int nans = 0;
    for (size_t i = 0; i < UPPER * LOW; i++) {
        uint16_t ours = lk_float_to_bfloat(values[i]);
        if (!isnan(values[i])) {
            assert_int_equal(ours, theirs[i]);
            continue;
        }
        nans++;
        assert_true(isnan(lk_bfloat_to_float(ours)));
        assert_true(ours & 0x40); /* quiet: arithmetic would change it otherwise */
        assert_int_equal(ours >> 15, signbit(values[i]) != 0);
    }
    assert_int_equal(nans, 2 * (128 * LOW - 1));
    lk_tensor_free(&narrow);
    lk_tensor_free(&wide);
    free(values);
}

int main(void)
{
    if (lk_tensor_start(1) != LK_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(bfloat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
