/* Parameter files: JSON and .mhm come back as they were saved; every wrong one is refused by name. */
#include "base/file.h"
#include "base/random.h"
#include "dataset/parameters.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

static const char schema_text[] = "name: small\n"
                                  "continuous:\n"
                                  "  - {name: nose/nose-width-decr|incr, min: -0.35, max: 0.35, default: 0}\n"
                                  "  - {name: 'odd \"name\" ö', min: 10, max: 30, default: 15}\n"
                                  "discrete:\n"
                                  "  - {name: hair, choices: [bald, short, long wavy]}\n"
                                  "  - {name: skin, choices: [light, dark]}\n";

static lk_schema *schema;

static int open_schema(void **state)
{
    (void)state;
    return lk_schema_parse(schema_text, "small", &schema) == LK_OK ? 0 : -1;
}

static int close_schema(void **state)
{
    (void)state;
    lk_schema_free(schema);
    return 0;
}

static void json_in_client_units_is_read(void **state)
{
    (void)state;
    const char text[] = "{\"discrete\": {\"skin\": \"dark\", \"hair\": \"long wavy\"},\n"
                        " \"continuous\": {\"odd \\\"name\\\" \\u00f6\": 15, \"nose/nose-width-decr|incr\": -0.35}}";
    float continuous[2];
    uint8_t discrete[2];
    assert_int_equal(lk_parameters_parse_json(schema, text, strlen(text), "face", continuous, discrete), LK_OK);
    assert_true(continuous[0] == 0.0f);
    assert_true(continuous[1] == 0.25f);
    assert_int_equal(discrete[0], 2);
    assert_int_equal(discrete[1], 1);
}

static void mhm_is_read_with_defaults(void **state)
{
    (void)state;
    const char text[] = "# Written by MakeHuman\r\nversion v1.2.0\r\nname face\r\ncamera 0.0 0.0\r\n"
                        "modifier odd \"name\" ö 30\r\n"
                        "skinMaterial skins/x/x.mhmat\r\n"
                        "likeness hair long wavy\r\nlikeness skin light\r\nsubdivide False\r\n";
    float continuous[2];
    uint8_t discrete[2];
    if (lk_parameters_parse_mhm(schema, text, strlen(text), "face.mhm", continuous, discrete) != LK_OK)
        fail_msg("%s", lk_error_text());
    assert_true(continuous[0] == 0.5f); /* absent: the default, 0 */
    assert_true(continuous[1] == 1.0f);
    assert_int_equal(discrete[0], 2);
    assert_int_equal(discrete[1], 0);
}

static void what_is_saved_comes_back(void **state)
{
    (void)state;
    const char *paths[] = {"face.json", "face.mhm"};
    lk_random random = lk_random_make(1, 1);
    for (int i = 0; i < 200; i++) {
        float continuous[2] = {lk_random_uniform(&random), lk_random_uniform(&random)}, back[2];
        uint8_t discrete[2] = {(uint8_t)lk_random_below(&random, 3), (uint8_t)lk_random_below(&random, 2)}, choices[2];
        if (i < 2)
            continuous[0] = continuous[1] = (float)i; /* the ends exactly */
        const char *path = paths[i % 2];
        assert_int_equal(lk_parameters_save(schema, path, continuous, discrete), LK_OK);
        if (lk_parameters_load(schema, path, back, choices) != LK_OK)
            fail_msg("%s", lk_error_text());
        assert_memory_equal(choices, discrete, 2);
        for (int k = 0; k < 2; k++)
            assert_true(fabsf(back[k] - continuous[k]) <= (i < 2 ? 0.0f : 1e-6f));
    }
    const float half[2] = {0.5f, 0.25f};
    const uint8_t first[2] = {0, 0};
    char *text;
    size_t size;
    assert_int_equal(lk_parameters_save(schema, "plain.json", half, first), LK_OK);
    assert_int_equal(lk_read_file("plain.json", 4096, &text, &size), LK_OK);
    assert_string_equal(
        text, "{\n  \"continuous\": {\n    \"nose/nose-width-decr|incr\": 0.0,\n    \"odd \\\"name\\\" ö\": 15.0\n  },\n"
              "  \"discrete\": {\n    \"hair\": \"bald\",\n    \"skin\": \"light\"\n  }\n}\n");
    free(text);
}

