/* Labels by fitting (dataset/label/): on the client's own pictures, whose parameters are known. */
#include "dataset/client/styles.h"
#include "dataset/label/label.h"
#include "dataset/label/least_squares.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"

enum { FACES = 10, SMILES = 2, PIXELS = LK_LABEL_SIZE * LK_LABEL_SIZE * 3 };

static struct {
    lk_schema *schema;
    lk_client *client;
    lk_prior *prior;
    lk_people *people;
    lk_face_model *model;
    lk_habits habits;
    lk_labeller *labeller;
    lk_renderer *renderer;
} world;

static int open_world(void **state)
{
    (void)state;
    char path[LK_PATH_SIZE];
    assert_ok(lk_client_schema_path(path));
    assert_ok(lk_schema_load(path, &world.schema));
    assert_ok(lk_client_prior_path(path));
    assert_ok(lk_prior_load(path, world.schema, &world.prior));
    assert_ok(lk_people_draw(world.schema, world.prior, &world.people));
    assert_ok(lk_client_open(NULL, world.schema, &world.client));
    assert_ok(lk_face_model_open(NULL, &world.model));
    assert_ok(lk_habits_measure(world.client, world.people, world.model, 2, &world.habits));
    assert_ok(lk_labeller_create(world.client, world.people, world.model, &world.habits, &world.labeller));
    assert_ok(lk_renderer_create(world.client, LK_LABEL_SIZE, &world.renderer));
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    lk_renderer_free(world.renderer);
    lk_labeller_free(world.labeller);
    lk_face_model_close(world.model);
    lk_client_close(world.client);
    lk_people_free(world.people);
    lk_prior_free(world.prior);
    lk_schema_free(world.schema);
    return 0;
}

/* ---- least squares ---- */

/* Points on y = a + b t, of which one is far off; c has no effect. */
static void line_residuals(void *context, const float *x, float *r)
{
    (void)context;
    for (int k = 0; k < 10; k++) {
        r[2 * k] = 10 * (x[0] + x[1] * (float)k - (k == 7 ? 100 : 1 + 0.5f * (float)k));
        r[2 * k + 1] = 0;
    }
}

static void a_line_is_found_despite_an_outlier(void **state)
{
    (void)state;
    const float middle[] = {0, 0, 0.25f}, deviation[] = {10, 10, 0.1f}, low[] = {-9, -9, 0}, high[] = {9, 9, 1};
    const float step[] = {0.01f, 0.01f, 0.01f};
    lk_least_squares problem = {.unknowns = 3,
                                .points = 10,
                                .middle = middle,
                                .deviation = deviation,
                                .low = low,
                                .high = high,
                                .step = step,
                                .huber = 1,
                                .iterations = 50,
                                .residuals = line_residuals};
    float x[] = {5, -5, 0.9f};
    double cost;
    assert_ok(lk_least_squares_solve(&problem, x, &cost));
    assert_float_equal(x[0], 1, 0.15);
    assert_float_equal(x[1], 0.5, 0.03);
    assert_float_equal(x[2], 0.25, 1e-4); /* what nothing is known about is as expected */
    const float lower[] = {-9, 0.7f, 0};
    problem.low = lower;
    assert_ok(lk_least_squares_solve(&problem, x, &cost));
    assert_float_equal(x[1], 0.7, 0); /* rests at its bound, and the other makes the best of it */
    assert_true(x[0] < 0.6f && x[0] > -0.5f);
}

/* ---- people ---- */

static void what_is_seen_says_who_it_may_be(void **state)
{
    (void)state;
    static float likelihood[LK_MAX_CHOICES], probability[LK_MAX_CHOICES];
    lk_expectation anybody, bearded;
    int gender = lk_schema_find_continuous(world.schema, "macrodetails/Gender"), first = 0;
    int beard = lk_schema_find_group(world.schema, "beard");
    assert_true(world.schema->choice_count <= LK_MAX_CHOICES);
    for (int c = 0; c < world.schema->choice_count; c++)
        likelihood[c] = 1;
    for (int g = 0; g < beard; g++)
        first += world.schema->groups[g].count;
    assert_ok(lk_people_expect(world.people, likelihood, &anybody, probability));
    assert_true(fabsf(anybody.middle[gender] - 0.5f) < 0.05f && anybody.deviation[gender] > 0.3f);
    for (int c = 0; c < world.schema->groups[beard].count; c++)
        likelihood[first + c] = c == LK_BEARD_FULL;
    assert_ok(lk_people_expect(world.people, likelihood, &bearded, probability));
    assert_true(bearded.middle[gender] > 0.7f && bearded.deviation[gender] < 0.15f);
    assert_true(probability[first + LK_BEARD_FULL] > 0.99f);
    /* A bun beside the beard: hardly anybody fits, and still there is an answer. */
    int hair = lk_schema_find_group(world.schema, "hair");
    for (int g = first = 0; g < hair; g++)
        first += world.schema->groups[g].count;
    for (int c = 0; c < world.schema->groups[hair].count; c++)
        likelihood[first + c] = c == LK_HAIR_BUN;
    assert_ok(lk_people_expect(world.people, likelihood, &bearded, probability));
    for (int k = 0; k < world.schema->continuous_count; k++)
        assert_true(isfinite(bearded.middle[k]) && bearded.deviation[k] >= 0.03f);
}

static void habits_are_the_same_for_any_number_of_threads(void **state)
{
    (void)state;
    lk_habits again;
    assert_ok(lk_habits_measure(world.client, world.people, world.model, 1, &again));
    assert_memory_equal(&again, &world.habits, sizeof again);
}

