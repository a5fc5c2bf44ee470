/* MakeHuman's .mhm files (dataset/parameters.h, docs/formats.md).
 *
 * The schema's names become those that MakeHuman 1.3 knows (its data/modifiers/modeling_modifiers.json) when a file is written,
 * and both are read. What is one parameter here and two modifiers there are its parts:
 *   - eyes, ears, cheek: MakeHuman has l- and r- modifiers alone, a schema may have one for both sides;
 *   - "head/head-square|round": MakeHuman's head shapes run from 0 to 1, one modifier a shape.
 * MakeHuman loads macros one by one and works out their targets as it goes: origins must sum to 1, and all of the macros must be
 * there, gender, age and origins first.
 */
#include "base/file.h"
#include "dataset/parameters.h"
#include "dataset/parameters_parse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One parse of a .mhm. */
typedef struct mhm {
    lk_parse parse;
    double parts[LK_MAX_CONTINUOUS][2]; /* left and right, or low and high */
    bool has_part[LK_MAX_CONTINUOUS][2];
    double origins[3]; /* of ORIGINS */
    bool has_origin[3];
} mhm;

/* ---- names ---- */

enum { NAME_SIZE = LK_MAX_NAME + 4, ORIGINS = 3 };

/* All macros of MakeHuman, in its own order, and what the client's faces have where the schema does not name one. */
static const struct {
    const char *name;
    double average;
} MACROS[] = {{"macrodetails/African", 1.0 / 3},
              {"macrodetails/Asian", 1.0 / 3},
              {"macrodetails/Caucasian", 1.0 / 3},
              {"macrodetails/Gender", 0.5},
              {"macrodetails/Age", 0.5},
              {"macrodetails-universal/Muscle", 0.5},
              {"macrodetails-universal/Weight", 0.5},
              {"macrodetails-height/Height", 0.5},
              {"macrodetails-proportions/BodyProportions", 0.5},
              {"breast/BreastSize", 0.5},
              {"breast/BreastFirmness", 0.5}};
enum { MACRO_COUNT = sizeof MACROS / sizeof *MACROS };

static int find_macro(const char *name)
{
    for (int m = 0; m < MACRO_COUNT; m++)
        if (strcmp(MACROS[m].name, name) == 0)
            return m;
    return -1;
}

/* How many bytes "eyes/" takes where MakeHuman has the group's modifiers for each side; else 0. */
static size_t sided_group(const char *name)
{
    static const char *const groups[] = {"eyes/", "ears/", "cheek/"};
    for (int g = 0; g < 3; g++)
        if (strncmp(name, groups[g], strlen(groups[g])) == 0)
            return strlen(groups[g]);
    return 0;
}

static const char HEAD[] = "head/head-";
static const char *const SHAPES[] = {"oval", "round", "rectangular", "square", "triangular", "invertedtriangular", "diamond"};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static bool is_shape(const char *text, size_t length)
{
    for (int s = 0; s < SHAPE_COUNT; s++)
        if (strlen(SHAPES[s]) == length && memcmp(SHAPES[s], text, length) == 0)
            return true;
    return false;
}

typedef enum name_kind { ONE_MODIFIER, LEFT_AND_RIGHT, LOW_AND_HIGH, NO_MODIFIER } name_kind;

/* What MakeHuman has for a parameter of the schema; the names of its parts where there are two. */
static name_kind parts_of(const char *name, char parts[2][NAME_SIZE])
{
    size_t group = sided_group(name);
    const char *bar = strchr(name, '|'), *shape = name + sizeof HEAD - 1;
    if (strncmp(name, "asym/", 5) == 0)
        return NO_MODIFIER;
    if (group && bar && strncmp(name + group, "l-", 2) != 0 && strncmp(name + group, "r-", 2) != 0) {
        for (int side = 0; side < 2; side++)
            snprintf(parts[side], NAME_SIZE, "%.*s%s%s", (int)group, name, side ? "r-" : "l-", name + group);
        return LEFT_AND_RIGHT;
    }
    if (bar && strncmp(name, HEAD, sizeof HEAD - 1) == 0 && bar > shape && is_shape(shape, (size_t)(bar - shape)) &&
        is_shape(bar + 1, strlen(bar + 1))) {
        snprintf(parts[0], NAME_SIZE, "%.*s", (int)(bar - name), name);
        snprintf(parts[1], NAME_SIZE, "%s%s", HEAD, bar + 1);
        return LOW_AND_HIGH;
    }
    return ONE_MODIFIER;
}

