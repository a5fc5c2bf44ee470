/* Augmentation: follows from its key alone; each kind does what it says; only a flip touches labels, as the schema declares. */
#include "base/random.h"
#include "dataset/augment.h"
#include "dataset/mirror.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

enum { EDGE = 32, BYTES = EDGE * EDGE * 3, NC = 3, GROUPS = 3 };

static const char SCHEMA[] = "name: sides\n"
                             "continuous:\n"
                             "  - {name: ear-left, min: 0, max: 2, default: 1}\n"
                             "  - {name: ear-right, min: 0, max: 2, default: 1}\n"
                             "  - {name: tilt, min: -1, max: 1, default: 0}\n"
                             "discrete:\n"
                             "  - {name: hair, choices: [left_part, middle, right_part]}\n"
                             "  - {name: ring-left, choices: [none, gold]}\n"
                             "  - {name: ring-right, choices: [none, gold]}\n"
                             "mirror:\n"
                             "  swap: [[ear-left, ear-right], [ring-left, ring-right]]\n"
                             "  negate: [tilt]\n"
                             "  choices: {hair: [[left_part, right_part]]}\n";

typedef struct face {
    uint8_t image[BYTES];
    float continuous[NC];
    uint8_t discrete[GROUPS];
} face;

static lk_schema *schema;
static lk_augmenter *augmenter;

static int open_all(void **state)
{
    (void)state;
    return lk_schema_parse(SCHEMA, "sides", &schema) == LK_OK && lk_augmenter_create(EDGE, &augmenter) == LK_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    lk_augmenter_free(augmenter);
    lk_schema_free(schema);
    return 0;
}

static face make_face(void)
{
    face f = {.continuous = {0.25f, 0.75f, 0.125f}, .discrete = {0, 1, 0}};
    lk_random random = lk_random_make(5, 5);
    for (int i = 0; i < BYTES; i++)
        f.image[i] = (uint8_t)(100 + lk_random_below(&random, 56));
    return f;
}

static face augmented(const lk_augment *how, uint64_t key)
{
    face f = make_face();
    assert_int_equal(lk_augmenter_apply(augmenter, how, schema, key, f.image, f.continuous, f.discrete), LK_OK);
    return f;
}

static void nothing_is_done_at_zero(void **state)
{
    (void)state;
    lk_augment none = {0};
    face before = make_face(), after = augmented(&none, 3);
    assert_false(lk_augment_any(&none));
    assert_memory_equal(&before, &after, sizeof before);
}

static void a_flip_mirrors_the_picture_and_swaps_what_the_schema_declares(void **state)
{
    (void)state;
    lk_augment how = {.flip = 1};
    face before = make_face(), after = augmented(&how, 3);
    for (int y = 0; y < EDGE; y++)
        for (int x = 0; x < EDGE; x++)
            assert_memory_equal(before.image + (y * EDGE + x) * 3, after.image + (y * EDGE + EDGE - 1 - x) * 3, 3);
    assert_true(after.continuous[0] == 0.75f && after.continuous[1] == 0.25f && after.continuous[2] == 0.875f);
    assert_int_equal(after.discrete[0], 2);
    assert_int_equal(after.discrete[1], 0);
    assert_int_equal(after.discrete[2], 1);
    lk_schema *again;
    assert_int_equal(lk_schema_parse(schema->text, "again", &again), LK_OK);
    assert_string_equal(schema->text, again->text);
    lk_schema_free(again);
}

static void other_kinds_leave_the_labels_alone(void **state)
{
    (void)state;
    const lk_augment KINDS[] = {{.colour = 1}, {.blur = 1}, {.noise = 1}, {.jpeg = 1}, {.occlude = 1}, {.crop = 1}, {.warp = 1}};
    face before = make_face();
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        int changed = 0;
        for (uint64_t key = 0; key < 80; key++) {
            face after = augmented(&KINDS[i], key);
            assert_memory_equal(before.continuous, after.continuous, sizeof before.continuous);
            assert_memory_equal(before.discrete, after.discrete, sizeof before.discrete);
            changed += memcmp(before.image, after.image, BYTES) != 0;
        }
        assert_in_range(changed, 8, 80);
    }
}

