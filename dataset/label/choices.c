#include "dataset/label/choices.h"

#include "dataset/client/styles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = LK_LABEL_SIZE * LK_LABEL_SIZE };

/* How far apart a photo and the client's picture of the right choice usually are: what is nearer says little. */
typedef struct trial_group {
    lk_group_id id;
    int (*measure)(const lk_seen_face *face, float *out); /* NULL: hair, which has rules of its own */
    float scatter;                                        /* of each number, or of the mean misfit of hair */
} trial_group;

/* In the order in which they are tried: what hides or colours others comes first. */
static const trial_group ORDER[] = {{LK_SKIN, lk_measure_skin, 9},       {LK_HAIR, NULL, 0.08f},
                                    {LK_HAIR_COLOUR, NULL, 12},          {LK_BEARD, lk_measure_beard, 0.25f},
                                    {LK_BROWS, lk_measure_brows, 0.06f}, {LK_LIPS, lk_measure_lips, 14},
                                    {LK_EYES, lk_measure_eyes, 8}};

struct lk_chooser {
    const lk_schema *schema;
    const lk_people *people;
    float *likelihood, *probability; /* [choice_count] */
    lk_seen_face photo, drawn;
    lk_hair_mask masks[LK_MOST_CHOICES];
    uint8_t bald[PIXELS * 3], picture[PIXELS * 3];
};

/* What one call of lk_choose works on. */
typedef struct trying {
    lk_chooser *chooser;
    const lk_point *drawn;
    lk_draw_choices *draw;
    void *context;
    uint8_t *discrete;
} trying;

lk_status lk_chooser_create(const lk_schema *schema, const lk_people *people, lk_chooser **out)
{
    *out = NULL;
    size_t choices = (size_t)schema->choice_count;
    lk_chooser *c = calloc(1, sizeof *c);
    if (c) {
        c->schema = schema;
        c->people = people;
        c->likelihood = malloc(choices * sizeof *c->likelihood);
        c->probability = malloc(choices * sizeof *c->probability);
    }
    if (!c || !c->likelihood || !c->probability) {
        lk_chooser_free(c);
        return lk_fail(LK_INTERNAL, "out of memory to try choices");
    }
    *out = c;
    return LK_OK;
}

void lk_chooser_free(lk_chooser *c)
{
    if (!c)
        return;
    free(c->likelihood);
    free(c->probability);
    free(c);
}

static lk_status draw_with(const trying *t, int group, int choice, uint8_t *picture)
{
    uint8_t discrete[LK_MAX_GROUPS];
    memcpy(discrete, t->discrete, (size_t)t->chooser->schema->group_count);
    discrete[group] = (uint8_t)choice;
    return t->draw(t->context, discrete, picture);
}

/* ---- hair ---- */

/* Where the client's picture with this hair differs from the bald one. */
static void find_mask(const uint8_t *bald, const uint8_t *picture, lk_hair_mask *mask)
{
    for (int i = 0; i < PIXELS; i++) {
        int difference = 0;
        for (int k = 0; k < 3; k++)
            difference += abs(bald[3 * i + k] - picture[3 * i + k]);
        mask->is_hair[i] = difference > 60;
    }
}

static lk_status try_hair(const trying *t, int group, float *distance)
{
    lk_chooser *c = t->chooser;
    const lk_choice_group *hair = &c->schema->groups[group];
    int bald = lk_choice_group_find(hair, LK_GROUPS[LK_HAIR].choices[LK_HAIR_BALD]);
    memset(distance, 0, (size_t)hair->count * sizeof *distance);
    if (bald < 0)
        return LK_OK;
    LK_TRY(draw_with(t, group, bald, c->bald));
    for (int choice = 0; choice < hair->count; choice++) {
        LK_TRY(draw_with(t, group, choice, c->picture));
        find_mask(c->bald, c->picture, &c->masks[choice]);
        distance[choice] = (float)lk_hair_misfit(&c->photo, &c->masks[choice]);
    }
    return LK_OK;
}