static void nothing_out_of_range_is_saved(void **state)
{
    (void)state;
    const float bad[2] = {0.5f, 1.5f}, nan_value[2] = {NAN, 0.5f}, good[2] = {0.5f, 0.5f};
    const uint8_t fine[2] = {0, 0}, beyond[2] = {0, 2};
    assert_int_equal(lk_parameters_save(schema, "no.json", bad, fine), LK_BAD_DATA);
    assert_int_equal(lk_parameters_save(schema, "no.json", nan_value, fine), LK_BAD_DATA);
    assert_int_equal(lk_parameters_save(schema, "no.mhm", good, beyond), LK_BAD_DATA);
    assert_int_equal(lk_parameters_save(schema, "no/folder/x.json", good, fine), LK_IO);
    assert_false(exists("no.json") || exists("no.mhm"));
}

#define NOSE "\"nose/nose-width-decr|incr\": 0"
#define ODD "\"odd \\\"name\\\" ö\": 15"
#define HAIR "\"hair\": \"bald\""
#define SKIN "\"skin\": \"dark\""

static void wrong_json_is_named(void **state)
{
    (void)state;
    const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "face:1: not JSON"},
        {"{\"continuous\": {", "face:1: not JSON"},
        {"[]", "face: must be {\"continuous\""},
        {"{\"continuous\": {" NOSE ", " ODD "}}", "face: must be {\"continuous\""},
        {"{\"continuous\": {" NOSE ", " ODD "}, \"discrete\": []}", "face: must be {\"continuous\""},
        {"{\"continuous\": {" NOSE ", " ODD "}, \"discrete\": {" HAIR ", " SKIN "}} x", "face:1: not JSON"},
        {"{\"continuous\": {" NOSE ", " ODD "}, \"discrete\": {" HAIR ", " SKIN "}, \"name\": 1}", "unknown key 'name'"},
        {"{\"continuous\": {" NOSE "}, \"discrete\": {" HAIR ", " SKIN "}}", "face: 'odd \"name\" ö' is missing"},
        {"{\"continuous\": {" NOSE ", " ODD "}, \"discrete\": {" HAIR "}}", "face: no choice for group 'skin'"},
        {"{\"continuous\": {" NOSE ", " ODD ", \"x\": 1}, \"discrete\": {" HAIR ", " SKIN "}}",
         "face: the schema 'small' has no continuous parameter 'x'"},
        {"{\"continuous\": {" NOSE ", " ODD "}, \"discrete\": {" HAIR ", " SKIN ", \"hat\": \"none\"}}",
         "face: the schema 'small' has no discrete group 'hat'"},
        {"{\"continuous\": {" NOSE ", " NOSE ", " ODD "}, \"discrete\": {" HAIR ", " SKIN "}}",
         "face:1: not JSON: duplicate object key"},
        {"{\"continuous\": {\"nose/nose-width-decr|incr\": 0.36, " ODD "}, \"discrete\": {" HAIR ", " SKIN "}}",
         "'nose/nose-width-decr|incr' is 0.36, outside -0.35 to 0.35"},
        {"{\"continuous\": {\"nose/nose-width-decr|incr\": 1e300, " ODD "}, \"discrete\": {" HAIR ", " SKIN "}}",
         "is 1e+300, outside"},
        {"{\"continuous\": {\"nose/nose-width-decr|incr\": 1e999, " ODD "}, \"discrete\": {" HAIR ", " SKIN "}}",
         "face:1: not JSON"},
        {"{\"continuous\": {\"nose/nose-width-decr|incr\": NaN, " ODD "}, \"discrete\": {" HAIR ", " SKIN "}}",
         "face:1: not JSON"},
        {"{\"continuous\": {\"nose/nose-width-decr|incr\": \"0\", " ODD "}, \"discrete\": {" HAIR ", " SKIN "}}",
         "must be a number"},
        {"{\"continuous\": {" NOSE ", " ODD "}, \"discrete\": {\"hair\": \"wig\", " SKIN "}}",
         "group 'hair' has no choice 'wig'"},
        {"{\"continuous\": {" NOSE ", " ODD "}, \"discrete\": {\"hair\": 0, " SKIN "}}", "the choice for 'hair' must be a text"},
    };
    float continuous[2];
    uint8_t discrete[2];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lk_status status = lk_parameters_parse_json(schema, cases[i].text, strlen(cases[i].text), "face", continuous, discrete);
        if (status != LK_BAD_DATA || !strstr(lk_error_text(), cases[i].sentence))
            fail_msg("%s: status %d, '%s' does not hold '%s'", cases[i].text, (int)status, lk_error_text(), cases[i].sentence);
    }
    enum { DEPTH = 200000 };
    char *bomb = malloc(DEPTH);
    memset(bomb, '[', DEPTH);
    assert_int_equal(lk_parameters_parse_json(schema, bomb, DEPTH, "bomb", continuous, discrete), LK_BAD_DATA);
    free(bomb);
}

