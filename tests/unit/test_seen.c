/* Tables of what a person sees: which words are right, which face a row is about, and where a bad table is wrong. */
#include "trainer/evaluate/photo_evaluation.h"
#include "trainer/evaluate/seen.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

static const char SCHEMA[] = "name: studio\n"
                             "continuous:\n"
                             "  - {name: nose-down|up, min: -1, max: 1, default: 0}\n"
                             "  - {name: macrodetails/Gender, min: 0, max: 1, default: 0}\n"
                             "discrete:\n"
                             "  - {name: hair, choices: [bald, short, long]}\n"
                             "  - {name: beard, choices: [none, full]}\n";
static const char OTHER_SCHEMA[] = "name: other\n"
                                   "continuous: [{name: manly, min: 0, max: 10, default: 0}]\n"
                                   "discrete: [{name: frisur, choices: [glatt, lockig]}]\n";

static const char TABLE[] = "face,sex,hair,nose=nose-down|up(low|middle|high)\r\n"
                            "ann-1,f,short|long,middle|high\n"
                            "\n"
                            "\"bob\",m,,low\n";

static lk_schema *schema, *other;

static lk_status parse_by(const lk_schema *by, const char *text, lk_seen **seen)
{
    return lk_seen_parse(text, strlen(text), "t.csv", by, seen);
}

static void words_are_right_or_not_or_not_judged(void **state)
{
    (void)state;
    lk_seen *seen;
    assert_ok(parse_by(schema, TABLE, &seen));
    assert_int_equal(seen->column_count, 3);
    assert_int_equal(seen->row_count, 2);
    assert_int_equal(seen->lines[1], 4);
    assert_string_equal(seen->columns[0].name, "sex");
    assert_int_equal(seen->columns[0].continuous, 1);
    assert_int_equal(seen->columns[1].group, 0);
    assert_string_equal(seen->columns[2].name, "nose");
    assert_false(lk_seen_allows(seen, 0, 1, 0));
    assert_true(lk_seen_allows(seen, 0, 1, 1) && lk_seen_allows(seen, 0, 1, 2));
    assert_true(lk_seen_judges(seen, 0, 1) && !lk_seen_judges(seen, 1, 1));
    lk_seen_free(seen);
}

static void a_parameters_range_is_cut_into_equal_parts(void **state)
{
    (void)state;
    lk_seen *seen;
    assert_ok(parse_by(schema, TABLE, &seen));
    const struct {
        float nose, gender;
        int said_nose, said_sex;
    } cases[] = {{0, 0, 0, 0}, {0.33f, 0.49f, 0, 0}, {0.34f, 0.51f, 1, 1}, {0.67f, 1, 2, 1}, {1, 0.9f, 2, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float continuous[] = {cases[i].nose, cases[i].gender};
        assert_int_equal(lk_seen_said(&seen->columns[2], continuous, NULL), cases[i].said_nose);
        assert_int_equal(lk_seen_said(&seen->columns[0], continuous, NULL), cases[i].said_sex);
    }
    lk_seen_free(seen);
}

static void another_creators_parameters_are_named_in_the_table(void **state)
{
    (void)state;
    lk_seen *seen;
    assert_ok(parse_by(other, "face,sex=manly(f|m),frisur\nann,f,lockig\n", &seen));
    assert_int_equal(seen->columns[0].continuous, 0);
    lk_seen_free(seen);
    assert_fails(parse_by(other, "face,sex\nann,f\n", &seen), LK_BAD_DATA,
                 "t.csv:1:6: the schema has no group 'sex'; a continuous "
                 "parameter is judged by a column NAME=PARAMETER(LOW|HIGH)");
}

static void rows_are_about_the_face_of_that_name_or_ending(void **state)
{
    (void)state;
    lk_seen *seen;
    int rows[4];
    assert_ok(parse_by(schema, TABLE, &seen));
    const char *const names[] = {"team_ann-1", "bob", "tom_bob", "x"};
    assert_ok(lk_seen_match(seen, "t.csv", 4, names, rows));
    assert_true(rows[0] == 0 && rows[1] == 1 && rows[2] == -1 && rows[3] == -1);
    const char *const two[] = {"a_ann-1", "b_ann-1"};
    assert_fails(lk_seen_match(seen, "t.csv", 2, two, rows), LK_BAD_DATA, "t.csv:2:1: two faces have names that end in 'ann-1'");
    lk_seen_free(seen);
    assert_ok(parse_by(schema, "face,hair\nann-1,bald\nteam_ann-1,long\n", &seen));
    assert_fails(lk_seen_match(seen, "t.csv", 1, names, rows), LK_BAD_DATA,
                 "t.csv:3:1: is about the face team_ann-1, and so is line 2");
    lk_seen_free(seen);
}

static void bad_tables_are_refused_with_line_and_column(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "t.csv:1:1: the table is empty"},
        {"\n\n", "t.csv:3:1: the table is empty"},
        {"face,hair\n", "t.csv:2:1: the table has no row"},
        {"name,hair\na,bald\n", "t.csv:1:1: the first column is 'name' and must be 'face'"},
        {"face;hair\na;bald\n", "t.csv:1:1: columns are separated by semicolons"},
        {"face\na\n", "t.csv:1:1: there is no column besides 'face'"},
        {"face,hair,hair\na,bald,bald\n", "t.csv:1:11: the column 'hair' stands there twice"},
        {"face,nose=chin(a|b)\na,a\n", "t.csv:1:6: the schema has no continuous parameter 'chin'"},
        {"face,nose=nose-down|up(a)\na,a\n", "t.csv:1:6: the column 'nose' needs two words or more"},
        {"face,nose=nose-down|up(a|a)\na,a\n", "t.csv:1:6: the column 'nose' has a word twice"},
        {"face,nose=nose-down|up\na,a\n", "t.csv:1:6: the column 'nose' needs PARAMETER(LOW|HIGH)"},
        {"face,hair\nann,short|bold\n", "t.csv:2:5: 'bold' is no word of the column 'hair'"},
        {"face,hair\nann,short|\n", "t.csv:2:5: '' is no word of the column 'hair'"},
        {"face,hair,beard\nann,short\n", "t.csv:2:10: the row ends before the column 'beard'"},
        {"face,hair\nann,short,none\n", "t.csv:2:10: the row has more cells than the head"},
        {"face,hair\n,short\n", "t.csv:2:1: the name of a face is empty"},
        {"face,hair\n\"ann,short\n", "t.csv:2:1: a quote is not closed in its line"},
        {"face,hair\n\"ann\"x,short\n", "t.csv:2:6: something follows a quoted cell"},
        {"face,hair\n\xff,short\n", "t.csv:2:1: the name of a face is not UTF-8"},
        {"face,hair\rann,bald\r", "t.csv:1:6: a byte that is no text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lk_seen *seen;
        assert_fails(parse_by(schema, cases[i][0], &seen), LK_BAD_DATA, cases[i][1]);
        assert_null(seen);
    }
}

