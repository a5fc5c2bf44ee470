/* evaluation.json of a run, and the score that ranks runs of different lambda. */
#include "base/file.h"
#include "launch/report/report.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

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
        lk_report_choice *choice = &out->choices[out->choice_count++];
        *choice = (lk_report_choice){strdup(group), number(accuracy, group), number(majority, group)};
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
        lk_report_parameter *parameter = &out->parameters[out->parameter_count++];
        *parameter = (lk_report_parameter){strdup(name ? name : "?"), number(item, "strength"), number(item, "mae"),
                                           number(item, "mae_ratio"), number(item, "correlation")};
        if (!parameter->name)
            return false;
    }
    return true;
}

lk_status lk_evaluation_record_read(const char *path, lk_evaluation_record *out)
{
    *out = (lk_evaluation_record){0};
    if (!lk_path_exists(path))
        return LK_OK;
    char *text = NULL;
    size_t size = 0;
    json_error_t error;
    LK_TRY(lk_read_file(path, 1 << 24, &text, &size));
    json_t *root = json_loadb(text, size, 0, &error);
    free(text);
    if (!json_is_object(root)) {
        json_decref(root);
        return lk_fail(LK_BAD_DATA, "%s: is not a JSON object; run likeness evaluate again", path);
    }
    out->present = true;
    const json_t *samples = json_object_get(root, "samples");
    out->samples = json_is_integer(samples) ? json_integer_value(samples) : 0;
    out->f = number(root, "F");
    out->f1 = number(root, "F1");
    out->f2 = number(root, "F2");
    out->baseline_f = number(root, "baseline_F");
    out->baseline_f1 = number(root, "baseline_F1");
    out->baseline_f2 = number(root, "baseline_F2");
    out->mae_ratio_20 = number(root, "mae_ratio_20");
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

lk_score lk_score_of(const lk_evaluation_record *evaluation)
{
    lk_score score = {NAN, NAN, NAN, NAN};
    if (!evaluation->present)
        return score;
    double wrong = 0, guessed_wrong = 0;
    for (size_t i = 0; i < evaluation->choice_count; i++) {
        wrong += 1 - evaluation->choices[i].accuracy;
        guessed_wrong += 1 - evaluation->choices[i].majority;
    }
    score.continuous = evaluation->mae_ratio_20;
    if (evaluation->baseline_f2 > 0)
        score.pixels = evaluation->f2 / evaluation->baseline_f2;
    if (guessed_wrong == 0) { /* nothing to choose */
        score.mean = (score.continuous + score.pixels) / 2;
        return score;
    }
    score.choices = wrong / guessed_wrong;
    score.mean = (score.choices + score.continuous + score.pixels) / 3;
    return score;
}
