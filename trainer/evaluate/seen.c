#include "trainer/evaluate/seen.h"

#include "base/file.h"
#include "dataset/pack/names.h"
#include "dataset/parameters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 1000 }; /* of a face or a head */
static const char BUILT_IN_SEX[] = "sex=macrodetails/Gender(f|m)";

typedef struct reader {
    const lk_schema *schema;
    const char *origin;
    const char *at, *end; /* what is not yet read */
    const char *line;     /* where the line begins */
    int line_number;
    char *field; /* the last one that was read, without its quotes; as large as the text */
    size_t field_column;
    bool record_ends; /* with that field */
    lk_seen *seen;
} reader;

static lk_status fail_at(const reader *r, size_t column, const char *what, const char *subject, const char *rest)
{
    return lk_fail(LK_BAD_DATA, "%s:%d:%zu: %s%s%.100s%s%s", r->origin, r->line_number, column, what,
                   !subject  ? ""
                   : what[0] ? " '"
                             : "'",
                   subject ? subject : "", subject ? "'" : "", rest);
}

static lk_status fail_field(const reader *r, const char *what, const char *subject, const char *rest)
{
    return fail_at(r, r->field_column, what, subject, rest);
}

/* ---- fields ---- */

static lk_status next_field(reader *r)
{
    char *to = r->field;
    r->field_column = (size_t)(r->at - r->line) + 1;
    if (r->at < r->end && *r->at == '"') {
        for (r->at++; r->at < r->end && *r->at != '\n' && !(r->at[0] == '"' && (r->at + 1 == r->end || r->at[1] != '"'));
             r->at++) {
            r->at += *r->at == '"';
            *to++ = *r->at;
        }
        if (r->at == r->end || *r->at != '"')
            return fail_field(r, "a quote is not closed in its line", NULL, "");
        r->at++;
    } else {
        while (r->at < r->end && *r->at != ',' && *r->at != '\n')
            *to++ = *r->at++;
        if (to > r->field && to[-1] == '\r' && (r->at == r->end || *r->at == '\n'))
            to--;
    }
    if (r->at + 1 < r->end && r->at[0] == '\r' && r->at[1] == '\n')
        r->at++;
    *to = '\0';
    if (memchr(r->field, '\0', (size_t)(to - r->field)) || strchr(r->field, '\r'))
        return fail_field(r, "a byte that is no text", NULL, "; save the table as CSV in UTF-8 with line feeds");
    if (r->at < r->end && *r->at != ',' && *r->at != '\n')
        return fail_at(r, (size_t)(r->at - r->line) + 1, "something follows a quoted cell", NULL, "; a comma belongs there");
    r->record_ends = r->at == r->end || *r->at == '\n';
    r->at += r->at < r->end;
    return LK_OK;
}

/* A name that comes back in messages and files. */
static lk_status require_name(const reader *r, const char *what)
{
    char shown[MAX_NAME + 8];
    if (r->field[0] == '\0' || strlen(r->field) > MAX_NAME)
        return fail_field(r, what, NULL, " is empty, or longer than 1000 bytes");
    lk_name_show(r->field, shown, sizeof shown);
    return strcmp(shown, r->field) == 0 ? LK_OK : fail_field(r, what, NULL, " is not UTF-8, or has control characters");
}

/* Passes over empty lines; false at the end of the table. */
static bool next_line(reader *r)
{
    for (;; r->at++) {
        r->line = r->at;
        r->line_number++;
        if (r->at + 1 < r->end && r->at[0] == '\r' && r->at[1] == '\n')
            r->at++;
        if (r->at == r->end || *r->at != '\n')
            break;
    }
    return r->at < r->end;
}

/* ---- the head ---- */

static lk_status out_of_memory(const reader *r)
{
    return lk_fail(LK_INTERNAL, "%s: out of memory", r->origin);
}

static lk_status add_word(const reader *r, lk_seen_column *c, const char *word, size_t length)
{
    if (length == 0 || length > LK_MAX_NAME || memchr(word, ',', length))
        return fail_field(r, "a word of the column", c->name, " is empty, too long or has a comma");
    for (int w = 0; w < c->word_count; w++)
        if (strlen(c->words[w]) == length && memcmp(c->words[w], word, length) == 0)
            return fail_field(r, "the column", c->name, " has a word twice");
    if (c->word_count == LK_MAX_CHOICES)
        return fail_field(r, "the column", c->name, " has more than 255 words");
    c->words[c->word_count] = strndup(word, length);
    return c->words[c->word_count++] ? LK_OK : out_of_memory(r);
}

static lk_status take_group(const reader *r, lk_seen_column *c)
{
    const lk_choice_group *group = &r->schema->groups[c->group];
    for (int k = 0; k < group->count; k++) {
        c->words[k] = strdup(group->choices[k]);
        if (!c->words[k])
            return out_of_memory(r);
        c->word_count++;
    }
    return LK_OK;
}

