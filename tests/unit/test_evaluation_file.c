/* evaluation.json: what is written is read back, and what others made of it does no harm. */
#include "trainer/evaluate/evaluation_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

/* An encoder's evaluation comes back with its numbers bit for bit; one that is not finite is NAN, and nothing else is missing. */
static void comes_back(void **state)
{
    (void)state;
    lk_schema *schema;
    assert_ok(
        lk_schema_parse("name: s\ncontinuous:\n  - {name: jaw, min: 0, max: 1, default: 0}\n"
                        "  - {name: Br\xc3\xa4u, min: 0, max: 1, default: 0}\ndiscrete:\n  - {name: hair, choices: [a, b]}\n",
                        "here", &schema));
    double accuracy[] = {0.1}, majority[] = {1.0 / 3}, temperature[] = {2.5};
    lk_reliability reliability[2] = {0};
    lk_reliability_add(&reliability[1], 0.95, true);
    lk_reliability_add(&reliability[1], 0.85, false);
    lk_reliability_add(&reliability[1], 0.75, false);
    lk_parameter_score parameters[] = {{1, 3.5, 0.25, 0.75, NAN}, {0, 0.1, 0.2, INFINITY, -1}};
    const lk_evaluation e = {.samples = 7,
                             .has_parts = true,
                             .f = 1.0 / 7,
                             .f1 = 2,
                             .f2 = 0.1,
                             .baseline_f = 9,
                             .baseline_f1 = 3,
                             .baseline_f2 = NAN,
                             .group_count = 1,
                             .continuous_count = 2,
                             .accuracy = accuracy,
                             .majority = majority,
                             .temperature = temperature,
                             .reliability = reliability,
                             .parameters = parameters};
    lk_evaluation_record r;
    assert_ok(lk_evaluation_write("e.json", schema, &e));
    assert_ok(lk_evaluation_record_read("e.json", &r));
    assert_true(r.present && r.samples == 7 && r.f == 1.0 / 7 && r.f1 == 2 && r.f2 == 0.1);
    assert_true(r.baseline_f == 9 && r.baseline_f1 == 3 && isnan(r.baseline_f2));
    assert_int_equal(r.choice_count, 1);
    assert_string_equal(r.choices[0].group, "hair");
    assert_true(r.choices[0].accuracy == 0.1 && r.choices[0].majority == 1.0 / 3);
    assert_int_equal(r.parameter_count, 2);
    assert_string_equal(r.parameters[0].name, "Br\xc3\xa4u");
    assert_true(r.parameters[0].strength == 3.5 && r.parameters[0].mae_ratio == 0.75 && isnan(r.parameters[0].correlation));
    assert_string_equal(r.parameters[1].name, "jaw");
    assert_true(isnan(r.parameters[1].mae_ratio) && r.parameters[1].correlation == -1);
    assert_true(lk_mean_ratio(&e, 10) == 0.75 && r.mae_ratio_20 == 0.75); /* jaw has no ratio: it is left out */
    assert_true(lk_mean_accuracy(&r) == 0.1);
    assert_float_equal(r.calibration_error, (0.05 + 0.85 + 0.75) / 3, 1e-12);
    assert_int_equal(r.bin_count, 3);
    assert_true(r.bins[0].from == 0.7 && r.bins[0].choices == 1 && r.bins[2].certainty == 0.95 && r.bins[2].right == 1);
    lk_evaluation_record_free(&r);

    const lk_evaluation decoder = {.samples = 3, .f = 0.5, .baseline_f = 0.75};
    assert_ok(lk_evaluation_write("e.json", schema, &decoder));
    assert_ok(lk_evaluation_record_read("e.json", &r));
    assert_true(r.f == 0.5 && r.baseline_f == 0.75 && isnan(r.f1) && r.choice_count == 0 && r.parameter_count == 0);
    assert_true(isnan(lk_mean_accuracy(&r)));
    lk_evaluation_record_free(&r);
    lk_schema_free(schema);
}

static void reads_odd_evaluations(void **state)
{
    (void)state;
    lk_evaluation_record j;
    put("e.json", "{\"F\":\"x\",\"accuracy\":[1],\"majority\":7,\"continuous\":{\"a\":1}}");
    assert_ok(lk_evaluation_record_read("e.json", &j));
    assert_true(j.present && isnan(j.f) && j.choice_count == 0 && j.parameter_count == 0);
    lk_evaluation_record_free(&j);
    put("e.json", "{\"reliability\":[1,2,3,4,5,6,7,8,9,10,11,{}]}");
    assert_ok(lk_evaluation_record_read("e.json", &j));
    assert_true(j.bin_count == LK_CERTAINTY_BINS && isnan(j.bins[0].right) && isnan(j.calibration_error));
    lk_evaluation_record_free(&j);
    put("e.json", "{\"accuracy\":{\"a\":\"b\"},\"continuous\":[5,{\"name\":9}]}");
    assert_ok(lk_evaluation_record_read("e.json", &j));
    assert_true(isnan(j.choices[0].accuracy) && j.parameter_count == 2);
    lk_evaluation_record_free(&j);
    put("e.json", "[]");
    assert_int_equal(lk_evaluation_record_read("e.json", &j), LK_BAD_DATA);
    assert_ok(lk_evaluation_record_read("missing.json", &j));
    assert_false(j.present);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(reads_odd_evaluations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
