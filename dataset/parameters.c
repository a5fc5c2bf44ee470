#include "dataset/parameters.h"

#include "base/file.h"
#include "dataset/parameters_parse.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- client units and [0,1] (patent CN109902767B: normalised continuous parameters) ---- */

float lk_from_client_units(const lk_continuous *parameter, float value)
{
    double share = ((double)value - parameter->min) / ((double)parameter->max - parameter->min);
    return (float)(share < 0 ? 0 : share > 1 ? 1 : share);
}

float lk_in_client_units(const lk_continuous *parameter, float share)
{
    return (float)(parameter->min + (double)share * ((double)parameter->max - parameter->min));
}

/* ---- values by name ---- */

lk_status lk_parse_continuous(lk_parse *t, const char *name, double value)
{
    int i = lk_schema_find_continuous(t->schema, name);
    if (i < 0)
        return lk_fail(LK_BAD_DATA, "%s: the schema '%s' has no continuous parameter '%.*s'", t->origin, t->schema->name,
                       LK_MAX_NAME, name);
    const lk_continuous *parameter = &t->schema->continuous[i];
    if (t->has_continuous[i])
        return lk_fail(LK_BAD_DATA, "%s: '%s' stands there twice", t->origin, name);
    /* Compared as floats: the schema's -0.35 is the float nearest to it. */
    float rounded = (float)value;
    if (!(rounded >= parameter->min && rounded <= parameter->max))
        return lk_fail(LK_BAD_DATA, "%s: '%s' is %g, outside %g to %g", t->origin, name, value, (double)parameter->min,
                       (double)parameter->max);
    t->continuous[i] = lk_from_client_units(parameter, rounded);
    t->has_continuous[i] = true;
    return LK_OK;
}

lk_status lk_parse_choice(lk_parse *t, const char *group_name, const char *choice)
{
    int g = lk_schema_find_group(t->schema, group_name);
    if (g < 0)
        return lk_fail(LK_BAD_DATA, "%s: the schema '%s' has no discrete group '%.*s'", t->origin, t->schema->name, LK_MAX_NAME,
                       group_name);
    if (t->has_group[g])
        return lk_fail(LK_BAD_DATA, "%s: group '%s' stands there twice", t->origin, group_name);
    int k = lk_choice_group_find(&t->schema->groups[g], choice);
    if (k < 0)
        return lk_fail(LK_BAD_DATA, "%s: group '%s' has no choice '%.*s'", t->origin, group_name, LK_MAX_NAME, choice);
    t->discrete[g] = (uint8_t)k;
    t->has_group[g] = true;
    return LK_OK;
}

static lk_status require_all_continuous(const lk_parse *t)
{
    for (int i = 0; i < t->schema->continuous_count; i++)
        if (!t->has_continuous[i])
            return lk_fail(LK_BAD_DATA, "%s: '%s' is missing; every continuous parameter of the schema '%s' is needed", t->origin,
                           t->schema->continuous[i].name, t->schema->name);
    return LK_OK;
}

lk_status lk_parse_require_groups(const lk_parse *t, const char *how)
{
    for (int g = 0; g < t->schema->group_count; g++)
        if (!t->has_group[g])
            return lk_fail(LK_BAD_DATA, "%s: no choice for group '%s'; %s", t->origin, t->schema->groups[g].name, how);
    return LK_OK;
}

/* ---- text ---- */

static const char byte_order_mark[] = "\xef\xbb\xbf";

lk_status lk_text_begin(const char *origin, const char **text, size_t *size)
{
    const char *t = *text;
    if (*size >= 3 && memcmp(t, byte_order_mark, 3) == 0) {
        *text += 3;
        *size -= 3;
    } else if (*size >= 2 && (memcmp(t, "\xff\xfe", 2) == 0 || memcmp(t, "\xfe\xff", 2) == 0 || !t[0] != !t[1])) {
        return lk_fail(LK_BAD_DATA, "%s: is UTF-16; save it as UTF-8 ('CSV UTF-8' in Excel)", origin);
    }
    return LK_OK;
}

lk_status lk_parse_check_size(const char *origin, size_t size)
{
    if (size > LK_PARAMETERS_BYTES)
        return lk_fail(LK_BAD_DATA, "%s: has %zu bytes; the parameters of one face take at most %d", origin, size,
                       LK_PARAMETERS_BYTES);
    return LK_OK;
}

/* ---- JSON ---- */

static lk_status take_continuous(lk_parse *t, json_t *map)
{
    const char *name;
    json_t *value;
    json_object_foreach(map, name, value)
    {
        if (!json_is_number(value))
            return lk_fail(LK_BAD_DATA, "%s: '%.*s' must be a number", t->origin, LK_MAX_NAME, name);
        LK_TRY(lk_parse_continuous(t, name, json_number_value(value)));
    }
    return require_all_continuous(t);
}

