#include "dataset/labels.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLES = 4096 };

static void add_sample(const lk_schema *schema, const float *continuous, const uint8_t *discrete, double share,
                       lk_label_statistics *s)
{
    for (int k = 0; k < schema->continuous_count; k++) {
        s->mean[k] += share * continuous[k];
        s->deviation[k] += share * continuous[k] * continuous[k];
    }
    double *frequency = s->frequency;
    for (int g = 0; g < schema->group_count; g++) {
        frequency[discrete[g]] += share;
        frequency += schema->groups[g].count;
    }
}

lk_status lk_label_statistics_read(const lk_dataset *set, lk_label_statistics *s)
{
    const lk_schema *schema = lk_dataset_schema(set);
    size_t nc = (size_t)schema->continuous_count + 1;
    size_t pixels = (size_t)lk_dataset_size(set) * (size_t)lk_dataset_size(set) * 3;
    *s = (lk_label_statistics){.mean = calloc(nc, sizeof(double)),
                               .deviation = calloc(nc, sizeof(double)),
                               .frequency = calloc((size_t)schema->choice_count + 1, sizeof(double))};
    uint8_t *image = malloc(pixels);
    uint8_t *discrete = malloc((size_t)schema->group_count + 1);
    float *continuous = malloc(nc * sizeof *continuous);
    lk_status status = LK_OK;
    if (!s->mean || !s->deviation || !s->frequency || !image || !discrete || !continuous)
        status = lk_fail(LK_INTERNAL, "out of memory for the statistics of labels");
    int64_t count = lk_dataset_count(set);
    int64_t used = count < SAMPLES ? count : SAMPLES;
    for (int64_t i = 0; status == LK_OK && i < used; i++) {
        status = lk_dataset_read(set, i * count / used, image, continuous, discrete, NULL);
        if (status == LK_OK)
            add_sample(schema, continuous, discrete, 1.0 / (double)used, s);
    }
    for (int k = 0; status == LK_OK && k < schema->continuous_count; k++)
        s->deviation[k] = sqrt(fmax(0, s->deviation[k] - s->mean[k] * s->mean[k]));
    free(image);
    free(discrete);
    free(continuous);
    if (status != LK_OK)
        lk_label_statistics_free(s);
    return status;
}

void lk_label_statistics_free(lk_label_statistics *s)
{
    free(s->mean);
    free(s->deviation);
    free(s->frequency);
    *s = (lk_label_statistics){0};
}
