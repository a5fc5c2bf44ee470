/* The stages against PyTorch (tests/oracle/README.md): losses and every gradient of encoder + frozen decoder + F, for norm none
 * and group, and of the decoder's own stage, within 1e-5 in float32; loss traces over optimizer steps. */
#include "base/file.h"
#include "trainer/optimizer.h"
#include "trainer/model/safetensors.h"
#include "trainer/task.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char schema_text[] = "name: oracle\n"
                                  "continuous:\n"
                                  "  - {name: a, min: 0, max: 1, default: 0}\n  - {name: b, min: 0, max: 1, default: 0}\n"
                                  "  - {name: c, min: 0, max: 1, default: 0}\n  - {name: d, min: 0, max: 1, default: 0}\n"
                                  "  - {name: e, min: 0, max: 1, default: 0}\n  - {name: f, min: 0, max: 1, default: 0}\n"
                                  "  - {name: g, min: 0, max: 1, default: 0}\n"
                                  "discrete:\n"
                                  "  - {name: x, choices: [p, q, r]}\n  - {name: y, choices: [p, q]}\n"
                                  "  - {name: z, choices: [p, q, r, s]}\n";

static const char *fixture(const char *name)
{
    static char path[4][LK_PATH_SIZE];
    static int turn;
    const char *root = getenv("LIKENESS_ROOT");
    turn = (turn + 1) % 4;
    snprintf(path[turn], LK_PATH_SIZE, "%s/tests/oracle/fixtures/%s.safetensors", root ? root : ".", name);
    return path[turn];
}

static lk_safetensors *open_fixture(const char *name)
{
    lk_safetensors *file = NULL;
    if (lk_safetensors_open(fixture(name), &file) != LK_OK)
        fail_msg("%s", lk_error_text());
    return file;
}

static void *read_tensor(const lk_safetensors *file, const char *format, const char *name)
{
    char full[LK_SAFETENSOR_NAME_SIZE];
    snprintf(full, sizeof full, format, name);
    const lk_safetensor *t = lk_safetensors_find(file, full);
    if (!t)
        fail_msg("%s: no tensor %s", lk_safetensors_path(file), full);
    void *data = malloc(lk_safetensor_bytes(t) + 8);
    assert_int_equal(lk_safetensors_read(file, t, data), LK_OK);
    return data;
}

static double read_number(const lk_safetensors *file, const char *name)
{
    double *value = read_tensor(file, "%s", name);
    double number = *value;
    free(value);
    return number;
}

typedef struct stage {
    lk_schema *schema;
    lk_config *config;
    lk_task *task;
    lk_batch batch;
    float *gradients;
} stage;

static void open_stage(stage *s, const char *kind, const char *norm, const char *optimizer, const char *kernels)
{
    char yaml[2048];
    snprintf(yaml, sizeof yaml,
             "run: {dir: runs/oracle}\ndata: {train: none, val: none}\n"
             "model: {size: 64, init: %s, encoder: {width: 0.0625, norm: %s}, decoder: {width: 0.03125, weights: %s}}\n"
             "loss: {lambda: 0.25}\n"
             "optimizer: {%s, schedule: constant, warmup_steps: 0, continuous_head_lr: 1.0}\n"
             "train: {stage: %s, global_batch: 4, micro_batch: 4, steps: 3, precision: f32, device: cpu, kernels: %s}\n",
             fixture(strcmp(kind, "decoder") == 0 ? "decoder"
                     : strcmp(norm, "group") == 0 ? "encoder-group"
                                                  : "encoder-none"),
             norm, fixture("decoder"), optimizer, kind, kernels);
    *s = (stage){0};
    assert_int_equal(lk_write_file("oracle.yaml", yaml, strlen(yaml)), LK_OK);
    double mean[7] = {.5, .5, .5, .5, .5, .5, .5};
    if (lk_config_load("oracle.yaml", NULL, 0, &s->config) != LK_OK ||
        lk_schema_parse(schema_text, "oracle", &s->schema) != LK_OK ||
        lk_task_create(s->config, s->schema, mean, &s->task) != LK_OK)
        fail_msg("%s", lk_error_text());
    lk_weights *w = s->task->weights;
    s->gradients = calloc(w->total, sizeof(float));
    assert_int_equal(lk_weights_bind_gradients(w, s->gradients, 1), LK_OK);
    lk_safetensors *file = open_fixture("batch");
    s->batch = (lk_batch){.count = 4,
                          .images = read_tensor(file, "%s", "images"),
                          .continuous = read_tensor(file, "%s", "continuous"),
                          .discrete = read_tensor(file, "%s", "discrete")};
    lk_safetensors_close(file);
}