/* "PARAMETER(LOW|...|HIGH)" */
static lk_status take_parameter(const reader *r, lk_seen_column *c, const char *text)
{
    char name[LK_MAX_NAME + 1];
    const char *open = strrchr(text, '('), *close = open ? strchr(open, ')') : NULL;
    if (!open || !close || close[1] != '\0' || (size_t)(open - text) >= sizeof name)
        return fail_field(r, "the column", c->name, " needs PARAMETER(LOW|HIGH) behind its '='");
    memcpy(name, text, (size_t)(open - text));
    name[open - text] = '\0';
    c->continuous = lk_schema_find_continuous(r->schema, name);
    if (c->continuous < 0)
        return fail_field(r, "the schema has no continuous parameter", name, "");
    for (const char *word = open + 1; word <= close;) {
        size_t length = strcspn(word, "|)");
        LK_TRY(add_word(r, c, word, length));
        word += length + 1;
    }
    return c->word_count >= 2 ? LK_OK : fail_field(r, "the column", c->name, " needs two words or more, as in (LOW|HIGH)");
}

static lk_status take_column(const reader *r)
{
    lk_seen *seen = r->seen;
    const char *head = r->field;
    LK_TRY(require_name(r, "the name of a column"));
    int group = lk_schema_find_group(r->schema, head);
    if (group < 0 && strcmp(head, "sex") == 0 && lk_schema_find_continuous(r->schema, "macrodetails/Gender") >= 0)
        head = BUILT_IN_SEX;
    size_t length = group < 0 ? strcspn(head, "=") : strlen(head);
    if (seen->column_count == LK_MAX_SEEN_COLUMNS)
        return fail_field(r, "more than 256 columns", NULL, "");
    lk_seen_column *c = &seen->columns[seen->column_count];
    *c = (lk_seen_column){.name = strndup(head, length), .group = group, .continuous = -1};
    c->words = calloc(LK_MAX_CHOICES, sizeof *c->words);
    seen->column_count++;
    if (!c->name || !c->words)
        return out_of_memory(r);
    if (length == 0 || length > LK_MAX_NAME)
        return fail_field(r, "a column has no name, or one that is too long", NULL, "");
    for (int k = 0; k + 1 < seen->column_count; k++)
        if (strcmp(seen->columns[k].name, c->name) == 0)
            return fail_field(r, "the column", c->name, " stands there twice");
    if (group >= 0)
        return take_group(r, c);
    if (head[length] == '=')
        return take_parameter(r, c, head + length + 1);
    return fail_field(r, "the schema has no group", c->name,
                      "; a continuous parameter is judged by a column NAME=PARAMETER(LOW|HIGH)");
}

static lk_status take_head(reader *r)
{
    LK_TRY(next_field(r));
    if (strcmp(r->field, "face") != 0 && strpbrk(r->field, ";\t"))
        return fail_field(r, "columns are separated by semicolons or tabs", NULL, "; save the table with commas");
    if (strcmp(r->field, "face") != 0)
        return fail_field(r, "the first column is", r->field, " and must be 'face'");
    if (r->record_ends)
        return fail_field(r, "there is no column besides 'face'", NULL, "");
    while (!r->record_ends) {
        LK_TRY(next_field(r));
        LK_TRY(take_column(r));
    }
    return LK_OK;
}

/* ---- rows ---- */

static lk_status grow(reader *r)
{
    lk_seen *seen = r->seen;
    int n = seen->row_count;
    if (n == LK_MAX_SEEN_ROWS)
        return fail_at(r, 1, "more than 100000 rows", NULL, "");
    if (n & (n - 1)) /* memory doubles at powers of two */
        return LK_OK;
    size_t room = n ? 2 * (size_t)n : 1;
    char **faces = realloc(seen->faces, room * sizeof *faces);
    seen->faces = faces ? faces : seen->faces;
    int *lines = realloc(seen->lines, room * sizeof *lines);
    seen->lines = lines ? lines : seen->lines;
    lk_seen_words *cells = realloc(seen->cells, room * (size_t)seen->column_count * sizeof *cells);
    seen->cells = cells ? cells : seen->cells;
    return faces && lines && cells ? LK_OK : out_of_memory(r);
}

static lk_status take_cell(const reader *r, int column, lk_seen_words *cell)
{
    const lk_seen_column *c = &r->seen->columns[column];
    *cell = (lk_seen_words){0};
    if (r->field[0] == '\0')
        return LK_OK;
    for (char *word = r->field, *next; word; word = next) {
        next = strchr(word, '|');
        if (next)
            *next++ = '\0';
        int w = 0;
        while (w < c->word_count && strcmp(c->words[w], word) != 0)
            w++;
        if (w == c->word_count) {
            char rest[LK_MAX_NAME + 40];
            snprintf(rest, sizeof rest, " is no word of the column '%s'", c->name);
            return fail_field(r, "", word, rest);
        }
        cell->bits[w / 64] |= (uint64_t)1 << w % 64;
    }
    return LK_OK;
}

