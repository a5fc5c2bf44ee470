/* train.micro_batch: auto (trainer/micro_batch.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/check.h"
#include "trainer/micro_batch.h"

static int chosen(const char *model, const char *train, int ranks, size_t memory)
{
    char yaml[512];
    lk_config *config;
    snprintf(yaml, sizeof yaml,
             "run: {dir: r}\ndata: {train: none, val: none}\nmodel: {%s}\ntrain: {steps: 1, micro_batch: auto, %s}\n", model,
             train);
    assert_ok(lk_config_parse(yaml, "auto", &config));
    assert_int_equal(config->train.micro_batch, 0);
    int micro_batch = lk_choose_micro_batch(config, ranks, memory);
    lk_config_free(config);
    return micro_batch;
}

static const char full[] = "size: 128, encoder: {width: 1}, decoder: {width: 1, weights: d}";

static void a_cpu_takes_at_most_sixteen(void **state)
{
    (void)state;
    assert_int_equal(chosen(full, "global_batch: 256", 1, 0), 16);
    assert_int_equal(chosen(full, "global_batch: 24", 1, 0), 12);
    assert_int_equal(chosen(full, "global_batch: 24", 8, 0), 3);
    assert_int_equal(chosen(full, "global_batch: 34", 2, 0), 1); /* 17 has no other */
}

static void a_gpu_takes_what_it_has_room_for(void **state)
{
    (void)state;
    size_t gigabyte = (size_t)1 << 30;
    assert_int_equal(chosen(full, "global_batch: 256, precision: bf16", 1, 80 * gigabyte), 256);
    assert_int_equal(chosen(full, "global_batch: 2048, precision: bf16", 8, 80 * gigabyte), 256);
    int small = chosen(full, "global_batch: 256, precision: bf16", 1, 8 * gigabyte);
    assert_true(small >= 64 && small < 256 && 256 % small == 0);
    assert_true(chosen(full, "global_batch: 256, precision: f32", 1, 8 * gigabyte) < small);
    assert_int_equal(chosen("size: 512, encoder: {width: 1}, decoder: {width: 1, weights: d}", "global_batch: 64, precision: f32",
                            1, gigabyte),
                     1);
    assert_int_equal(chosen("size: 128, decoder: {width: 1}", "stage: decoder, global_batch: 512", 1, 80 * gigabyte), 512);
}

static void it_does_not_go_with_reproducible(void **state)
{
    (void)state;
    lk_config *config;
    const char *yaml = "run: {dir: r}\ndata: {train: none, val: none}\nmodel: {size: 32}\n"
                       "train: {stage: decoder, steps: 1, micro_batch: auto, reproducible: true}\n";
    assert_fails(lk_config_parse(yaml, "auto", &config), LK_BAD_CONFIG, "train.micro_batch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_cpu_takes_at_most_sixteen),
                                       cmocka_unit_test(a_gpu_takes_what_it_has_room_for),
                                       cmocka_unit_test(it_does_not_go_with_reproducible)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
