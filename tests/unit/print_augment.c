/* What augmentation costs: CPU time a picture of 128 x 128 pixels takes on one thread, for each key of data.augment as
 * docs/configuration.md sets it, and for all together.
 * usage: print_augment SCHEMA
 */
#include "base/random.h"
#include "dataset/augment.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SIZE = 128, BYTES = SIZE * SIZE * 3, PICTURES = 1500, REPEATS = 3 };

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The best of a few: other programs cost caches. */
static lk_status measure(lk_augmenter *augmenter, const lk_augment *augment, const lk_schema *schema, double *microseconds)
{
    static uint8_t picture[BYTES], original[BYTES];
    float continuous[LK_MAX_CONTINUOUS] = {0};
    uint8_t discrete[LK_MAX_GROUPS] = {0};
    lk_random random = lk_random_make(1, 0);
    for (int i = 0; i < BYTES; i++)
        original[i] = (uint8_t)((i / 3) % SIZE + i / SIZE / 6 + (int)lk_random_below(&random, 32));
    *microseconds = 1e12;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double start = cpu_seconds();
        for (int i = 0; i < PICTURES; i++) {
            memcpy(picture, original, BYTES);
            LK_TRY(lk_augmenter_apply(augmenter, augment, schema, lk_augment_key(1, 1, i), picture, continuous, discrete));
        }
        double each = 1e6 * (cpu_seconds() - start) / PICTURES;
        *microseconds = each < *microseconds ? each : *microseconds;
    }
    return LK_OK;
}

static lk_status print_all(const lk_schema *schema, lk_augmenter *augmenter)
{
    static const struct {
        const char *name;
        lk_augment augment;
    } ROWS[] = {{"flip 0.5", {.flip = 0.5}},   {"colour 0.5", {.colour = 0.5}}, {"blur 0.5", {.blur = 0.5}},
                {"noise 0.5", {.noise = 0.5}}, {"jpeg 0.3", {.jpeg = 0.3}},     {"occlude 0.2", {.occlude = 0.2}},
                {"crop 1", {.crop = 1}},       {"warp 0.5", {.warp = 0.5}},     {"all", {0.5, 0.5, 0.5, 0.5, 0.3, 0.2, 1, 0.5}}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        double microseconds;
        LK_TRY(measure(augmenter, &ROWS[i].augment, schema, &microseconds));
        printf("%-12s %6.1f us a picture\n", ROWS[i].name, microseconds);
    }
    return LK_OK;
}

int main(int count, char **arguments)
{
    lk_schema *schema = NULL;
    lk_augmenter *augmenter = NULL;
    lk_status status = count == 2 ? lk_schema_load(arguments[1], &schema) : lk_fail(LK_USAGE, "usage: print_augment SCHEMA");
    if (status == LK_OK)
        status = lk_augmenter_create(SIZE, &augmenter);
    if (status == LK_OK)
        status = print_all(schema, augmenter);
    if (status != LK_OK)
        fprintf(stderr, "%s\n", lk_error_text());
    lk_augmenter_free(augmenter);
    lk_schema_free(schema);
    return (int)status;
}
