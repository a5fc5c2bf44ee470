/* The game client against what it promises: the same bytes everywhere, eyes in their places, every parameter visible,
 * MakeHuman's morphs, and clear errors. */
#include "base/thread.h"
#include "dataset/client/client.h"
#include "dataset/client/morph.h"
#include "dataset/crop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

enum { SIZE = 128, BYTES = SIZE * SIZE * 3 };

static lk_schema *schema;
static lk_client *client;
static lk_renderer *renderer;

static int open_all(void **state)
{
    (void)state;
    char path[LK_PATH_SIZE];
    if (lk_client_schema_path(path) != LK_OK || lk_schema_load(path, &schema) != LK_OK ||
        lk_client_open(NULL, schema, &client) != LK_OK || lk_renderer_create(client, SIZE, &renderer) != LK_OK) {
        fprintf(stderr, "%s\n", lk_error_text());
        return 1;
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    lk_renderer_free(renderer);
    lk_client_close(client);
    lk_schema_free(schema);
    return 0;
}

static void default_face(float *continuous, uint8_t *discrete)
{
    for (int i = 0; i < schema->continuous_count; i++) {
        const lk_continuous *c = &schema->continuous[i];
        continuous[i] = (c->default_value - c->min) / (c->max - c->min);
    }
    memset(discrete, 0, (size_t)schema->group_count);
    discrete[lk_schema_find_group(schema, "hair")] = 2;
    discrete[lk_schema_find_group(schema, "skin")] = 1;
}

static double difference(const uint8_t *a, const uint8_t *b)
{
    double sum = 0;
    for (int i = 0; i < BYTES; i++)
        sum += abs(a[i] - b[i]);
    return sum / BYTES;
}

static void knows_its_own_schema(void **state)
{
    (void)state;
    assert_in_range(schema->continuous_count, 30, 70);
    assert_int_equal(schema->group_count, 7);
    assert_int_equal(schema->choice_count, 14 + 7 + 8 + 6 + 5 + 6 + 5);
}

/* ---- the same bytes ---- */

typedef struct crowd {
    uint8_t *pictures;
    lk_renderer *renderers[4];
} crowd;

static lk_status draw_one(void *context, int64_t i, int worker)
{
    crowd *c = context;
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS];
    lk_client_random(schema, 7, (uint64_t)i, continuous, discrete);
    return lk_render(c->renderers[worker], continuous, discrete, i % 2 ? LK_VARIED : LK_CANONICAL, (uint64_t)i,
                     c->pictures + i * BYTES);
}

static void draws_the_same_on_any_thread_in_any_order(void **state)
{
    (void)state;
    enum { FACES = 24 };
    crowd one = {.pictures = malloc(FACES * BYTES), .renderers = {renderer}}, four = {.pictures = malloc(FACES * BYTES)};
    for (int t = 0; t < 4; t++)
        assert_ok(lk_renderer_create(client, SIZE, &four.renderers[t]));
    for (int64_t i = FACES - 1; i >= 0; i--)
        assert_ok(draw_one(&one, i, 0));
    assert_ok(lk_parallel_for(4, FACES, draw_one, &four));
    assert_memory_equal(one.pictures, four.pictures, FACES * BYTES);
    for (int i = 1; i < FACES; i++)
        assert_true(difference(one.pictures, one.pictures + i * BYTES) > 1);
    for (int t = 0; t < 4; t++)
        lk_renderer_free(four.renderers[t]);
    free(one.pictures);
    free(four.pictures);
}

static void a_client_opened_again_draws_the_same(void **state)
{
    (void)state;
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS], a[BYTES], b[BYTES];
    lk_client *again;
    lk_renderer *other;
    assert_ok(lk_client_open(NULL, schema, &again));
    assert_ok(lk_renderer_create(again, SIZE, &other));
    lk_client_random(schema, 3, 14, continuous, discrete);
    discrete[0] = 9;
    assert_ok(lk_render(renderer, continuous, discrete, LK_VARIED, 5, a));
    assert_ok(lk_render(other, continuous, discrete, LK_VARIED, 5, b));
    assert_memory_equal(a, b, BYTES);
    lk_renderer_free(other);
    lk_client_close(again);
}

