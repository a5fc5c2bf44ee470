#include "trainer/record/flat_line.h"

#include <string.h>

/* The end of the text that begins at `s`, its closing quote; NULL if it is not plain. A line break ends every line, so that no
 * loop runs over its end. */
static const char *text_end(const char *s)
{
    while (*s >= 0x20 && *s < 0x7f && *s != '"' && *s != '\\')
        s++;
    return *s == '"' ? s : NULL;
}

static const char *digits_end(const char *s)
{
    while (*s >= '0' && *s <= '9')
        s++;
    return s;
}

/* The first byte behind the number that begins at `s`, NULL if it is none: JSON has no leading zeros, and a point has digits on
 * both sides. */
static const char *number_end(const char *s)
{
    const char *first = *s == '-' ? s + 1 : s;
    const char *end = digits_end(first);
    if (end == first || end - first > 18 || (*first == '0' && end - first > 1))
        return NULL;
    if (*end == '.') {
        const char *fraction = end + 1;
        end = digits_end(fraction);
        if (end == fraction)
            return NULL;
    }
    if (*end == 'e' || *end == 'E') {
        const char *exponent = end[1] == '-' || end[1] == '+' ? end + 2 : end + 1;
        end = digits_end(exponent);
        if (end == exponent || end - exponent > 2)
            return NULL;
    }
    return end;
}

static bool is_twice(const lk_flat_line *line, const lk_flat_field *field)
{
    for (size_t i = 0; i < line->count; i++) {
        const lk_flat_field *other = &line->fields[i];
        if (other->key_length == field->key_length && *other->key == *field->key &&
            memcmp(other->key, field->key, field->key_length) == 0)
            return true;
    }
    return false;
}

/* One "key":value; the first byte behind it, or NULL. */
static const char *read_field(const char *s, lk_flat_field *field)
{
    const char *end = *s == '"' ? text_end(s + 1) : NULL;
    if (!end || end[1] != ':')
        return NULL;
    field->key = s + 1;
    field->key_length = (size_t)(end - field->key);
    s = end + 2;
    field->is_text = *s == '"';
    field->value = field->is_text ? s + 1 : s;
    end = field->is_text ? text_end(s + 1) : number_end(s);
    if (!end)
        return NULL;
    field->value_length = (size_t)(end - field->value);
    return field->is_text ? end + 1 : end;
}

bool lk_flat_line_read(const char *line, size_t length, lk_flat_line *out)
{
    out->count = 0;
    if (length < 3 || line[length - 1] != '\n' || line[0] != '{')
        return false;
    const char *s = line;
    do {
        lk_flat_field *field = &out->fields[out->count];
        s = out->count < LK_FLAT_FIELDS ? read_field(s + 1, field) : NULL;
        if (!s || is_twice(out, field))
            return false;
        out->count++;
    } while (*s == ',');
    return *s == '}' && s + 2 == line + length;
}

const lk_flat_field *lk_flat_line_find(const lk_flat_line *line, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < line->count; i++)
        if (line->fields[i].key_length == length && memcmp(line->fields[i].key, key, length) == 0)
            return &line->fields[i];
    return NULL;
}
