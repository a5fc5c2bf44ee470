#include "trainer/evaluate/evaluation_file.h"

#include "trainer/evaluate/json_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

double lk_mean_ratio(const lk_evaluation *e, int strongest)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < e->continuous_count && n < strongest; i++)
        if (isfinite(e->parameters[i].mae_ratio)) {
            sum += e->parameters[i].mae_ratio;
            n++;
        }
    return n ? sum / n : NAN;
}

/* JSON has no name for a number that is not finite: null, which reads as NAN. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void add_certainties(json_t *root, const lk_schema *schema, const lk_evaluation *e)
{
    json_t *temperature = json_object(), *error = json_object();
    for (int g = 0; g < e->group_count; g++) {
        json_object_set_new(temperature, schema->groups[g].name, real(e->temperature[g]));
        json_object_set_new(error, schema->groups[g].name, real(lk_calibration_error(&e->reliability[g])));
    }
    const lk_reliability *all = &e->reliability[e->group_count];
    json_object_set_new(root, "temperature", temperature);
    json_object_set_new(root, "calibration_error", real(lk_calibration_error(all)));
    json_object_set_new(root, "calibration_errors", error);
    json_object_set_new(root, "reliability", lk_reliability_to_json(all));
}

lk_status lk_evaluation_write(const char *path, const lk_schema *schema, const lk_evaluation *e)
{
    json_t *root =
        json_pack("{s:I, s:o, s:o}", "samples", (json_int_t)e->samples, "F", real(e->f), "baseline_F", real(e->baseline_f));
    json_t *accuracy = json_object();
    json_t *majority = json_object();
    json_t *parameters = json_array();
    for (int g = 0; e->has_parts && g < e->group_count; g++) {
        json_object_set_new(accuracy, schema->groups[g].name, real(e->accuracy[g]));
        json_object_set_new(majority, schema->groups[g].name, real(e->majority[g]));
    }
    for (int k = 0; e->has_parts && k < e->continuous_count; k++) {
        const lk_parameter_score *p = &e->parameters[k];
        json_array_append_new(parameters, json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", schema->continuous[p->index].name,
                                                    "strength", real(p->strength), "mae", real(p->mae), "mae_ratio",
                                                    real(p->mae_ratio), "correlation", real(p->correlation)));
    }
    if (e->has_parts) {
        json_object_set_new(root, "F1", real(e->f1));
        json_object_set_new(root, "F2", real(e->f2));
        json_object_set_new(root, "baseline_F1", real(e->baseline_f1));
        json_object_set_new(root, "baseline_F2", real(e->baseline_f2));
        json_object_set_new(root, "mae_ratio_10", real(lk_mean_ratio(e, 10)));
        json_object_set_new(root, "mae_ratio_20", real(lk_mean_ratio(e, 20)));
    }
    if (e->has_parts)
        add_certainties(root, schema, e);
    json_object_set_new(root, "accuracy", accuracy);
    json_object_set_new(root, "majority", majority);
    json_object_set_new(root, "continuous", parameters);
    return lk_json_file_write(path, root, 17);
}

/* ---- reading ---- */

static bool read_choices(const json_t *root, lk_evaluation_record *out)
{
    json_t *accuracy = json_object_get(root, "accuracy");
    const json_t *majority = json_object_get(root, "majority");
    const char *group;
    json_t *value;
    out->choices = calloc(json_object_size(accuracy) + 1, sizeof *out->choices);
    if (!out->choices)
        return false;
    json_object_foreach(accuracy, group, value)
    {
        lk_recorded_choice *choice = &out->choices[out->choice_count++];
        *choice = (lk_recorded_choice){strdup(group), lk_json_number(accuracy, group), lk_json_number(majority, group)};
        if (!choice->group)
            return false;
    }
    return true;
}

static bool read_parameters(const json_t *root, lk_evaluation_record *out)
{
    const json_t *list = json_object_get(root, "continuous");
    size_t count = json_array_size(list);
    out->parameters = calloc(count + 1, sizeof *out->parameters);
    if (!out->parameters)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        lk_recorded_parameter *parameter = &out->parameters[out->parameter_count++];
        *parameter =
            (lk_recorded_parameter){strdup(name ? name : "?"), lk_json_number(item, "strength"), lk_json_number(item, "mae"),
                                    lk_json_number(item, "mae_ratio"), lk_json_number(item, "correlation")};
        if (!parameter->name)
            return false;
    }
    return true;
}

lk_status lk_evaluation_record_read(const char *path, lk_evaluation_record *out)
{
    *out = (lk_evaluation_record){0};
    json_t *root;
    LK_TRY(lk_json_file_read(path, "likeness evaluate", &root));
    if (!root)
        return LK_OK;
    out->present = true;
    const json_t *samples = json_object_get(root, "samples");
    out->samples = json_is_integer(samples) ? json_integer_value(samples) : 0;
    out->f = lk_json_number(root, "F");
    out->f1 = lk_json_number(root, "F1");
    out->f2 = lk_json_number(root, "F2");
    out->baseline_f = lk_json_number(root, "baseline_F");
    out->baseline_f1 = lk_json_number(root, "baseline_F1");
    out->baseline_f2 = lk_json_number(root, "baseline_F2");
    out->mae_ratio_20 = lk_json_number(root, "mae_ratio_20");
    out->calibration_error = lk_json_number(root, "calibration_error");
    out->bin_count = lk_reliability_from_json(json_object_get(root, "reliability"), out->bins);
    bool good = read_choices(root, out) && read_parameters(root, out);
    json_decref(root);
    if (good)
        return LK_OK;
    lk_evaluation_record_free(out);
    return lk_fail(LK_INTERNAL, "%s: out of memory", path);
}

void lk_evaluation_record_free(lk_evaluation_record *evaluation)
{
    for (size_t i = 0; i < evaluation->choice_count; i++)
        free(evaluation->choices[i].group);
    for (size_t i = 0; i < evaluation->parameter_count; i++)
        free(evaluation->parameters[i].name);
    free(evaluation->choices);
    free(evaluation->parameters);
    *evaluation = (lk_evaluation_record){0};
}

double lk_mean_accuracy(const lk_evaluation_record *evaluation)
{
    double sum = 0;
    for (size_t i = 0; i < evaluation->choice_count; i++)
        sum += evaluation->choices[i].accuracy;
    return evaluation->choice_count ? sum / (double)evaluation->choice_count : NAN;
}
