#include "dataset/schema.h"

#include "base/hash.h"
#include "configs/yaml.h"
#include "dataset/mirror.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where errors point, and which status they carry: a file that a person wrote or text that a shard carried. */
typedef struct source {
    const char *origin;
    lk_status refusal;
} source;

static lk_status out_of_memory(const source *from)
{
    return lk_fail(LK_INTERNAL, "%s: out of memory for the schema", from->origin);
}

/* ---- names ---- */

/* Control characters and what YAML takes for a line break: they would break messages, tables and the canonical text. */
static bool has_control_characters(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            return true;
        if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f) /* U+0080 to U+009F */
            return true;
        if (c[0] == 0xe2 && c[1] == 0x80 && (c[2] == 0xa8 || c[2] == 0xa9)) /* line and paragraph separator */
            return true;
        if (c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf) /* byte order mark */
            return true;
    }
    return false;
}

static lk_status read_name(const source *from, const lk_yaml_node *node, const char *what, char **out)
{
    if (node->kind != LK_YAML_SCALAR)
        return lk_fail(from->refusal, "%s:%d: %s must be a text", from->origin, node->line, what);
    size_t length = strlen(node->text);
    if (length < 1 || length > LK_MAX_NAME)
        return lk_fail(from->refusal, "%s:%d: %s has %zu bytes; 1 to %d are allowed", from->origin, node->line, what, length,
                       LK_MAX_NAME);
    if (has_control_characters(node->text))
        return lk_fail(from->refusal, "%s:%d: %s holds a control character or line break; take it out", from->origin, node->line,
                       what);
    *out = strdup(node->text);
    return *out ? LK_OK : out_of_memory(from);
}

/* ---- numbers ---- */

static lk_status read_number(const source *from, const lk_yaml_node *node, const char *what, float *out)
{
    if (node->kind != LK_YAML_SCALAR || node->quoted || !node->text[0] ||
        strspn(node->text, "+-.0123456789eE") != strlen(node->text))
        return lk_fail(from->refusal, "%s:%d: %s must be a number", from->origin, node->line, what);
    char *end;
    float value = strtof(node->text, &end);
    if (*end != '\0' || !isfinite(value))
        return lk_fail(from->refusal, "%s:%d: %s must be a finite number", from->origin, node->line, what);
    *out = value + 0.0f; /* -0 and 0 are written alike */
    return LK_OK;
}

void lk_float_text(float value, char out[LK_FLOAT_TEXT])
{
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(out, LK_FLOAT_TEXT, "%.*g", digits, (double)value);
        if (strtof(out, NULL) == value)
            return;
    }
}

/* ---- the tree, checked and copied ---- */

/* The entry of a map; unknown keys are refused by require_keys(). */
static lk_status require(const source *from, const lk_yaml_node *map, const char *what, const char *key, const lk_yaml_node **out)
{
    *out = lk_yaml_find(map, key);
    if (*out)
        return LK_OK;
    return lk_fail(from->refusal, "%s:%d: %s has no '%s'; add it", from->origin, map->line, what, key);
}

static lk_status require_keys(const source *from, const lk_yaml_node *map, const char *what, const char *const *keys)
{
    if (map->kind != LK_YAML_MAP)
        return lk_fail(from->refusal, "%s:%d: %s must be a map", from->origin, map->line, what);
    for (int i = 0; i < map->count; i++) {
        const char *const *known = keys;
        while (*known && strcmp(*known, map->items[i]->key) != 0)
            known++;
        if (!*known)
            return lk_fail(from->refusal, "%s:%d: unknown key '%.60s' in %s", from->origin, map->items[i]->line,
                           map->items[i]->key, what);
    }
    return LK_OK;
}

static lk_status require_list(const source *from, const lk_yaml_node *node, const char *what, int least, int most)
{
    if (node->kind != LK_YAML_LIST)
        return lk_fail(from->refusal, "%s:%d: %s must be a list", from->origin, node->line, what);
    if (node->count < least || node->count > most)
        return lk_fail(from->refusal, "%s:%d: %s has %d entries; %d to %d are allowed", from->origin, node->line, what,
                       node->count, least, most);
    return LK_OK;
}