static lk_status take_row(reader *r)
{
    lk_seen *seen = r->seen;
    LK_TRY(grow(r));
    LK_TRY(next_field(r));
    LK_TRY(require_name(r, "the name of a face"));
    seen->faces[seen->row_count] = strdup(r->field);
    seen->lines[seen->row_count] = r->line_number;
    if (!seen->faces[seen->row_count++])
        return out_of_memory(r);
    for (int c = 0; c < seen->column_count; c++) {
        if (r->record_ends)
            return fail_at(r, (size_t)(r->at - r->line), "the row ends before the column", seen->columns[c].name, "");
        LK_TRY(next_field(r));
        LK_TRY(take_cell(r, c, &seen->cells[(size_t)(seen->row_count - 1) * (size_t)seen->column_count + (size_t)c]));
    }
    return r->record_ends ? LK_OK : fail_at(r, (size_t)(r->at - r->line), "the row has more cells than the head", NULL, "");
}

static lk_status read_all(reader *r)
{
    lk_seen *seen = r->seen;
    size_t size = (size_t)(r->end - r->at);
    LK_TRY(lk_text_begin(r->origin, &r->at, &size));
    r->end = r->at + size;
    r->field = malloc(size + 1);
    seen->columns = calloc(LK_MAX_SEEN_COLUMNS, sizeof *seen->columns);
    if (!r->field || !seen->columns)
        return out_of_memory(r);
    if (!next_line(r))
        return fail_at(r, 1, "the table is empty", NULL, "; its first row is 'face' and the columns' names");
    LK_TRY(take_head(r));
    while (next_line(r))
        LK_TRY(take_row(r));
    return seen->row_count > 0 ? LK_OK : fail_at(r, 1, "the table has no row", NULL, "");
}

lk_status lk_seen_parse(const char *text, size_t size, const char *origin, const lk_schema *schema, lk_seen **out)
{
    reader r = {.schema = schema, .origin = origin, .at = text, .end = text + size};
    *out = NULL;
    r.seen = calloc(1, sizeof *r.seen);
    if (!r.seen)
        return out_of_memory(&r);
    lk_status status = read_all(&r);
    free(r.field);
    if (status != LK_OK)
        lk_seen_free(r.seen);
    else
        *out = r.seen;
    return status;
}

lk_status lk_seen_load(const char *path, const lk_schema *schema, lk_seen **out)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    LK_TRY(lk_read_file(path, LK_MAX_SEEN_BYTES, &text, &size));
    lk_status status = lk_seen_parse(text, size, path, schema, out);
    free(text);
    return status;
}

void lk_seen_free(lk_seen *seen)
{
    if (!seen)
        return;
    for (int c = 0; c < seen->column_count; c++) {
        for (int w = 0; w < seen->columns[c].word_count; w++)
            free(seen->columns[c].words[w]);
        free(seen->columns[c].words);
        free(seen->columns[c].name);
    }
    for (int r = 0; r < seen->row_count; r++)
        free(seen->faces[r]);
    free(seen->columns);
    free(seen->faces);
    free(seen->lines);
    free(seen->cells);
    free(seen);
}

/* ---- judging ---- */

static bool ends_in(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static lk_status find_face(const lk_seen *seen, int row, const char *origin, int count, const char *const *names, int *found)
{
    const char *face = seen->faces[row];
    *found = -1;
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], face) == 0) {
            *found = i;
            return LK_OK;
        }
    for (int i = 0; i < count; i++) {
        if (!ends_in(names[i], face))
            continue;
        if (*found >= 0)
            return lk_fail(LK_BAD_DATA, "%s:%d:1: two faces have names that end in '%.100s': %.200s and %.200s; write more of it",
                           origin, seen->lines[row], face, names[*found], names[i]);
        *found = i;
    }
    return LK_OK;
}

lk_status lk_seen_match(const lk_seen *seen, const char *origin, int count, const char *const *names, int *rows)
{
    for (int i = 0; i < count; i++)
        rows[i] = -1;
    for (int row = 0; row < seen->row_count; row++) {
        int face;
        LK_TRY(find_face(seen, row, origin, count, names, &face));
        if (face < 0)
            continue;
        if (rows[face] >= 0)
            return lk_fail(LK_BAD_DATA, "%s:%d:1: is about the face %.200s, and so is line %d", origin, seen->lines[row],
                           names[face], seen->lines[rows[face]]);
        rows[face] = row;
    }
    return LK_OK;
}

static const lk_seen_words *cell_of(const lk_seen *seen, int row, int column)
{
    return &seen->cells[(size_t)row * (size_t)seen->column_count + (size_t)column];
}

bool lk_seen_judges(const lk_seen *seen, int row, int column)
{
    const lk_seen_words *cell = cell_of(seen, row, column);
    return cell->bits[0] || cell->bits[1] || cell->bits[2] || cell->bits[3];
}

bool lk_seen_allows(const lk_seen *seen, int row, int column, int word)
{
    return cell_of(seen, row, column)->bits[word / 64] >> word % 64 & 1;
}

int lk_seen_said(const lk_seen_column *column, const float *continuous, const uint8_t *discrete)
{
    if (column->group >= 0)
        return discrete[column->group];
    int part = (int)floor((double)continuous[column->continuous] * column->word_count);
    return part < column->word_count ? part : column->word_count - 1;
}
