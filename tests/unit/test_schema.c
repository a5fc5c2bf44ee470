/* Schemas: what is right is read and keeps its canonical text; everything else is refused with file, line and what is wrong. */
#include "base/file.h"
#include "base/hash.h"
#include "dataset/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

static const char good[] = "# a comment\n"
                           "name: demo face\n"
                           "continuous:\n"
                           "  - {name: head/scale-decr|incr, min: -0.35, max: 0.35, default: 0}\n"
                           "  - name: 'say \"hi\" \\ back'\n"
                           "    min: -1.0e-1\n"
                           "    max: +2\n"
                           "    default: -0\n"
                           "discrete:\n"
                           "  - {name: hair, choices: [bald, short, 'long: wavy']}\n"
                           "  - {name: Ärmel, choices: [ä, b]}\n";

static lk_schema *parse(const char *text)
{
    lk_schema *schema;
    if (lk_schema_parse(text, "here", &schema) != LK_OK)
        fail_msg("%s", lk_error_text());
    return schema;
}

static void a_good_schema_is_read(void **state)
{
    (void)state;
    lk_schema *s = parse(good);
    assert_string_equal(s->name, "demo face");
    assert_int_equal(s->continuous_count, 2);
    assert_string_equal(s->continuous[0].name, "head/scale-decr|incr");
    assert_true(s->continuous[0].min == -0.35f && s->continuous[0].max == 0.35f && s->continuous[0].default_value == 0.0f);
    assert_string_equal(s->continuous[1].name, "say \"hi\" \\ back");
    assert_true(s->continuous[1].min == -0.1f && s->continuous[1].max == 2.0f);
    assert_int_equal(s->group_count, 2);
    assert_int_equal(s->groups[0].count, 3);
    assert_int_equal(s->choice_count, 5);
    assert_string_equal(s->groups[0].choices[2], "long: wavy");
    assert_int_equal(lk_schema_find_continuous(s, "say \"hi\" \\ back"), 1);
    assert_int_equal(lk_schema_find_continuous(s, "hair"), -1);
    assert_int_equal(lk_schema_find_group(s, "Ärmel"), 1);
    assert_int_equal(lk_schema_find_group(s, "x"), -1);
    assert_int_equal(lk_choice_group_find(&s->groups[0], "short"), 1);
    assert_int_equal(lk_choice_group_find(&s->groups[0], "Short"), -1);
    lk_schema_free(s);
    lk_schema_free(NULL);
}

static void equal_schemas_have_equal_text(void **state)
{
    (void)state;
    lk_schema *a = parse(good), *b = parse(a->text);
    assert_string_equal(a->text, "name: \"demo face\"\n"
                                 "continuous:\n"
                                 "  - {name: \"head/scale-decr|incr\", min: -0.35, max: 0.35, default: 0}\n"
                                 "  - {name: \"say \\\"hi\\\" \\\\ back\", min: -0.1, max: 2, default: 0}\n"
                                 "discrete:\n"
                                 "  - {name: \"hair\", choices: [\"bald\", \"short\", \"long: wavy\"]}\n"
                                 "  - {name: \"Ärmel\", choices: [\"ä\", \"b\"]}\n");
    assert_string_equal(a->text, b->text);
    assert_true(a->hash == b->hash && a->hash == lk_hash(a->text, strlen(a->text)));
    assert_int_equal(lk_schema_require_equal(a, "a", b, "b"), LK_OK);
    lk_schema_free(a);
    lk_schema_free(b);
}

