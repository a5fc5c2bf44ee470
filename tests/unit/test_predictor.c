/* The predictor from a weights' file alone: what docs/load_encoder.py computes from the same file (the fixtures hold it), shapes
 * from tensors, bfloat16, and what it refuses. */
#include "base/file.h"
#include "trainer/evaluate/predictor.h"
#include "trainer/model/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCHEMA_OF(last)                                                                                                          \
    "name: oracle\ncontinuous:\n"                                                                                                \
    "  - {name: a, min: 0, max: 1, default: 0}\n  - {name: b, min: 0, max: 1, default: 0}\n"                                     \
    "  - {name: c, min: 0, max: 1, default: 0}\n  - {name: d, min: 0, max: 1, default: 0}\n"                                     \
    "  - {name: e, min: 0, max: 1, default: 0}\n  - {name: f, min: 0, max: 1, default: 0}\n"                                     \
    "  - {name: g, min: 0, max: 1, default: 0}\ndiscrete:\n"                                                                     \
    "  - {name: x, choices: [p, q, r]}\n  - {name: y, choices: [p, q]}\n  - {name: z, choices: " last "}\n"

static const char schema_text[] = SCHEMA_OF("[p, q, r, s]");
enum { FACES = 4, CONTINUOUS = 7, GROUPS = 3, CHOICES = 9 };

static lk_safetensors *open_fixture(const char *name)
{
    char path[LK_PATH_SIZE];
    const char *root = getenv("LIKENESS_ROOT");
    lk_safetensors *file = NULL;
    snprintf(path, sizeof path, "%s/tests/oracle/fixtures/%s.safetensors", root ? root : ".", name);
    if (lk_safetensors_open(path, &file) != LK_OK)
        fail_msg("%s", lk_error_text());
    return file;
}

static void *read_tensor(const lk_safetensors *file, const char *name)
{
    const lk_safetensor *t = lk_safetensors_find(file, name);
    if (!t)
        fail_msg("%s: no tensor %s", lk_safetensors_path(file), name);
    void *data = malloc(lk_safetensor_bytes(t) + 8);
    assert_int_equal(lk_safetensors_read(file, t, data), LK_OK);
    return data;
}

typedef enum change { AS_IT_IS, WITHOUT_THE_LAST, HALVED, CUT_TO_HALVES } change;

/* A fixture with another note, as ./weights.safetensors. HALVED: in bfloat16; CUT_TO_HALVES: the same numbers in float32. */
static const char *write_weights(const char *name, const char *schema, change what)
{
    static const char path[] = "weights.safetensors";
    lk_safetensors *file = open_fixture(name);
    size_t count = lk_safetensors_count(file) - (what == WITHOUT_THE_LAST);
    lk_safetensor *tensors = calloc(count, sizeof *tensors);
    for (size_t i = 0; i < count; i++) {
        tensors[i] = *lk_safetensors_at(file, i);
        uint32_t *bits = read_tensor(file, tensors[i].name);
        uint16_t *halves = (uint16_t *)bits;
        size_t numbers = lk_safetensor_bytes(&tensors[i]) / sizeof *bits;
        for (size_t k = 0; k < numbers && what == CUT_TO_HALVES; k++)
            bits[k] &= 0xffff0000;
        for (size_t k = 0; k < numbers && what == HALVED; k++)
            halves[k] = halves[2 * k + 1];
        tensors[i].data = bits;
        if (what == HALVED)
            tensors[i].dtype = LK_DTYPE_BF16;
    }
    lk_safetensors_note note = {"schema", schema};
    assert_int_equal(lk_safetensors_write(path, tensors, count, &note, schema ? 1 : 0, NULL), LK_OK);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)tensors[i].data);
    free(tensors);
    lk_safetensors_close(file);
    return path;
}

typedef struct answers {
    float continuous[FACES * CONTINUOUS], certainty[FACES * GROUPS];
    uint8_t discrete[FACES * GROUPS];
} answers;