static void the_key_decides_everything(void **state)
{
    (void)state;
    lk_augment all = {.flip = 0.5, .colour = 1, .blur = 1, .noise = 1, .jpeg = 0.5, .occlude = 0.5, .crop = 1, .warp = 1};
    for (uint64_t key = 0; key < 50; key++) {
        face a = augmented(&all, key);
        augmented(&all, key + 1000);
        face b = augmented(&all, key), other = augmented(&all, key + 1);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(memcmp(a.image, other.image, BYTES) != 0);
    }
    assert_true(lk_augment_key(1, 0, 7) != lk_augment_key(1, 1, 7));
    assert_true(lk_augment_key(1, 0, 7) != lk_augment_key(2, 0, 7));
    assert_true(lk_augment_key(1, 0, 7) != lk_augment_key(1, 0, 8));
}

/* A flat picture shows what a filter adds: nothing, but for noise. */
static void a_flat_picture_stays_flat(void **state)
{
    (void)state;
    const lk_augment KINDS[] = {{.blur = 1}, {.crop = 1}, {.warp = 1}};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        for (uint64_t key = 0; key < 20; key++) {
            face f = make_face();
            memset(f.image, 201, BYTES);
            assert_int_equal(lk_augmenter_apply(augmenter, &KINDS[i], schema, key, f.image, f.continuous, f.discrete), LK_OK);
            for (int k = 0; k < BYTES; k++)
                assert_int_equal(f.image[k], 201);
        }
}

/* Each pixel tells the column that it came from. */
static void a_warp_moves_places_by_themselves(void **state)
{
    (void)state;
    enum { KEYS = 200, PLACE = EDGE / 4, OTHER = EDGE - EDGE / 4 };
    double own = 0, apart = 0, neighbours = 0;
    for (uint64_t key = 0; key < KEYS; key++) {
        face f = make_face();
        for (int k = 0; k < BYTES; k++)
            f.image[k] = (uint8_t)(k / 3 % EDGE * 8);
        assert_ok(lk_augmenter_apply(augmenter, &(lk_augment){.warp = 1}, schema, key, f.image, f.continuous, f.discrete));
#define MOVED(x, y) (f.image[((y)*EDGE + (x)) * 3] / 8.0 - (x))
        double here = MOVED(PLACE, PLACE), next = MOVED(PLACE, PLACE + 1), there = MOVED(OTHER, OTHER);
        own += here * here;
        neighbours += (here - next) * (here - next);
        apart += (here - there) * (here - there);
    }
    /* As far as is promised, less what smoothing between corners takes; what is far off goes another way, neighbours the same. */
    assert_true(sqrt(own / KEYS) > 0.5 * 0.035 * EDGE && sqrt(own / KEYS) < 1.1 * 0.035 * EDGE);
    assert_true(apart > 1.4 * own && neighbours < 0.2 * own);
}

static void wrong_mirrors_are_refused(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "swap: [[ear-left, ear-left]]",
        "swap: [[ear-left, nose]]",
        "swap: [[ear-left, tilt]]",
        "swap: [[ear-left, ear-right], [ear-right, ear-left]]",
        "swap: [[hair, ring-left]]",
        "swap: [[ear-left, ear-right]]\n  negate: [ear-left]",
        "negate: [hair]",
        "choices: {hat: [[a, b]]}",
        "choices: {hair: [[left_part, left_part]]}",
        "choices: {hair: [[left_part, middle], [middle, right_part]]}",
        "sides: [a]",
    };
    const char *section = strstr(SCHEMA, "mirror:");
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        char text[2000];
        lk_schema *wrong;
        snprintf(text, sizeof text, "%.*smirror:\n  %s\n", (int)(section - SCHEMA), SCHEMA, WRONG[i]);
        assert_fails(lk_schema_parse(text, "wrong", &wrong), LK_BAD_DATA, "mirror: ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_done_at_zero),
        cmocka_unit_test(a_flip_mirrors_the_picture_and_swaps_what_the_schema_declares),
        cmocka_unit_test(other_kinds_leave_the_labels_alone),
        cmocka_unit_test(the_key_decides_everything),
        cmocka_unit_test(a_flat_picture_stays_flat),
        cmocka_unit_test(a_warp_moves_places_by_themselves),
        cmocka_unit_test(wrong_mirrors_are_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