/* `good` with the first `from` turned into `to`. */
static char *changed(const char *from, const char *to)
{
    const char *at = strstr(good, from);
    assert_non_null(at);
    char *text = malloc(sizeof good + strlen(to));
    sprintf(text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
    return text;
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    const struct {
        const char *from, *to, *sentence;
    } cases[] = {
        {"name: demo face", "nome: x", "here:2: unknown key 'nome' in the schema"},
        {"name: demo face\n", "", "the schema has no 'name'; add it"},
        {"name: demo face", "name: []", "here:2: the name of the schema must be a text"},
        {"name: demo face", "name: ''", "here:2: the name of the schema has 0 bytes; 1 to 200 are allowed"},
        {"demo face", "\"a\\nb\"", "here:2: the name of the schema holds a control character"},
        {"demo face", "\"a\\x7fb\"", "here:2: the name of the schema holds a control character"},
        {"demo face", "\"a\\x85b\"", "here:2: the name of the schema holds a control character"},
        {"demo face", "\"a\\u2028b\"", "here:2: the name of the schema holds a control character"},
        {"min: -0.35, ", "", "here:4: a continuous parameter has no 'min'; add it"},
        {"min: -0.35", "min: x", "here:4: min must be a number"},
        {"min: -0.35", "min: '1'", "here:4: min must be a number"},
        {"min: -0.35", "min: nan", "here:4: min must be a number"},
        {"min: -0.35", "min: .inf", "here:4: min must be a number"},
        {"min: -0.35", "min: 0x10", "here:4: min must be a number"},
        {"min: -0.35", "min: 1e99", "here:4: min must be a finite number"},
        {"min: -0.35", "min: 1-2", "here:4: min must be a finite number"},
        {"min: -0.35", "min: 0.35", "here:4: head/scale-decr|incr: min 0.35 must be less than max 0.35"},
        {"min: -0.35, max: 0.35", "min: -3e38, max: 3e38", "and their distance finite"},
        {"max: 0.35, default: 0", "max: 0.35, default: 0.4", "default 0.4 is outside -0.35 to 0.35"},
        {"default: 0}", "default: 0, step: 1}", "here:4: unknown key 'step' in a continuous parameter"},
        {"choices: [bald, short, 'long: wavy']", "choices: [bald]", "here:10: choices has 1 entries; 2 to 255 are allowed"},
        {"choices: [bald, short, 'long: wavy']", "choices: bald", "here:10: choices must be a list"},
        {"choices: [bald, short, 'long: wavy']", "choices: [bald, [x]]", "here:10: a choice must be a text"},
        {"[bald, short,", "[bald, bald,", "here: the choice 'bald' stands there twice"},
        {"name: Ärmel", "name: hair", "here: the discrete group 'hair' stands there twice"},
        {"'say \"hi\" \\ back'", "head/scale-decr|incr",
         "here: the continuous parameter 'head/scale-decr|incr' stands there twice"},
        {"name: hair", "name: &a hair", "here:10"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = changed(cases[i].from, cases[i].to);
        lk_schema *schema;
        lk_status status = lk_schema_parse(text, "here", &schema);
        if (status != LK_BAD_DATA || schema || !strstr(lk_error_text(), cases[i].sentence))
            fail_msg("'%s': status %d, '%s' does not hold '%s'", cases[i].to, (int)status, lk_error_text(), cases[i].sentence);
        free(text);
    }
    const char *whole[] = {"", "name: x", "[]", "name: x\ncontinuous: []\ndiscrete: []\n", "{", "\xff\xfe", "name: x\nname: y\n"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        lk_schema *schema;
        assert_int_equal(lk_schema_parse(whole[i], "here", &schema), LK_BAD_DATA);
        assert_null(schema);
    }
}

static void counts_are_bounded(void **state)
{
    (void)state;
    const struct {
        int continuous, groups, choices;
        lk_status expected;
    } cases[] = {
        {LK_MAX_CONTINUOUS, LK_MAX_GROUPS, LK_MAX_CHOICES, LK_OK},
        {LK_MAX_CONTINUOUS + 1, 1, 2, LK_BAD_DATA},
        {1, LK_MAX_GROUPS + 1, 2, LK_BAD_DATA},
        {1, 1, LK_MAX_CHOICES + 1, LK_BAD_DATA},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        fputs("name: many\ncontinuous:\n", out);
        for (int k = 0; k < cases[i].continuous; k++)
            fprintf(out, "  - {name: c%d, min: 0, max: 1, default: 0}\n", k);
        fputs("discrete:\n", out);
        for (int k = 0; k < cases[i].groups; k++) {
            fprintf(out, "  - {name: g%d, choices: [", k);
            for (int c = 0; c < cases[i].choices; c++)
                fprintf(out, "%sx%d", c ? ", " : "", c);
            fputs("]}\n", out);
        }
        fclose(out);
        lk_schema *schema;
        assert_int_equal(lk_schema_parse(text, "many", &schema), cases[i].expected);
        lk_schema_free(schema);
        free(text);
    }
}

static void files_are_configuration(void **state)
{
    (void)state;
    lk_schema *schema;
    assert_int_equal(lk_write_file("good.yaml", good, strlen(good)), LK_OK);
    assert_int_equal(lk_schema_load("good.yaml", &schema), LK_OK);
    lk_schema_free(schema);
    char *text = changed("max: 0.35", "max: -9");
    assert_int_equal(lk_write_file("bad.yaml", text, strlen(text)), LK_OK);
    free(text);
    assert_int_equal(lk_schema_load("bad.yaml", &schema), LK_BAD_CONFIG);
    assert_null(schema);
    assert_non_null(strstr(lk_error_text(), "bad.yaml:4: head/scale-decr|incr: min -0.35 must be less than max -9"));
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 13245\n";
    assert_int_equal(lk_write_file("lfs.yaml", pointer, sizeof pointer - 1), LK_OK);
    assert_int_equal(lk_schema_load("lfs.yaml", &schema), LK_BAD_CONFIG);
    assert_non_null(strstr(lk_error_text(), "lfs.yaml: is a Git LFS pointer"));
    assert_int_not_equal(lk_schema_load("missing.yaml", &schema), LK_OK);
    assert_non_null(strstr(lk_error_text(), "missing.yaml"));
}

static void the_first_difference_is_named(void **state)
{
    (void)state;
    const struct {
        const char *from, *to, *sentence;
    } cases[] = {
        {"demo face", "other", "the schemas of mine and theirs differ: the name 'demo face' against 'other'"},
        {"head/scale", "nose/scale", "continuous parameter 'head/scale-decr|incr' against 'nose/scale-decr|incr'"},
        {"max: 0.35", "max: 0.5", "'head/scale-decr|incr' goes from -0.35 to 0.35 (default 0) against -0.35 to 0.5 (default 0)"},
        {"short", "shirt", "choice 1 of group 'hair' is 'short' against 'shirt'"},
        {"bald, ", "", "group 'hair' has 3 choices against 2"},
        {"name: hair", "name: hut", "group 'hair' against 'hut'"},
        {"  - {name: Ärmel, choices: [ä, b]}\n", "", "2 continuous parameters and 2 groups against 2 and 1"},
    };
    lk_schema *mine = parse(good);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = changed(cases[i].from, cases[i].to);
        lk_schema *theirs = parse(text);
        assert_int_equal(lk_schema_require_equal(mine, "mine", theirs, "theirs"), LK_BAD_DATA);
        if (!strstr(lk_error_text(), cases[i].sentence))
            fail_msg("'%s' does not hold '%s'", lk_error_text(), cases[i].sentence);
        lk_schema_free(theirs);
        free(text);
    }
    lk_schema_free(mine);
}

static void floats_are_written_short_and_exact(void **state)
{
    (void)state;
    const float values[] = {0.0f, 0.35f, -1.0f / 3, 1e-30f, 3.4028235e38f, 16777217.0f, 0.1f, 123456.78f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[LK_FLOAT_TEXT];
        lk_float_text(values[i], text);
        assert_true(strtof(text, NULL) == values[i]);
    }
    char text[LK_FLOAT_TEXT];
    lk_float_text(0.35f, text);
    assert_string_equal(text, "0.35");
}

static void the_clients_schema_is_good(void **state)
{
    (void)state;
    const char *root = getenv("LIKENESS_ROOT");
    char path[LK_PATH_SIZE];
    if (!root || lk_path_join(path, root, "configs/client-schema.yaml") != LK_OK || !exists(path))
        skip();
    lk_schema *schema, *again;
    assert_int_equal(lk_schema_load(path, &schema), LK_OK);
    assert_int_equal(lk_schema_parse(schema->text, "again", &again), LK_OK);
    assert_string_equal(schema->text, again->text);
    lk_schema_free(schema);
    lk_schema_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_schema_is_read),
        cmocka_unit_test(equal_schemas_have_equal_text),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(counts_are_bounded),
        cmocka_unit_test(files_are_configuration),
        cmocka_unit_test(the_first_difference_is_named),
        cmocka_unit_test(floats_are_written_short_and_exact),
        cmocka_unit_test(the_clients_schema_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
