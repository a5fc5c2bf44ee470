/* Calibration: temperatures are found again, travel as a note, and reliability counts how often certainties are right. */
#include "trainer/evaluate/calibration.h"
#include "trainer/model/inference.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/check.h"

enum { FACES = 6000, CHOICES = 7 };

static const char SCHEMA[] = "name: small\n"
                             "continuous: [{name: nose, min: 0, max: 1, default: 0}]\n"
                             "discrete:\n"
                             "  - {name: hair, choices: [bald, short, long]}\n"
                             "  - {name: beard, choices: [none, stubble, goatee, full]}\n";
static lk_schema *schema;

/* Logits that say the truth at these temperatures: too sure, and too unsure. */
static const double truth[] = {3, 0.5};
static float logits[FACES * CHOICES];
static uint8_t labels[FACES * 2];

static uint8_t draw(const float *z, int count, double temperature, double uniform)
{
    double sum = 0;
    for (int k = 0; k < count; k++)
        sum += exp(z[k] / temperature);
    for (int k = 0; k < count; k++)
        if ((uniform -= exp(z[k] / temperature) / sum) < 0)
            return (uint8_t)k;
    return (uint8_t)(count - 1);
}

static int make_faces(void **state)
{
    (void)state;
    srand48(5);
    for (int i = 0; i < FACES; i++) {
        float *z = logits + i * CHOICES;
        for (int k = 0; k < CHOICES; k++)
            z[k] = (float)((drand48() - 0.5) * (k < 3 ? 20 : 2));
        labels[2 * i] = draw(z, 3, truth[0], drand48());
        labels[2 * i + 1] = draw(z + 3, 4, truth[1], drand48());
    }
    return lk_schema_parse(SCHEMA, "schema", &schema) != LK_OK;
}

static int free_schema(void **state)
{
    (void)state;
    lk_schema_free(schema);
    return 0;
}

/* Of all choices of both groups. */
static lk_reliability measure(const double *temperatures)
{
    lk_reliability r = {0};
    for (int i = 0; i < FACES; i++) {
        double z[CHOICES];
        float certainty[2];
        uint8_t said[2];
        for (int k = 0; k < CHOICES; k++)
            z[k] = logits[i * CHOICES + k];
        lk_most_probable(schema, 1, z, temperatures, said, certainty);
        for (int g = 0; g < 2; g++)
            lk_reliability_add(&r, certainty[g], said[g] == labels[2 * i + g]);
    }
    return r;
}

static void temperatures_are_found_again_and_make_certainties_true(void **state)
{
    (void)state;
    double fitted[2];
    lk_fit_temperatures(schema, FACES, logits, labels, fitted);
    for (int g = 0; g < 2; g++)
        if (fabs(fitted[g] - truth[g]) > 0.06 * truth[g])
            fail_msg("group %d: %g, not %g", g, fitted[g], truth[g]);
    lk_reliability before = measure(NULL), after = measure(fitted);
    assert_true(lk_calibration_error(&before) > 0.08);
    assert_true(lk_calibration_error(&after) < 0.02);
}

static void choices_of_one_kind_have_a_temperature_at_the_limit(void **state)
{
    (void)state;
    uint8_t right[FACES * 2];
    double fitted[2];
    for (int i = 0; i < FACES; i++) /* never wrong: the surer the better */
        for (int g = 0, first = 0; g < 2; first += schema->groups[g++].count) {
            const float *z = logits + i * CHOICES + first;
            right[2 * i + g] = 0;
            for (int k = 1; k < schema->groups[g].count; k++)
                if (z[k] > z[right[2 * i + g]])
                    right[2 * i + g] = (uint8_t)k;
        }
    lk_fit_temperatures(schema, FACES, logits, right, fitted);
    char *text = lk_temperature_text(schema, fitted);
    assert_non_null(text);
    assert_true(fitted[0] < 0.06);
    assert_ok(lk_temperature_parse(schema, text, "model", fitted));
    free(text);
}

static void the_note_is_read_back_or_refused(void **state)
{
    (void)state;
    const double some[] = {1.5, 0.75};
    double read[2];
    char *text = lk_temperature_text(schema, some);
    assert_non_null(text);
    assert_ok(lk_temperature_parse(schema, text, "model", read));
    assert_true(read[0] == 1.5 && read[1] == 0.75);
    free(text);
    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"hair\": 1}",
                                      "{\"hair\": 1, \"skin\": 1}",
                                      "{\"hair\": 1, \"beard\": 0}",
                                      "{\"hair\": 1, \"beard\": -1}",
                                      "{\"hair\": 1, \"beard\": 1e9}",
                                      "{\"hair\": 1, \"beard\": \"1\"}",
                                      "{\"hair\": 1, \"beard\": 1, \"beard\": 2}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(lk_temperature_parse(schema, bad[i], "model", read), LK_BAD_DATA, "model: its note \"temperature\"");
}

static void reliability_counts_in_bins(void **state)
{
    (void)state;
    lk_reliability r = {0};
    assert_true(isnan(lk_calibration_error(&r)));
    lk_reliability_add(&r, 1, true);
    lk_reliability_add(&r, 0.95, false);
    lk_reliability_add(&r, 0.25, false);
    assert_true(r.count[9] == 2 && r.right[9] == 1 && r.count[2] == 1 && r.right[2] == 0);
    assert_float_equal(lk_calibration_error(&r), (0.95 + 0.25) / 3, 1e-12);
    json_t *bins = lk_reliability_to_json(&r);
    assert_int_equal(json_array_size(bins), 2);
    assert_float_equal(json_number_value(json_object_get(json_array_get(bins, 1), "right")), 0.5, 1e-12);
    json_decref(bins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperatures_are_found_again_and_make_certainties_true),
        cmocka_unit_test(choices_of_one_kind_have_a_temperature_at_the_limit),
        cmocka_unit_test(the_note_is_read_back_or_refused),
        cmocka_unit_test(reliability_counts_in_bins),
    };
    return cmocka_run_group_tests(tests, make_faces, free_schema);
}