static void faces_are_counted_and_sorted_best_first(void **state)
{
    (void)state;
    lk_photo_evaluation e = {.schema = schema, .table = "t.csv"};
    lk_seen *seen;
    assert_ok(parse_by(schema, "face,sex,hair\na,f,bald|short\nb,m,long\nc,m,long\ngone,m,long\n", &seen));
    e.seen = seen;
    const float woman[] = {0, 0.1f}, sure[] = {0.9f, 0.8f};
    const lk_photo_measured unknown = {.landmarks = NAN};
    const uint8_t bald[] = {0, 0}, longer[] = {2, 0};
    assert_ok(lk_photo_evaluation_add(&e, "b", "b.png", woman, bald, sure, &unknown));   /* all wrong */
    assert_ok(lk_photo_evaluation_add(&e, "x", "x.png", woman, bald, sure, &unknown));   /* not in the table */
    assert_ok(lk_photo_evaluation_add(&e, "c", "c.png", woman, longer, sure, &unknown)); /* half */
    assert_ok(lk_photo_evaluation_add(&e, "a", "a.png", woman, bald, sure, &unknown));   /* all right */
    assert_ok(lk_photo_evaluation_finish(&e));
    const char *const order[] = {"a", "c", "b", "x"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(e.faces[i].name, order[i]);
    assert_true(e.judged[0] == 3 && e.right[0] == 1 && e.judged[1] == 3 && e.right[1] == 2);
    assert_float_equal(lk_mean_photo_accuracy(&e), 0.5, 1e-12);
    assert_true(e.absent_count == 1 && e.absent[0] == 3);
    lk_photo_evaluation_free(&e);

    e = (lk_photo_evaluation){.schema = schema, .table = "t.csv", .seen = seen};
    assert_ok(lk_photo_evaluation_add(&e, "x", "x.png", woman, bald, sure, &unknown));
    assert_fails(lk_photo_evaluation_finish(&e), LK_BAD_DATA, "t.csv:2:1: no face has a name that ends in 'a'");
    lk_photo_evaluation_free(&e);
    lk_seen_free(seen);
}

static int load_schemas(void **state)
{
    (void)state;
    return lk_schema_parse(SCHEMA, "schema", &schema) != LK_OK || lk_schema_parse(OTHER_SCHEMA, "schema", &other) != LK_OK;
}

static int free_schemas(void **state)
{
    (void)state;
    lk_schema_free(schema);
    lk_schema_free(other);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_right_or_not_or_not_judged),
        cmocka_unit_test(a_parameters_range_is_cut_into_equal_parts),
        cmocka_unit_test(another_creators_parameters_are_named_in_the_table),
        cmocka_unit_test(rows_are_about_the_face_of_that_name_or_ending),
        cmocka_unit_test(bad_tables_are_refused_with_line_and_column),
        cmocka_unit_test(faces_are_counted_and_sorted_best_first),
    };
    return cmocka_run_group_tests(tests, load_schemas, free_schemas);
}
