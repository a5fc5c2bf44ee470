/* Both stages trained, validated, drawn and judged with every one of a GPU's kernels, run on the CPU (cuda_standin.h), so that
 * what is asked of them in all of a run is something that they take; libtorch's operators are the CPU's. Losses are those of the
 * CPU's kernels but for rounding. */
#include "trainer/evaluate/evaluate.h"
#include "trainer/tensor/device_kernels_cuda.h"
#include "trainer/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cuda_standin.h"
#include "tests/unit/small_shards.h"

enum { EDGE = 32, TRAINED = 4, JUDGED = 2 };

static lk_process_group group;

static lk_status train(const char *run, const char *decoder, const char *precision, const char *norm)
{
    char text[1024];
    lk_config *config = NULL;
    snprintf(
        text, sizeof text,
        "run: {dir: %s, seed: 3}\n"
        "data: {train: train, val: val, threads: 1}\n"
        "model: {size: %d, encoder: {width: 0.0625, norm: %s}, decoder: {width: 0.0625, weights: %s}}\n"
        "optimizer: {name: sgd, lr: 1.0e-3, warmup_steps: 0, clip_norm: 0.01}\n"
        "train: {stage: %s, device: cpu, global_batch: 2, micro_batch: 1, steps: 1, precision: %s, kernels: torch, threads: 2}\n"
        "validate: {samples: 2}\n",
        run, EDGE, norm, decoder ? decoder : "none", decoder ? "encoder" : "decoder", precision);
    LK_TRY(lk_config_parse(text, run, &config));
    lk_status status = lk_train(config, &group, "never");
    lk_config_free(config);
    return status;
}

static lk_evaluation judge(const char *run)
{
    lk_evaluator *evaluator = NULL;
    lk_evaluation out;
    lk_faces faces = {0};
    assert_ok(lk_evaluator_open(run, NULL, LK_ON_CPU, &evaluator));
    assert_ok(lk_evaluate(evaluator, &out));
    assert_ok(lk_predict_faces(evaluator, JUDGED, &faces));
    lk_faces_free(&faces);
    lk_evaluator_close(evaluator);
    return out;
}

static void assert_close(const char *what, double got, double want, double most)
{
    if (!(fabs(got - want) <= most * fabs(want)))
        fail_msg("%s: %.9g, not %.9g", what, got, want);
}

/* By the CPU's kernels, then by the GPU's. */
static void compare(const char *name, const char *decoder, const char *precision, const char *norm, double most)
{
    lk_evaluation by[2];
    for (int gpu = 0; gpu < 2; gpu++) {
        char run[64];
        snprintf(run, sizeof run, "%s-%s", name, gpu ? "gpu" : "cpu");
        int before = standin.launches;
        lk_tensor_set_kernels(gpu ? &lk_device_kernels_cuda : &lk_device_kernels_cpu);
        assert_ok(train(run, decoder, precision, norm));
        by[gpu] = judge(run);
        lk_tensor_set_kernels(&lk_device_kernels_cpu);
        assert_int_equal(standin.launches > before, gpu);
    }
    assert_close("loss", by[1].f, by[0].f, most);
    if (decoder) {
        assert_close("F1", by[1].f1, by[0].f1, most);
        assert_close("F2", by[1].f2, by[0].f2, most);
        assert_close("the strongest parameter", by[1].parameters[0].strength, by[0].parameters[0].strength, most);
    }
    lk_evaluation_free(&by[0]);
    lk_evaluation_free(&by[1]);
}

static void a_decoder(void **state)
{
    (void)state;
    compare("decoder", NULL, "f32", "none", 1e-4);
}

static void encoders(void **state)
{
    (void)state;
    compare("group", "decoder-cpu", "f32", "group", 1e-3);
    compare("none", "decoder-cpu", "bf16", "none", 1e-2);
}

static int open_all(void **state)
{
    (void)state;
    const char *folders[] = {"train", "val"};
    setenv("XDG_CACHE_HOME", "", 1);
    setenv("HOME", "", 1);
    for (int i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/faces.h5", folders[i]);
        assert_ok(lk_make_folder(folders[i]));
        small_shard(path, EDGE, 100 * i, i ? JUDGED : TRAINED, TRAINED, 0);
    }
    return lk_group_open(&group) != LK_OK ||
           lk_device_kernels_cuda_open_with(lk_device_host(), &standin_driver, &standin_nvrtc) != LK_OK;
}

static int close_all(void **state)
{
    (void)state;
    lk_device_kernels_cuda_close();
    lk_group_close(&group);
    free(cuda.stacks);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_decoder), cmocka_unit_test(encoders)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
