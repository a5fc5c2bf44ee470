#include "dataset/label/fit.h"

#include "dataset/client/pose.h"
#include "dataset/label/landmarks.h"
#include "dataset/label/least_squares.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The unknowns: the camera first, since it is fitted by itself to begin with. */
enum { YAW, PITCH, CROP_X, CROP_Y, CROP_SCALE, CROP_ROLL, CAMERA, SHAPE = CAMERA + LK_EXPRESSIONS };
enum { CAMERA_ROUNDS = 12, ROUNDS = 25 };

/* What is expected of a photo's pose: radians, shares of the crop. */
static const float POSE_DEVIATION[CAMERA] = {0.25f, 0.12f, 0.02f, 0.02f, 0.04f, 0.05f};
static const float POSE_MOST[CAMERA] = {0.8f, 0.6f, 0.3f, 0.3f, 0.5f, 0.5f};
static const float POSE_STEP[CAMERA] = {0.01f, 0.01f, 0.002f, 0.002f, 0.005f, 0.005f};
static const float SHAPE_STEP = 0.02f;

/* A weight of an expression unit is mostly small; mouths move more than brows. */
static const float EXPRESSION_DEVIATION[LK_EXPRESSIONS] = {[LK_SMILE] = 0.4f,
                                                           [LK_BARE_TEETH] = 0.35f,
                                                           [LK_STRETCH_MOUTH] = 0.2f,
                                                           [LK_PART_LIPS] = 0.2f,
                                                           [LK_OPEN_MOUTH] = 0.3f,
                                                           [LK_PURSE_LIPS] = 0.2f,
                                                           [LK_FROWN_MOUTH] = 0.25f,
                                                           [LK_CLOSE_LEFT_EYE] = 0.3f,
                                                           [LK_CLOSE_RIGHT_EYE] = 0.3f,
                                                           [LK_NARROW_LEFT_EYE] = 0.25f,
                                                           [LK_NARROW_RIGHT_EYE] = 0.25f,
                                                           [LK_RAISE_LEFT_BROW] = 0.25f,
                                                           [LK_RAISE_RIGHT_BROW] = 0.25f,
                                                           [LK_LOWER_LEFT_BROW] = 0.25f,
                                                           [LK_LOWER_RIGHT_BROW] = 0.25f,
                                                           [LK_WORRY_LEFT_BROW] = 0.2f,
                                                           [LK_WORRY_RIGHT_BROW] = 0.2f};

/* The model's errors at neighbouring landmarks go together: each counts for less than it would alone. */
static const float TOGETHER = 1.5f;
/* Further than this many deviations off counts as an outlier. */
static const double HUBER = 2;

typedef struct morphed {
    bool valid;
    float shape[LK_MAX_CONTINUOUS], expression[LK_EXPRESSIONS];
    lk_vec3 *positions;
} morphed;

struct lk_fitter {
    const lk_client *client;
    const lk_habits *habits;
    int shape_count;
    lk_mesh_landmarks landmarks;
    lk_vec3 *turned;
    morphed face, expected;
    float *x, *middle, *deviation, *low, *high, *step; /* [unknowns] */
    float *tried; /* [unknowns]: the first `moving` as the solver has them, the others of x */
    int moving;
    const lk_point *target;
};

lk_status lk_fitter_create(const lk_client *client, const lk_habits *habits, lk_fitter **out)
{
    *out = NULL;
    lk_fitter *f = calloc(1, sizeof *f);
    if (!f)
        return lk_fail(LK_INTERNAL, "out of memory to fit faces");
    const lk_mesh *mesh = lk_client_mesh(client);
    f->client = client;
    f->habits = habits;
    f->shape_count = lk_client_schema(client)->continuous_count;
    size_t unknowns = (size_t)(SHAPE + f->shape_count);
    float **vectors[] = {&f->x, &f->middle, &f->deviation, &f->low, &f->high, &f->step, &f->tried};
    f->face.positions = malloc((size_t)mesh->count * sizeof *f->face.positions);
    f->expected.positions = malloc((size_t)mesh->count * sizeof *f->expected.positions);
    f->turned = malloc((size_t)mesh->count * sizeof *f->turned);
    lk_status status = LK_OK;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        if (!(*vectors[i] = calloc(unknowns, sizeof **vectors[i])) || !f->face.positions || !f->expected.positions || !f->turned)
            status = lk_fail(LK_INTERNAL, "out of memory to fit faces");
    if (status == LK_OK)
        status = lk_mesh_landmarks_find(mesh, lk_morph_neutral(lk_client_morph(client)), &f->landmarks);
    if (status != LK_OK) {
        lk_fitter_free(f);
        return status;
    }
    *out = f;
    return LK_OK;
}

