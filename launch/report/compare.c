#include "launch/report/compare.h"

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

/* The values of the keys that differ, by which settings are told apart. NULL: memory. */
static char *values_of(const lk_comparison *comparison, const lk_config *config)
{
    char *text = NULL, value[VALUE];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (size_t k = 0; out && k < comparison->key_count; k++) {
        lk_config_value(config, comparison->keys[k], value, sizeof value);
        fprintf(out, "%s\n", value);
    }
    if (out && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static lk_status add_setting(lk_comparison *out, const lk_report *report, const lk_config *config)
{
    lk_setting *setting = &out->settings[out->count++];
    setting->lambda = config->loss.lambda;
    setting->runs = calloc(report->count, sizeof *setting->runs);
    return setting->runs ? label_setting(setting, config, out) : lk_fail(LK_INTERNAL, "out of memory comparing runs");
}

static lk_status group_runs(const lk_report *report, lk_comparison *out)
{
    char **values = calloc(report->count + 1, sizeof *values); /* of each setting */
    lk_status status = LK_OK;
    out->settings = calloc(report->count + 1, sizeof *out->settings);
    if (!out->settings || !values)
        status = lk_fail(LK_INTERNAL, "out of memory comparing runs");
    for (size_t i = 0; status == LK_OK && i < report->count; i++) {
        const lk_config *config = report->runs[i].config;
        if (!lk_is_encoder_run(&report->runs[i]))
            continue;
        char *own = values_of(out, config);
        size_t s = 0;
        while (own && s < out->count && strcmp(values[s], own) != 0)
            s++;
        if (!own)
            status = lk_fail(LK_INTERNAL, "out of memory comparing runs");
        else if (s == out->count) {
            values[s] = own;
            own = NULL;
            status = add_setting(out, report, config);
        }
        free(own);
        if (status == LK_OK)
            insert_run(&out->settings[s], report, i);
    }
    for (size_t s = 0; values && s < out->count; s++)
        free(values[s]);
    free(values);
    return status;
}

static lk_status list_settings_of(const lk_report *report, lk_comparison *out)
{
    out->setting_of = calloc(report->count + 1, sizeof *out->setting_of);
    if (!out->setting_of)
        return lk_fail(LK_INTERNAL, "out of memory comparing runs");
    for (size_t i = 0; i < report->count; i++)
        out->setting_of[i] = -1;
    for (size_t s = 0; s < out->count; s++)
        for (size_t i = 0; i < out->settings[s].run_count; i++)
            out->setting_of[out->settings[s].runs[i]] = (int)s;
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
    if (status == LK_OK) {
        order_settings(out);
        status = list_settings_of(report, out);
    }
    if (status != LK_OK) {
        lk_comparison_free(out);
        return status;
    }
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
    free(comparison->setting_of);
    *comparison = (lk_comparison){0};
}

bool lk_differ_in(const lk_comparison *comparison, const char *key)
{
    for (size_t k = 0; k < comparison->key_count; k++)
        if (strcmp(lk_config_key(comparison->keys[k]), key) == 0)
            return true;
    return false;
}
