/* configs/config.h: files and --set into the struct, the exact sentence of every refusal, the way back to YAML, comparing. */
#include "base/error.h"
#include "base/file.h"
#include "configs/config.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* All that must be given. */
#define LEAST                                                                                                                    \
    "run: {dir: runs/a}\n"                                                                                                       \
    "data: {train: t, val: [v]}\n"                                                                                               \
    "model: {decoder: {weights: d}}\n"                                                                                           \
    "train: {epochs: 3}\n"

static lk_status load(const char *text, const char *set, lk_config **out)
{
    assert_int_equal(lk_write_file("c.yaml", text, strlen(text)), LK_OK);
    return lk_config_load("c.yaml", &set, set != NULL, out);
}

static lk_config *loaded(const char *text, const char *set)
{
    lk_config *config;
    if (load(text, set, &config) != LK_OK)
        fail_msg("%s", lk_error_text());
    return config;
}

static void refused(const char *text, const char *set, const char *sentence)
{
    lk_config *config = (lk_config *)1;
    assert_int_equal(load(text, set, &config), LK_BAD_CONFIG);
    assert_null(config);
    assert_string_equal(lk_error_text(), sentence);
}

static void defaults(void **state)
{
    (void)state;
    lk_config *c = loaded(LEAST, NULL);
    assert_string_equal(c->run.dir, "runs/a");
    assert_int_equal(c->run.seed, 1);
    assert_int_equal(c->run.signals.count, 4);
    assert_string_equal(c->run.signals.items[2], "TERM");
    assert_int_equal(c->data.train.paths.count, 1);
    assert_string_equal(c->data.train.paths.items[0], "t");
    assert_string_equal(c->data.val.items[0], "v");
    assert_int_equal(c->model.size, 64);
    assert_string_equal(c->model.init, "none");
    assert_true(c->model.encoder.width == 0.25);
    assert_true(c->loss.lambda == 4.0);
    assert_int_equal(c->optimizer.name, LK_ADAMW);
    assert_true(c->optimizer.lr == 4e-4);
    assert_true(c->optimizer.continuous_head_lr == 0.1);
    assert_true(c->optimizer.continuous_head_bias_from_data);
    assert_int_equal(c->optimizer.schedule, LK_COSINE);
    assert_int_equal(c->optimizer.warmup_steps, 200);
    assert_int_equal(c->train.stage, LK_STAGE_ENCODER);
    assert_int_equal(c->train.precision, LK_BF16);
    assert_int_equal(c->train.device, LK_ON_AUTO);
    assert_int_equal(c->train.threads, 0);
    assert_true(c->train.shuffle);
    assert_int_equal(c->train.nonfinite, LK_NONFINITE_STOP);
    assert_true(c->collectives.bucket_mb == 25);
    lk_config_free(c);
}

