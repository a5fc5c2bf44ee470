#include "dataset/pack/table.h"

#include "dataset/parameters.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = LK_PARAMETERS_BYTES, MAX_COLUMNS = LK_MAX_CONTINUOUS + LK_MAX_GROUPS + 2, ORIGIN_ROOM = LK_SHOWN_NAME + 32 };

/* What a CSV column holds. */
typedef struct column {
    enum { KEY, IDENTITY, CONTINUOUS, DISCRETE } kind;
    const char *name; /* the schema's */
} column;

typedef struct table {
    lk_source *source;
    const char *name, *folder;
    const lk_schema *schema;
    const lk_table_calls *calls;
    char origin[ORIGIN_ROOM]; /* "NAME:LINE" */
    int64_t line_number;
    size_t have, at; /* buffer[at .. have) is not yet used */
    char *buffer;    /* MAX_LINE + 1 */
    column columns[MAX_COLUMNS];
    int column_count;
} table;

/* ---- lines ---- */

/* The next line without its end, zero-terminated, in the buffer; NULL at the end of the table. */
static lk_status next_line(table *t, char **line, size_t *length)
{
    *line = NULL;
    for (;;) {
        char *start = t->buffer + t->at, *end = memchr(start, '\n', t->have - t->at);
        size_t got = 0;
        if (!end) {
            memmove(t->buffer, start, t->have - t->at);
            t->have -= t->at;
            t->at = 0;
            if (t->have == MAX_LINE)
                return lk_fail(LK_BAD_DATA, "%s: line %lld is longer than %d bytes", t->name, (long long)t->line_number + 1,
                               MAX_LINE);
            LK_TRY(lk_source_read_some(t->source, t->buffer + t->have, MAX_LINE - t->have, &got));
            t->have += got;
            if (got > 0)
                continue;
            if (t->have == 0)
                return LK_OK;
            start = t->buffer;
            end = t->buffer + t->have;
        }
        *length = (size_t)(end - start);
        t->at = got == 0 && end == t->buffer + t->have ? t->have : (size_t)(end + 1 - t->buffer);
        if (*length > 0 && start[*length - 1] == '\r')
            --*length;
        start[*length] = '\0';
        t->line_number++;
        snprintf(t->origin, sizeof t->origin, "%s:%lld", t->name, (long long)t->line_number);
        const char *text = start;
        if (t->line_number == 1)
            LK_TRY(lk_text_begin(t->name, &text, length));
        start = (char *)text;
        if (*length > 0) { /* empty lines separate nothing */
            *line = start;
            return LK_OK;
        }
    }
}

/* ---- rows ---- */

/* Hands a row on: `root` is a parameter file in JSON. */
static lk_status give_row(table *t, const char *key_text, const char *identity, json_t *root)
{
    char key[LK_KEY_SIZE];
    const char *refused = lk_name_of_row(t->folder, key_text, key);
    if (refused) {
        lk_fail(LK_BAD_DATA, "%s: its key is a %s", t->origin, refused);
        return t->calls->refused(t->calls->context, t->origin);
    }
    size_t floats = (size_t)t->schema->continuous_count * sizeof(float);
    lk_half row = {.size = floats + (size_t)t->schema->group_count, .kind = LK_NAME_JSONL};
    row.data = malloc(row.size);
    row.key = strdup(key);
    row.name = strdup(t->origin);
    row.identity = identity ? strdup(identity) : NULL;
    if (!row.data || !row.key || !row.name || (identity && !row.identity)) {
        lk_half_free(&row);
        return lk_fail(LK_INTERNAL, "%s: out of memory", t->origin);
    }
    if (lk_parameters_from_json(t->schema, root, t->origin, (float *)row.data, row.data + floats) != LK_OK) {
        lk_half_free(&row);
        return t->calls->refused(t->calls->context, t->origin);
    }
    return t->calls->row(t->calls->context, &row);
}

/* ---- JSONL ---- */

static lk_status read_json_line(table *t, const char *line, size_t length)
{
    json_error_t error;
    json_t *root = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    lk_status status;
    if (!root) {
        lk_fail(LK_BAD_DATA, "%s: not JSON: %s", t->origin, error.text);
        return t->calls->refused(t->calls->context, t->origin);
    }
    json_t *key = json_object_get(root, "key"), *identity = json_object_get(root, "identity");
    if (!json_is_string(key) || (identity && !json_is_string(identity))) {
        lk_fail(LK_BAD_DATA, "%s: needs a \"key\" that is a text, and \"identity\" is a text if it is there", t->origin);
        status = t->calls->refused(t->calls->context, t->origin);
        goto done;
    }
    json_incref(key);
    json_incref(identity);
    json_object_del(root, "key");
    json_object_del(root, "identity");
    status = give_row(t, json_string_value(key), json_string_value(identity), root);
    json_decref(key);
    json_decref(identity);
done:
    json_decref(root);
    return status;
}

/* ---- CSV ---- */

/* Cuts a record into fields in place: "a,""b""" gives a,"b". Returns how many, or -1 where quotes do not close or fields are too
 * many. */
static int split_record(char *record, char *fields[MAX_COLUMNS])
{
    int count = 0;
    char *from = record;
    for (;;) {
        if (count == MAX_COLUMNS)
            return -1;
        char *to = from;
        fields[count++] = to;
        if (*from == '"') {
            for (from++; *from && !(from[0] == '"' && from[1] != '"'); from++) {
                if (*from == '"')
                    from++;
                *to++ = *from;
            }
            if (*from++ != '"')
                return -1;
        } else {
            from += strcspn(from, ",");
            to = from;
        }
        char end = *from;
        if (end != ',' && end != '\0')
            return -1;
        *to = '\0';
        if (end == '\0')
            return count;
        from++;
    }
}

