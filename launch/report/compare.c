/* Which runs are the same point of a sweep, what differs between points, which is best. Declared in report.h. */
#include "launch/report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE = 1024 };

static bool is_own(const char *key)
{
    return strcmp(key, "run.dir") == 0 || strcmp(key, "run.seed") == 0;
}

static bool same_value(const lk_config *a, const lk_config *b, int key)
{
    char x[VALUE], y[VALUE];
    lk_config_value(a, key, x, sizeof x);
    lk_config_value(b, key, y, sizeof y);
    return strcmp(x, y) == 0;
}

static bool same_setting(const lk_config *a, const lk_config *b)
{
    for (int k = 0; lk_config_key(k); k++)
        if (!is_own(lk_config_key(k)) && !same_value(a, b, k))
            return false;
    return true;
}

static lk_status find_keys(const lk_report *report, lk_comparison *out)
{
    int known = 0;
    while (lk_config_key(known))
        known++;
    out->keys = calloc((size_t)known + 1, sizeof *out->keys);
    if (!out->keys)
        return lk_fail(LK_INTERNAL, "out of memory comparing runs");
    const lk_config *first = NULL;
    for (size_t i = 0; i < report->count && !first; i++)
        first = lk_is_encoder_run(&report->runs[i]) ? report->runs[i].config : NULL;
    for (int k = 0; first && k < known; k++) {
        bool differs = false;
        for (size_t i = 0; i < report->count && !differs && !is_own(lk_config_key(k)); i++)
            differs = lk_is_encoder_run(&report->runs[i]) && !same_value(first, report->runs[i].config, k);
        if (differs)
            out->keys[out->key_count++] = k;
    }
    return LK_OK;
}

static lk_status label_setting(lk_setting *setting, const lk_config *config, const lk_comparison *comparison)
{
    size_t size = 0;
    FILE *text = open_memstream(&setting->label, &size);
    if (!text)
        return lk_fail(LK_INTERNAL, "out of memory comparing runs");
    for (size_t k = 0; k < comparison->key_count; k++) {
        char value[VALUE];
        const char *path = lk_config_key(comparison->keys[k]);
        const char *dot = strrchr(path, '.');
        lk_config_value(config, comparison->keys[k], value, sizeof value);
        fprintf(text, "%s%s %s", k ? ", " : "", dot ? dot + 1 : path, value);
    }
    if (comparison->key_count == 0) {
        char value[VALUE];
        for (int k = 0; lk_config_key(k); k++)
            if (strcmp(lk_config_key(k), "loss.lambda") == 0) {
                lk_config_value(config, k, value, sizeof value);
                fprintf(text, "lambda %s", value);
            }
    }
    return fclose(text) == 0 ? LK_OK : lk_fail(LK_INTERNAL, "out of memory comparing runs");
}

/* Puts run `index` behind those with lower seeds. The list has room for every run. */
static void insert_run(lk_setting *setting, const lk_report *report, size_t index)
{
    size_t at = setting->run_count++;
    for (; at > 0 && report->runs[setting->runs[at - 1]].config->run.seed > report->runs[index].config->run.seed; at--)
        setting->runs[at] = setting->runs[at - 1];
    setting->runs[at] = index;
}

static lk_status group_runs(const lk_report *report, lk_comparison *out)
{
    out->settings = calloc(report->count + 1, sizeof *out->settings);
    if (!out->settings)
        return lk_fail(LK_INTERNAL, "out of memory comparing runs");
    for (size_t i = 0; i < report->count; i++) {
        const lk_config *config = report->runs[i].config;
        if (!lk_is_encoder_run(&report->runs[i]))
            continue;
        size_t s = 0;
        while (s < out->count && !same_setting(report->runs[out->settings[s].runs[0]].config, config))
            s++;
        lk_setting *setting = &out->settings[s];
        if (s == out->count) {
            out->count++;
            setting->lambda = config->loss.lambda;
            setting->runs = calloc(report->count, sizeof *setting->runs);
            if (!setting->runs)
                return lk_fail(LK_INTERNAL, "out of memory comparing runs");
            LK_TRY(label_setting(setting, config, out));
        }
        insert_run(setting, report, i);
    }
    return LK_OK;
}