/* The configuration of the design, word for word. */
static void every_section(void **state)
{
    (void)state;
    lk_config *c =
        loaded("run:        {dir: runs/demo, seed: 9007199254740992}\n"
               "data:       {train: [data/a, \"data/b c\"], val: data/v, threads: 2, prefetch: 4}\n"
               "model:\n"
               "  size: 128\n"
               "  init: none\n"
               "  encoder:  {width: 0.25, norm: group}\n"
               "  decoder:  {width: .5, weights: runs/demo-decoder}\n"
               "loss:       {lambda: +1e-3}\n"
               "optimizer:  {name: sgd, lr: 4.0e-4, momentum: 0.9, weight_decay: 0.0, clip_norm: 0, warmup_steps: 200,\n"
               "             schedule: step, continuous_head_lr: 1E-1, continuous_head_bias_from_data: False}\n"
               "train:\n"
               "  stage: decoder\n"
               "  global_batch: 32\n"
               "  micro_batch: 16\n"
               "  steps: 70000000000\n"
               "  precision: f32\n"
               "  device: cpu\n"
               "  threads: 3\n"
               "  reproducible: true\n"
               "  converge: {patience: 7, min_delta: 1.0e-4}\n"
               "validate:   {every_epochs: 1, samples: 16}\n"
               "checkpoint: {every_steps: 200, every_minutes: 0.5, keep: 3, keep_every: 0}\n"
               "collectives: {bucket_mb: 25, dtype: f32}\n"
               "stall:\n",
               NULL);
    assert_int_equal(c->run.seed, INT64_C(9007199254740992));
    assert_int_equal(c->data.train.paths.count, 2);
    assert_string_equal(c->data.train.paths.items[1], "data/b c");
    assert_int_equal(c->model.size, 128);
    assert_int_equal(c->model.encoder.norm, LK_NORM_GROUP);
    assert_true(c->model.decoder.width == 0.5);
    assert_true(c->loss.lambda == 1e-3);
    assert_int_equal(c->optimizer.name, LK_SGD);
    assert_int_equal(c->optimizer.schedule, LK_STEP);
    assert_true(c->optimizer.continuous_head_lr == 0.1);
    assert_false(c->optimizer.continuous_head_bias_from_data);
    assert_int_equal(c->train.stage, LK_STAGE_DECODER);
    assert_int_equal(c->train.steps, INT64_C(70000000000));
    assert_int_equal(c->train.device, LK_ON_CPU);
    assert_int_equal(c->train.threads, 3);
    assert_true(c->train.reproducible);
    assert_int_equal(c->train.converge.patience, 7);
    assert_true(c->checkpoint.every_minutes == 0.5);
    lk_config_free(c);
}

static void sets_in_order(void **state)
{
    (void)state;
    assert_int_equal(lk_write_file("c.yaml", LEAST, strlen(LEAST)), LK_OK);
    const char *sets[] = {"loss.lambda=1", "data.train=[x, y]",  "loss.lambda=0.5",   "train.epochs=0",
                          "train.steps=7", "train.threads=auto", "run.dir=\"a=b: c\""};
    lk_config *c;
    assert_int_equal(lk_config_load("c.yaml", sets, 7, &c), LK_OK);
    assert_true(c->loss.lambda == 0.5);
    assert_int_equal(c->data.train.paths.count, 2);
    assert_string_equal(c->data.train.paths.items[1], "y");
    assert_int_equal(c->train.steps, 7);
    assert_string_equal(c->run.dir, "a=b: c");
    lk_config_free(c);
}

