/* Photo against picture: distances of landmarks, and whether the own picture is nearer than others. */
#include "dataset/align/align.h"
#include "trainer/evaluate/identity.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/check.h"

static void fill(lk_point landmarks[LK_LANDMARKS])
{
    for (int i = 0; i < LK_LANDMARKS; i++)
        landmarks[i] = (lk_point){50 + 40 * sin(i * 1.7), 60 + 45 * cos(i * 0.9)};
    for (int i = 0; i < 6; i++) { /* both eyes */
        landmarks[36 + i] = (lk_point){30 + i % 3, 40 + i / 3};
        landmarks[42 + i] = (lk_point){70 + i % 3, 40 + i / 3};
    }
}

static void landmarks_are_compared_once_the_eyes_lie_on_each_other(void **state)
{
    (void)state;
    lk_point a[LK_LANDMARKS], b[LK_LANDMARKS];
    fill(a);
    for (int i = 0; i < LK_LANDMARKS; i++) /* turned, enlarged, moved */
        b[i] = (lk_point){3 * (0.8 * a[i].x - 0.6 * a[i].y) + 11, 3 * (0.6 * a[i].x + 0.8 * a[i].y) - 7};
    assert_float_equal(lk_landmark_distance(a, b), 0, 1e-12);
    fill(b);
    b[8].y += 20; /* the chin, by half of an eye distance */
    assert_float_equal(lk_landmark_distance(a, b), 0.5 / LK_LANDMARKS, 1e-12);
    assert_float_equal(lk_landmark_distance(b, a), 0.5 / LK_LANDMARKS, 1e-12);
}

static void the_own_picture_is_the_nearest_or_is_not(void **state)
{
    (void)state;
    const float photos[] = {0, 10, 20}, near[] = {1, 11, 22}, turned[] = {20, 0, 10}, same[] = {5, 5, 5};
    double distances[3];
    int ranks[3];
    lk_identity who;
    assert_ok(lk_identity_measure(3, 1, photos, near, distances, ranks, &who));
    assert_true(who.auc == 1 && who.rank1 == 1 && ranks[2] == 1 && distances[2] == 2);
    assert_float_equal(who.own, 4 / 3.0, 1e-12);
    assert_float_equal(who.other, (11 + 22 + 9 + 12 + 19 + 9) / 6.0, 1e-12);
    assert_ok(lk_identity_measure(3, 1, photos, turned, distances, ranks, &who));
    assert_true(who.rank1 == 0 && who.auc == 0.25 && ranks[0] == 3);
    assert_ok(lk_identity_measure(3, 1, photos, same, distances, ranks, &who)); /* a face for all: chance, and nobody's */
    assert_true(who.auc == 0.5 && who.rank1 == 0);
    assert_ok(lk_identity_measure(1, 1, photos, near, distances, ranks, &who));
    assert_true(isnan(who.auc));
}

static void a_foreign_model_is_refused(void **state)
{
    (void)state;
    lk_describer *describer;
    put("no-model.dat", "words");
    assert_fails(lk_describer_open("no-model.dat", &describer), LK_BAD_DATA, "no-model.dat: cannot read dlib's model");
    assert_fails(lk_describer_open("nowhere.dat", &describer), LK_BAD_DATA, "nowhere.dat");
    assert_null(describer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(landmarks_are_compared_once_the_eyes_lie_on_each_other),
        cmocka_unit_test(the_own_picture_is_the_nearest_or_is_not),
        cmocka_unit_test(a_foreign_model_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
