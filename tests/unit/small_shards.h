/* Small shards for tests: a schema with 5 continuous parameters and 2 groups, and samples that follow from their number, so that
 * any reader can be checked against them. Include after <cmocka.h>. */
#ifndef LK_TESTS_UNIT_SMALL_SHARDS_H
#define LK_TESTS_UNIT_SMALL_SHARDS_H

#include "base/random.h"
#include "dataset/shard.h"
#include "tests/unit/check.h"

#include <stdio.h>
#include <string.h>

enum { SMALL_NC = 5, SMALL_GROUPS = 2, SMALL_MAX_EDGE = 128 };

static const char small_schema_text[] = "name: small\n"
                                        "continuous:\n"
                                        "  - {name: a, min: 0, max: 1, default: 0.5}\n"
                                        "  - {name: b, min: -1, max: 1, default: 0}\n"
                                        "  - {name: c, min: 0, max: 2, default: 1}\n"
                                        "  - {name: d, min: -0.35, max: 0.35, default: 0}\n"
                                        "  - {name: e, min: 0, max: 1, default: 0}\n"
                                        "discrete:\n"
                                        "  - {name: hair, choices: [bald, short, bob]}\n"
                                        "  - {name: skin, choices: [light, dark]}\n";

typedef struct small_sample {
    uint8_t image[SMALL_MAX_EDGE * SMALL_MAX_EDGE * 3];
    float continuous[SMALL_NC];
    uint8_t discrete[SMALL_GROUPS];
    char key[LK_KEY_SIZE];
} small_sample;

static inline lk_schema *small_schema(void)
{
    lk_schema *schema;
    assert_int_equal(lk_schema_parse(small_schema_text, "small", &schema), LK_OK);
    return schema;
}

/* Smooth, so that JPEG keeps it nearly. */
static inline void small_sample_make(int64_t number, int edge, small_sample *out)
{
    lk_random random = lk_random_make(99, (uint64_t)number);
    uint32_t tint = lk_random_bits(&random);
    for (int y = 0; y < edge; y++)
        for (int x = 0; x < edge; x++)
            for (int c = 0; c < 3; c++)
                out->image[(y * edge + x) * 3 + c] =
                    (uint8_t)((tint >> (8 * c)) % 128 + (unsigned)(x + y) * 127u / (2u * (unsigned)edge));
    for (int k = 0; k < SMALL_NC; k++)
        out->continuous[k] = lk_random_uniform(&random);
    out->continuous[0] = 0.0f;
    out->continuous[1] = 1.0f;
    out->discrete[0] = (uint8_t)lk_random_below(&random, 3);
    out->discrete[1] = (uint8_t)lk_random_below(&random, 2);
    snprintf(out->key, sizeof out->key, "face-%lld", (long long)number);
}

static inline lk_status small_append(lk_shard_writer *writer, int64_t number, int edge)
{
    static small_sample sample;
    small_sample_make(number, edge, &sample);
    const lk_sample view = {sample.image, sample.continuous, sample.discrete, sample.key};
    return lk_shard_append(writer, &view);
}

/* Samples first .. first+count-1 into one shard. */
static inline void small_shard(const char *path, int edge, int64_t first, int64_t count, int64_t capacity, int jpeg_quality)
{
    lk_schema *schema = small_schema();
    lk_shard_writer *writer;
    assert_int_equal(lk_shard_create(path, schema, edge, capacity, jpeg_quality, "a test", &writer), LK_OK);
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(small_append(writer, first + i, edge), LK_OK);
    assert_int_equal(lk_shard_commit(writer), LK_OK);
    lk_schema_free(schema);
}

/* Whether what was read is sample `number`, pixel for pixel. */
static inline bool small_sample_is(int64_t number, int edge, const uint8_t *image, const float *continuous,
                                   const uint8_t *discrete)
{
    static _Thread_local small_sample want;
    small_sample_make(number, edge, &want);
    return memcmp(want.image, image, (size_t)edge * (size_t)edge * 3) == 0 &&
           memcmp(want.continuous, continuous, sizeof want.continuous) == 0 &&
           memcmp(want.discrete, discrete, sizeof want.discrete) == 0;
}

static inline lk_dataset *open_set(const char *path)
{
    lk_dataset *set;
    assert_ok(lk_dataset_open(&path, 1, &set));
    return set;
}

/* Opening fails with LK_BAD_DATA and a sentence that holds `part`. */
static inline void assert_refused(const char *path, const char *part)
{
    lk_dataset *set;
    assert_fails(lk_dataset_open(&path, 1, &set), LK_BAD_DATA, part);
    assert_null(set);
}

#endif