void lk_fitter_free(lk_fitter *f)
{
    if (!f)
        return;
    float *const vectors[] = {f->x, f->middle, f->deviation, f->low, f->high, f->step, f->tried};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        free(vectors[i]);
    free(f->face.positions);
    free(f->expected.positions);
    free(f->turned);
    free(f);
}

static void pose_of(const float *x, lk_scene *scene)
{
    scene->lively = true;
    scene->yaw = x[YAW];
    scene->pitch = x[PITCH];
    scene->crop_x = x[CROP_X];
    scene->crop_y = x[CROP_Y];
    scene->crop_scale = x[CROP_SCALE];
    scene->crop_roll = x[CROP_ROLL];
}

/* A morphed face and what it was morphed by: the morph, which costs most, is made anew only where that changed. */
static void morph(lk_fitter *f, morphed *m, const float *shape, const float *expression)
{
    size_t shape_bytes = (size_t)f->shape_count * sizeof *shape, expression_bytes = LK_EXPRESSIONS * sizeof *expression;
    if (m->valid && memcmp(m->shape, shape, shape_bytes) == 0 && memcmp(m->expression, expression, expression_bytes) == 0)
        return;
    lk_morph_apply(lk_client_morph(f->client), shape, expression, m->positions);
    memcpy(m->shape, shape, shape_bytes);
    memcpy(m->expression, expression, expression_bytes);
    m->valid = true;
}

static void project(lk_fitter *f, const morphed *m, const float *x, lk_point out[LK_LANDMARKS])
{
    const lk_mesh *mesh = lk_client_mesh(f->client);
    lk_scene scene = {0};
    pose_of(x, &scene);
    lk_turn turn = lk_turn_of(scene.yaw, scene.pitch);
    for (int i = 0; i < mesh->count; i++)
        f->turned[i] = lk_turn_apply(&turn, m->positions[i]);
    lk_camera camera = lk_scene_camera(&scene, mesh, f->turned, LK_CROP_EDGE);
    lk_mesh_landmarks_project(&f->landmarks, f->turned, &camera, out);
}

/* Where the landmarks of x are, and where the model would see them. */
static void look(lk_fitter *f, const float *x, lk_point truth[LK_LANDMARKS], lk_point seen[LK_LANDMARKS])
{
    morph(f, &f->face, x + SHAPE, x + CAMERA);
    morph(f, &f->expected, f->habits->expected, x + CAMERA);
    project(f, &f->face, x, truth);
    project(f, &f->expected, x, seen);
    for (int k = 0; k < LK_LANDMARKS; k++) {
        const lk_habit *h = f->habits->of[k];
        seen[k].x += h[0].bias + h[0].yaw * x[YAW] + h[0].pitch * x[PITCH] + h[0].gain * (truth[k].x - seen[k].x);
        seen[k].y += h[1].bias + h[1].yaw * x[YAW] + h[1].pitch * x[PITCH] + h[1].gain * (truth[k].y - seen[k].y);
    }
}

static void residuals(void *context, const float *x, float *r)
{
    lk_fitter *f = context;
    lk_point truth[LK_LANDMARKS], seen[LK_LANDMARKS];
    memcpy(f->tried, x, (size_t)f->moving * sizeof *x);
    look(f, f->tried, truth, seen);
    for (int k = 0; k < LK_LANDMARKS; k++) {
        const lk_habit *h = f->habits->of[k];
        r[2 * k] = (float)(seen[k].x - f->target[k].x) / (TOGETHER * h[0].deviation);
        r[2 * k + 1] = (float)(seen[k].y - f->target[k].y) / (TOGETHER * h[1].deviation);
    }
}