/* The way back: which parameter a modifier of MakeHuman is a part of, and which part; -1: of none. */
static int find_part(const lk_schema *schema, const char *modifier, int *part)
{
    char name[2 * NAME_SIZE], parts[2][NAME_SIZE];
    size_t group = sided_group(modifier);
    if (strlen(modifier) > LK_MAX_NAME)
        return -1;
    if (group && (strncmp(modifier + group, "l-", 2) == 0 || strncmp(modifier + group, "r-", 2) == 0)) {
        *part = modifier[group] == 'r';
        snprintf(name, sizeof name, "%.*s%s", (int)group, modifier, modifier + group + 2);
        return parts_of(name, parts) == LEFT_AND_RIGHT ? lk_schema_find_continuous(schema, name) : -1;
    }
    const char *shape = modifier + sizeof HEAD - 1;
    if (strncmp(modifier, HEAD, sizeof HEAD - 1) != 0 || !is_shape(shape, strlen(shape)))
        return -1;
    for (int s = 0; s < SHAPE_COUNT; s++)
        for (*part = 0; *part < 2; ++*part) {
            snprintf(name, sizeof name, "%s%s|%s", HEAD, *part ? SHAPES[s] : shape, *part ? shape : SHAPES[s]);
            int i = lk_schema_find_continuous(schema, name);
            if (i >= 0)
                return i;
        }
    return -1;
}

/* ---- reading ---- */

