#include "dataset/label/habits.h"

#include "base/thread.h"
#include "dataset/client/pose.h"
#include "dataset/label/landmarks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FACES = 64, TERMS = 4, SEED = 68 };
/* A view's landmarks are off by jumps of the model's trees: the mean over some views is what counts. */
enum { VIEWS = 3 };
/* Where the truth varies little its gain cannot be measured: this many faces that are off by so much are taken to be seen as they
 * are. No landmark scatters less than the least. */
static const double usual_faces = 8, usual_off = 0.02, least_deviation = 0.01;

lk_status lk_label_aligner_create(const lk_face_model *model, lk_aligner **out)
{
    lk_align_options options = LK_ALIGN_DEFAULTS;
    options.size = LK_LABEL_SIZE;
    return lk_aligner_create(model, &options, out);
}

/* The first view is the crop as it is, the others are a little turned, scaled and moved. */
static lk_similarity frame_of_view(int view)
{
    double half = 0.5 * LK_LABEL_SIZE, amount = view > 0;
    double turn = amount * 0.03 * sin(2.4 * view), scale = 1 + amount * 0.04 * cos(1.7 * view);
    lk_similarity frame = {.a = scale * cos(turn), .b = scale * sin(turn)};
    lk_point middle = lk_similarity_apply(&frame, (lk_point){half, half});
    frame.x = half - middle.x + amount * 0.012 * LK_LABEL_SIZE * sin(3.9 * view);
    frame.y = half - middle.y + amount * 0.012 * LK_LABEL_SIZE * cos(3.1 * view);
    return frame;
}

lk_status lk_label_landmarks(lk_aligner *aligner, const uint8_t *crop, lk_point out[LK_LANDMARKS])
{
    const lk_image picture = {LK_LABEL_SIZE, LK_LABEL_SIZE, (uint8_t *)(uintptr_t)crop};
    const double unit = (double)LK_CROP_EDGE / LK_LABEL_SIZE / VIEWS;
    memset(out, 0, LK_LANDMARKS * sizeof *out);
    for (int view = 0; view < VIEWS; view++) {
        lk_similarity frame = frame_of_view(view);
        lk_point points[LK_LANDMARKS];
        LK_TRY(lk_align_landmarks(aligner, &picture, &frame, points));
        for (int k = 0; k < LK_LANDMARKS; k++) {
            out[k].x += points[k].x * unit;
            out[k].y += points[k].y * unit;
        }
    }
    return LK_OK;
}

/* ---- measuring ---- */

/* One face: what its habits are computed from. */
typedef struct trial {
    float yaw, pitch;
    lk_point expected[LK_LANDMARKS], truth[LK_LANDMARKS], seen[LK_LANDMARKS];
} trial;

typedef struct measuring {
    const lk_client *client;
    const lk_people *people;
    lk_expectation expectation;
    lk_mesh_landmarks landmarks;
    lk_renderer **renderers; /* one a thread, like the next two */
    lk_aligner **aligners;
    lk_vec3 **positions;
    trial *trials;
} measuring;

static void project(const measuring *m, const float *continuous, const lk_scene *scene, lk_vec3 *positions,
                    lk_point out[LK_LANDMARKS])
{
    const lk_mesh *mesh = lk_client_mesh(m->client);
    lk_turn turn = lk_turn_of(scene->yaw, scene->pitch);
    lk_morph_apply(lk_client_morph(m->client), continuous, scene->expression, positions);
    for (int i = 0; i < mesh->count; i++)
        positions[i] = lk_turn_apply(&turn, positions[i]);
    lk_camera camera = lk_scene_camera(scene, mesh, positions, LK_CROP_EDGE);
    lk_mesh_landmarks_project(&m->landmarks, positions, &camera, out);
}

static lk_status try_face(void *context, int64_t i, int worker)
{
    measuring *m = context;
    trial *t = &m->trials[i];
    const float *continuous;
    const uint8_t *discrete;
    uint8_t picture[LK_LABEL_SIZE * LK_LABEL_SIZE * 3];
    lk_people_member(m->people, (int)i, &continuous, &discrete);
    lk_scene scene = lk_scene_photo(lk_random_mix(SEED, (uint64_t)i), NULL);
    memset(&scene.worn, 0, sizeof scene.worn);
    scene.crop_x = scene.crop_y = scene.crop_scale = scene.crop_roll = 0;
    t->yaw = scene.yaw;
    t->pitch = scene.pitch;
    project(m, m->expectation.middle, &scene, m->positions[worker], t->expected);
    project(m, continuous, &scene, m->positions[worker], t->truth);
    LK_TRY(lk_render_scene(m->renderers[worker], continuous, discrete, &scene, picture));
    return lk_label_landmarks(m->aligners[worker], picture, t->seen);
}

