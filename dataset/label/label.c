#include "dataset/label/label.h"

#include <stdlib.h>
#include <string.h>

struct lk_labeller {
    const lk_client *client;
    const lk_people *people;
    lk_fitter *fitter;
    lk_renderer *renderer;
    lk_aligner *aligner;
    float *probability; /* [choice_count] */
    lk_expectation expectation;
    uint8_t picture[LK_LABEL_SIZE * LK_LABEL_SIZE * 3];
};

lk_status lk_labeller_create(const lk_client *client, const lk_people *people, const lk_face_model *model,
                             const lk_habits *habits, lk_labeller **out)
{
    *out = NULL;
    lk_labeller *l = calloc(1, sizeof *l);
    if (!l)
        return lk_fail(LK_INTERNAL, "out of memory to label photos");
    size_t choices = (size_t)lk_client_schema(client)->choice_count;
    lk_status status = LK_OK;
    l->client = client;
    l->people = people;
    l->probability = malloc(choices * sizeof *l->probability);
    if (!l->probability) {
        status = lk_fail(LK_INTERNAL, "out of memory to label photos");
        goto failed;
    }
    LK_TRY_OR(failed, lk_fitter_create(client, habits, &l->fitter));
    LK_TRY_OR(failed, lk_renderer_create(client, LK_LABEL_SIZE, &l->renderer));
    LK_TRY_OR(failed, lk_label_aligner_create(model, &l->aligner));
    *out = l;
    return LK_OK;
failed:
    lk_labeller_free(l);
    return status;
}

void lk_labeller_free(lk_labeller *l)
{
    if (!l)
        return;
    lk_fitter_free(l->fitter);
    lk_renderer_free(l->renderer);
    lk_aligner_free(l->aligner);
    free(l->probability);
    free(l);
}

lk_status lk_label_draw(lk_labeller *l, const lk_label *label, bool posed, uint8_t *picture)
{
    lk_scene scene = lk_scene_canonical();
    if (posed)
        lk_fit_pose(&label->fit, &scene);
    return lk_render_scene(l->renderer, label->fit.continuous, label->discrete, &scene, picture);
}

static void choose(const lk_schema *schema, const float *probability, lk_label *label)
{
    for (int g = 0, first = 0; g < schema->group_count; first += schema->groups[g++].count) {
        int best = 0;
        for (int c = 1; c < schema->groups[g].count; c++)
            if (probability[first + c] > probability[first + best])
                best = c;
        label->discrete[g] = (uint8_t)best;
        label->certainty[g] = probability[first + best];
    }
}

/* Fits, and lets the landmark model look at the client's picture of what was found. *label keeps its discrete choices. */
static lk_status fit_and_draw(lk_labeller *l, const lk_point photo[LK_LANDMARKS], lk_label *label)
{
    lk_point drawn[LK_LANDMARKS];
    LK_TRY(lk_fit_face(l->fitter, photo, &l->expectation, &label->fit));
    LK_TRY(lk_label_draw(l, label, true, l->picture));
    LK_TRY(lk_label_landmarks(l->aligner, l->picture, drawn));
    lk_landmark_distances(label->fit.landmarks, photo, &label->fit.median, &label->fit.mean, &label->fit.inliers);
    lk_landmark_distances(drawn, photo, &label->drawn_median, &label->drawn_mean, &label->drawn_inliers);
    return LK_OK;
}

lk_status lk_label_face(lk_labeller *l, const uint8_t *crop, lk_label *label)
{
    const lk_schema *schema = lk_client_schema(l->client);
    lk_point photo[LK_LANDMARKS];
    LK_TRY(lk_label_landmarks(l->aligner, crop, photo));
    LK_TRY(lk_people_expect(l->people, NULL, &l->expectation, l->probability));
    choose(schema, l->probability, label);
    return fit_and_draw(l, photo, label);
}