/* The bytes of a blank that editors leave: space, tab, no-break space, a byte order mark where files were joined. */
static size_t blank(const char *s)
{
    return *s == ' ' || *s == '\t' ? 1 : strncmp(s, "\xc2\xa0", 2) == 0 ? 2 : strncmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static char *skip_blanks(char *s)
{
    for (size_t length; (length = blank(s)) > 0;)
        s += length;
    return s;
}

/* Cuts the next word off *rest and skips the blanks behind it. */
static char *take_word(char **rest)
{
    char *word = *rest, *end = word;
    while (*end && !blank(end))
        end++;
    *rest = skip_blanks(end);
    *end = '\0';
    return word;
}

/* Cuts "NAME VALUE" in two; false if it is not that. A name may hold spaces, a number does not. */
static bool split_modifier(char *text, double *value)
{
    char *space = strrchr(text, ' '), *tab = strrchr(text, '\t');
    if (!space || (tab && tab > space))
        space = tab;
    char *end = space;
    *value = space ? strtod(space + 1, &end) : 0;
    if (!space || end == space + 1 || *end != '\0' || !isfinite(*value))
        return false;
    while (space > text && (space[-1] == ' ' || space[-1] == '\t'))
        space--;
    *space = '\0';
    return true;
}

/* A modifier that is no parameter of the schema by itself. */
static lk_status take_part(mhm *m, const char *modifier, double value)
{
    const lk_parse *parse = &m->parse;
    int part, i = find_part(parse->schema, modifier, &part), macro = find_macro(modifier);
    if (i >= 0) {
        if (m->has_part[i][part])
            return lk_fail(LK_BAD_DATA, "%s: '%s' stands there twice", parse->origin, modifier);
        m->parts[i][part] = value;
        m->has_part[i][part] = true;
        return LK_OK;
    }
    if (macro < 0)
        return lk_parse_continuous(&m->parse, modifier, value); /* which refuses it */
    if (fabs(value - MACROS[macro].average) > 1e-6)
        return lk_fail(LK_BAD_DATA, "%s: '%s' is %g; the schema '%s' has no such parameter, its faces all have %g", parse->origin,
                       modifier, value, parse->schema->name, MACROS[macro].average);
    return LK_OK;
}

static lk_status take_modifier(mhm *m, char *rest)
{
    double value;
    if (!split_modifier(rest, &value))
        return lk_fail(LK_BAD_DATA, "%s: 'modifier %.*s': expected a name and a finite number", m->parse.origin, LK_MAX_NAME,
                       rest);
    int macro = find_macro(rest);
    if (macro >= 0 && macro < ORIGINS) {
        if (m->has_origin[macro])
            return lk_fail(LK_BAD_DATA, "%s: '%s' stands there twice", m->parse.origin, rest);
        m->origins[macro] = value;
        m->has_origin[macro] = true;
        return LK_OK;
    }
    if (lk_schema_find_continuous(m->parse.schema, rest) >= 0)
        return lk_parse_continuous(&m->parse, rest, value);
    return take_part(m, rest, value);
}

static lk_status join_parts(mhm *m, int i)
{
    lk_parse *parse = &m->parse;
    const char *name = parse->schema->continuous[i].name;
    char parts[2][NAME_SIZE];
    name_kind kind = parts_of(name, parts);
    double a = m->parts[i][0], b = m->parts[i][1]; /* MakeHuman leaves out what is 0 */
    if (kind == LEFT_AND_RIGHT && (float)a != (float)b)
        return lk_fail(LK_BAD_DATA, "%s: '%s' is %g and '%s' is %g; the schema has one parameter for both sides, '%s'",
                       parse->origin, parts[0], a, parts[1], b, name);
    if (kind == LOW_AND_HIGH && (a < 0 || b < 0 || (a > 0 && b > 0)))
        return lk_fail(LK_BAD_DATA, "%s: '%s' is %g and '%s' is %g; for '%s' of the schema one is 0 and none is below",
                       parse->origin, parts[0], a, parts[1], b, name);
    return lk_parse_continuous(parse, name, kind == LOW_AND_HIGH ? b - a : b);
}

/* MakeHuman's origins sum to 1. A schema that lacks some of them has those at their average, and the others in proportion. */
static lk_status join_origins(mhm *m)
{
    const lk_schema *schema = m->parse.schema;
    int lacking = -1;
    for (int o = 0; o < ORIGINS; o++) {
        if (lk_schema_find_continuous(schema, MACROS[o].name) >= 0)
            continue;
        double value = m->has_origin[o] ? m->origins[o] : MACROS[o].average;
        m->origins[o] = value;
        if (value <= 0)
            return lk_fail(LK_BAD_DATA, "%s: '%s' is %g; the schema '%s' has no such parameter, its faces all have some of it",
                           m->parse.origin, MACROS[o].name, value, schema->name);
        if (lacking >= 0 && fabs(value - m->origins[lacking]) > 1e-6)
            return lk_fail(LK_BAD_DATA, "%s: '%s' is %g and '%s' is %g; the schema '%s' has neither, its faces have both alike",
                           m->parse.origin, MACROS[lacking].name, m->origins[lacking], MACROS[o].name, value, schema->name);
        lacking = o;
    }
    double scale = lacking >= 0 ? MACROS[lacking].average / m->origins[lacking] : 1;
    for (int o = 0; o < ORIGINS; o++) {
        int i = lk_schema_find_continuous(schema, MACROS[o].name);
        if (i < 0 || !m->has_origin[o])
            continue;
        double value = m->origins[o] * scale, low = schema->continuous[i].min, high = schema->continuous[i].max;
        if (scale != 1) /* the digits of two numbers: their ratio may step over the end */
            value = value < low && value > low - 1e-5 ? low : value > high && value < high + 1e-5 ? high : value;
        LK_TRY(lk_parse_continuous(&m->parse, MACROS[o].name, value));
    }
    return LK_OK;
}

/* The group whose choice "GROUP CHOICE" names, -1 if it is not that. */
static int group_of(const lk_schema *schema, char *text)
{
    for (int g = 0; g < schema->group_count; g++) {
        size_t length = strlen(schema->groups[g].name);
        if (strncmp(text, schema->groups[g].name, length) == 0 && blank(text + length) &&
            lk_choice_group_find(&schema->groups[g], skip_blanks(text + length)) >= 0)
            return g;
    }
    return -1;
}

/* version, camera, clothes and the like are not ours; what reads as a setting of ours behind another word was meant as one. */
static lk_status pass_over(const lk_parse *parse, const char *word, char *rest)
{
    int g = group_of(parse->schema, rest), part;
    if (g >= 0)
        return lk_fail(LK_BAD_DATA, "%s: a line that chooses '%s' begins with '%.40s', not with 'likeness', so it is not read",
                       parse->origin, parse->schema->groups[g].name, word);
    double value;
    if (split_modifier(rest, &value) &&
        (lk_schema_find_continuous(parse->schema, rest) >= 0 || find_part(parse->schema, rest, &part) >= 0))
        return lk_fail(LK_BAD_DATA, "%s: a line that sets '%s' begins with '%.40s', not with 'modifier', so it is not read",
                       parse->origin, rest, word);
    return LK_OK;
}

/* "likeness GROUP CHOICE", and "likeness NAME VALUE" of a parameter that MakeHuman does not have. */
static lk_status take_own(mhm *m, char *rest)
{
    double value;
    char parts[2][NAME_SIZE];
    if (parts_of(rest, parts) == NO_MODIFIER && split_modifier(rest, &value))
        return lk_parse_continuous(&m->parse, rest, value);
    const char *group = take_word(&rest);
    return lk_parse_choice(&m->parse, group, rest);
}

static lk_status take_line(mhm *m, char *line)
{
    size_t length = strlen(line);
    while (length > 0 && strchr(" \t", line[length - 1]))
        line[--length] = '\0';
    char *rest = skip_blanks(line);
    const char *word = take_word(&rest);
    if (strcasecmp(word, "modifier") == 0)
        return take_modifier(m, rest);
    if (strcasecmp(word, "likeness") == 0)
        return take_own(m, rest);
    return word[0] == '#' ? LK_OK : pass_over(&m->parse, word, rest);
}

static lk_status take_lines(mhm *m, char *text)
{
    char *line;
    while ((line = strsep(&text, "\r\n")) != NULL)
        LK_TRY(take_line(m, line));
    for (int i = 0; i < m->parse.schema->continuous_count; i++)
        if (m->has_part[i][0] || m->has_part[i][1])
            LK_TRY(join_parts(m, i));
    LK_TRY(join_origins(m));
    return lk_parse_require_groups(&m->parse, "add a line 'likeness GROUP CHOICE'");
}

lk_status lk_parameters_parse_mhm(const lk_schema *schema, const char *text, size_t size, const char *origin, float *continuous,
                                  uint8_t *discrete)
{
    mhm m = {.parse = {.schema = schema, .origin = origin, .continuous = continuous, .discrete = discrete}};
    LK_TRY(lk_parse_check_size(origin, size));
    LK_TRY(lk_text_begin(origin, &text, &size));
    if (memchr(text, '\0', size))
        return lk_fail(LK_BAD_DATA, "%s: holds a zero byte, so it is not a .mhm file", origin);
    for (int i = 0; i < schema->continuous_count; i++)
        continuous[i] = lk_from_client_units(&schema->continuous[i], schema->continuous[i].default_value);
    char *copy = malloc(size + 1);
    if (!copy)
        return lk_fail(LK_INTERNAL, "%s: out of memory", origin);
    memcpy(copy, text, size);
    copy[size] = '\0';
    lk_status status = take_lines(&m, copy);
    free(copy);
    return status;
}

/* ---- writing ---- */

static void write_value(FILE *out, const char *word, const char *name, double value)
{
    char text[LK_FLOAT_TEXT];
    lk_float_text((float)value, text);
    fprintf(out, "%s %s %s\n", word, name, text);
}

/* In the order that MakeHuman's reader needs (see above). */
static void write_macros(FILE *out, const lk_schema *schema, const float *continuous)
{
    double values[MACRO_COUNT], total = 0;
    bool lacking = false;
    for (int m = 0; m < MACRO_COUNT; m++) {
        int i = lk_schema_find_continuous(schema, MACROS[m].name);
        values[m] = i < 0 ? MACROS[m].average : lk_in_client_units(&schema->continuous[i], continuous[i]);
        lacking |= i < 0 && m < ORIGINS;
        total += m < ORIGINS ? values[m] : 0;
    }
    for (int m = 0; m < MACRO_COUNT; m++) {
        if (m < ORIGINS && lacking) /* digits enough for the same float after the division that reading does */
            fprintf(out, "modifier %s %.12g\n", MACROS[m].name, values[m] / total);
        else
            write_value(out, "modifier", MACROS[m].name, values[m]);
    }
}

static void write_parameter(FILE *out, const char *name, float value)
{
    char parts[2][NAME_SIZE];
    switch (parts_of(name, parts)) {
    case LEFT_AND_RIGHT:
        write_value(out, "modifier", parts[0], value);
        write_value(out, "modifier", parts[1], value);
        break;
    case LOW_AND_HIGH: write_value(out, "modifier", parts[value >= 0], fabsf(value)); break;
    case NO_MODIFIER: write_value(out, "likeness", name, value); break;
    default: write_value(out, "modifier", name, value);
    }
}

lk_status lk_parameters_save_mhm(const lk_schema *schema, const char *path, const float *continuous, const uint8_t *discrete,
                                 const char *more)
{
    lk_status status = lk_schema_check_face(schema, continuous, discrete);
    if (status != LK_OK)
        return lk_fail_in(status, "%s", path);
    for (int g = 0; g < schema->group_count; g++)
        if (strpbrk(schema->groups[g].name, " \t"))
            return lk_fail(LK_USAGE, "%s: group '%s' has spaces in its name, which a .mhm file cannot hold; save as .json", path,
                           schema->groups[g].name);
    lk_atomic_file file;
    LK_TRY(lk_atomic_open(&file, path));
    fputs("version v1.2.0\n", file.stream);
    write_macros(file.stream, schema, continuous);
    for (int i = 0; i < schema->continuous_count; i++)
        if (find_macro(schema->continuous[i].name) < 0)
            write_parameter(file.stream, schema->continuous[i].name, lk_in_client_units(&schema->continuous[i], continuous[i]));
    for (int g = 0; g < schema->group_count; g++)
        fprintf(file.stream, "likeness %s %s\n", schema->groups[g].name, schema->groups[g].choices[discrete[g]]);
    fputs(more, file.stream);
    return lk_atomic_commit(&file);
}