static lk_status take_discrete(lk_parse *t, json_t *map)
{
    const char *name;
    json_t *value;
    json_object_foreach(map, name, value)
    {
        if (!json_is_string(value))
            return lk_fail(LK_BAD_DATA, "%s: the choice for '%.*s' must be a text", t->origin, LK_MAX_NAME, name);
        LK_TRY(lk_parse_choice(t, name, json_string_value(value)));
    }
    return lk_parse_require_groups(t, "add it under \"discrete\"");
}

static lk_status take_root(lk_parse *t, json_t *root)
{
    const char *name;
    json_t *value;
    json_t *continuous = json_object_get(root, "continuous"), *discrete = json_object_get(root, "discrete");
    if (!json_is_object(continuous) || !json_is_object(discrete))
        return lk_fail(LK_BAD_DATA, "%s: must be {\"continuous\": {...}, \"discrete\": {...}}", t->origin);
    json_object_foreach(root, name, value) if (value != continuous && value != discrete) return lk_fail(
        LK_BAD_DATA, "%s: unknown key '%.60s' beside \"continuous\" and \"discrete\"", t->origin, name);
    LK_TRY(take_continuous(t, continuous));
    return take_discrete(t, discrete);
}

lk_status lk_parameters_from_json(const lk_schema *schema, struct json_t *root, const char *origin, float *continuous,
                                  uint8_t *discrete)
{
    lk_parse t = {.schema = schema, .origin = origin, .continuous = continuous, .discrete = discrete};
    return take_root(&t, root);
}

lk_status lk_parameters_parse_json(const lk_schema *schema, const char *text, size_t size, const char *origin, float *continuous,
                                   uint8_t *discrete)
{
    json_error_t error;
    LK_TRY(lk_parse_check_size(origin, size));
    LK_TRY(lk_text_begin(origin, &text, &size));
    /* jansson refuses nesting beyond 2048, numbers that overflow, strings that are not UTF-8 or hold a zero. */
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return lk_fail(LK_BAD_DATA, "%s:%d: not JSON: %s", origin, error.line, error.text);
    lk_status status = lk_parameters_from_json(schema, root, origin, continuous, discrete);
    json_decref(root);
    return status;
}

/* ---- files ---- */

static bool is_mhm(const char *path)
{
    size_t length = strlen(path);
    return length >= 4 && strcmp(path + length - 4, ".mhm") == 0;
}

lk_status lk_parameters_load(const lk_schema *schema, const char *path, float *continuous, uint8_t *discrete)
{
    char *text;
    size_t size;
    LK_TRY(lk_read_file(path, LK_PARAMETERS_BYTES, &text, &size));
    lk_status status = is_mhm(path) ? lk_parameters_parse_mhm(schema, text, size, path, continuous, discrete)
                                    : lk_parameters_parse_json(schema, text, size, path, continuous, discrete);
    free(text);
    return status;
}

json_t *lk_parameters_to_json(const lk_schema *schema, const float *continuous, const uint8_t *discrete)
{
    json_t *values = json_object(), *choices = json_object();
    int failed = 0;
    for (int i = 0; i < schema->continuous_count; i++) {
        char value[LK_FLOAT_TEXT]; /* the short decimal, not the digits of the float behind it */
        lk_float_text(lk_in_client_units(&schema->continuous[i], continuous[i]), value);
        failed |= json_object_set_new(values, schema->continuous[i].name, json_real(strtod(value, NULL)));
    }
    for (int g = 0; g < schema->group_count; g++)
        failed |= json_object_set_new(choices, schema->groups[g].name, json_string(schema->groups[g].choices[discrete[g]]));
    json_t *root = json_pack("{s:o, s:o}", "continuous", values, "discrete", choices); /* takes both, also when it fails */
    if (failed) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static lk_status save_json(const lk_schema *schema, const char *path, const float *continuous, const uint8_t *discrete)
{
    json_t *root = lk_parameters_to_json(schema, continuous, discrete);
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    if (!text)
        return lk_fail(LK_INTERNAL, "%s: out of memory writing parameters", path);
    lk_atomic_file file;
    lk_status status = lk_atomic_open(&file, path);
    if (status == LK_OK) {
        fprintf(file.stream, "%s\n", text);
        status = lk_atomic_commit(&file);
    }
    free(text);
    return status;
}

lk_status lk_parameters_save(const lk_schema *schema, const char *path, const float *continuous, const uint8_t *discrete)
{
    if (is_mhm(path))
        return lk_parameters_save_mhm(schema, path, continuous, discrete, "");
    lk_status status = lk_schema_check_face(schema, continuous, discrete);
    if (status != LK_OK)
        return lk_fail_in(status, "%s", path);
    return save_json(schema, path, continuous, discrete);
}
