/* metrics.jsonl: what a run measured, one JSON object a line, in the order of time.
 *
 *     {"kind":"train","step":1200,"epoch":3,"F":3.14159274,...}
 *
 * Every line has "kind" and "step"; a line without a step counts to the step of the line before it. Floats are written with
 * 9 and doubles with 17 significant digits, so that they come back bit for bit; a whole value has no decimal point. JSON has
 * no name for numbers that are not finite: they are the strings "nan", "inf" and "-inf" (Python's float() takes these).
 *
 * A line is one write at the end of the file: after a kill at any moment at most the last line is torn, and
 * lk_metrics_truncate_after() removes it. To make resume exact, write all lines of step S before the checkpoint of step S, or
 * say which kind is written again.
 */
#ifndef LK_TRAINER_RECORD_METRICS_H
#define LK_TRAINER_RECORD_METRICS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* One key of a line and its value. Texts must be UTF-8 and live until the call that takes them returns. */
typedef struct lk_metric {
    const char *key;
    enum { LK_METRIC_INTEGER, LK_METRIC_FLOAT, LK_METRIC_DOUBLE, LK_METRIC_TEXT } kind;
    union {
        int64_t integer;
        double number;
        const char *text;
    };
} lk_metric;

static inline lk_metric lk_metric_integer(const char *key, int64_t value)
{
    return (lk_metric){.key = key, .kind = LK_METRIC_INTEGER, .integer = value};
}
static inline lk_metric lk_metric_float(const char *key, float value)
{
    return (lk_metric){.key = key, .kind = LK_METRIC_FLOAT, .number = (double)value};
}
static inline lk_metric lk_metric_double(const char *key, double value)
{
    return (lk_metric){.key = key, .kind = LK_METRIC_DOUBLE, .number = value};
}
static inline lk_metric lk_metric_text(const char *key, const char *value)
{
    return (lk_metric){.key = key, .kind = LK_METRIC_TEXT, .text = value};
}

/* One thread at a time. Opens for appending, makes the file if there is none. LK_IO. */
typedef struct lk_metrics lk_metrics;
lk_status lk_metrics_open(const char *path, lk_metrics **out);
/* One line, on its way to the disk when this returns (not fsynced). After LK_IO (a full disk) the file is as before the call;
 * the line is kept in memory and goes before the next one that can be written. */
lk_status lk_metrics_write(lk_metrics *metrics, const lk_metric *items, size_t count);
/* Writes the lines kept in memory; LK_IO if that is still impossible. */
lk_status lk_metrics_flush(lk_metrics *metrics);
/* NULL is fine. */
void lk_metrics_close(lk_metrics *metrics);

/* For resume, before lk_metrics_open: removes every line of a later step than `step`, those of the kind `again` (NULL: none) of
 * that step itself, which will be written again, and a torn last line; a damaged line (power loss) is removed with a warning.
 * Atomic; a file that needs no cut is not touched; no file is fine. */
lk_status lk_metrics_truncate_after(const char *path, int64_t step, const char *again);

/* The values of `key` in the lines of one kind, for reports and tests: series->steps[i], series->values[i]. Lines without
 * the key, or where it is no number, are left out. LK_BAD_DATA names file and line; LK_IO: a read failed. Free with
 * lk_series_free. */
typedef struct lk_series {
    size_t count;
    int64_t *steps;
    double *values;
} lk_series;
lk_status lk_metrics_series(const char *path, const char *kind, const char *key, lk_series *out);
void lk_series_free(lk_series *series);

/* Hands out the value of every key in every line of its kind, line by line and in the order of `keys`, and keeps nothing: for
 * files of any length. Damaged lines (power loss) are left out and counted in *damaged. LK_BAD_DATA, LK_IO. */
typedef struct lk_metrics_key {
    const char *kind, *key;
} lk_metrics_key;
typedef void lk_metrics_taker(void *context, size_t key, int64_t step, double value);
lk_status lk_metrics_scan(const char *path, const lk_metrics_key *keys, size_t count, lk_metrics_taker *take, void *context,
                          int64_t *damaged);

#endif
