/* Priors: what people have in common is drawn as the table says; what the table gets wrong is refused with its line. */
#include "dataset/client/client.h"
#include "dataset/client/prior.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char SCHEMA[] = "name: small\n"
                             "continuous:\n"
                             "  - {name: sex, min: 0, max: 1, default: 0}\n"
                             "  - {name: nose, min: -1, max: 1, default: 0}\n"
                             "  - {name: chin, min: -1, max: 1, default: 0}\n"
                             "discrete:\n"
                             "  - {name: hair, choices: [bald, short, long]}\n"
                             "  - {name: beard, choices: [none, full]}\n"
                             "  - {name: eyes, choices: [brown, blue]}\n";

static const char TABLE[] = "person:\n"
                            "  sex: {female: 3, male: 1}\n"
                            "  age: {young: 1, old: 1}\n"
                            "continuous:\n"
                            "  default: {normal: [0.5, 0.1]}\n"
                            "  sex:\n"
                            "    - {sex: female, uniform: [0, 0.2]}\n"
                            "    - {uniform: [0.8, 1]}\n"
                            "  chin: {normal: [0, 0.5]}\n"
                            "discrete:\n"
                            "  hair:\n"
                            "    - {sex: female, choices: {short: 1, long: 1}}\n"
                            "    - {choices: {bald: 1, short: 1}}\n"
                            "    - {sex: male, age: old, times: {bald: 3}}\n"
                            "  beard:\n"
                            "    - {sex: female, choices: {none: 1}}\n"
                            "    - {sex: [male], choices: {none: 1, full: 1}}\n";

enum { FACES = 20000 };

typedef struct counts {
    int female, bearded, bearded_female, long_male, bald_male, blue;
    double nose, nose_squares;
    int chin_at_end;
} counts;

static counts draw_many(const lk_prior *prior, uint64_t seed)
{
    counts n = {0};
    for (uint64_t i = 0; i < FACES; i++) {
        float c[3];
        uint8_t d[3];
        lk_prior_draw(prior, seed, i, c, d);
        bool female = c[0] < 0.5f;
        assert_true(female ? c[0] <= 0.2f : c[0] >= 0.8f);
        assert_true(c[2] >= 0 && c[2] <= 1);
        n.female += female;
        n.bearded += d[1];
        n.bearded_female += female && d[1];
        n.long_male += !female && d[0] == 2;
        n.bald_male += !female && d[0] == 0;
        n.blue += d[2];
        n.nose += (double)c[1];
        n.nose_squares += (double)(c[1] * c[1]);
        n.chin_at_end += c[2] == 0;
    }
    return n;
}

static lk_schema *small_schema(void)
{
    lk_schema *schema;
    assert_int_equal(lk_schema_parse(SCHEMA, "small", &schema), LK_OK);
    return schema;
}

static void faces_follow_the_table(void **state)
{
    (void)state;
    lk_schema *schema = small_schema();
    lk_prior *prior;
    assert_int_equal(lk_prior_parse(TABLE, strlen(TABLE), "table", schema, &prior), LK_OK);
    counts n = draw_many(prior, 1);
    double men = FACES - n.female, mean = n.nose / FACES;
    assert_true(fabs((double)n.female / FACES - 0.75) < 0.02);
    assert_int_equal(n.bearded_female, 0);
    assert_int_equal(n.long_male, 0);
    assert_true(fabs(n.bearded / men - 0.5) < 0.03);
    assert_true(fabs(n.bald_male / men - 0.625) < 0.03); /* 1/2 of the young, 3/4 of the old */
    assert_true(fabs((double)n.blue / FACES - 0.5) < 0.02);
    assert_true(fabs(mean - 0.5) < 0.01);
    assert_true(fabs(sqrt(n.nose_squares / FACES - mean * mean) - 0.1) < 0.01);
    assert_true(n.chin_at_end < 10); /* drawn again, not cut off */
    lk_prior_free(prior);
    lk_schema_free(schema);
}

