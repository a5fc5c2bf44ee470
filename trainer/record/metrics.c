#include "trainer/record/metrics.h"

#include "base/file.h"
#include "base/log.h"
#include "trainer/record/flat_line.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lk_metrics {
    char path[LK_PATH_SIZE];
    int fd;
    lk_backlog backlog;
};

lk_status lk_metrics_open(const char *path, lk_metrics **out)
{
    *out = NULL;
    lk_metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics)
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    snprintf(metrics->path, sizeof metrics->path, "%s", path);
    metrics->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (metrics->fd < 0) {
        free(metrics);
        return lk_fail_io("open", path, errno, 0);
    }
    *out = metrics;
    return LK_OK;
}

void lk_metrics_close(lk_metrics *metrics)
{
    if (!metrics)
        return;
    close(metrics->fd);
    lk_backlog_free(&metrics->backlog);
    free(metrics);
}

lk_status lk_metrics_flush(lk_metrics *metrics)
{
    return lk_append_or_keep(metrics->fd, metrics->path, &metrics->backlog, NULL, 0);
}

/* False where the text is not UTF-8. */
static bool print_text(FILE *line, const char *text)
{
    json_t *value = json_string(text);
    bool good = value && json_dumpf(value, line, JSON_ENCODE_ANY) == 0;
    json_decref(value);
    return good;
}

static bool print_item(FILE *line, const lk_metric *item)
{
    bool good = print_text(line, item->key);
    fputc(':', line);
    switch (item->kind) {
    case LK_METRIC_INTEGER: fprintf(line, "%lld", (long long)item->integer); break;
    case LK_METRIC_FLOAT:
    case LK_METRIC_DOUBLE:
        if (item->number == 0 && signbit(item->number))
            fputs("-0.0", line); /* -0 would be read as an integer, which has no sign at zero */
        else if (isfinite(item->number))
            fprintf(line, "%.*g", item->kind == LK_METRIC_FLOAT ? 9 : 17, item->number);
        else
            fputs(isnan(item->number) ? "\"nan\"" : item->number > 0 ? "\"inf\"" : "\"-inf\"", line);
        break;
    case LK_METRIC_TEXT: good = print_text(line, item->text) && good; break;
    }
    return good;
}

lk_status lk_metrics_write(lk_metrics *metrics, const lk_metric *items, size_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *line = open_memstream(&text, &size);
    bool good = line != NULL;
    for (size_t i = 0; i < count && good; i++) {
        fputc(i == 0 ? '{' : ',', line);
        good = print_item(line, &items[i]);
    }
    if (line) {
        fputs(count == 0 ? "{}\n" : "}\n", line);
        good = fclose(line) == 0 && good;
    }
    lk_status status =
        good ? lk_append_or_keep(metrics->fd, metrics->path, &metrics->backlog, text, size)
             : lk_fail(LK_INTERNAL, "%s: cannot form a line: out of memory, or a text that is not UTF-8", metrics->path);
    free(text);
    return status;
}