static void seed_varies_only_the_varied_view(void **state)
{
    (void)state;
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS], a[BYTES], b[BYTES];
    default_face(continuous, discrete);
    assert_ok(lk_render(renderer, continuous, discrete, LK_CANONICAL, 1, a));
    assert_ok(lk_render(renderer, continuous, discrete, LK_CANONICAL, 2, b));
    assert_memory_equal(a, b, BYTES);
    assert_ok(lk_render(renderer, continuous, discrete, LK_VARIED, 1, a));
    assert_ok(lk_render(renderer, continuous, discrete, LK_VARIED, 2, b));
    assert_true(difference(a, b) > 3);
}

/* ---- the crop ---- */

/* The irises are what differs between two eye colours: their centre in the left or right half of the picture, 0..1. */
static void find_iris(const uint8_t *a, const uint8_t *b, int left, double *x, double *y)
{
    double sum = 0, sx = 0, sy = 0;
    for (int py = 0; py < SIZE; py++)
        for (int px = left ? 0 : SIZE / 2; px < (left ? SIZE / 2 : SIZE); px++) {
            double d = 0;
            for (int k = 0; k < 3; k++)
                d += abs(a[(py * SIZE + px) * 3 + k] - b[(py * SIZE + px) * 3 + k]);
            d = d > 24 ? d : 0; /* compression spreads small differences */
            sum += d;
            sx += d * (px + 0.5);
            sy += d * (py + 0.5);
        }
    assert_true(sum > 0);
    *x = sx / sum / SIZE;
    *y = sy / sum / SIZE;
}

static void eyes_are_where_the_crop_says(void **state)
{
    (void)state;
    enum { FACES = 30 };
    int eyes = lk_schema_find_group(schema, "eyes"), hair = lk_schema_find_group(schema, "hair");
    for (int i = 0; i < FACES; i++) {
        float continuous[LK_MAX_CONTINUOUS];
        uint8_t discrete[LK_MAX_GROUPS], a[BYTES], b[BYTES];
        lk_client_random(schema, 11, (uint64_t)i, continuous, discrete);
        discrete[hair] = 0;
        for (int view = LK_CANONICAL; view <= LK_VARIED; view++) {
            discrete[eyes] = 0;
            assert_ok(lk_render(renderer, continuous, discrete, (lk_view)view, (uint64_t)i, a));
            discrete[eyes] = 3;
            assert_ok(lk_render(renderer, continuous, discrete, (lk_view)view, (uint64_t)i, b));
            /* An iris need not stand in the middle of its lids, less so on a turned head. */
            double tolerance = view == LK_CANONICAL ? 0.016 : 0.026;
            for (int left = 0; left < 2; left++) {
                double x, y, wanted = left ? LK_EYE_LEFT_X : 1 - LK_EYE_LEFT_X;
                find_iris(a, b, left, &x, &y);
                if (fabs(x - wanted) > tolerance || fabs(y - LK_EYE_Y) > tolerance)
                    fail_msg("face %d view %d: an eye at %.3f %.3f, wanted %.3f %.3f", i, view, x, y, wanted, LK_EYE_Y);
            }
        }
    }
}

/* ---- parameters ---- */

static void every_parameter_is_visible(void **state)
{
    (void)state;
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS], a[BYTES], b[BYTES];
    default_face(continuous, discrete);
    for (int i = 0; i < schema->continuous_count; i++) {
        float kept = continuous[i];
        continuous[i] = 0;
        assert_ok(lk_render(renderer, continuous, discrete, LK_CANONICAL, 0, a));
        continuous[i] = 1;
        assert_ok(lk_render(renderer, continuous, discrete, LK_CANONICAL, 0, b));
        continuous[i] = kept;
        if (difference(a, b) < 0.25)
            fail_msg("%s changes the picture by %.3f grey levels only", schema->continuous[i].name, difference(a, b));
    }
}

static void every_choice_is_visible(void **state)
{
    (void)state;
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS];
    uint8_t(*pictures)[BYTES] = malloc(LK_MAX_CHOICES * sizeof *pictures);
    default_face(continuous, discrete);
    for (int g = 0; g < schema->group_count; g++) {
        const lk_choice_group *group = &schema->groups[g];
        /* Eyes are a few pixels wide. */
        double least = strcmp(group->name, "eyes") == 0 ? 0.04 : strcmp(group->name, "lips") == 0 ? 0.12 : 0.25;
        uint8_t kept = discrete[g];
        for (int c = 0; c < group->count; c++) {
            discrete[g] = (uint8_t)c;
            assert_ok(lk_render(renderer, continuous, discrete, LK_CANONICAL, 0, pictures[c]));
            for (int other = 0; other < c; other++)
                if (difference(pictures[c], pictures[other]) < least)
                    fail_msg("%s: %s and %s differ by %.3f grey levels only", group->name, group->choices[c],
                             group->choices[other], difference(pictures[c], pictures[other]));
        }
        discrete[g] = kept;
    }
    free(pictures);
}