static void close_stage(stage *s)
{
    s->task->free(s->task);
    lk_schema_free(s->schema);
    lk_config_free(s->config);
    free(s->gradients);
    free(s->batch.images);
    free(s->batch.continuous);
    free(s->batch.discrete);
}

static void learn(stage *s, const lk_batch *batch, bool accumulate, lk_losses *losses)
{
    lk_sums *sums;
    assert_int_equal(lk_sums_create(LK_TASK_SUMS, &sums), LK_OK);
    lk_weights_begin(s->task->weights, accumulate, NULL, NULL);
    if (lk_weights_end(s->task->weights, s->task->learn(s->task, batch, 0.25, lk_sums_at(sums, 0))) != LK_OK ||
        lk_task_add_losses(s->task, sums, losses) != LK_OK)
        fail_msg("%s", lk_error_text());
    lk_sums_free(sums);
}

static void check_number(const char *what, double mine, double reference, double limit)
{
    double error = fabs(mine - reference) / fabs(reference);
    print_message("%-14s %.9g, PyTorch %.9g, relative %.1e\n", what, mine, reference, error);
    assert_true(error <= limit);
}

/* Every gradient by name: norm(mine - reference) <= 5e-5 norm(reference). Our convolutions (trainer/kernels/) are right to 2e-6 a
 * layer, which the backward of a norm multiplies. */
static void check_gradients(const stage *s, const lk_safetensors *expected)
{
    double worst = 0;
    double whole = read_number(expected, "gradient_norm");
    for (int i = 0; i < s->task->weights->count; i++) {
        const lk_weight *w = &s->task->weights->items[i];
        if (w->statistic)
            continue;
        float *reference = read_tensor(expected, "gradient.%s", w->name);
        float *mine = malloc(w->count * sizeof *mine);
        lk_tensor_to_floats(w->gradient, mine);
        double error = 0, norm = 0;
        for (size_t k = 0; k < w->count; k++) {
            error += pow((double)mine[k] - (double)reference[k], 2);
            norm += pow((double)reference[k], 2);
        }
        if (norm > 0) {
            worst = fmax(worst, sqrt(error / norm));
            if (sqrt(error / norm) > 5e-5)
                fail_msg("gradient of %s: relative error %.2e", w->name, sqrt(error / norm));
        } else if (sqrt(error) > 1e-6 * whole) {
            fail_msg("gradient of %s should be zero but for rounding, is %.2e", w->name, sqrt(error));
        }
        free(reference);
        free(mine);
    }
    print_message("%d gradients, worst relative error %.1e\n", s->task->weights->count, worst);
}

static void check_encoder(const char *norm, const char *expected_name)
{
    stage s;
    open_stage(&s, "encoder", norm, "name: sgd, lr: 1.0e-3", "ours");
    lk_safetensors *expected = open_fixture(expected_name);
    lk_losses sums = {0};
    learn(&s, &s.batch, false, &sums);
    check_number("F", sums.f / 4, read_number(expected, "F"), 1e-5);
    check_number("F1", sums.f1 / 4, read_number(expected, "F1"), 1e-5);
    check_number("F2", sums.f2 / 4, read_number(expected, "F2"), 1e-5);
    check_gradients(&s, expected);

    /* Two micro-batches of two, added up, are the same gradient. */
    lk_batch half = s.batch;
    half.count = 2;
    lk_losses parts = {0};
    learn(&s, &half, false, &parts);
    half.images += (size_t)2 * 64 * 64 * 3;
    half.continuous += (size_t)2 * 7;
    half.discrete += (size_t)2 * 3;
    learn(&s, &half, true, &parts);
    check_number("F in halves", parts.f / 4, read_number(expected, "F"), 1e-5);
    check_gradients(&s, expected);

    /* Judging is the same forward. */
    lk_losses judged = {0};
    assert_int_equal(s.task->begin_judging(s.task), LK_OK);
    assert_int_equal(s.task->judge(s.task, &s.batch, &judged), LK_OK);
    check_number("F judged", judged.f / 4, read_number(expected, "F"), 1e-5);
    lk_safetensors_close(expected);
    close_stage(&s);
}