/* Insertion: keeps the order of equals. */
static void order_settings(lk_comparison *comparison)
{
    for (size_t i = 1; i < comparison->count; i++) {
        lk_setting moved = comparison->settings[i];
        size_t at = i;
        for (; at > 0 && comparison->settings[at - 1].lambda > moved.lambda; at--)
            comparison->settings[at] = comparison->settings[at - 1];
        comparison->settings[at] = moved;
    }
}

/* Welford's running mean; `sum` of squares is kept in deviation until close_spread. */
static void spread_add(lk_spread *spread, double value)
{
    if (!isfinite(value))
        return;
    double before = value - spread->mean;
    spread->mean += before / ++spread->count;
    spread->deviation += before * (value - spread->mean);
}

static void close_spread(lk_spread *spread)
{
    spread->deviation = spread->count > 1 ? sqrt(spread->deviation / (spread->count - 1)) : 0;
    if (spread->count == 0)
        spread->mean = NAN;
}

static void measure(const lk_report *report, lk_setting *setting)
{
    bool any_done = false;
    for (size_t i = 0; i < setting->run_count; i++)
        any_done = any_done || report->runs[setting->runs[i]].state == LK_STATE_DONE;
    for (size_t i = 0; i < setting->run_count; i++) {
        const lk_report_run *run = &report->runs[setting->runs[i]];
        if (run->state == LK_STATE_DONE || !any_done) {
            spread_add(&setting->f1, run->f1);
            spread_add(&setting->f2, run->f2);
        }
        if (run->state != LK_STATE_DONE || !isfinite(run->score.mean))
            continue;
        spread_add(&setting->accuracy, lk_mean_accuracy(&run->evaluation));
        spread_add(&setting->choices, run->score.choices);
        spread_add(&setting->continuous, run->score.continuous);
        spread_add(&setting->pixels, run->score.pixels);
        spread_add(&setting->score, run->score.mean);
    }
    lk_spread *all[] = {&setting->f1,         &setting->f2,     &setting->accuracy, &setting->choices,
                        &setting->continuous, &setting->pixels, &setting->score};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        close_spread(all[i]);
}

static int lowest_score(const lk_comparison *comparison, int but)
{
    int best = -1;
    for (int i = 0; i < (int)comparison->count; i++)
        if (i != but && comparison->settings[i].score.count > 0 &&
            (best < 0 || comparison->settings[i].score.mean < comparison->settings[best].score.mean))
            best = i;
    return best;
}

lk_status lk_compare(const lk_report *report, lk_comparison *out)
{
    *out = (lk_comparison){.best = -1, .second = -1};
    lk_status status = find_keys(report, out);
    if (status == LK_OK)
        status = group_runs(report, out);
    if (status != LK_OK) {
        lk_comparison_free(out);
        return status;
    }
    order_settings(out);
    for (size_t i = 0; i < out->count; i++)
        measure(report, &out->settings[i]);
    out->best = lowest_score(out, -1);
    out->second = out->best < 0 ? -1 : lowest_score(out, out->best);
    return LK_OK;
}

void lk_comparison_free(lk_comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++) {
        free(comparison->settings[i].runs);
        free(comparison->settings[i].label);
    }
    free(comparison->settings);
    free(comparison->keys);
    *comparison = (lk_comparison){0};
}

int lk_setting_of(const lk_comparison *comparison, size_t run)
{
    for (size_t s = 0; s < comparison->count; s++)
        for (size_t i = 0; i < comparison->settings[s].run_count; i++)
            if (comparison->settings[s].runs[i] == run)
                return (int)s;
    return -1;
}