static void random_faces_are_uniform(void **state)
{
    (void)state;
    enum { FACES = 4000 };
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS];
    double sum[LK_MAX_CONTINUOUS] = {0}, squares[LK_MAX_CONTINUOUS] = {0};
    int counts[LK_MAX_GROUPS][LK_MAX_CHOICES] = {{0}};
    for (int i = 0; i < FACES; i++) {
        lk_client_random(schema, 1, (uint64_t)i, continuous, discrete);
        for (int k = 0; k < schema->continuous_count; k++) {
            assert_true(continuous[k] >= 0 && continuous[k] <= 1);
            sum[k] += continuous[k];
            squares[k] += continuous[k] * continuous[k];
        }
        for (int g = 0; g < schema->group_count; g++)
            counts[g][discrete[g]]++;
    }
    for (int k = 0; k < schema->continuous_count; k++) { /* 6 standard errors */
        double mean = sum[k] / FACES, variance = squares[k] / FACES - mean * mean;
        assert_true(fabs(mean - 0.5) < 6 * sqrt(1.0 / 12 / FACES));
        assert_true(fabs(variance - 1.0 / 12) < 6 * sqrt(1.0 / 180 / FACES));
    }
    for (int g = 0; g < schema->group_count; g++)
        for (int c = 0; c < schema->groups[g].count; c++) {
            double p = 1.0 / schema->groups[g].count;
            if (strcmp(schema->groups[g].name, "beard") == 0)
                p = c == lk_choice_group_find(&schema->groups[g], "none") ? 0.5 : 0.5 / (schema->groups[g].count - 1);
            assert_true(fabs(counts[g][c] - FACES * p) < 6 * sqrt(FACES * p * (1 - p)));
        }
}

/* ---- MakeHuman's morphs ---- */

static const char ONE_MODIFIER[] = "name: one\ncontinuous:\n  - {name: chin/chin-height-decr|incr, min: -1, max: 1, default: 0}\n"
                                   "discrete:\n  - {name: hair, choices: [bald, bob]}\n";

/* The target as zcat reads it, against the difference that the modifier makes: the same up to one shift of the whole head. */
static void morphs_are_the_targets(void **state)
{
    (void)state;
    const char *named = getenv("LIKENESS_CLIENT"), *root = getenv("LIKENESS_ROOT");
    char folder[LK_PATH_SIZE], command[LK_PATH_SIZE + 64];
    snprintf(folder, sizeof folder, "%s", named ? named : "");
    if (!named)
        snprintf(folder, sizeof folder, "%s/build/client", root ? root : "../../..");
    if (!exists(folder))
        skip();
    lk_schema *one;
    lk_mesh *mesh;
    lk_morph *morph;
    assert_ok(lk_schema_parse(ONE_MODIFIER, "test", &one));
    assert_ok(lk_mesh_load(folder, NULL, &mesh));
    assert_ok(lk_morph_open(folder, mesh, one, 2, &morph));
    lk_vec3 *plain = malloc((size_t)mesh->count * sizeof *plain), *moved = malloc((size_t)mesh->count * sizeof *moved);
    lk_vec3 *target = calloc((size_t)mesh->count, sizeof *target);
    snprintf(command, sizeof command, "zcat '%s/targets/chin/chin-height-incr.target.gz'", folder);
    FILE *text = popen(command, "r");
    char line[256];
    int lines = 0;
    while (fgets(line, sizeof line, text)) {
        int vertex;
        lk_vec3 d;
        if (sscanf(line, "%d %f %f %f", &vertex, &d.x, &d.y, &d.z) == 4 && mesh->kept[vertex] >= 0) {
            target[mesh->kept[vertex]] = d;
            lines++;
        }
    }
    assert_int_equal(pclose(text), 0);
    assert_true(lines > 100);
    lk_morph_apply(morph, (float[]){0.5f}, NULL, plain);
    lk_morph_apply(morph, (float[]){0.8f}, NULL, moved);
    lk_vec3 shift = lk_vec3_sub(lk_vec3_sub(moved[0], plain[0]), lk_vec3_scale(target[0], 0.6f));
    for (int i = 0; i < mesh->count; i++) {
        lk_vec3 error = lk_vec3_sub(lk_vec3_sub(lk_vec3_sub(moved[i], plain[i]), shift), lk_vec3_scale(target[i], 0.6f));
        assert_true(lk_vec3_length(error) < 1e-5f);
    }
    free(plain);
    free(moved);
    free(target);
    lk_morph_close(morph);
    lk_mesh_free(mesh);
    lk_schema_free(one);
}