static void encoder_without_norm(void **state)
{
    (void)state;
    check_encoder("none", "expected-none");
}

static void encoder_with_group_norm(void **state)
{
    (void)state;
    check_encoder("group", "expected-group");
}

static void decoder(void **state)
{
    (void)state;
    stage s;
    open_stage(&s, "decoder", "none", "name: sgd, lr: 0.1", "ours");
    lk_safetensors *expected = open_fixture("expected-decoder");
    lk_losses sums = {0};
    learn(&s, &s.batch, false, &sums);
    check_number("L1", sums.f / 4, read_number(expected, "L1"), 1e-5);
    check_gradients(&s, expected);

    /* One update moves the running statistics as PyTorch's forward pass does. */
    lk_optimizer o;
    assert_int_equal(lk_optimizer_create(s.config, s.task->weights, &o), LK_OK);
    assert_int_equal(lk_optimizer_update(&o, 0.0), LK_OK);
    int checked = 0;
    for (int i = 0; i < s.task->weights->count; i++) {
        const lk_weight *w = &s.task->weights->items[i];
        if (!w->statistic)
            continue;
        float *reference = read_tensor(expected, "after.%s", w->name);
        float mine[64];
        lk_tensor_to_floats(w->value, mine);
        for (size_t k = 0; k < w->count; k++)
            assert_true(fabsf(mine[k] - reference[k]) <= 1e-5f * (1 + fabsf(reference[k])));
        checked++;
        free(reference);
    }
    assert_int_equal(checked, 2 * 4);
    lk_optimizer_free(&o);
    lk_safetensors_close(expected);
    close_stage(&s);
}

/* Losses before each of three steps and after them. AdamW divides each gradient by its own size, so that the smallest, which are
 * rounding and nothing else, move their weights as far as others: its trace is that of the operators that PyTorch has, too. */
static void check_trace(const char *kind, const char *norm, const char *optimizer, const char *expected_name,
                        const char *trace_name)
{
    stage s;
    lk_optimizer o;
    open_stage(&s, kind, norm, optimizer, strstr(optimizer, "adamw") ? "torch" : "ours");
    assert_int_equal(lk_optimizer_create(s.config, s.task->weights, &o), LK_OK);
    lk_safetensors *expected = open_fixture(expected_name);
    double *trace = read_tensor(expected, "%s", trace_name);
    for (int step = 0; step < 4; step++) {
        lk_losses sums = {0};
        learn(&s, &s.batch, false, &sums);
        check_number(trace_name, sums.f / 4, trace[step], 1e-5);
        assert_int_equal(lk_optimizer_update(&o, lk_learning_rate(s.config, step, 3, 3)), LK_OK);
    }
    free(trace);
    lk_safetensors_close(expected);
    lk_optimizer_free(&o);
    close_stage(&s);
}

static void traces(void **state)
{
    (void)state;
    const char *sgd = "name: sgd, lr: 1.0e-3, momentum: 0.9, weight_decay: 0";
    const char *adamw = "name: adamw, lr: 1.0e-3, momentum: 0.9, beta2: 0.999, eps: 1.0e-8, weight_decay: 0.01";
    check_trace("encoder", "none", sgd, "expected-none", "trace.sgd");
    check_trace("encoder", "group", sgd, "expected-group", "trace.sgd");
    check_trace("encoder", "none", adamw, "expected-none", "trace.adamw");
    check_trace("encoder", "group", adamw, "expected-group", "trace.adamw");
    check_trace("decoder", "none", "name: sgd, lr: 0.1, momentum: 0.9", "expected-decoder", "trace.sgd");
}

int main(void)
{
    if (lk_tensor_start(2) != LK_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(encoder_without_norm), cmocka_unit_test(encoder_with_group_norm),
                                       cmocka_unit_test(decoder), cmocka_unit_test(traces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