static void wrong_mhm_is_named(void **state)
{
    (void)state;
    const char choices[] = "likeness hair bald\nlikeness skin dark\n";
    const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "face.mhm: no choice for group 'hair'; add a line 'likeness GROUP CHOICE'"},
        {"likeness hair bald\n", "no choice for group 'skin'"},
        {"likeness hair\nlikeness skin dark\n", "group 'hair' has no choice ''"},
        {"likeness hair wig\n", "group 'hair' has no choice 'wig'"},
        {"likeness hat none\n", "has no discrete group 'hat'"},
        {"likeness hair bald\nlikeness hair bald\n", "group 'hair' stands there twice"},
        {"modifier macrodetails/Age 0.7\n",
         "'macrodetails/Age' is 0.7; the schema 'small' has no such parameter, its faces all have 0.5"},
        {"modifier macrodetails/African 1\n",
         "'macrodetails/African' is 1 and 'macrodetails/Asian' is 0.333333; the schema 'small' has neither"},
        {"modifier chin/chin-triangle 0.5\n", "has no continuous parameter 'chin/chin-triangle'"},
        {"modifier\n", "expected a name and a finite number"},
        {"modifier nose/nose-width-decr|incr\n", "expected a name and a finite number"},
        {"modifier nose/nose-width-decr|incr 0.1x\n", "expected a name and a finite number"},
        {"modifier nose/nose-width-decr|incr nan\n", "expected a name and a finite number"},
        {"modifier nose/nose-width-decr|incr inf\n", "expected a name and a finite number"},
        {"modifer nose/nose-width-decr|incr 0.1\n",
         "a line that sets 'nose/nose-width-decr|incr' begins with 'modifer', not with"},
        {"likness hair long wavy\n", "a line that chooses 'hair' begins with 'likness', not with 'likeness'"},
        {"\xe2\x80\x8bmodifier nose/nose-width-decr|incr 0.1\n", "a line that sets"}, /* a blank of no width */
        {"modifier nose/nose-width-decr|incr 0.4\n", "is 0.4, outside -0.35 to 0.35"},
        {"modifier nose/nose-width-decr|incr 0.1\nmodifier nose/nose-width-decr|incr 0.1\n", "stands there twice"},
    };
    float continuous[2];
    uint8_t discrete[2];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lk_status status =
            lk_parameters_parse_mhm(schema, cases[i].text, strlen(cases[i].text), "face.mhm", continuous, discrete);
        if (status != LK_BAD_DATA || !strstr(lk_error_text(), cases[i].sentence))
            fail_msg("%s: status %d, '%s' does not hold '%s'", cases[i].text, (int)status, lk_error_text(), cases[i].sentence);
    }
    assert_int_equal(lk_parameters_parse_mhm(schema, "a\0b", 3, "face.mhm", continuous, discrete), LK_BAD_DATA);
    assert_int_equal(lk_parameters_parse_mhm(schema, choices, strlen(choices), "face.mhm", continuous, discrete), LK_OK);
    /* No newline at the end, and bytes behind the text that do not belong to it. */
    assert_int_equal(lk_parameters_parse_mhm(schema, choices, strlen(choices) - 1, "face.mhm", continuous, discrete), LK_OK);
}