static void wrong_values(void **state)
{
    (void)state;
    refused(LEAST "loss: {lambda: much}\n", NULL, "c.yaml:5: key 'loss.lambda': 'much' is not a number; allowed: 0 to 1000000");
    refused(LEAST "loss:\n  lambda: -1\n", NULL, "c.yaml:6: key 'loss.lambda': '-1' is not in range; allowed: 0 to 1000000");
    refused(
        LEAST "loss: {lambda: 1e-400}\n", NULL,
        "c.yaml:5: key 'loss.lambda': '1e-400' is not a number that can be told from 0: it is too small a number; allowed: 0 to "
        "1000000");
    refused(LEAST "loss: {lambda: .nan}\n", NULL, "c.yaml:5: key 'loss.lambda': '.nan' is not a number; allowed: 0 to 1000000");
    refused(LEAST "loss: {lambda: 1e999}\n", NULL, "c.yaml:5: key 'loss.lambda': '1e999' is not in range; allowed: 0 to 1000000");
    refused(LEAST "loss: {lambda: 0x10}\n", NULL, "c.yaml:5: key 'loss.lambda': '0x10' is not a number; allowed: 0 to 1000000");
    refused(LEAST "loss: {lambda: \"1\"}\n", NULL, "c.yaml:5: key 'loss.lambda': \"1\" is not a number; allowed: 0 to 1000000");
    refused(LEAST "loss: {lambda: [1]}\n", NULL, "c.yaml:5: key 'loss.lambda': a list is not a number; allowed: 0 to 1000000");
    refused(LEAST "loss: {lambda: }\n", NULL, "c.yaml:5: key 'loss.lambda': '' is not a number; allowed: 0 to 1000000");
    refused(LEAST "validate: {samples: 1e3}\n", NULL,
            "c.yaml:5: key 'validate.samples': '1e3' is not a whole number; allowed: 0 to 1024");
    refused(LEAST "validate: {samples: 99999999999999999999}\n", NULL,
            "c.yaml:5: key 'validate.samples': '99999999999999999999' is not in range; allowed: 0 to 1024");
    refused(LEAST "run.x: 1\n", NULL, "c.yaml:5: key 'run.x': there is no such key; did you mean 'run'?");
    refused(LEAST, "train.threads=0", "--set train.threads=0: '0' is not in range; allowed: 1 to 4096 or auto");
    refused(LEAST, "train.shuffle=yes", "--set train.shuffle=yes: 'yes' is not true or false; allowed: true, false");
    refused(LEAST, "optimizer.name=adam", "--set optimizer.name=adam: 'adam' is not a choice; allowed: sgd, adamw");
    refused(LEAST, "run.dir=", "--set run.dir=: is not of the form a.b=c, as in --set loss.lambda=1");
    refused(LEAST, "run.dir=~", "--set run.dir=~: '~' is not a name or path; allowed: 1 to 511 bytes");
    refused(LEAST, "data.train=[a, [b]]", "--set data.train=[a, [b]]: a list is not a name or path; allowed: 1 to 16 names");
    refused(LEAST, "data.train=[{path: a}]",
            "--set data.train=[{path: a}]: item 1 is not {path: FOLDER, share: NUMBER} as the first one is");
    refused(LEAST, "data.train=[{path: a, share: 1}, b]",
            "--set data.train=[{path: a, share: 1}, b]: item 2 is not {path: FOLDER, share: NUMBER} as the first one is");
    refused(LEAST, "run.seed=9007199254740993",
            "--set run.seed=9007199254740993: '9007199254740993' is not in range; allowed: 0 to 9007199254740992");
    refused(LEAST, "data.train=[{path: a, share: 0}]",
            "--set data.train=[{path: a, share: 0}]: the share '0' is no share; allowed: a number above 0, at most 1000000");
    refused(LEAST, "data.train=[]", "--set data.train=[]: the list has 0 items; allowed: 1 to 16");
    refused(LEAST, "run.signals=[TERM, KILL]",
            "--set run.signals=[TERM, KILL]: 'KILL' is not a choice; allowed: 1 to 16 of USR1, USR2, TERM, HUP, INT, XCPU");
}

/* A configuration with shares is written out so that it reads back the same. */
static void shares_and_augmentation(void **state)
{
    (void)state;
    const char *sets[] = {"data.train=[{path: a b, share: 3}, {share: 0.1, path: c}]", "data.augment.flip=0.5"};
    lk_config *c, *again;
    char *text;
    assert_int_equal(lk_write_file("c.yaml", LEAST, strlen(LEAST)), LK_OK);
    assert_int_equal(lk_config_load("c.yaml", sets, 2, &c), LK_OK);
    assert_int_equal(c->data.train.paths.count, 2);
    assert_string_equal(c->data.train.paths.items[0], "a b");
    assert_true(c->data.train.shares[0] == 3 && c->data.train.shares[1] == 0.1);
    assert_true(c->data.augment.flip == 0.5);
    assert_int_equal(lk_config_to_yaml(c, &text), LK_OK);
    assert_int_equal(lk_config_parse(text, "again", &again), LK_OK);
    assert_int_equal(lk_config_compare(c, again), LK_OK);
    again->data.train.shares[1] = 0.2;
    assert_int_equal(lk_config_compare(c, again), LK_BAD_CONFIG);
    assert_non_null(strstr(lk_error_text(), "data.train was a b (share 3), c (share 0.1), is a b (share 3), c (share 0.2)"));
    free(text);
    lk_config_free(c);
    lk_config_free(again);
    const char *decoder[] = {"train.stage=decoder", "data.augment.noise=1"};
    assert_int_equal(lk_config_load("c.yaml", decoder, 2, &c), LK_BAD_CONFIG);
    assert_string_equal(lk_error_text(), "--set data.augment.noise=1: is for train.stage encoder; set it to 0 for the decoder");
}

