#include "trainer/record/metrics.h"

#include "base/file.h"
#include "base/log.h"

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
static lk_status copy_lines(FILE *in, FILE *out, int64_t last_step, const char *path, int64_t *cut, int64_t *damaged)
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
        if (object && step <= last_step)
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

lk_status lk_metrics_truncate_after(const char *path, int64_t step)
{
    FILE *in = fopen(path, "rbe");
    if (!in && errno == ENOENT)
        return LK_OK;
    if (!in)
        return lk_fail_io("open", path, errno, 0);
    int64_t cut = 0, damaged = 0;
    lk_atomic_file out;
    lk_status status = lk_atomic_open(&out, path);
    if (status != LK_OK)
        goto done;
    status = copy_lines(in, out.stream, step, path, &cut, &damaged);
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

static bool number_of(const json_t *value, double *out)
{
    const char *text = json_string_value(value);
    *out = json_number_value(value);
    if (!text)
        return json_is_number(value);
    if (strcmp(text, "nan") == 0)
        *out = NAN;
    else if (strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0)
        *out = text[0] == '-' ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

static bool append(lk_series *series, int64_t step, double value)
{
    size_t n = series->count;
    if ((n & (n - 1)) == 0) { /* full at every power of two */
        size_t room = n > 0 ? 2 * n : 1;
        int64_t *steps = realloc(series->steps, room * sizeof *steps);
        if (steps)
            series->steps = steps;
        double *values = realloc(series->values, room * sizeof *values);
        if (values)
            series->values = values;
        if (!steps || !values)
            return false;
    }
    series->steps[n] = step;
    series->values[n] = value;
    series->count++;
    return true;
}

/* Adds what the wishes ask for in one line. False when memory is out. */
static bool collect_line(const json_t *line, int64_t step, lk_series_wish *wishes, size_t count)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    double value;
    for (size_t i = 0; kind && i < count; i++)
        if (strcmp(kind, wishes[i].kind) == 0 && number_of(json_object_get(line, wishes[i].key), &value) &&
            !append(&wishes[i].series, step, value))
            return false;
    return true;
}

/* damaged NULL: the first damaged line is an error. */
static lk_status collect(const char *path, lk_series_wish *wishes, size_t count, int64_t *damaged)
{
    FILE *in = fopen(path, "rbe");
    if (!in)
        return lk_fail(LK_BAD_DATA, "%s: cannot open: %s", path, strerror(errno));
    lk_status status = LK_OK;
    char *line = NULL;
    size_t room = 0;
    int64_t number = 0, step = 0;
    for (ssize_t length; status == LK_OK && (length = getline(&line, &room, in)) >= 0;) {
        number++;
        if (line[length - 1] != '\n')
            break; /* being written right now, or torn by a kill */
        json_t *object = parse_line(line, length);
        if (json_is_integer(json_object_get(object, "step")))
            step = json_integer_value(json_object_get(object, "step"));
        if (!object && damaged)
            ++*damaged;
        else if (!object)
            status = lk_fail(LK_BAD_DATA, "%s:%lld: is not a JSON object; the file is damaged", path, (long long)number);
        else if (!collect_line(object, step, wishes, count))
            status = lk_fail(LK_INTERNAL, "%s: out of memory", path);
        json_decref(object);
    }
    free(line);
    fclose(in);
    for (size_t i = 0; status != LK_OK && i < count; i++)
        lk_series_free(&wishes[i].series);
    return status;
}

lk_status lk_metrics_collect(const char *path, lk_series_wish *wishes, size_t count, int64_t *damaged)
{
    *damaged = 0;
    for (size_t i = 0; i < count; i++)
        wishes[i].series = (lk_series){0};
    return collect(path, wishes, count, damaged);
}

lk_status lk_metrics_series(const char *path, const char *kind, const char *key, lk_series *out)
{
    lk_series_wish wish = {.kind = kind, .key = key};
    lk_status status = collect(path, &wish, 1, NULL);
    *out = wish.series;
    return status;
}

void lk_series_free(lk_series *series)
{
    free(series->steps);
    free(series->values);
    *series = (lk_series){0};
}