static void predict(const char *path, answers *out)
{
    lk_predictor *p = NULL;
    if (lk_predictor_open(path, NULL, LK_ON_CPU, 1, &p) != LK_OK)
        fail_msg("%s", lk_error_text());
    assert_int_equal(lk_predictor_size(p), 64);
    assert_int_equal(lk_predictor_schema(p)->choice_count, CHOICES);
    assert_false(lk_predictor_can_draw(p));
    lk_safetensors *batch = open_fixture("batch");
    uint8_t *images = read_tensor(batch, "images");
    assert_int_equal(lk_predict(p, FACES, images, out->continuous, out->discrete, out->certainty), LK_OK);
    free(images);
    lk_safetensors_close(batch);
    lk_predictor_close(p);
}

static void compare(const answers *got, const char *expected_name)
{
    static const int counts[GROUPS] = {3, 2, 4};
    lk_safetensors *file = open_fixture(expected_name);
    float *continuous = read_tensor(file, "continuous"), *logits = read_tensor(file, "logits");
    for (int i = 0; i < FACES * CONTINUOUS; i++)
        assert_true(fabs((double)got->continuous[i] - continuous[i]) < 1e-5);
    const float *group = logits;
    for (int i = 0; i < FACES * GROUPS; i++) {
        int count = counts[i % GROUPS], best = 0;
        double sum = 0;
        for (int k = 0; k < count; k++) {
            best = group[k] > group[best] ? k : best;
            sum += exp(group[k]);
        }
        assert_int_equal(got->discrete[i], best);
        assert_true(fabs(got->certainty[i] - exp(group[best]) / sum) < 1e-5);
        group += count;
    }
    free(continuous);
    free(logits);
    lk_safetensors_close(file);
}

static void predicts_what_pytorch_computes_from_the_same_file(void **state)
{
    (void)state;
    answers got;
    predict(write_weights("encoder-none", schema_text, AS_IT_IS), &got);
    compare(&got, "expected-none");
    predict(write_weights("encoder-group", schema_text, AS_IT_IS), &got);
    compare(&got, "expected-group");
}

static void bfloat16_is_read_as_the_float32_it_stands_for(void **state)
{
    (void)state;
    answers halved, cut;
    predict(write_weights("encoder-none", schema_text, HALVED), &halved);
    predict(write_weights("encoder-none", schema_text, CUT_TO_HALVES), &cut);
    assert_memory_equal(&halved, &cut, sizeof cut);
}

static void refuse(const char *path, const char *decoder, const char *text)
{
    lk_predictor *p = NULL;
    assert_int_equal(lk_predictor_open(path, decoder, LK_ON_CPU, 1, &p), LK_BAD_DATA);
    if (!strstr(lk_error_text(), text))
        fail_msg("no '%s' in: %s", text, lk_error_text());
    assert_null(p);
}

static void refuses_what_is_no_encoder_with_its_schema(void **state)
{
    (void)state;
    refuse("nowhere", NULL, "nowhere: there is no such file");
    refuse(write_weights("encoder-none", NULL, AS_IT_IS), NULL, "no note \"schema\"");
    refuse(write_weights("encoder-none", SCHEMA_OF("[p, q, r]"), AS_IT_IS), NULL, "7 continuous parameters and 8 choices");
    refuse(write_weights("encoder-none", "name: [", AS_IT_IS), NULL, "weights.safetensors");
    refuse(write_weights("decoder", schema_text, AS_IT_IS), NULL, "is a decoder");
    refuse(write_weights("batch", schema_text, AS_IT_IS), NULL, "holds no tensor encoder.residual.2.conv2.weight");
    refuse(write_weights("encoder-none", schema_text, WITHOUT_THE_LAST), NULL, "weights.safetensors");
    const char *whole = write_weights("encoder-none", schema_text, AS_IT_IS);
    refuse(whole, whole, "holds no tensor decoder.layers.0.weight");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(predicts_what_pytorch_computes_from_the_same_file),
                                       cmocka_unit_test(bfloat16_is_read_as_the_float32_it_stands_for),
                                       cmocka_unit_test(refuses_what_is_no_encoder_with_its_schema)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