/* Solves the normal equations in place by elimination; they are positive definite. */
static void solve(double a[TERMS][TERMS + 1])
{
    for (int i = 0; i < TERMS; i++)
        for (int j = 0; j < TERMS; j++) {
            double factor = i == j ? 0 : a[j][i] / a[i][i];
            for (int k = i; k <= TERMS && factor != 0; k++)
                a[j][k] -= factor * a[i][k];
        }
    for (int i = 0; i < TERMS; i++)
        a[i][TERMS] /= a[i][i];
}

static double coordinate(const lk_point *p, int axis)
{
    return axis ? p->y : p->x;
}

static lk_habit regress(const trial *trials, int landmark, int axis)
{
    double a[TERMS][TERMS + 1] = {{0}}, squares = 0;
    double terms[TERMS], off;
    for (int i = 0; i < TERMS; i++)
        a[i][i] = 1e-6;
    a[3][3] += usual_faces * usual_off * usual_off;
    a[3][4] += usual_faces * usual_off * usual_off;
    for (int pass = 0; pass < 2; pass++) {
        for (int n = 0; n < FACES; n++) {
            const trial *t = &trials[n];
            double expected = coordinate(&t->expected[landmark], axis);
            terms[0] = 1;
            terms[1] = t->yaw;
            terms[2] = t->pitch;
            terms[3] = coordinate(&t->truth[landmark], axis) - expected;
            off = coordinate(&t->seen[landmark], axis) - expected;
            for (int i = 0; i < TERMS && pass == 0; i++) {
                for (int j = 0; j < TERMS; j++)
                    a[i][j] += terms[i] * terms[j];
                a[i][TERMS] += terms[i] * off;
            }
            for (int i = 0; i < TERMS && pass == 1; i++)
                off -= a[i][TERMS] * terms[i];
            squares += pass * off * off;
        }
        if (pass == 0)
            solve(a);
    }
    double deviation = fmax(sqrt(squares / (FACES - TERMS)), least_deviation);
    return (lk_habit){(float)a[0][TERMS], (float)a[1][TERMS], (float)a[2][TERMS], (float)fmax(a[3][TERMS], 0), (float)deviation};
}

static lk_status allocate(measuring *m, const lk_face_model *model, int threads)
{
    size_t vertices = (size_t)lk_client_mesh(m->client)->count;
    m->trials = calloc(FACES, sizeof *m->trials);
    m->renderers = calloc((size_t)threads, sizeof *m->renderers);
    m->aligners = calloc((size_t)threads, sizeof *m->aligners);
    m->positions = calloc((size_t)threads, sizeof *m->positions);
    if (!m->trials || !m->renderers || !m->aligners || !m->positions)
        return lk_fail(LK_INTERNAL, "out of memory to look at faces");
    for (int i = 0; i < threads; i++) {
        LK_TRY(lk_renderer_create(m->client, LK_LABEL_SIZE, &m->renderers[i]));
        LK_TRY(lk_label_aligner_create(model, &m->aligners[i]));
        if (!(m->positions[i] = malloc(vertices * sizeof **m->positions)))
            return lk_fail(LK_INTERNAL, "out of memory to look at faces");
    }
    return LK_OK;
}

lk_status lk_habits_measure(const lk_client *client, const lk_people *people, const lk_face_model *model, int threads,
                            lk_habits *out)
{
    static const lk_expectation none;
    measuring m = {.client = client, .people = people, .expectation = none};
    lk_status status;
    LK_TRY_OR(done, allocate(&m, model, threads));
    LK_TRY_OR(done, lk_people_expect(people, NULL, &m.expectation, NULL));
    LK_TRY_OR(done, lk_mesh_landmarks_find(lk_client_mesh(client), lk_morph_neutral(lk_client_morph(client)), &m.landmarks));
    LK_TRY_OR(done, lk_parallel_for(threads, FACES, try_face, &m));
    memset(out, 0, sizeof *out);
    memcpy(out->expected, m.expectation.middle, sizeof out->expected);
    for (int k = 0; k < LK_LANDMARKS; k++)
        for (int axis = 0; axis < 2; axis++)
            out->of[k][axis] = regress(m.trials, k, axis);
done:
    for (int i = 0; i < threads; i++) {
        lk_renderer_free(m.renderers ? m.renderers[i] : NULL);
        lk_aligner_free(m.aligners ? m.aligners[i] : NULL);
        if (m.positions)
            free(m.positions[i]);
    }
    free(m.renderers);
    free(m.aligners);
    free(m.positions);
    free(m.trials);
    return status;
}