static lk_status read_one_continuous(const source *from, const lk_yaml_node *node, lk_continuous *out)
{
    static const char *const keys[] = {"name", "min", "max", "default", NULL};
    const char *what = "a continuous parameter";
    const lk_yaml_node *name, *min, *max, *standard;
    LK_TRY(require_keys(from, node, what, keys));
    LK_TRY(require(from, node, what, "name", &name));
    LK_TRY(require(from, node, what, "min", &min));
    LK_TRY(require(from, node, what, "max", &max));
    LK_TRY(require(from, node, what, "default", &standard));
    LK_TRY(read_name(from, name, "the name of a continuous parameter", &out->name));
    LK_TRY(read_number(from, min, "min", &out->min));
    LK_TRY(read_number(from, max, "max", &out->max));
    LK_TRY(read_number(from, standard, "default", &out->default_value));
    if (!(out->min < out->max) || !isfinite(out->max - out->min))
        return lk_fail(from->refusal, "%s:%d: %s: min %g must be less than max %g, and their distance finite", from->origin,
                       node->line, out->name, (double)out->min, (double)out->max);
    if (out->default_value < out->min || out->default_value > out->max)
        return lk_fail(from->refusal, "%s:%d: %s: default %g is outside %g to %g", from->origin, node->line, out->name,
                       (double)out->default_value, (double)out->min, (double)out->max);
    return LK_OK;
}

static lk_status read_one_group(const source *from, const lk_yaml_node *node, lk_choice_group *out)
{
    static const char *const keys[] = {"name", "choices", NULL};
    const lk_yaml_node *name, *choices;
    LK_TRY(require_keys(from, node, "a discrete group", keys));
    LK_TRY(require(from, node, "a discrete group", "name", &name));
    LK_TRY(require(from, node, "a discrete group", "choices", &choices));
    LK_TRY(read_name(from, name, "the name of a discrete group", &out->name));
    LK_TRY(require_list(from, choices, "choices", 2, LK_MAX_CHOICES));
    out->choices = calloc((size_t)choices->count, sizeof *out->choices);
    if (!out->choices)
        return out_of_memory(from);
    for (; out->count < choices->count; out->count++)
        LK_TRY(read_name(from, choices->items[out->count], "a choice", &out->choices[out->count]));
    return LK_OK;
}

static lk_status read_tree(const source *from, const lk_yaml_node *root, lk_schema *schema)
{
    static const char *const keys[] = {"name", "continuous", "discrete", "mirror", NULL};
    const lk_yaml_node *name, *continuous, *discrete;
    LK_TRY(require_keys(from, root, "the schema", keys));
    LK_TRY(require(from, root, "the schema", "name", &name));
    LK_TRY(require(from, root, "the schema", "continuous", &continuous));
    LK_TRY(require(from, root, "the schema", "discrete", &discrete));
    LK_TRY(read_name(from, name, "the name of the schema", &schema->name));
    LK_TRY(require_list(from, continuous, "continuous", 1, LK_MAX_CONTINUOUS));
    LK_TRY(require_list(from, discrete, "discrete", 1, LK_MAX_GROUPS));

    schema->continuous = calloc((size_t)continuous->count, sizeof *schema->continuous);
    schema->groups = calloc((size_t)discrete->count, sizeof *schema->groups);
    if (!schema->continuous || !schema->groups)
        return out_of_memory(from);
    /* Counted before it is read, so that lk_schema_free() finds what a failure left half made. */
    for (int i = 0; i < continuous->count; i++) {
        schema->continuous_count++;
        LK_TRY(read_one_continuous(from, continuous->items[i], &schema->continuous[i]));
    }
    for (int i = 0; i < discrete->count; i++) {
        schema->group_count++;
        LK_TRY(read_one_group(from, discrete->items[i], &schema->groups[i]));
        schema->choice_count += schema->groups[i].count;
    }
    return LK_OK;
}