/* What editors and other programs do to a .mhm must not leave the default as the label. */
static void mhm_of_any_editor_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "modifier nose/nose-width-decr|incr 0.35\nlikeness hair short\nlikeness skin dark\n",
        "\xef\xbb\xbfmodifier nose/nose-width-decr|incr 0.35\nlikeness hair short\nlikeness skin dark\n",
        "  modifier nose/nose-width-decr|incr 0.35\n\tlikeness hair short\n\xc2\xa0likeness skin dark\n",
        "Modifier nose/nose-width-decr|incr 0.35\nLikeness hair short\nLIKENESS skin dark\n",
        "modifier\tnose/nose-width-decr|incr\t0.35\nlikeness  hair\tshort\nlikeness skin dark \n",
        "version v1.2\rmodifier nose/nose-width-decr|incr 0.35\rlikeness hair short\rlikeness skin dark\r",
        "likeness skin dark\nlikeness hair short\n\xef\xbb\xbfmodifier nose/nose-width-decr|incr 0.35",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        float continuous[2];
        uint8_t discrete[2];
        if (lk_parameters_parse_mhm(schema, texts[i], strlen(texts[i]), "face.mhm", continuous, discrete) != LK_OK)
            fail_msg("%zu: %s", i, lk_error_text());
        assert_true(continuous[0] == 1.0f && continuous[1] == 0.25f);
        assert_true(discrete[0] == 1 && discrete[1] == 1);
    }
    /* MakeHuman's own lines, some of whose words are names of the schema too. */
    const char foreign[] =
        "# hair long wavy\nname hair\ntags hair;skin\nhair long uuid\neyes high-poly skin\nlikeness hair bald\n"
        "clothes skin_suit 0.5\nlikeness skin light\nskeleton default\n";
    float continuous[2];
    uint8_t discrete[2];
    if (lk_parameters_parse_mhm(schema, foreign, strlen(foreign), "face.mhm", continuous, discrete) != LK_OK)
        fail_msg("%s", lk_error_text());
}

/* ---- MakeHuman's names ---- */

static const char makehuman_text[] = "name: makehuman\n"
                                     "continuous:\n"
                                     "  - {name: macrodetails/Age, min: 0.5, max: 0.9, default: 0.5}\n"
                                     "  - {name: macrodetails/African, min: 0, max: 1, default: 0.33}\n"
                                     "  - {name: macrodetails/Asian, min: 0, max: 1, default: 0.33}\n"
                                     "  - {name: eyes/eye-scale-decr|incr, min: -0.5, max: 0.5, default: 0}\n"
                                     "  - {name: ears/l-ear-lobe-decr|incr, min: -1, max: 1, default: 0}\n"
                                     "  - {name: head/head-square|round, min: -0.5, max: 0.5, default: 0}\n"
                                     "  - {name: head/head-triangular, min: 0, max: 0.5, default: 0}\n"
                                     "  - {name: asym/asym-eye-2, min: -0.25, max: 0.25, default: 0}\n"
                                     "discrete: [{name: hair, choices: [bald, short]}]\n";
enum { MAKEHUMAN_COUNT = 8 };

static void mhm_has_the_names_of_makehuman(void **state)
{
    (void)state;
    const char expected[] = "version v1.2.0\n"
                            "modifier macrodetails/African 0.6\n"
                            "modifier macrodetails/Asian 0\n"
                            "modifier macrodetails/Caucasian 0.4\n"
                            "modifier macrodetails/Gender 0.5\n"
                            "modifier macrodetails/Age 0.9\n"
                            "modifier macrodetails-universal/Muscle 0.5\n"
                            "modifier macrodetails-universal/Weight 0.5\n"
                            "modifier macrodetails-height/Height 0.5\n"
                            "modifier macrodetails-proportions/BodyProportions 0.5\n"
                            "modifier breast/BreastSize 0.5\n"
                            "modifier breast/BreastFirmness 0.5\n"
                            "modifier eyes/l-eye-scale-decr|incr 0.25\n"
                            "modifier eyes/r-eye-scale-decr|incr 0.25\n"
                            "modifier ears/l-ear-lobe-decr|incr -1\n"
                            "modifier head/head-square 0.25\n"
                            "modifier head/head-triangular 0.5\n"
                            "likeness asym/asym-eye-2 -0.25\n"
                            "likeness hair short\n";
    lk_schema *makehuman;
    float continuous[MAKEHUMAN_COUNT] = {1, 0.5f, 0, 0.75f, 0, 0.25f, 1, 0}, back[MAKEHUMAN_COUNT];
    uint8_t discrete[1] = {1}, choice[1];
    char *text;
    size_t size;
    assert_ok(lk_schema_parse(makehuman_text, "makehuman", &makehuman));
    assert_ok(lk_parameters_save(makehuman, "face.mhm", continuous, discrete));
    assert_ok(lk_read_file("face.mhm", 4096, &text, &size));
    assert_string_equal(text, expected);
    free(text);
    assert_ok(lk_parameters_load(makehuman, "face.mhm", back, choice));
    for (int i = 0; i < MAKEHUMAN_COUNT; i++)
        assert_true(fabsf(back[i] - continuous[i]) < 1e-6f);
    /* All ends come back, however the digits round. */
    for (int ends = 0; ends < 1 << MAKEHUMAN_COUNT; ends++) {
        for (int i = 0; i < MAKEHUMAN_COUNT; i++)
            continuous[i] = (float)(ends >> i & 1);
        assert_ok(lk_parameters_save(makehuman, "face.mhm", continuous, discrete));
        assert_ok(lk_parameters_load(makehuman, "face.mhm", back, choice));
        for (int i = 0; i < MAKEHUMAN_COUNT; i++)
            assert_true(fabsf(back[i] - continuous[i]) < 1e-6f);
    }
    lk_schema_free(makehuman);
}