/* ---- whole faces ---- */

static float continuous[FACES][LK_MAX_CONTINUOUS];
static uint8_t discrete[FACES][LK_MAX_GROUPS];
static lk_label labels[FACES];

static void label_scene(int i, const lk_scene *scene, lk_label *label)
{
    static uint8_t picture[PIXELS];
    assert_ok(lk_render_scene(world.renderer, continuous[i], discrete[i], scene, picture));
    assert_ok(lk_label_face(world.labeller, picture, label));
}

static void label_faces(void)
{
    for (int i = 0; i < FACES; i++) {
        lk_prior_draw(world.prior, 7, (uint64_t)i, continuous[i], discrete[i]);
        lk_scene scene = lk_scene_varied(100 + (uint64_t)i);
        scene.lively = true;
        scene.yaw = 0.25f * sinf((float)i);
        scene.pitch = 0.1f * cosf(2 * (float)i);
        label_scene(i, &scene, &labels[i]);
        assert_true(fabsf(labels[i].fit.yaw - scene.yaw) < 0.1f);
        assert_true(labels[i].drawn_median < 0.06 && labels[i].drawn_inliers > 50);
    }
}

/* Mean error of a parameter over the mean error of saying what is expected. */
static double share_of_error(const lk_expectation *expected, const char *name)
{
    int k = lk_schema_find_continuous(world.schema, name);
    double found = 0, middle = 0;
    assert_true(k >= 0);
    for (int i = 0; i < FACES; i++) {
        found += fabs(labels[i].fit.continuous[k] - continuous[i][k]);
        middle += fabs(expected->middle[k] - continuous[i][k]);
    }
    printf("  %s: %.2f\n", name, found / middle);
    return found / middle;
}

static void known_faces_are_found(void **state)
{
    (void)state;
    static const char *const STRONG[] = {"macrodetails/Gender",
                                         "macrodetails/African",
                                         "macrodetails/Asian",
                                         "head/head-scale-vert-decr|incr",
                                         "nose/nose-scale-vert-decr|incr",
                                         "mouth/mouth-scale-horiz-decr|incr"};
    lk_expectation expected;
    assert_ok(lk_people_expect(world.people, NULL, &expected, NULL));
    label_faces();
    double sum = 0;
    for (int i = 0; i < 6; i++)
        sum += share_of_error(&expected, STRONG[i]) / 6;
    printf("  mean: %.2f\n", sum);
    assert_true(sum < 0.85);
}

/* How many of the faces got the right choice. */
static int right_choices(const char *group)
{
    int g = lk_schema_find_group(world.schema, group), right = 0;
    assert_true(g >= 0);
    for (int i = 0; i < FACES; i++) {
        assert_true(labels[i].certainty[g] > 0 && labels[i].certainty[g] <= 1.001f);
        right += labels[i].discrete[g] == discrete[i][g];
        if (labels[i].discrete[g] != discrete[i][g])
            printf("  %s is taken for %s\n", world.schema->groups[g].choices[discrete[i][g]],
                   world.schema->groups[g].choices[labels[i].discrete[g]]);
    }
    printf("  %s: %d of %d\n", group, right, FACES);
    return right;
}

/* In any light, before any background; those of known_faces_are_found. Saying the likeliest choice of each group
 * would be right for 3 skins, 3 hair colours and 1 or 2 hair styles. */
static void colours_and_styles_are_found(void **state)
{
    (void)state;
    assert_true(right_choices("skin") >= 6);
    assert_true(right_choices("hair_colour") >= 6);
    assert_true(right_choices("beard") >= 6);
    assert_true(right_choices("hair") >= 3);
    right_choices("brows");
    right_choices("lips");
    right_choices("eyes");
}

static void a_smile_is_no_shape(void **state)
{
    (void)state;
    double moved = 0, spread = 0;
    lk_label resting, smiling;
    for (int i = 0; i < SMILES; i++) {
        lk_scene scene = lk_scene_canonical();
        scene.lively = true;
        label_scene(i, &scene, &resting);
        scene.expression[LK_SMILE] = scene.expression[LK_BARE_TEETH] = 0.7f;
        scene.mouth_open = true;
        scene.teeth = lk_v3(0.7f, 0.7f, 0.65f);
        label_scene(i, &scene, &smiling);
        assert_true(smiling.fit.expression[LK_SMILE] + smiling.fit.expression[LK_BARE_TEETH] >
                    resting.fit.expression[LK_SMILE] + resting.fit.expression[LK_BARE_TEETH] + 0.4f);
        for (int k = 0; k < world.schema->continuous_count; k++) {
            moved += fabsf(smiling.fit.continuous[k] - resting.fit.continuous[k]) / SMILES;
            spread += fabsf(continuous[(i + 1) % FACES][k] - continuous[i][k]) / SMILES;
        }
    }
    printf("  a smile moves parameters by %.3f of what tells two faces apart\n", moved / spread);
    assert_true(moved < 0.35 * spread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_is_found_despite_an_outlier),
                                       cmocka_unit_test(what_is_seen_says_who_it_may_be),
                                       cmocka_unit_test(habits_are_the_same_for_any_number_of_threads),
                                       cmocka_unit_test(known_faces_are_found),
                                       cmocka_unit_test(colours_and_styles_are_found),
                                       cmocka_unit_test(a_smile_is_no_shape)};
    return cmocka_run_group_tests(tests, open_world, close_world);
}