/* The mask of the hair that was chosen; NULL: none is worn, or none is known. */
static const lk_hair_mask *worn_hair(const trying *t)
{
    const lk_schema *schema = t->chooser->schema;
    int group = lk_schema_find_group(schema, LK_GROUPS[LK_HAIR].group);
    if (group < 0 || lk_choice_group_find(&schema->groups[group], LK_GROUPS[LK_HAIR].choices[LK_HAIR_BALD]) < 0)
        return NULL;
    return &t->chooser->masks[t->discrete[group]];
}

/* ---- all groups ---- */

static int measure(const trying *t, const trial_group *g, const lk_seen_face *face, float *out)
{
    if (g->id != LK_HAIR_COLOUR)
        return g->measure(face, out);
    const lk_hair_mask *mask = worn_hair(t);
    return mask ? lk_measure_hair_colour(face, mask, out) : 0;
}

/* Mean squares of differences, [choices]; all 0 where the photo shows nothing. */
static lk_status try_choices(const trying *t, const trial_group *g, int group, float *distance)
{
    lk_chooser *c = t->chooser;
    int count = c->schema->groups[group].count;
    float seen[LK_MEASURES], drawn[LK_MEASURES];
    memset(distance, 0, (size_t)count * sizeof *distance);
    int n = measure(t, g, &c->photo, seen);
    for (int choice = 0; choice < count && n > 0; choice++) {
        LK_TRY(draw_with(t, group, choice, c->picture));
        lk_face_see(c->picture, t->drawn, &c->drawn);
        if (measure(t, g, &c->drawn, drawn) != n)
            continue;
        for (int i = 0; i < n; i++)
            distance[choice] += (seen[i] - drawn[i]) * (seen[i] - drawn[i]) / (float)n;
    }
    return LK_OK;
}

static lk_status try_group(const trying *t, const trial_group *g, int group, float *likelihood)
{
    const lk_choice_group *choices = &t->chooser->schema->groups[group];
    float distance[LK_MAX_CHOICES], least = 1e30f;
    LK_TRY(g->id == LK_HAIR ? try_hair(t, group, distance) : try_choices(t, g, group, distance));
    for (int c = 0; c < choices->count; c++)
        least = lk_min(least, distance[c]);
    for (int c = 0; c < choices->count; c++) {
        float off = distance[c] - least;
        likelihood[c] = expf(-lk_min(g->id == LK_HAIR ? off / g->scatter : 1.5f * off / (g->scatter * g->scatter), 12));
    }
    return LK_OK;
}

static lk_status decide(lk_chooser *c, uint8_t *discrete, float *certainty, lk_expectation *expectation)
{
    LK_TRY(lk_people_expect(c->people, c->likelihood, expectation, c->probability));
    for (int g = 0, first = 0; g < c->schema->group_count; first += c->schema->groups[g++].count) {
        int best = 0;
        for (int choice = 1; choice < c->schema->groups[g].count; choice++)
            if (c->probability[first + choice] > c->probability[first + best])
                best = choice;
        discrete[g] = (uint8_t)best;
        certainty[g] = c->probability[first + best];
    }
    return LK_OK;
}

lk_status lk_choose(lk_chooser *c, const uint8_t *photo, const lk_point landmarks[LK_LANDMARKS],
                    const lk_point drawn[LK_LANDMARKS], lk_draw_choices *draw, void *context, uint8_t *discrete, float *certainty,
                    lk_expectation *expectation)
{
    const trying t = {c, drawn, draw, context, discrete};
    for (int i = 0; i < c->schema->choice_count; i++)
        c->likelihood[i] = 1;
    lk_face_see(photo, landmarks, &c->photo);
    LK_TRY(decide(c, discrete, certainty, expectation));
    for (size_t k = 0; k < sizeof ORDER / sizeof *ORDER; k++) {
        int group = lk_schema_find_group(c->schema, LK_GROUPS[ORDER[k].id].group), first = 0;
        for (int g = 0; g < group; g++)
            first += c->schema->groups[g].count;
        if (group < 0)
            continue;
        LK_TRY(try_group(&t, &ORDER[k], group, c->likelihood + first));
        LK_TRY(decide(c, discrete, certainty, expectation));
    }
    return LK_OK;
}
