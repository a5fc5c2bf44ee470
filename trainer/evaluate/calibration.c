#include "trainer/evaluate/calibration.h"

#include "trainer/evaluate/json_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- temperatures ---- */

/* Mean cross-entropy of a group whose logits are multiplied by `beta`, 1 / temperature: convex in it. */
static double cross_entropy(const lk_schema *schema, int group, int first, int64_t n, const float *logits, const uint8_t *labels,
                            double beta)
{
    int count = schema->groups[group].count;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *z = logits + i * schema->choice_count + first;
        double top = z[0], total = 0;
        for (int k = 1; k < count; k++)
            top = fmax(top, z[k]);
        for (int k = 0; k < count; k++)
            total += exp(beta * (z[k] - top));
        sum += log(total) - beta * (z[labels[i * schema->group_count + group]] - top);
    }
    return sum / (double)n;
}

/* Golden section over log beta, in which the function still has one valley. */
static double fit_group(const lk_schema *schema, int group, int first, int64_t n, const float *logits, const uint8_t *labels)
{
    const double ratio = 0.5 * (sqrt(5) - 1);
    double low = log(1 / LK_MOST_TEMPERATURE), high = log(1 / LK_LEAST_TEMPERATURE);
    double a = high - ratio * (high - low), b = low + ratio * (high - low);
    double fa = cross_entropy(schema, group, first, n, logits, labels, exp(a));
    double fb = cross_entropy(schema, group, first, n, logits, labels, exp(b));
    while (high - low > 1e-4) {
        if (fa <= fb) {
            high = b;
            b = a;
            fb = fa;
            a = high - ratio * (high - low);
            fa = cross_entropy(schema, group, first, n, logits, labels, exp(a));
        } else {
            low = a;
            a = b;
            fa = fb;
            b = low + ratio * (high - low);
            fb = cross_entropy(schema, group, first, n, logits, labels, exp(b));
        }
    }
    return exp(-0.5 * (low + high));
}

void lk_fit_temperatures(const lk_schema *schema, int64_t n, const float *logits, const uint8_t *labels, double *temperatures)
{
    for (int g = 0, first = 0; g < schema->group_count; first += schema->groups[g++].count)
        temperatures[g] = n > 0 ? fit_group(schema, g, first, n, logits, labels) : 1;
}

char *lk_temperature_text(const lk_schema *schema, const double *temperatures)
{
    json_t *map = json_object();
    for (int g = 0; g < schema->group_count; g++)
        json_object_set_new(map, schema->groups[g].name, json_real(temperatures[g]));
    char *text = (int)json_object_size(map) == schema->group_count ? json_dumps(map, JSON_REAL_PRECISION(6)) : NULL;
    json_decref(map);
    return text;
}

lk_status lk_temperature_parse(const lk_schema *schema, const char *text, const char *origin, double *temperatures)
{
    json_error_t error;
    json_t *map = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    lk_status status = LK_OK;
    if (!json_is_object(map) || (int)json_object_size(map) != schema->group_count)
        status =
            lk_fail(LK_BAD_DATA, "%s: its note \"temperature\" is no JSON object of the schema's %d groups; calibrate it again",
                    origin, schema->group_count);
    for (int g = 0; g < schema->group_count && status == LK_OK; g++) {
        const json_t *value = json_object_get(map, schema->groups[g].name);
        temperatures[g] = json_number_value(value);
        if (!json_is_number(value) || !(temperatures[g] >= 0.99 * LK_LEAST_TEMPERATURE) ||
            !(temperatures[g] <= 1.01 * LK_MOST_TEMPERATURE))
            status = lk_fail(LK_BAD_DATA, "%s: its note \"temperature\" has no number from %g to %g for the group '%s'", origin,
                             LK_LEAST_TEMPERATURE, LK_MOST_TEMPERATURE, schema->groups[g].name);
    }
    json_decref(map);
    return status;
}

/* ---- reliability ---- */

void lk_reliability_add(lk_reliability *r, double certainty, bool right)
{
    int bin = (int)(certainty * LK_CERTAINTY_BINS);
    bin = bin < 0 ? 0 : bin >= LK_CERTAINTY_BINS ? LK_CERTAINTY_BINS - 1 : bin;
    r->count[bin]++;
    r->right[bin] += right;
    r->certainty[bin] += certainty;
}

double lk_calibration_error(const lk_reliability *r)
{
    double sum = 0;
    int64_t count = 0;
    for (int b = 0; b < LK_CERTAINTY_BINS; b++) {
        sum += fabs((double)r->right[b] - r->certainty[b]);
        count += r->count[b];
    }
    return count ? sum / (double)count : NAN;
}

void lk_reliability_print(const lk_reliability *r)
{
    printf("%-34s %9s %9s %9s\n", "certainty of a choice", "choices", "mean", "right");
    for (int b = 0; b < LK_CERTAINTY_BINS; b++)
        if (r->count[b] > 0)
            printf("%.1f to %.1f %24s %9lld %9.3f %9.3f\n", (double)b / LK_CERTAINTY_BINS, (b + 1.0) / LK_CERTAINTY_BINS, "",
                   (long long)r->count[b], r->certainty[b] / (double)r->count[b], (double)r->right[b] / (double)r->count[b]);
    printf("expected calibration error %.4f\n", lk_calibration_error(r));
}

json_t *lk_reliability_to_json(const lk_reliability *r)
{
    json_t *bins = json_array();
    for (int b = 0; b < LK_CERTAINTY_BINS; b++)
        if (r->count[b] > 0)
            json_array_append_new(bins, json_pack("{s:f, s:f, s:I, s:f, s:f}", "from", (double)b / LK_CERTAINTY_BINS, "to",
                                                  (b + 1.0) / LK_CERTAINTY_BINS, "choices", (json_int_t)r->count[b], "certainty",
                                                  r->certainty[b] / (double)r->count[b], "right",
                                                  (double)r->right[b] / (double)r->count[b]));
    return bins;
}

int lk_reliability_from_json(const json_t *list, lk_recorded_bin bins[LK_CERTAINTY_BINS])
{
    int count = 0;
    for (size_t i = 0; i < json_array_size(list) && count < LK_CERTAINTY_BINS; i++) {
        const json_t *bin = json_array_get(list, i);
        bins[count++] = (lk_recorded_bin){.from = lk_json_number(bin, "from"),
                                          .to = lk_json_number(bin, "to"),
                                          .certainty = lk_json_number(bin, "certainty"),
                                          .right = lk_json_number(bin, "right"),
                                          .choices = json_integer_value(json_object_get(bin, "choices"))};
    }
    return count;
}