/* Spreadsheets of other languages and machines write what they call CSV. */
static lk_status check_dialect(const table *t, const char *record)
{
    size_t first = strcspn(record, ",;\t\r");
    if (record[first] == ';' || record[first] == '\t')
        return lk_fail(LK_BAD_DATA,
                       "%s: the columns are separated by %s; save the table with commas between columns and points in "
                       "numbers",
                       t->origin, record[first] == ';' ? "semicolons" : "tabs");
    if (strchr(record, '\r'))
        return lk_fail(LK_BAD_DATA, "%s: lines end in carriage returns alone; save the table with line feeds", t->origin);
    return LK_OK;
}

static lk_status take_header(table *t, char *record)
{
    char *fields[MAX_COLUMNS];
    LK_TRY(check_dialect(t, record));
    int count = split_record(record, fields), keys = 0;
    if (count < 0)
        return lk_fail(LK_BAD_DATA, "%s: is no row of a CSV table: a quote is not closed, or there are more than %d columns",
                       t->origin, MAX_COLUMNS);
    for (int i = 0; i < count; i++) {
        int number = lk_schema_find_continuous(t->schema, fields[i]), group = lk_schema_find_group(t->schema, fields[i]);
        column *c = &t->columns[i];
        if (number >= 0)
            *c = (column){CONTINUOUS, t->schema->continuous[number].name};
        else if (group >= 0)
            *c = (column){DISCRETE, t->schema->groups[group].name};
        else if (strcmp(fields[i], "key") == 0)
            *c = (column){KEY, "key"};
        else if (strcmp(fields[i], "identity") == 0)
            *c = (column){IDENTITY, "identity"};
        else
            return lk_fail(LK_BAD_DATA, "%s: the schema '%s' has nothing for the column '%.*s'", t->origin, t->schema->name,
                           LK_MAX_NAME, fields[i]);
        for (int k = 0; k < i; k++)
            if (strcmp(t->columns[k].name, c->name) == 0)
                return lk_fail(LK_BAD_DATA, "%s: the column '%s' stands there twice", t->origin, c->name);
        keys += c->kind == KEY;
    }
    if (keys == 0)
        return lk_fail(LK_BAD_DATA, "%s: has no column 'key'; the first row of a CSV table names its columns", t->origin);
    t->column_count = count;
    return LK_OK;
}

/* A cell as JSON; NULL with a sentence where it is none. */
static json_t *cell_value(const table *t, const column *c, const char *text)
{
    if (c->kind == DISCRETE) {
        json_t *choice = json_string(text);
        if (!choice)
            lk_fail(LK_BAD_DATA, "%s: the choice for '%s' is not UTF-8", t->origin, c->name);
        return choice;
    }
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value)) {
        lk_fail(LK_BAD_DATA, "%s: '%s' is '%.40s', not a finite number", t->origin, c->name, text);
        return NULL;
    }
    return json_real(value);
}

static lk_status read_record(table *t, char *record)
{
    char *fields[MAX_COLUMNS];
    int count = split_record(record, fields);
    if (count != t->column_count) {
        lk_fail(LK_BAD_DATA, "%s: has %d fields; the first row has %d", t->origin, count, t->column_count);
        return t->calls->refused(t->calls->context, t->origin);
    }
    json_t *values = json_object(), *choices = json_object();
    const char *key = NULL, *identity = NULL;
    bool good = true;
    for (int i = 0; i < count && good; i++) {
        const column *c = &t->columns[i];
        if (c->kind == KEY) {
            key = fields[i];
        } else if (c->kind == IDENTITY) {
            identity = fields[i][0] ? fields[i] : NULL;
        } else {
            good = json_object_set_new(c->kind == CONTINUOUS ? values : choices, c->name, cell_value(t, c, fields[i])) == 0;
        }
    }
    json_t *root = json_pack("{s:o, s:o}", "continuous", values, "discrete", choices);
    lk_status status = !root  ? lk_fail(LK_INTERNAL, "%s: out of memory", t->origin)
                       : good ? give_row(t, key, identity, root)
                              : t->calls->refused(t->calls->context, t->origin);
    json_decref(root);
    return status;
}

/* ---- all of it ---- */

static lk_status read_lines(table *t, lk_name_kind kind)
{
    char *line;
    size_t length;
    for (;;) {
        LK_TRY(next_line(t, &line, &length));
        if (!line)
            return LK_OK;
        bool header = kind == LK_NAME_CSV && t->column_count == 0;
        if (memchr(line, '\0', length)) {
            lk_fail(LK_BAD_DATA, "%s: holds a zero byte", t->origin);
            LK_TRY(header ? LK_BAD_DATA : t->calls->refused(t->calls->context, t->origin));
        } else if (kind == LK_NAME_JSONL)
            LK_TRY(read_json_line(t, line, length));
        else
            LK_TRY(header ? take_header(t, line) : read_record(t, line));
    }
}

lk_status lk_table_read(lk_source *source, lk_name_kind kind, const char *name, const char *folder, const lk_schema *schema,
                        const lk_table_calls *calls)
{
    char shown[LK_SHOWN_NAME];
    lk_name_show(name, shown, sizeof shown);
    table *t = calloc(1, sizeof *t);
    char *buffer = malloc(MAX_LINE + 1);
    lk_status status;
    if (t && buffer) {
        *t = (table){.source = source, .name = shown, .folder = folder, .schema = schema, .calls = calls, .buffer = buffer};
        status = read_lines(t, kind);
    } else {
        status = lk_fail(LK_INTERNAL, "%s: out of memory", shown);
    }
    free(buffer);
    free(t);
    return status;
}