/* The object of a whole line, or NULL for a torn or damaged one. */
static json_t *parse_line(const char *line, ssize_t length)
{
    if (length == 0 || line[length - 1] != '\n')
        return NULL;
    json_t *object = json_loadb(line, (size_t)length, JSON_REJECT_DUPLICATES, NULL);
    if (object && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* Copies the lines to keep; counts the others. */
static lk_status copy_lines(FILE *in, FILE *out, int64_t last_step, const char *again, const char *path, int64_t *cut,
                            int64_t *damaged)
{
    char *line = NULL;
    size_t room = 0;
    int64_t step = INT64_MIN;
    errno = 0;
    for (ssize_t length; (length = getline(&line, &room, in)) >= 0;) {
        json_t *object = parse_line(line, length);
        const json_t *found = json_object_get(object, "step");
        if (json_is_integer(found))
            step = json_integer_value(found);
        const char *kind = json_string_value(json_object_get(object, "kind"));
        bool repeated = step == last_step && again && kind && strcmp(kind, again) == 0;
        if (object && step <= last_step && !repeated)
            fwrite(line, 1, (size_t)length, out);
        else
            ++*cut;
        if (!object && line[length - 1] == '\n')
            ++*damaged;
        json_decref(object);
    }
    free(line);
    return feof(in) ? LK_OK : lk_fail_io("read", path, errno, 0);
}

lk_status lk_metrics_truncate_after(const char *path, int64_t step, const char *again)
{
    FILE *in;
    lk_path_kind kind;
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    LK_TRY(lk_open_stream(path, &in));
    int64_t cut = 0, damaged = 0;
    lk_atomic_file out;
    lk_status status = lk_atomic_open(&out, path);
    if (status != LK_OK)
        goto done;
    status = copy_lines(in, out.stream, step, again, path, &cut, &damaged);
    if (status != LK_OK || cut == 0)
        lk_atomic_abort(&out);
    else
        status = lk_atomic_commit(&out);
    if (status == LK_OK && damaged > 0)
        lk_warn("%s: removed %lld damaged lines", path, (long long)damaged);
done:
    fclose(in);
    return status;
}

/* ---- reading ---- */

/* The names of numbers that are not finite. */
static bool named_number(const char *text, size_t length, double *out)
{
    static const struct {
        const char *name;
        double value;
    } names[] = {{"nan", NAN}, {"inf", INFINITY}, {"-inf", -INFINITY}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == length && memcmp(names[i].name, text, length) == 0) {
            *out = names[i].value;
            return true;
        }
    return false;
}

/* ---- a line as we write them ---- */

static bool flat_number(const lk_flat_field *field, double *out)
{
    if (field && field->is_text)
        return named_number(field->value, field->value_length, out);
    if (field)
        *out = strtod(field->value, NULL); /* what follows the number ends it */
    return field != NULL;
}

static bool flat_is(const lk_flat_field *field, const char *text)
{
    return field && field->is_text && field->value_length == strlen(text) && memcmp(field->value, text, field->value_length) == 0;
}

static void take_flat(const lk_flat_line *line, const lk_metrics_key *keys, size_t count, lk_metrics_taker *take, void *context,
                      int64_t *step)
{
    const lk_flat_field *found = lk_flat_line_find(line, "step"), *kind = lk_flat_line_find(line, "kind");
    double value;
    if (found && !found->is_text && strcspn(found->value, ".eE") >= found->value_length)
        *step = strtoll(found->value, NULL, 10);
    for (size_t i = 0; i < count; i++)
        if (flat_is(kind, keys[i].kind) && flat_number(lk_flat_line_find(line, keys[i].key), &value))
            take(context, i, *step, value);
}

/* ---- any other line ---- */

static bool number_of(const json_t *value, double *out)
{
    *out = json_number_value(value);
    return json_is_number(value) ||
           (json_is_string(value) && named_number(json_string_value(value), json_string_length(value), out));
}

static void take_object(const json_t *line, const lk_metrics_key *keys, size_t count, lk_metrics_taker *take, void *context,
                        int64_t *step)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    double value;
    if (json_is_integer(json_object_get(line, "step")))
        *step = json_integer_value(json_object_get(line, "step"));
    for (size_t i = 0; kind && i < count; i++)
        if (strcmp(kind, keys[i].kind) == 0 && number_of(json_object_get(line, keys[i].key), &value))
            take(context, i, *step, value);
}

/* damaged NULL: the first damaged line is an error. */
static lk_status scan(const char *path, const lk_metrics_key *keys, size_t count, lk_metrics_taker *take, void *context,
                      int64_t *damaged)
{
    FILE *in;
    LK_TRY(lk_open_stream(path, &in));
    lk_status status = LK_OK;
    char *line = NULL;
    size_t room = 0;
    int64_t number = 0, step = 0;
    errno = 0;
    for (ssize_t length; status == LK_OK && (length = getline(&line, &room, in)) >= 0;) {
        lk_flat_line flat;
        number++;
        if (line[length - 1] != '\n')
            break; /* being written right now, or torn by a kill */
        if (lk_flat_line_read(line, (size_t)length, &flat)) {
            take_flat(&flat, keys, count, take, context, &step);
            continue;
        }
        json_t *object = parse_line(line, length);
        if (object)
            take_object(object, keys, count, take, context, &step);
        else if (damaged)
            ++*damaged;
        else
            status = lk_fail(LK_BAD_DATA, "%s:%lld: is not a JSON object; the file is damaged", path, (long long)number);
        json_decref(object);
    }
    if (status == LK_OK && ferror(in))
        status = lk_fail_io("read", path, errno, 0);
    free(line);
    fclose(in);
    return status;
}

lk_status lk_metrics_scan(const char *path, const lk_metrics_key *keys, size_t count, lk_metrics_taker *take, void *context,
                          int64_t *damaged)
{
    *damaged = 0;
    return scan(path, keys, count, take, context, damaged);
}

/* ---- one series ---- */

typedef struct appending {
    lk_series series;
    bool full; /* memory is out */
} appending;

static void append(void *context, size_t key, int64_t step, double value)
{
    appending *to = context;
    lk_series *series = &to->series;
    size_t n = series->count;
    (void)key;
    if ((n & (n - 1)) == 0) { /* full at every power of two */
        size_t room = n > 0 ? 2 * n : 1;
        int64_t *steps = realloc(series->steps, room * sizeof *steps);
        if (steps)
            series->steps = steps;
        double *values = realloc(series->values, room * sizeof *values);
        if (values)
            series->values = values;
        to->full = to->full || !steps || !values;
    }
    if (to->full)
        return;
    series->steps[n] = step;
    series->values[n] = value;
    series->count++;
}

lk_status lk_metrics_series(const char *path, const char *kind, const char *key, lk_series *out)
{
    const lk_metrics_key wanted = {kind, key};
    appending to = {0};
    lk_status status = scan(path, &wanted, 1, append, &to, NULL);
    if (status == LK_OK && to.full)
        status = lk_fail(LK_INTERNAL, "%s: out of memory", path);
    if (status != LK_OK)
        lk_series_free(&to.series);
    *out = to.series;
    return status;
}

void lk_series_free(lk_series *series)
{
    free(series->steps);
    free(series->values);
    *series = (lk_series){0};
}