/* ---- errors ---- */

static void schema_of_others(const char *text, const char *expected)
{
    lk_schema *other;
    lk_client *opened;
    assert_ok(lk_schema_parse(text, "test", &other));
    assert_fails(lk_client_open(NULL, other, &opened), LK_BAD_DATA, expected);
    lk_schema_free(other);
}

static void refuses_what_it_does_not_know(void **state)
{
    (void)state;
    schema_of_others("name: x\ncontinuous:\n  - {name: chin/no-such-thing-decr|incr, min: -1, max: 1, default: 0}\n"
                     "discrete:\n  - {name: hair, choices: [bald, bob]}\n",
                     "no modifier \"chin/no-such-thing-decr|incr\"");
    schema_of_others("name: x\ncontinuous:\n  - {name: ../../etc/passwd, min: -1, max: 1, default: 0}\n"
                     "discrete:\n  - {name: hair, choices: [bald, bob]}\n",
                     "no modifier \"../../etc/passwd\"");
    schema_of_others("name: x\ncontinuous:\n  - {name: chin/chin-height-decr|incr, min: -1, max: 1, default: 0}\n"
                     "discrete:\n  - {name: hair, choices: [bald, wig]}\n",
                     "no choice \"wig\" of the group \"hair\"");
    schema_of_others("name: x\ncontinuous:\n  - {name: chin/chin-height-decr|incr, min: -1, max: 1, default: 0}\n"
                     "discrete:\n  - {name: hats, choices: [none, bowler]}\n",
                     "no group \"hats\"");
}

static void refuses_bad_arguments_and_data(void **state)
{
    (void)state;
    lk_client *opened;
    lk_renderer *other;
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS], image[BYTES];
    assert_fails(lk_client_open("nowhere", schema, &opened), LK_BAD_DATA, "nowhere/3dobjs/base.obj");
    assert_fails(lk_renderer_create(client, 31, &other), LK_USAGE, "not 31");
    assert_fails(lk_renderer_create(client, 1025, &other), LK_USAGE, "not 1025");
    default_face(continuous, discrete);
    discrete[1] = 7;
    assert_fails(lk_render(renderer, continuous, discrete, LK_CANONICAL, 0, image), LK_BAD_DATA, "choice 7");
    assert_ok(lk_make_folder("damaged/3dobjs"));
    assert_ok(lk_write_file("damaged/3dobjs/base.obj", "v 0 0 0\ng body\nf 1/1 2/2 3/3\n", 29));
    assert_fails(lk_client_open("damaged", schema, &opened), LK_BAD_DATA, "damaged/3dobjs/base.obj line 3");
    assert_ok(lk_write_file("damaged/3dobjs/base.obj", "v 0 0 0\n", 8));
    assert_fails(lk_client_open("damaged", schema, &opened), LK_BAD_DATA, "not MakeHuman's base mesh");
    /* Without the upper teeth. */
    static const char *const groups[] = {"body", "helper-l-eye", "helper-r-eye", "helper-l-eyelashes-2", "helper-l-eyelashes-1"};
    FILE *file = fopen("damaged/3dobjs/base.obj", "w");
    assert_non_null(file);
    fputs("vt 0 0\n", file);
    for (int i = 0; i < 13000; i++)
        fputs("v 0 0 0\n", file);
    for (int i = 0; i < 5; i++)
        fprintf(file, "g %s\nf 1/1 2/1 3/1\n", groups[i]);
    assert_int_equal(fclose(file), 0);
    assert_fails(lk_client_open("damaged", schema, &opened), LK_BAD_DATA, "must hold the group helper-upper-teeth");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_its_own_schema),
        cmocka_unit_test(draws_the_same_on_any_thread_in_any_order),
        cmocka_unit_test(a_client_opened_again_draws_the_same),
        cmocka_unit_test(seed_varies_only_the_varied_view),
        cmocka_unit_test(eyes_are_where_the_crop_says),
        cmocka_unit_test(every_parameter_is_visible),
        cmocka_unit_test(every_choice_is_visible),
        cmocka_unit_test(random_faces_are_uniform),
        cmocka_unit_test(morphs_are_the_targets),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(refuses_bad_arguments_and_data),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