/* As MakeHuman saves: six digits, nothing that is 0. And as this program saved before: the schema's own names. */
static void mhm_of_makehuman_and_of_old_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "modifier head/head-round 0.250000\nmodifier eyes/r-eye-scale-decr|incr -0.5\n"
        "modifier eyes/l-eye-scale-decr|incr -0.500000\n"
        "modifier macrodetails/Gender 0.500000\nmodifier macrodetails/Age 0.700000\nmodifier macrodetails/African 0.600000\n"
        "modifier macrodetails/Asian 0.000000\nmodifier macrodetails/Caucasian 0.400000\nlikeness hair bald\n",
        "modifier head/head-square|round 0.25\nmodifier eyes/eye-scale-decr|incr -0.5\nmodifier macrodetails/Age 0.7\n"
        "modifier macrodetails/African 0.5\nmodifier macrodetails/Asian 0\nlikeness hair bald\n"};
    static const float expected[MAKEHUMAN_COUNT] = {0.5f, 0.5f, 0, 0, 0.5f, 0.75f, 0, 0.5f};
    lk_schema *makehuman;
    float continuous[MAKEHUMAN_COUNT];
    uint8_t choice[1];
    assert_ok(lk_schema_parse(makehuman_text, "makehuman", &makehuman));
    for (int t = 0; t < 2; t++) {
        assert_ok(lk_parameters_parse_mhm(makehuman, texts[t], strlen(texts[t]), "face.mhm", continuous, choice));
        for (int i = 0; i < MAKEHUMAN_COUNT; i++)
            assert_true(fabsf(continuous[i] - expected[i]) < 1e-6f);
    }
    static const struct {
        const char *text, *sentence;
    } wrong[] = {
        {"modifier eyes/l-eye-scale-decr|incr 0.1\n",
         "'eyes/l-eye-scale-decr|incr' is 0.1 and 'eyes/r-eye-scale-decr|incr' is 0; the schema has one parameter for both"},
        {"modifier eyes/l-eye-scale-decr|incr 0.1\nmodifier eyes/l-eye-scale-decr|incr 0.1\n", "stands there twice"},
        {"modifier eyes/l-eye-scale-decr|incr 0\nmodifier eyes/eye-scale-decr|incr 0.1\n", "stands there twice"},
        {"modifier eyes/l-eye-scale-decr|incr 0.6\nmodifier eyes/r-eye-scale-decr|incr 0.6\n", "is 0.6, outside -0.5 to 0.5"},
        {"modifer eyes/l-eye-scale-decr|incr 0.1\n", "a line that sets 'eyes/l-eye-scale-decr|incr' begins with 'modifer'"},
        {"modifier head/head-square 0.1\nmodifier head/head-round 0.1\n", "for 'head/head-square|round' of the schema one is 0"},
        {"modifier head/head-square -0.1\n", "one is 0 and none is below"},
        {"modifier macrodetails/Caucasian 0\n", "its faces all have some of it"},
        {"modifier macrodetails/African 0.9\nmodifier macrodetails/Caucasian 0.1\n", "is 3, outside 0 to 1"},
        {"modifier macrodetails-universal/Weight 0.8\n", "is 0.8; the schema 'makehuman' has no such parameter"},
        {"modifier ears/r-ear-lobe-decr|incr 0.1\n", "has no continuous parameter 'ears/r-ear-lobe-decr|incr'"},
        {"modifier ears/l-l-ear-lobe-decr|incr 0.1\nmodifier ears/r-l-ear-lobe-decr|incr 0.1\n",
         "has no continuous parameter 'ears/l-l-ear-lobe-decr|incr'"},
        {"likeness asym/asym-eye-3 0.1\n", "has no continuous parameter 'asym/asym-eye-3'"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails(lk_parameters_parse_mhm(makehuman, wrong[i].text, strlen(wrong[i].text), "face.mhm", continuous, choice),
                     LK_BAD_DATA, wrong[i].sentence);
    lk_schema_free(makehuman);
}

static void byte_order_marks_and_utf16(void **state)
{
    (void)state;
    const char json[] = "\xef\xbb\xbf{\"continuous\": {\"nose/nose-width-decr|incr\": 0.35, \"odd \\\"name\\\" \u00f6\": 15},"
                        " \"discrete\": {\"hair\": \"bald\", \"skin\": \"dark\"}}";
    static const char *const wide[] = {"\xff\xfem\0o\0", "\xfe\xff\0m\0o", "{\0\n\0  ", "\0{\0\n  "};
    float continuous[2];
    uint8_t discrete[2];
    if (lk_parameters_parse_json(schema, json, strlen(json), "face", continuous, discrete) != LK_OK)
        fail_msg("%s", lk_error_text());
    assert_true(continuous[0] == 1.0f);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(lk_parameters_parse_json(schema, wide[i], 6, "face", continuous, discrete), LK_BAD_DATA);
        assert_non_null(strstr(lk_error_text(), "face: is UTF-16; save it as UTF-8"));
        assert_int_equal(lk_parameters_parse_mhm(schema, wide[i], 6, "face", continuous, discrete), LK_BAD_DATA);
        assert_non_null(strstr(lk_error_text(), "face: is UTF-16; save it as UTF-8"));
    }
    lk_schema *marked;
    char *text = malloc(sizeof schema_text + 3);
    sprintf(text, "\xef\xbb\xbf%s", schema_text);
    assert_int_equal(lk_write_file("marked.yaml", text, strlen(text)), LK_OK);
    if (lk_schema_load("marked.yaml", &marked) != LK_OK)
        fail_msg("%s", lk_error_text());
    assert_true(marked->hash == schema->hash);
    lk_schema_free(marked);
    free(text);
}

