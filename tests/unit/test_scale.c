/* The model of `likeness bench scale`: one rank is its computing alone, the ring's formula, and what more GPUs, slower networks
 * and larger delays can only make worse. That it is near the truth is measured by tests/bench/scale.sh. */
#include "launch/bench/scale.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/check.h"

static const lk_scale_plan PLAN = {.batch = 256,
                                   .forward_ms = 15,
                                   .backward_ms = 13,
                                   .update_ms = 0.5,
                                   .size = 128,
                                   .width = 1,
                                   .outputs = 60,
                                   .bytes = 4,
                                   .bucket_mb = 25,
                                   .node = 8,
                                   .near_us = 6,
                                   .near_gb = 370,
                                   .far_us = 15,
                                   .adapters = 1,
                                   .used = 0.9};

static lk_scale_step predict(const lk_scale_plan *plan, int gpus, double gbit)
{
    lk_scale_step step;
    assert_ok(lk_scale_predict(plan, gpus, gbit, &step));
    return step;
}

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%.12g instead of %.12g", value, expected);
}

static void one_gpu_is_its_computing(void **state)
{
    (void)state;
    lk_scale_step one = predict(&PLAN, 1, 200);
    assert_near(one.step_ms, 28.5);
    assert_near(one.samples_per_s, 256 / 28.5e-3);
    assert_near(one.efficiency, 1);
    assert_true(one.exposed_ms == 0);
}

static void a_ring_moves_each_byte_twice_but_for_one_part(void **state)
{
    (void)state;
    assert_true(lk_scale_ring(1e9, 1, 1e-5, 1e9) == 0);
    for (int n = 2; n <= 1024; n *= 2)
        assert_near(lk_scale_ring(3e8, n, 1e-5, 2e9), 2 * (n - 1) * 1e-5 + 2.0 * (n - 1) / n * 0.15);
}

/* 13.3 GFLOP forward of 128 px have 20.0 M weights in VGG19 and 14.2 M in the residual blocks. */
static void the_gradients_are_the_encoders(void **state)
{
    (void)state;
    double vgg = 20024384, residual = 6 * (9 * 512 * 512 + 512), heads = (512 * 16 + 1) * 60;
    assert_near(lk_scale_gradient_count(&PLAN), vgg + residual + heads);
}

/* Without arithmetic to hide behind, one bucket is one ring; and with much of it only the last bucket shows. */
static void what_is_exposed_is_what_backward_does_not_hide(void **state)
{
    (void)state;
    lk_scale_plan plan = PLAN;
    plan.node = 1;
    plan.far_us = 0;
    plan.used = 1;
    plan.bucket_mb = 1e6;
    lk_scale_step whole = predict(&plan, 4, 8);
    assert_near(whole.exposed_ms, 1e3 * lk_scale_ring(4 * lk_scale_gradient_count(&plan), 4, 0, 1e9));
    plan.bucket_mb = 25;
    plan.backward_ms = 1e6;
    lk_scale_step hidden = predict(&plan, 4, 8);
    assert_true(hidden.exposed_ms > 0 && hidden.exposed_ms < 0.3 * whole.exposed_ms);
}

static void more_gpus_and_slower_networks_are_never_better(void **state)
{
    (void)state;
    const double rates[] = {1, 25, 200, 400, 800};
    lk_scale_plan worse[] = {PLAN, PLAN, PLAN, PLAN, PLAN, PLAN};
    worse[1].far_us = 150;
    worse[2].jitter = 0.02;
    worse[3].agree_us = 500;
    worse[4].loader = 60000;
    worse[5].bytes = 8;
    for (size_t r = 0; r < 5; r++) {
        lk_scale_step before = predict(&PLAN, 1, rates[r]);
        for (int gpus = 1; gpus <= 512; gpus++) {
            lk_scale_step now = predict(&PLAN, gpus, rates[r]);
            assert_true(now.step_ms >= before.step_ms - 1e-9 && now.efficiency <= before.efficiency + 1e-12);
            for (size_t w = 1; w < 6; w++)
                assert_true(predict(&worse[w], gpus, rates[r]).step_ms >= now.step_ms - 1e-9);
            if (r > 0)
                assert_true(predict(&PLAN, gpus, rates[r - 1]).step_ms >= now.step_ms - 1e-9);
            before = now;
        }
    }
}

/* 100,000 samples/s of a node feed 8 GPUs of 9,000, and 50,000 do not: they then set the pace. */
static void a_slow_loader_sets_the_pace(void **state)
{
    (void)state;
    lk_scale_plan plan = PLAN;
    plan.loader = 100000;
    assert_near(predict(&plan, 8, 400).step_ms, predict(&PLAN, 8, 400).step_ms);
    plan.loader = 50000;
    assert_near(predict(&plan, 8, 400).step_ms, 1e3 * 256 * 8 / 50000.0 + 0.5);
}

static void checkpoints_cost_their_share(void **state)
{
    (void)state;
    lk_scale_plan plan = PLAN;
    plan.checkpoint_ms = 30;
    plan.checkpoint_s = 3;
    assert_near(predict(&plan, 1, 400).step_ms, 28.5 * 1.01);
}

static void a_plan_without_a_network_is_refused(void **state)
{
    (void)state;
    lk_scale_step step;
    assert_fails(lk_scale_predict(&PLAN, 0, 200, &step), LK_USAGE, "above 0");
    assert_fails(lk_scale_predict(&PLAN, 8, 0, &step), LK_USAGE, "above 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_gpu_is_its_computing),
        cmocka_unit_test(a_ring_moves_each_byte_twice_but_for_one_part),
        cmocka_unit_test(the_gradients_are_the_encoders),
        cmocka_unit_test(what_is_exposed_is_what_backward_does_not_hide),
        cmocka_unit_test(more_gpus_and_slower_networks_are_never_better),
        cmocka_unit_test(a_slow_loader_sets_the_pace),
        cmocka_unit_test(checkpoints_cost_their_share),
        cmocka_unit_test(a_plan_without_a_network_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
