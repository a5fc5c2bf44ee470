#include "launch/serve/counts.h"

#include "base/clock.h"
#include "base/version.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CODE = 200, CODES = 400, BOUNDS = 12 };

/* counts[i]: values up to bounds[i] and over the bound before; the last: over all. */
typedef struct histogram {
    uint64_t counts[BOUNDS + 1];
    double sum;
} histogram;

static const double second_bounds[BOUNDS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
static const double face_bounds[BOUNDS] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16};

typedef struct path_counts {
    const char *path; /* NULL: free */
    uint64_t codes[CODES];
    histogram seconds;
} path_counts;

struct lk_counts {
    pthread_mutex_t lock;
    double start;
    int64_t values[LK_COUNT_COUNT];
    path_counts paths[LK_COUNTS_PATHS];
    histogram batches;
};

lk_status lk_counts_create(lk_counts **out)
{
    lk_counts *m = *out = calloc(1, sizeof *m);
    if (!m)
        return lk_fail(LK_INTERNAL, "out of memory");
    m->start = lk_wall_clock();
    pthread_mutex_init(&m->lock, NULL);
    return LK_OK;
}

void lk_counts_free(lk_counts *m)
{
    if (m)
        pthread_mutex_destroy(&m->lock);
    free(m);
}

/* ---- counting ---- */

void lk_counts_add(lk_counts *m, lk_count which, int64_t change)
{
    pthread_mutex_lock(&m->lock);
    m->values[which] += change;
    pthread_mutex_unlock(&m->lock);
}

int64_t lk_counts_value(lk_counts *m, lk_count which)
{
    pthread_mutex_lock(&m->lock);
    int64_t value = m->values[which];
    pthread_mutex_unlock(&m->lock);
    return value;
}

static void observe(histogram *h, const double *bounds, double value)
{
    int i = 0;
    while (i < BOUNDS && value > bounds[i])
        i++;
    h->counts[i]++;
    h->sum += value;
}

void lk_counts_request(lk_counts *m, const char *path, int code, double seconds)
{
    pthread_mutex_lock(&m->lock);
    for (int i = 0; i < LK_COUNTS_PATHS && code >= FIRST_CODE && code < FIRST_CODE + CODES; i++) {
        path_counts *p = &m->paths[i];
        if (!p->path)
            p->path = path;
        if (strcmp(p->path, path) != 0)
            continue;
        p->codes[code - FIRST_CODE]++;
        observe(&p->seconds, second_bounds, seconds);
        break;
    }
    pthread_mutex_unlock(&m->lock);
}

void lk_counts_batch(lk_counts *m, int faces)
{
    pthread_mutex_lock(&m->lock);
    observe(&m->batches, face_bounds, faces);
    pthread_mutex_unlock(&m->lock);
}

/* ---- the page ---- */

static void write_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* `label` is `path="/"` or empty. */
static void write_histogram(FILE *out, const char *name, const char *label, const histogram *h, const double *bounds)
{
    uint64_t below = 0;
    const char *comma = *label ? "," : "";
    for (int i = 0; i < BOUNDS; i++) {
        below += h->counts[i];
        fprintf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, label, comma, bounds[i], (unsigned long long)below);
    }
    below += h->counts[BOUNDS];
    fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, label, comma, (unsigned long long)below);
    const char *open = *label ? "{" : "", *shut = *label ? "}" : "";
    fprintf(out, "%s_sum%s%s%s %.9g\n%s_count%s%s%s %llu\n", name, open, label, shut, h->sum, name, open, label, shut,
            (unsigned long long)below);
}

static void write_requests(FILE *out, const lk_counts *m)
{
    write_head(out, "likeness_requests_total", "counter", "Requests that were answered.");
    for (int i = 0; i < LK_COUNTS_PATHS && m->paths[i].path; i++)
        for (int code = 0; code < CODES; code++)
            if (m->paths[i].codes[code] > 0)
                fprintf(out, "likeness_requests_total{path=\"%s\",code=\"%d\"} %llu\n", m->paths[i].path, FIRST_CODE + code,
                        (unsigned long long)m->paths[i].codes[code]);
    write_head(out, "likeness_request_seconds", "histogram", "From the last byte of a request to the first of its answer.");
    for (int i = 0; i < LK_COUNTS_PATHS && m->paths[i].path; i++) {
        char label[128];
        snprintf(label, sizeof label, "path=\"%s\"", m->paths[i].path);
        write_histogram(out, "likeness_request_seconds", label, &m->paths[i].seconds, second_bounds);
    }
}

static void write_page(FILE *out, const lk_counts *m)
{
    static const struct {
        const char *name, *type, *help;
    } table[] = {
#define LK_COUNT(name, type, help) {"likeness_" #name, type, help},
        LK_COUNTS_TABLE(LK_COUNT)
#undef LK_COUNT
    };
    for (int i = 0; i < LK_COUNT_COUNT; i++) {
        write_head(out, table[i].name, table[i].type, table[i].help);
        fprintf(out, "%s %lld\n", table[i].name, (long long)m->values[i]);
    }
    write_requests(out, m);
    write_head(out, "likeness_batch_faces", "histogram", "Faces that went through the networks together.");
    write_histogram(out, "likeness_batch_faces", "", &m->batches, face_bounds);
    write_head(out, "likeness_build_info", "gauge", "Which build of the program this is.");
    fprintf(out, "likeness_build_info{program=\"%s\"} 1\n", lk_program());
    write_head(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
    fprintf(out, "process_resident_memory_bytes %lld\n", (long long)lk_resident_bytes());
    write_head(out, "process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.");
    fprintf(out, "process_start_time_seconds %.3f\n", m->start);
}

lk_status lk_counts_write(lk_counts *m, char **text, size_t *size)
{
    *text = NULL;
    FILE *out = open_memstream(text, size);
    if (out) {
        pthread_mutex_lock(&m->lock);
        write_page(out, m);
        pthread_mutex_unlock(&m->lock);
        if (fclose(out) == 0)
            return LK_OK;
    }
    free(*text);
    *text = NULL;
    return lk_fail(LK_INTERNAL, "out of memory for the metrics");
}