static void unknown_keys(void **state)
{
    (void)state;
    refused(LEAST "loss: {lamda: 1}\n", NULL, "c.yaml:5: key 'loss.lamda': there is no such key; did you mean 'loss.lambda'?");
    refused(LEAST "lambda: 1\n", NULL, "c.yaml:5: key 'lambda': there is no such key; did you mean 'loss.lambda'?");
    refused(LEAST "optimiser: {lr: 1}\n", NULL, "c.yaml:5: key 'optimiser': there is no such key; did you mean 'optimizer'?");
    refused(LEAST "zebra_crossing: 1\n", NULL,
            "c.yaml:5: key 'zebra_crossing': there is no such key; docs/configuration.md lists them");
    refused(LEAST "loss: 3\n", NULL, "c.yaml:5: key 'loss': is a section; write its keys below it");
    refused(LEAST, "train.epoch=3", "--set train.epoch=3: there is no such key; did you mean 'train.epochs'?");
    refused(LEAST, "train=3", "--set train=3: is a section; set one of its keys");
    refused(LEAST, "train.epochs", "--set train.epochs: is not of the form a.b=c, as in --set loss.lambda=1");
    refused(LEAST, "a\nb\033[2J", "--set a?b?[2J: is not of the form a.b=c, as in --set loss.lambda=1");
    refused(LEAST, "=3", "--set =3: is not of the form a.b=c, as in --set loss.lambda=1");
    refused(LEAST, "loss.lambda=[1",
            "--set loss.lambda=[1: value of loss.lambda:2: not YAML: while parsing a flow sequence, "
            "did not find expected ',' or ']'");
    refused("[1]\n", NULL, "c.yaml:1: is not a configuration; write 'section: {key: value}'");
    refused(LEAST "loss: {lambda: 1}\nloss: {lambda: 2}\n", NULL,
            "c.yaml:6: key 'loss' stands here again, first on line 5; keep one");
}

static void checks_between_keys(void **state)
{
    (void)state;
    refused("", NULL, "c.yaml: key 'run.dir': must be given: folder of the run: checkpoints, metrics, samples");
    refused(LEAST, "model.size=96",
            "--set model.size=96: '96' is not a power of two (the decoder doubles from 4); allowed: 32, 64, 128, 256, 512");
    refused(LEAST, "model.size=224",
            "--set model.size=224: '224' is not a power of two (the decoder doubles from 4); allowed: 32, 64, 128, 256, 512");
    refused(LEAST, "model.encoder.width=0.3",
            "--set model.encoder.width=0.3: '0.3' leaves fractions of channels; allowed: multiples of 1/64, as 0.25, 0.5, 1");
    refused("model: {encoder: {width: 0.3125, norm: group}, decoder: {weights: d}}\nrun: {dir: a}\ndata: {train: t, val: v}\n",
            NULL,
            "c.yaml:1: key 'model.encoder.width': '0.3125' gives channels that 32 groups do not divide; allowed with norm group: "
            "as 0.25, 0.5, 0.75, 1");
    refused(
        LEAST, "model.decoder.weights=none",
        "--set model.decoder.weights=none: 'none' is not enough for train.stage encoder; train the decoder first and give its "
        "run folder");
    refused(LEAST, "train.epochs=0", "--set train.epochs=0: is 0 and so is train.steps; give one of them, as epochs: 20");
    refused(LEAST, "train.steps=5", "--set train.steps=5: '5' stands beside train.epochs '3'; set one of them to 0");
    refused(LEAST, "train.micro_batch=12", "c.yaml: key 'train.global_batch': '32' is not a multiple of train.micro_batch '12'");
    refused(LEAST "validate: {every_epochs: 0}\n", "train.converge.patience=2",
            "--set train.converge.patience=2: '2' needs validations, and validate.every_epochs is 0; set one of them");
    refused(LEAST "stall:\n  abort_s: 20\n  warn_s: 20\n", NULL,
            "c.yaml:7: key 'stall.warn_s': '20' is not less than stall.abort_s '20'");
    refused(LEAST "collectives: {dtype: bf16}\n", "train.reproducible=true",
            "c.yaml:5: key 'collectives.dtype': 'bf16' is rounded on every rank, and train.reproducible is true; set "
            "collectives.dtype to f32");
}