/* Not even looked into: a tree of JSON takes a hundred times its text. */
static void files_too_large_are_refused(void **state)
{
    (void)state;
    size_t size = LK_PARAMETERS_BYTES + 1;
    char *text = malloc(size);
    float continuous[2];
    uint8_t discrete[2];
    memset(text, ' ', size);
    assert_int_equal(lk_parameters_parse_json(schema, text, size, "face", continuous, discrete), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "the parameters of one face take at most"));
    assert_int_equal(lk_parameters_parse_mhm(schema, text, size, "face", continuous, discrete), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "the parameters of one face take at most"));
    free(text);
}

static void files_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    float continuous[2];
    uint8_t discrete[2];
    assert_int_equal(lk_parameters_load(schema, "missing.json", continuous, discrete), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "missing.json"));
    lk_schema *spaced;
    const char *text =
        "name: s\ncontinuous: [{name: a, min: 0, max: 1, default: 0}]\ndiscrete: [{name: hair style, choices: [x, y]}]\n";
    assert_int_equal(lk_schema_parse(text, "spaced", &spaced), LK_OK);
    assert_int_equal(lk_parameters_save(spaced, "spaced.mhm", (float[]){0.5f}, (uint8_t[]){0}), LK_USAGE);
    assert_non_null(strstr(lk_error_text(), "save as .json"));
    assert_int_equal(lk_parameters_save(spaced, "spaced.json", (float[]){0.5f}, (uint8_t[]){1}), LK_OK);
    assert_int_equal(lk_parameters_load(spaced, "spaced.json", continuous, discrete), LK_OK);
    assert_int_equal(discrete[0], 1);
    lk_schema_free(spaced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_in_client_units_is_read),
        cmocka_unit_test(mhm_is_read_with_defaults),
        cmocka_unit_test(what_is_saved_comes_back),
        cmocka_unit_test(nothing_out_of_range_is_saved),
        cmocka_unit_test(wrong_json_is_named),
        cmocka_unit_test(wrong_mhm_is_named),
        cmocka_unit_test(mhm_of_any_editor_is_read),
        cmocka_unit_test(mhm_has_the_names_of_makehuman),
        cmocka_unit_test(mhm_of_makehuman_and_of_old_is_read),
        cmocka_unit_test(byte_order_marks_and_utf16),
        cmocka_unit_test(files_too_large_are_refused),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
    };
    return cmocka_run_group_tests(tests, open_schema, close_schema);
}