/* ---- names once only ---- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts `names`. */
static lk_status refuse_duplicates(const source *from, const char **names, int count, const char *what)
{
    qsort(names, (size_t)count, sizeof *names, compare_texts);
    for (int i = 1; i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return lk_fail(from->refusal, "%s: %s '%s' stands there twice; names must differ", from->origin, what, names[i]);
    return LK_OK;
}

static lk_status refuse_duplicate_names(const source *from, const lk_schema *schema)
{
    const char *names[LK_MAX_CONTINUOUS];
    _Static_assert(LK_MAX_CONTINUOUS >= LK_MAX_GROUPS && LK_MAX_CONTINUOUS >= LK_MAX_CHOICES, "names[] serves all three");
    for (int i = 0; i < schema->continuous_count; i++)
        names[i] = schema->continuous[i].name;
    LK_TRY(refuse_duplicates(from, names, schema->continuous_count, "the continuous parameter"));
    for (int i = 0; i < schema->group_count; i++)
        names[i] = schema->groups[i].name;
    LK_TRY(refuse_duplicates(from, names, schema->group_count, "the discrete group"));
    for (int i = 0; i < schema->group_count; i++) {
        for (int k = 0; k < schema->groups[i].count; k++)
            names[k] = schema->groups[i].choices[k];
        LK_TRY(refuse_duplicates(from, names, schema->groups[i].count, "the choice"));
    }
    return LK_OK;
}

/* ---- canonical text ---- */

void lk_schema_write_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void write_continuous(FILE *out, const lk_continuous *parameter)
{
    char min[LK_FLOAT_TEXT], max[LK_FLOAT_TEXT], standard[LK_FLOAT_TEXT];
    lk_float_text(parameter->min, min);
    lk_float_text(parameter->max, max);
    lk_float_text(parameter->default_value, standard);
    fputs("  - {name: ", out);
    lk_schema_write_quoted(out, parameter->name);
    fprintf(out, ", min: %s, max: %s, default: %s}\n", min, max, standard);
}

static void write_group(FILE *out, const lk_choice_group *group)
{
    fputs("  - {name: ", out);
    lk_schema_write_quoted(out, group->name);
    fputs(", choices: [", out);
    for (int k = 0; k < group->count; k++) {
        fputs(k ? ", " : "", out);
        lk_schema_write_quoted(out, group->choices[k]);
    }
    fputs("]}\n", out);
}

static lk_status make_text(const source *from, lk_schema *schema)
{
    size_t size = 0;
    FILE *out = open_memstream(&schema->text, &size);
    if (!out)
        return out_of_memory(from);
    fputs("name: ", out);
    lk_schema_write_quoted(out, schema->name);
    fputs("\ncontinuous:\n", out);
    for (int i = 0; i < schema->continuous_count; i++)
        write_continuous(out, &schema->continuous[i]);
    fputs("discrete:\n", out);
    for (int i = 0; i < schema->group_count; i++)
        write_group(out, &schema->groups[i]);
    if (schema->mirror)
        lk_mirror_write(schema, schema->mirror, out);
    if (fclose(out) != 0 || !schema->text)
        return out_of_memory(from);
    if (size > LK_MAX_SCHEMA_TEXT)
        return lk_fail(from->refusal, "%s: the schema's text has %zu bytes; at most %d are allowed", from->origin, size,
                       LK_MAX_SCHEMA_TEXT);
    schema->hash = lk_hash(schema->text, size);
    return LK_OK;
}

static lk_status build(const source *from, const lk_yaml_node *root, lk_schema **out)
{
    lk_schema *schema = calloc(1, sizeof *schema);
    if (!schema)
        return out_of_memory(from);
    lk_status status = read_tree(from, root, schema);
    if (status == LK_OK)
        status = refuse_duplicate_names(from, schema);
    const lk_yaml_node *mirror = lk_yaml_find(root, "mirror");
    if (status == LK_OK && mirror)
        status = lk_mirror_read(schema, mirror, from->origin, from->refusal, &schema->mirror);
    if (status == LK_OK)
        status = make_text(from, schema);
    if (status != LK_OK) {
        lk_schema_free(schema);
        return status;
    }
    *out = schema;
    return LK_OK;
}

lk_status lk_schema_load(const char *path, lk_schema **out)
{
    *out = NULL;
    lk_yaml *document;
    LK_TRY(lk_yaml_load(path, &document));
    source from = {.origin = path, .refusal = LK_BAD_CONFIG};
    lk_status status = build(&from, lk_yaml_root(document), out);
    lk_yaml_free(document);
    return status;
}

lk_status lk_schema_parse(const char *text, const char *origin, lk_schema **out)
{
    *out = NULL;
    lk_yaml *document;
    lk_status status = lk_yaml_parse(text, strlen(text), origin, &document);
    if (status != LK_OK)
        return status == LK_BAD_CONFIG ? LK_BAD_DATA : status;
    source from = {.origin = origin, .refusal = LK_BAD_DATA};
    status = build(&from, lk_yaml_root(document), out);
    lk_yaml_free(document);
    return status;
}

void lk_schema_free(lk_schema *schema)
{
    if (!schema)
        return;
    lk_mirror_free(schema->mirror, schema->group_count);
    for (int i = 0; i < schema->continuous_count; i++)
        free(schema->continuous[i].name);
    for (int i = 0; i < schema->group_count; i++) {
        lk_choice_group *group = &schema->groups[i];
        for (int k = 0; k < group->count; k++)
            free(group->choices[k]);
        free(group->choices);
        free(group->name);
    }
    free(schema->continuous);
    free(schema->groups);
    free(schema->name);
    free(schema->text);
    free(schema);
}

/* ---- comparing and finding ---- */

/* Puts the first difference of two groups into words; false if there is none. */
static bool group_difference(const lk_choice_group *a, const lk_choice_group *b, char *out, size_t size)
{
    if (strcmp(a->name, b->name) != 0)
        return snprintf(out, size, "group '%s' against '%s'", a->name, b->name) > 0;
    if (a->count != b->count)
        return snprintf(out, size, "group '%s' has %d choices against %d", a->name, a->count, b->count) > 0;
    for (int k = 0; k < a->count; k++)
        if (strcmp(a->choices[k], b->choices[k]) != 0)
            return snprintf(out, size, "choice %d of group '%s' is '%s' against '%s'", k, a->name, a->choices[k], b->choices[k]) >
                   0;
    return false;
}

static bool continuous_difference(const lk_continuous *a, const lk_continuous *b, char *out, size_t size)
{
    if (strcmp(a->name, b->name) != 0)
        return snprintf(out, size, "continuous parameter '%s' against '%s'", a->name, b->name) > 0;
    if (a->min == b->min && a->max == b->max && a->default_value == b->default_value)
        return false;
    const float numbers[] = {a->min, a->max, a->default_value, b->min, b->max, b->default_value};
    char text[6][LK_FLOAT_TEXT];
    for (int i = 0; i < 6; i++)
        lk_float_text(numbers[i], text[i]);
    snprintf(out, size, "'%s' goes from %s to %s (default %s) against %s to %s (default %s)", a->name, text[0], text[1], text[2],
             text[3], text[4], text[5]);
    return true;
}

static void first_difference(const lk_schema *a, const lk_schema *b, char *out, size_t size)
{
    if (a->continuous_count != b->continuous_count || a->group_count != b->group_count) {
        snprintf(out, size, "%d continuous parameters and %d groups against %d and %d", a->continuous_count, a->group_count,
                 b->continuous_count, b->group_count);
        return;
    }
    for (int i = 0; i < a->continuous_count; i++)
        if (continuous_difference(&a->continuous[i], &b->continuous[i], out, size))
            return;
    for (int i = 0; i < a->group_count; i++)
        if (group_difference(&a->groups[i], &b->groups[i], out, size))
            return;
    if (strcmp(a->name, b->name) != 0)
        snprintf(out, size, "the name '%s' against '%s'", a->name, b->name);
    else
        snprintf(out, size, "what they say of mirrored faces");
}

lk_status lk_schema_require_equal(const lk_schema *a, const char *a_origin, const lk_schema *b, const char *b_origin)
{
    if (strcmp(a->text, b->text) == 0)
        return LK_OK;
    char difference[LK_ERROR_SIZE];
    first_difference(a, b, difference, sizeof difference);
    return lk_fail(LK_BAD_DATA, "the schemas of %s and %s differ: %s; data and weights must come from one schema", a_origin,
                   b_origin, difference);
}

int lk_schema_find_continuous(const lk_schema *schema, const char *name)
{
    for (int i = 0; i < schema->continuous_count; i++)
        if (strcmp(schema->continuous[i].name, name) == 0)
            return i;
    return -1;
}

int lk_schema_find_group(const lk_schema *schema, const char *name)
{
    for (int i = 0; i < schema->group_count; i++)
        if (strcmp(schema->groups[i].name, name) == 0)
            return i;
    return -1;
}

int lk_choice_group_find(const lk_choice_group *group, const char *choice)
{
    for (int k = 0; k < group->count; k++)
        if (strcmp(group->choices[k], choice) == 0)
            return k;
    return -1;
}

lk_status lk_schema_check_face(const lk_schema *schema, const float *continuous, const uint8_t *discrete)
{
    for (int k = 0; k < schema->continuous_count; k++)
        if (!(continuous[k] >= 0.0f && continuous[k] <= 1.0f)) /* NaN too */
            return lk_fail(LK_BAD_DATA, "'%s' is %g, outside 0 to 1", schema->continuous[k].name, (double)continuous[k]);
    for (int k = 0; k < schema->group_count; k++)
        if (discrete[k] >= schema->groups[k].count)
            return lk_fail(LK_BAD_DATA, "group '%s' has choice %d, but only %d choices", schema->groups[k].name, discrete[k],
                           schema->groups[k].count);
    return LK_OK;
}