static void begin(lk_fitter *f, const lk_expectation *expectation)
{
    for (int i = 0; i < CAMERA; i++) {
        f->middle[i] = f->x[i] = 0;
        f->deviation[i] = POSE_DEVIATION[i];
        f->low[i] = -POSE_MOST[i];
        f->high[i] = POSE_MOST[i];
        f->step[i] = POSE_STEP[i];
    }
    for (int i = CAMERA; i < SHAPE + f->shape_count; i++) {
        f->middle[i] = i < SHAPE ? 0 : expectation->middle[i - SHAPE];
        f->deviation[i] = i < SHAPE ? EXPRESSION_DEVIATION[i - CAMERA] : expectation->deviation[i - SHAPE];
        f->x[i] = f->middle[i];
        f->low[i] = 0;
        f->high[i] = 1;
        f->step[i] = SHAPE_STEP;
    }
}

/* Moves the first unknowns; the others rest. */
static lk_status solve(lk_fitter *f, int unknowns, int rounds)
{
    lk_least_squares problem = {.unknowns = unknowns,
                                .points = LK_LANDMARKS,
                                .middle = f->middle,
                                .deviation = f->deviation,
                                .low = f->low,
                                .high = f->high,
                                .step = f->step,
                                .huber = HUBER,
                                .iterations = rounds,
                                .residuals = residuals,
                                .context = f};
    f->moving = unknowns;
    memcpy(f->tried, f->x, (size_t)(SHAPE + f->shape_count) * sizeof *f->x);
    return lk_least_squares_solve(&problem, f->x, NULL);
}

lk_status lk_fit_face(lk_fitter *f, const lk_point target[LK_LANDMARKS], const lk_expectation *expectation, lk_fit *fit)
{
    begin(f, expectation);
    f->target = target;
    LK_TRY(solve(f, CAMERA, CAMERA_ROUNDS));
    LK_TRY(solve(f, SHAPE + f->shape_count, ROUNDS));
    lk_point seen[LK_LANDMARKS];
    memset(fit, 0, sizeof *fit);
    look(f, f->x, fit->landmarks, seen);
    memcpy(fit->continuous, f->x + SHAPE, (size_t)f->shape_count * sizeof *f->x);
    memcpy(fit->expression, f->x + CAMERA, sizeof fit->expression);
    fit->yaw = f->x[YAW];
    fit->pitch = f->x[PITCH];
    fit->crop_x = f->x[CROP_X];
    fit->crop_y = f->x[CROP_Y];
    fit->crop_scale = f->x[CROP_SCALE];
    fit->crop_roll = f->x[CROP_ROLL];
    lk_landmark_distances(seen, target, &fit->median, &fit->mean, &fit->inliers);
    return LK_OK;
}

void lk_fit_pose(const lk_fit *fit, lk_scene *scene)
{
    const float x[CAMERA] = {fit->yaw, fit->pitch, fit->crop_x, fit->crop_y, fit->crop_scale, fit->crop_roll};
    pose_of(x, scene);
    memcpy(scene->expression, fit->expression, sizeof scene->expression);
    scene->mouth_open = fit->expression[LK_BARE_TEETH] + fit->expression[LK_PART_LIPS] + fit->expression[LK_OPEN_MOUTH] > 0.05f;
    scene->teeth = lk_v3(0.7f, 0.66f, 0.6f);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void lk_landmark_distances(const lk_point a[LK_LANDMARKS], const lk_point b[LK_LANDMARKS], double *median, double *mean,
                           int *inliers)
{
    double distances[LK_LANDMARKS], sum = 0;
    *inliers = 0;
    for (int k = 0; k < LK_LANDMARKS; k++) {
        distances[k] = hypot(a[k].x - b[k].x, a[k].y - b[k].y);
        sum += distances[k];
        *inliers += distances[k] < LK_INLIER;
    }
    qsort(distances, LK_LANDMARKS, sizeof *distances, compare);
    *median = (distances[LK_LANDMARKS / 2 - 1] + distances[LK_LANDMARKS / 2]) / 2;
    *mean = sum / LK_LANDMARKS;
}