/* A face depends on seed and number alone. */
static void a_face_is_the_same_each_time(void **state)
{
    (void)state;
    lk_schema *schema = small_schema();
    lk_prior *prior;
    assert_int_equal(lk_prior_parse(TABLE, strlen(TABLE), "table", schema, &prior), LK_OK);
    float a[3], b[3];
    uint8_t x[3], y[3];
    lk_prior_draw(prior, 7, 123456, a, x);
    lk_prior_draw(prior, 7, 5, b, y);
    lk_prior_draw(prior, 7, 123456, b, y);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(x, y, sizeof x);
    lk_prior_draw(prior, 8, 123456, b, y);
    assert_true(memcmp(a, b, sizeof a) != 0);
    lk_prior_free(prior);
    lk_schema_free(schema);
}

static void wrong_tables_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } WRONG[] = {
        {"people: {sex: {f: 1}}\n", "t:1: "},
        {"person:\n  sex: {f: 0, m: 0}\n", "t:2: no weight"},
        {"person:\n  sex: {f: -1, m: 2}\n", "t:2: a number"},
        {"continuous:\n  ear: {normal: [0.5, 0.1]}\n", "t:2: the schema has no continuous parameter 'ear'"},
        {"continuous:\n  nose: {normal: [0.5]}\n", "t:2: two numbers"},
        {"continuous:\n  nose: {uniform: [0.7, 0.2]}\n", "t:2: low is above high"},
        {"continuous:\n  nose: {uniform: [0, nan]}\n", "t:2: a number"},
        {"continuous:\n  nose: {age: old, uniform: [0, 1]}\n", "t:2: a row has variables"},
        {"continuous:\n  nose: {choices: {bald: 1}}\n", "t:2: a row has variables"},
        {"discrete:\n  hat: {choices: {cap: 1}}\n", "t:2: the schema has no group 'hat'"},
        {"discrete:\n  hair: {choices: {green: 1}}\n", "t:2: the group 'hair' has no choice 'green'"},
        {"discrete:\n  hair: {choices: {bald: 0}}\n", "t:2: no weight"},
        {"discrete:\n  hair: {times: {bald: 0}}\n", "t:2: a number"},
        {"person: {sex: {f: 1}}\ndiscrete:\n  hair: {sex: x, times: {bald: 2}}\n", "t:3: not a value"},
        {"person: {sex: {f: 1}}\ndiscrete:\n  hair: {sex: f}\n", "t:3: this row says not"},
        {"discrete:\n  hair: []\n", "t:2: "},
        {"[1, 2]\n", "t:1: a prior"},
    };
    lk_schema *schema = small_schema();
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        lk_prior *prior;
        assert_int_equal(lk_prior_parse(WRONG[i].text, strlen(WRONG[i].text), "t", schema, &prior), LK_BAD_CONFIG);
        assert_null(prior);
        if (strncmp(lk_error_text(), WRONG[i].says, strlen(WRONG[i].says)) != 0)
            fail_msg("'%s' does not begin with '%s'", lk_error_text(), WRONG[i].says);
    }
    lk_schema_free(schema);
}

/* The client's own table knows its own schema, and no woman has a beard. */
static void the_clients_own_table_fits_its_schema(void **state)
{
    (void)state;
    char path[LK_PATH_SIZE];
    lk_schema *schema;
    lk_prior *prior;
    assert_int_equal(lk_client_schema_path(path), LK_OK);
    assert_int_equal(lk_schema_load(path, &schema), LK_OK);
    assert_int_equal(lk_client_prior_path(path), LK_OK);
    if (lk_prior_load(path, schema, &prior) != LK_OK)
        fail_msg("%s", lk_error_text());
    int sex = lk_schema_find_continuous(schema, "macrodetails/Gender"), beard = lk_schema_find_group(schema, "beard");
    int none = lk_choice_group_find(&schema->groups[beard], "none"), bearded = 0;
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS];
    for (uint64_t i = 0; i < 2000; i++) {
        lk_prior_draw(prior, 1, i, continuous, discrete);
        assert_int_equal(lk_schema_check_face(schema, continuous, discrete), LK_OK);
        bearded += discrete[beard] != none;
        assert_true(continuous[sex] > 0.5f || discrete[beard] == none);
    }
    assert_in_range(bearded, 300, 700);
    lk_prior_free(prior);
    lk_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faces_follow_the_table),
        cmocka_unit_test(a_face_is_the_same_each_time),
        cmocka_unit_test(wrong_tables_are_refused_with_their_line),
        cmocka_unit_test(the_clients_own_table_fits_its_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