static void yaml_reads_back(void **state)
{
    (void)state;
    lk_config *a =
        loaded(LEAST "loss: {lambda: 0.1}\noptimizer: {lr: 1.2345678901234567e-5}\nstall: {warn_s: 0.30000000000000004}\n",
               "data.train=[\"-\", \"it's \\\"x\\\"\\t\\u0085\\u2028\", 12, \"人脸/训练\", a#b, 'null', \"c: d\"]");
    char *text, *again;
    assert_int_equal(lk_config_to_yaml(a, &text), LK_OK);
    assert_int_equal(strncmp(text, "# ", 2), 0);
    assert_non_null(strstr(text, "\n  decoder:\n    width: 0.25\n    weights: d\nloss:\n  lambda: 0.1\n"));
    assert_non_null(strstr(text, "\n  threads: auto\n"));
    assert_non_null(strstr(text, "人脸/训练"));
    lk_config *b = loaded(text, NULL);
    assert_true(b->loss.lambda == 0.1);
    assert_true(b->optimizer.lr == 1.2345678901234567e-5);
    assert_true(b->stall.warn_s == 0.30000000000000004);
    assert_int_equal(b->data.train.paths.count, 7);
    for (int i = 0; i < 7; i++)
        assert_string_equal(a->data.train.paths.items[i], b->data.train.paths.items[i]);
    assert_memory_equal(a, b, sizeof *a);
    assert_int_equal(lk_config_to_yaml(b, &again), LK_OK);
    assert_string_equal(text, again);
    free(text);
    free(again);
    lk_config_free(a);
    lk_config_free(b);
}

/* A German "0,5" neither in nor out. */
static void numbers_in_any_locale(void **state)
{
    (void)state;
    if (system("localedef -i de_DE -f UTF-8 ./de_DE.UTF-8 >localedef.log 2>&1") == -1 || setenv("LOCPATH", ".", 1) != 0 ||
        !setlocale(LC_ALL, "de_DE.UTF-8")) {
        print_message("cannot make a German locale here (apt install locales)\n");
        skip();
    }
    char shown[16];
    snprintf(shown, sizeof shown, "%.1f", 0.5);
    assert_string_equal(shown, "0,5");
    lk_config *c = loaded(LEAST, "loss.lambda=1.5");
    assert_true(c->loss.lambda == 1.5);
    char *text;
    assert_int_equal(lk_config_to_yaml(c, &text), LK_OK);
    assert_non_null(strstr(text, "lambda: 1.5\n"));
    free(text);
    lk_config_free(c);
    setlocale(LC_ALL, "C");
}

static lk_status compare(const char *saved_set, const char *now_set)
{
    lk_config *saved = loaded(LEAST, saved_set), *now = loaded(LEAST, now_set);
    lk_status status = lk_config_compare(saved, now);
    lk_config_free(saved);
    lk_config_free(now);
    return status;
}

static void what_a_resumed_run_may_change(void **state)
{
    (void)state;
    static const char *const harmless[] = {"run.dir=elsewhere",   "data.threads=7",           "train.threads=1",
                                           "train.micro_batch=8", "checkpoint.every_steps=1", "stall.warn_s=1",
                                           "validate.samples=0",  "collectives.bucket_mb=1"};
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        assert_int_equal(compare(NULL, harmless[i]), LK_OK);

    assert_int_equal(compare("loss.lambda=0.1", "data.val=[x, y]"), LK_BAD_CONFIG);
    assert_string_equal(lk_error_text(), "a resumed run must keep these, set them back or start in another run.dir: "
                                         "data.val was v, is x, y; loss.lambda was 0.1, is 4");
    assert_int_equal(compare(NULL, "train.epochs=9"), LK_BAD_CONFIG);
    assert_string_equal(lk_error_text(), "a resumed run must keep these, set them back or start in another run.dir: "
                                         "train.epochs was 3, is 9");
}

