#include "dataset/label/label.h"

#include "dataset/label/choices.h"

#include <stdlib.h>
#include <string.h>

struct lk_labeller {
    const lk_client *client;
    const lk_people *people;
    lk_fitter *fitter;
    lk_renderer *renderer;
    lk_aligner *aligner;
    lk_chooser *chooser;
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
    lk_status status = LK_OK;
    l->client = client;
    l->people = people;
    LK_TRY_OR(failed, lk_fitter_create(client, habits, &l->fitter));
    LK_TRY_OR(failed, lk_renderer_create(client, LK_LABEL_SIZE, &l->renderer));
    LK_TRY_OR(failed, lk_label_aligner_create(model, &l->aligner));
    LK_TRY_OR(failed, lk_chooser_create(lk_client_schema(client), people, &l->chooser));
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
    lk_chooser_free(l->chooser);
    free(l);
}

static lk_status draw(lk_labeller *l, const lk_fit *fit, const uint8_t *discrete, bool posed, uint8_t *picture)
{
    lk_scene scene = lk_scene_canonical();
    if (posed)
        lk_fit_pose(fit, &scene);
    return lk_render_scene(l->renderer, fit->continuous, discrete, &scene, picture);
}

lk_status lk_label_draw(lk_labeller *l, const lk_label *label, bool posed, uint8_t *picture)
{
    return draw(l, &label->fit, label->discrete, posed, picture);
}

/* What choices are tried on. */
typedef struct fitted {
    lk_labeller *labeller;
    const lk_fit *fit;
} fitted;

static lk_status draw_choices(void *context, const uint8_t *discrete, uint8_t *picture)
{
    const fitted *f = context;
    return draw(f->labeller, f->fit, discrete, true, picture);
}

/* What the landmark model sees in the client's picture of the label. */
static lk_status look_at_label(lk_labeller *l, const lk_label *label, lk_point out[LK_LANDMARKS])
{
    LK_TRY(lk_label_draw(l, label, true, l->picture));
    return lk_label_landmarks(l->aligner, l->picture, out);
}

/* The shape first, since choices are tried on it; then again, since they say who it may be. */
lk_status lk_label_face(lk_labeller *l, const uint8_t *crop, lk_label *label)
{
    lk_expectation *expectation = &l->expectation;
    lk_point photo[LK_LANDMARKS], drawn[LK_LANDMARKS];
    memset(label, 0, sizeof *label);
    LK_TRY(lk_label_landmarks(l->aligner, crop, photo));
    LK_TRY(lk_people_expect(l->people, NULL, expectation, NULL));
    LK_TRY(lk_fit_face(l->fitter, photo, expectation, &label->fit));
    LK_TRY(look_at_label(l, label, drawn));
    LK_TRY(lk_choose(l->chooser, crop, photo, drawn, draw_choices, &(fitted){l, &label->fit}, label->discrete, label->certainty,
                     expectation));
    LK_TRY(lk_fit_face(l->fitter, photo, expectation, &label->fit));
    LK_TRY(look_at_label(l, label, drawn));
    lk_landmark_distances(label->fit.landmarks, photo, &label->fit.median, &label->fit.mean, &label->fit.inliers);
    lk_landmark_distances(drawn, photo, &label->drawn_median, &label->drawn_mean, &label->drawn_inliers);
    return LK_OK;
}
