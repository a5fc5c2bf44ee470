/* Which runs are the same point of a sweep, what differs between points, which is best. */
#ifndef LK_LAUNCH_REPORT_COMPARE_H
#define LK_LAUNCH_REPORT_COMPARE_H

#include "launch/report/report.h"

/* Mean and sample standard deviation (0 for one value) of the finite values among `count`. */
typedef struct lk_spread {
    int count;
    double mean, deviation;
} lk_spread;

/* A point of a sweep: the encoder runs whose configurations differ in nothing but run.dir and run.seed. */
typedef struct lk_setting {
    size_t *runs; /* indices, in the order of their seeds */
    size_t run_count;
    char *label; /* "lambda 0.5, lr 0.001": the keys that differ between settings */
    double lambda;
    lk_spread f1, f2; /* of the runs that are done; where none is, of all: a run in training is not compared with its twin */
    lk_spread accuracy, score, choices, continuous, pixels; /* of the runs that are done and judged */
} lk_setting;

typedef struct lk_comparison {
    size_t count;
    lk_setting *settings; /* by lambda, then in the order of the runs */
    int best, second;     /* lowest mean score; -1 if there is none */
    size_t key_count;
    int *keys;       /* indices of lk_config_key of the keys that differ between the encoder runs, run.dir and run.seed apart */
    int *setting_of; /* of each run of the report, -1 if it is in none */
} lk_comparison;

/* LK_INTERNAL (memory). */
lk_status lk_compare(const lk_report *report, lk_comparison *out);
void lk_comparison_free(lk_comparison *comparison);
/* Whether the runs differ in a key. */
bool lk_differ_in(const lk_comparison *comparison, const char *key);

#endif