static void what_depends_on_other_keys(void **state)
{
    (void)state;
    lk_config *a = loaded(LEAST, "optimizer.schedule=constant"), *b = loaded(LEAST, "optimizer.schedule=constant");
    b->train.epochs = 9;
    assert_int_equal(lk_config_compare(a, b), LK_OK);
    b->train.threads = 2;
    assert_int_equal(lk_config_compare(a, b), LK_OK);
    a->train.reproducible = b->train.reproducible = true;
    assert_int_equal(lk_config_compare(a, b), LK_BAD_CONFIG);
    assert_non_null(strstr(lk_error_text(), ": train.threads was auto, is 2"));
    lk_config_free(a);
    lk_config_free(b);
}

/* ---- what the repository ships ---- */

static const char *in_repository(const char *name, char out[LK_PATH_SIZE])
{
    const char *root = getenv("LIKENESS_ROOT");
    if (!root) {
        print_message("LIKENESS_ROOT is not set\n");
        skip();
    }
    assert_int_equal(lk_path_join(out, root, name), LK_OK);
    return out;
}

static void shipped_configurations_load(void **state)
{
    (void)state;
    char folder[LK_PATH_SIZE], path[LK_PATH_SIZE];
    lk_names names;
    assert_int_equal(lk_list_folder(in_repository("configs", folder), ".yaml", &names), LK_OK);
    assert_true(names.count >= 6);
    for (size_t i = 0; i < names.count; i++) {
        lk_config *c;
        if (strncmp(names.names[i], "client-", 7) == 0 || strstr(names.names[i], "sweep"))
            continue; /* not configurations of a run; their own tests load them */
        assert_int_equal(lk_path_join(path, folder, names.names[i]), LK_OK);
        if (lk_config_load(path, NULL, 0, &c) != LK_OK)
            fail_msg("%s", lk_error_text());
        bool decoder = strstr(names.names[i], "decoder") != NULL;
        assert_int_equal(c->train.stage, decoder ? LK_STAGE_DECODER : LK_STAGE_ENCODER);
        lk_config_free(c);
    }
    lk_names_free(&names);
}

/* docs/configuration.md holds the printed table word for word. */
static void manual_has_the_table(void **state)
{
    (void)state;
    char path[LK_PATH_SIZE], *manual, *table;
    size_t size;
    assert_int_equal(lk_read_file(in_repository("docs/configuration.md", path), 1 << 20, &manual, &size), LK_OK);

    fflush(stdout);
    int screen = dup(STDOUT_FILENO);
    assert_non_null(freopen("table.txt", "w", stdout));
    lk_config_print_keys();
    fflush(stdout);
    dup2(screen, STDOUT_FILENO);
    close(screen);

    assert_int_equal(lk_read_file("table.txt", 1 << 20, &table, &size), LK_OK);
    if (size < 1000 || !strstr(manual, table))
        fail_msg("docs/configuration.md lacks this table:\n%s", table);
    free(manual);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_section),
        cmocka_unit_test(sets_in_order),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(shares_and_augmentation),
        cmocka_unit_test(unknown_keys),
        cmocka_unit_test(checks_between_keys),
        cmocka_unit_test(yaml_reads_back),
        cmocka_unit_test(numbers_in_any_locale),
        cmocka_unit_test(what_a_resumed_run_may_change),
        cmocka_unit_test(what_depends_on_other_keys),
        cmocka_unit_test(shipped_configurations_load),
        cmocka_unit_test(manual_has_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
