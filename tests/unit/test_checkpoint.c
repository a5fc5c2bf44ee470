/* Checkpoints: what is written comes back bit for bit, and no damage goes unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/random.h"
#include "base/version.h"
#include "tests/unit/check.h"
#include "trainer/record/saver.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRUNCATIONS = 20, FLIPS = 500 };

static const char *const file_names[] = {"model.safetensors", "optimizer.safetensors", "state.json"};
static const lk_checkpoint_texts texts = {.config = "run: {dir: \"a \\\"b\\\" ä\"}\n",
                                          .schema = "name: small\n",
                                          .seed = 7,
                                          .sample_count = 640,
                                          .world = 4,
                                          .kernels = "torch"};

/* ---- a small training ---- */

typedef struct model {
    lk_weights weights;
    lk_training_buffers buffers;
} model;

static void fill(float *out, size_t count, uint64_t seed)
{
    lk_random random = lk_random_make(seed, 0);
    for (size_t i = 0; i < count; i++)
        out[i] = lk_random_normal(&random);
}

static void make_model(model *m, int buffer_count, uint64_t seed)
{
    lk_weights_init(&m->weights, LK_DTYPE_F32, LK_DTYPE_F32);
    lk_weights_add(&m->weights, 4, (int64_t[]){6, 3, 3, 3}, "encoder.features.0.weight");
    lk_weights_add(&m->weights, 1, (int64_t[]){6}, "encoder.features.0.bias");
    lk_weights_add(&m->weights, 2, (int64_t[]){5, 24}, "encoder.continuous.weight");
    assert_ok(lk_weights_finish(&m->weights));
    m->buffers = (lk_training_buffers){.layout = &m->weights, .values = m->weights.values, .buffer_count = buffer_count};
    fill(m->buffers.values, m->weights.total, seed);
    for (int b = 0; b < buffer_count; b++) {
        m->buffers.buffers[b] = malloc(m->weights.total * sizeof(float));
        fill(m->buffers.buffers[b], m->weights.total, seed + 1 + (uint64_t)b);
    }
}

static void free_model(model *m)
{
    for (int b = 0; b < m->buffers.buffer_count; b++)
        free(m->buffers.buffers[b]);
    lk_weights_free(&m->weights);
}

static lk_train_state state_at(int64_t step)
{
    return (lk_train_state){.step = step,
                            .updates = step - 1,
                            .best = 0.1 + 0.2, /* needs all 17 digits */
                            .best_step = step - 2,
                            .epochs_without_gain = 3,
                            .skipped = 1,
                            .restarts = 2};
}

static void save(const char *run, int64_t step, int buffer_count, const lk_train_state *state)
{
    char path[LK_PATH_SIZE];
    int64_t bytes = 0;
    model m;
    make_model(&m, buffer_count, (uint64_t)step);
    assert_ok(lk_checkpoint_path(run, step, path));
    assert_ok(lk_checkpoint_write(path, &m.buffers, state, &texts, &bytes));
    assert_true(bytes > (int64_t)((size_t)(1 + buffer_count) * m.weights.total * sizeof(float)));
    free_model(&m);
}

/* A run "NAME" with checkpoints of steps 10 and 20. */
static void make_run(const char *run)
{
    for (int64_t step = 10; step <= 20; step += 10) {
        lk_train_state state = state_at(step);
        save(run, step, 2, &state);
    }
}

/* Which checkpoint a resume takes; the warnings go to `log`. */
static int64_t found_step(const char *run, const char *log)
{
    char path[LK_PATH_SIZE];
    lk_checkpoint_info info = {0};
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    int file = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDERR_FILENO);
    lk_status status = lk_checkpoint_find(run, path, &info);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(file);
    assert_ok(status);
    int64_t step = path[0] ? info.state.step : -1;
    if (path[0])
        lk_checkpoint_info_free(&info);
    return step;
}

/* The damage to this file of step 20 must be seen: one warning names the file, and step 10 is taken. */
static void assert_seen(const char *run, const char *name, const char *what)
{
    char *log, wanted[LK_PATH_SIZE];
    size_t size;
    if (found_step(run, "log") != 10)
        fail_msg("%s of %s: not seen", what, name);
    assert_ok(lk_read_file("log", 1 << 16, &log, &size));
    snprintf(wanted, sizeof wanted, "step-000000020/%s", name);
    const char *newline = strchr(log, '\n');
    if (!strstr(log, wanted) || !newline || newline[1] != '\0')
        fail_msg("%s of %s: not one warning that names the file: %s", what, name, log);
    free(log);
}

/* ---- what is written comes back ---- */

static void what_is_written_comes_back(void **unused)
{
    (void)unused;
    for (int count = 1; count <= 2; count++) {
        lk_checkpoint_info info;
        model wanted, got;
        lk_train_state state = state_at(30);
        save("round", 30, count, &state);
        assert_ok(lk_checkpoint_verify("round/checkpoints/step-000000030", &info));
        assert_memory_equal(&info.state, &state, sizeof state);
        assert_int_equal(info.seed, 7);
        assert_int_equal(info.sample_count, 640);
        assert_int_equal(info.world, 4);
        assert_string_equal(info.config, texts.config);
        assert_string_equal(info.schema, texts.schema);
        lk_checkpoint_info_free(&info);
        make_model(&wanted, count, 30);
        make_model(&got, count, 99);
        assert_ok(lk_checkpoint_load("round/checkpoints/step-000000030", &got.buffers));
        size_t bytes = wanted.weights.total * sizeof(float);
        assert_memory_equal(got.buffers.values, wanted.buffers.values, bytes);
        for (int b = 0; b < count; b++)
            assert_memory_equal(got.buffers.buffers[b], wanted.buffers.buffers[b], bytes);
        free_model(&wanted);
        free_model(&got);
    }
    /* Of another optimizer: named, not taken. */
    model sgd;
    make_model(&sgd, 1, 1);
    assert_fails(lk_checkpoint_load("round/checkpoints/step-000000030", &sgd.buffers), LK_BAD_DATA, "momentum.encoder.");
    free_model(&sgd);
}

static void a_run_without_validation_comes_back(void **unused)
{
    (void)unused;
    lk_checkpoint_info info;
    lk_train_state state = {.step = 1, .updates = 1, .best = INFINITY};
    save("early", 1, 1, &state);
    assert_ok(lk_checkpoint_verify("early/checkpoints/step-000000001", &info));
    assert_true(isinf(info.state.best) && info.state.best > 0);
    lk_checkpoint_info_free(&info);
}

static void other_names_are_no_checkpoints(void **unused)
{
    (void)unused;
    int64_t *steps;
    size_t count;
    make_run("names");
    assert_ok(lk_make_folder("names/checkpoints/step-000000030.host-1.tmp"));
    assert_ok(lk_make_folder("names/checkpoints/step-30x"));
    assert_ok(lk_make_folder("names/checkpoints/step-99"));
    assert_ok(lk_make_folder("names/checkpoints/step-0000000040"));
    assert_ok(lk_make_folder("names/checkpoints/step-000000040.aside-1"));
    put("names/checkpoints/step-000000050", "a file");
    assert_int_equal(symlink("step-000000010", "names/checkpoints/best"), 0);
    assert_ok(lk_checkpoint_list("names", &steps, &count));
    assert_int_equal(count, 2);
    assert_int_equal(steps[0], 10);
    assert_int_equal(steps[1], 20);
    free(steps);
    assert_int_equal(found_step("names", "log"), 20);
    assert_ok(lk_checkpoint_remove("names", 20));
    assert_int_equal(found_step("names", "log"), 10);
    assert_ok(lk_checkpoint_remove("names", 10));
    assert_int_equal(found_step("names", "log"), -1);
    assert_int_equal(found_step("no-such-run", "log"), -1);
    assert_int_equal(lk_checkpoint_remove("names", 10), LK_IO);
}

/* Steps of ten digits and more are wider than the names before them. */
static void steps_of_more_digits_are_found(void **unused)
{
    (void)unused;
    int64_t *steps;
    size_t count;
    lk_train_state state = state_at(12345678901);
    save("many", 999999999, 2, &state);
    save("many", 12345678901, 2, &state);
    assert_ok(lk_checkpoint_list("many", &steps, &count));
    assert_int_equal(count, 2);
    assert_int_equal(steps[1], 12345678901);
    free(steps);
    assert_true(found_step("many", "log") == 12345678901);
}

/* Not damaged and not passed over: an older checkpoint would give up what the newer program did. */
static void a_later_format_is_an_error(void **unused)
{
    (void)unused;
    char path[LK_PATH_SIZE], hex[LK_HEX_SIZE];
    char *text;
    size_t size;
    lk_checkpoint_info info;
    make_run("later");
    lk_path_join(path, "later/checkpoints/step-000000020", "state.json");
    assert_ok(lk_read_file(path, 1 << 20, &text, &size));
    char *format = strstr(text, "\"format\": 1"), *tail = strstr(text, ",\n \"state_hash\": \"");
    format[strlen("\"format\": ")] = '2';
    lk_hash_hex(lk_hash(text, (size_t)(tail - text)), hex);
    memcpy(tail + strlen(",\n \"state_hash\": \""), hex, LK_HEX_SIZE - 1);
    assert_ok(lk_write_file(path, text, size));
    free(text);
    assert_int_equal(lk_checkpoint_find("later", path, &info), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "step-000000020"));
    assert_non_null(strstr(lk_error_text(), "written by a newer likeness, format 2"));
}

/* ---- damage ---- */

static void path_of(const char *run, const char *name, char out[LK_PATH_SIZE])
{
    snprintf(out, LK_PATH_SIZE, "%s/checkpoints/step-000000020/%s", run, name);
}

/* Each file cut at 20 places, its last byte and its first among them; and taken away. */
static void cut_files_are_seen(void **unused)
{
    (void)unused;
    make_run("cut");
    for (size_t f = 0; f < 3; f++) {
        char path[LK_PATH_SIZE], what[64];
        char *data;
        size_t size;
        path_of("cut", file_names[f], path);
        assert_ok(lk_read_file(path, 1 << 20, &data, &size));
        for (size_t i = 0; i < TRUNCATIONS; i++) {
            size_t length = i * (size - 1) / (TRUNCATIONS - 1);
            assert_int_equal(truncate(path, (off_t)length), 0);
            snprintf(what, sizeof what, "cut to %zu of %zu bytes", length, size);
            assert_seen("cut", file_names[f], what);
            put_bytes(path, data, size);
        }
        unlink(path);
        assert_seen("cut", file_names[f], "absence");
        put_bytes(path, data, size);
        free(data);
    }
    assert_int_equal(found_step("cut", "log"), 20);
}

/* Longer than it was. */
static void longer_files_are_seen(void **unused)
{
    (void)unused;
    make_run("longer");
    for (size_t f = 0; f < 3; f++) {
        char path[LK_PATH_SIZE];
        char *data;
        size_t size;
        path_of("longer", file_names[f], path);
        assert_ok(lk_read_file(path, 1 << 20, &data, &size));
        FILE *file = fopen(path, "ab");
        assert_non_null(file);
        fputc('\n', file);
        fclose(file);
        assert_seen("longer", file_names[f], "a byte more");
        put_bytes(path, data, size);
        free(data);
    }
}

/* Bits anywhere in the three files; then every bit of state.json's end, where its own hash is. */
static void flipped_bits_are_seen(void **unused)
{
    (void)unused;
    lk_random random = lk_random_make(2026, 4);
    char path[3][LK_PATH_SIZE], what[64];
    char *data[3];
    size_t size[3];
    make_run("flip");
    for (size_t f = 0; f < 3; f++) {
        path_of("flip", file_names[f], path[f]);
        assert_ok(lk_read_file(path[f], 1 << 20, &data[f], &size[f]));
    }
    size_t tail = 8 * 64;
    for (size_t i = 0; i < FLIPS + tail; i++) {
        size_t f = i < FLIPS ? lk_random_below(&random, 3) : 2;
        size_t bit = i < FLIPS ? lk_random_below(&random, (uint32_t)(8 * size[f])) : 8 * size[2] - tail + (i - FLIPS);
        data[f][bit / 8] = (char)(data[f][bit / 8] ^ 1 << bit % 8);
        put_bytes(path[f], data[f], size[f]);
        snprintf(what, sizeof what, "bit %zu", bit);
        assert_seen("flip", file_names[f], what);
        data[f][bit / 8] = (char)(data[f][bit / 8] ^ 1 << bit % 8);
        put_bytes(path[f], data[f], size[f]);
    }
    assert_int_equal(found_step("flip", "log"), 20);
    for (size_t f = 0; f < 3; f++)
        free(data[f]);
}

/* A file of another checkpoint is whole, and still not this one's. */
static void files_of_another_checkpoint_are_seen(void **unused)
{
    (void)unused;
    make_run("mixed");
    for (size_t f = 0; f < 2; f++) {
        char path[LK_PATH_SIZE], other[LK_PATH_SIZE];
        char *data, *others;
        size_t size, others_size;
        path_of("mixed", file_names[f], path);
        snprintf(other, sizeof other, "mixed/checkpoints/step-000000010/%s", file_names[f]);
        assert_ok(lk_read_file(path, 1 << 20, &data, &size));
        assert_ok(lk_read_file(other, 1 << 20, &others, &others_size));
        put_bytes(path, others, others_size);
        assert_seen("mixed", file_names[f], "another's file");
        put_bytes(path, data, size);
        free(data);
        free(others);
    }
}

/* Nothing stays of a checkpoint that could not be written. */
static void a_folder_that_cannot_be_is_named(void **unused)
{
    (void)unused;
    model m;
    int64_t bytes = 0;
    lk_train_state state = state_at(5);
    make_model(&m, 2, 1);
    put("a-file", "x");
    assert_fails(lk_checkpoint_write("a-file/step-000000005", &m.buffers, &state, &texts, &bytes), LK_IO, "a-file");
    free_model(&m);
}

/* state.json says which build wrote it; one from before that did is as good. */
static void checkpoints_of_older_builds_are_read(void **unused)
{
    (void)unused;
    char path[LK_PATH_SIZE], program[128], end[64], hex[LK_HEX_SIZE];
    char *text;
    size_t size;
    lk_checkpoint_info info;
    make_run("older");
    assert_ok(lk_checkpoint_verify("older/checkpoints/step-000000020", &info));
    assert_string_equal(info.program, lk_program());
    lk_checkpoint_info_free(&info);

    path_of("older", "state.json", path);
    assert_ok(lk_read_file(path, 1 << 20, &text, &size));
    snprintf(program, sizeof program, " \"program\": \"%s\",\n", lk_program());
    char *line = strstr(text, program), *tail = strstr(text, ",\n \"state_hash\"");
    assert_true(line && tail && line < tail);
    memmove(line, line + strlen(program), strlen(line + strlen(program)) + 1);
    tail -= strlen(program);
    lk_hash_hex(lk_hash(text, (size_t)(tail - text)), hex);
    snprintf(end, sizeof end, ",\n \"state_hash\": \"%s\"\n}\n", hex);
    memcpy(tail, end, strlen(end));
    put(path, text);
    assert_ok(lk_checkpoint_verify("older/checkpoints/step-000000020", &info));
    assert_null(info.program);
    assert_int_equal(info.state.step, 20);
    lk_checkpoint_info_free(&info);
    free(text);
}

/* ---- the snapshot ---- */

static double resident_mb(void)
{
    long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &all, &resident), 2);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* MB more or less that are no sign; sanitizers keep a shadow of all memory. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define UNSEEN 1000
#else
#define UNSEEN 8
#endif

/* Three buffers of 16 MB. */
static void a_snapshot_takes_no_memory_before_the_first(void **unused)
{
    (void)unused;
    enum { NUMBERS = 4 << 20 };
    lk_config config = {.run.dir = "snapshot", .checkpoint.keep = 2};
    lk_train_state state = state_at(30);
    lk_saver *saver;
    lk_status failure;
    model m = {.buffers = {.buffer_count = 2}};
    lk_weights_init(&m.weights, LK_DTYPE_F32, LK_DTYPE_F32);
    lk_weights_add(&m.weights, 1, (int64_t[]){NUMBERS}, "w");
    assert_ok(lk_weights_finish(&m.weights));
    m.buffers.layout = &m.weights;
    m.buffers.values = m.weights.values;
    fill(m.buffers.values, NUMBERS, 1);
    for (int b = 0; b < 2; b++) {
        m.buffers.buffers[b] = malloc(NUMBERS * sizeof(float));
        fill(m.buffers.buffers[b], NUMBERS, 2);
    }
    double before = resident_mb();
    assert_ok(lk_saver_start(&config, &m.buffers, &texts, -1, &saver));
    for (int i = 0; i < 2; i++) {
        lk_saver_wait(saver);
        assert_true(i > 0 || resident_mb() < before + UNSEEN);
        assert_ok(lk_saver_take(saver, &state));
        lk_saver_wait(saver);
        assert_true(lk_saver_written(saver, &failure));
        assert_ok(failure);
        lk_saver_report report;
        assert_ok(lk_saver_commit(saver, 0, &report));
        state.step++;
    }
    lk_saver_stop(saver);
    lk_checkpoint_info info;
    assert_ok(lk_checkpoint_verify("snapshot/checkpoints/step-000000031", &info));
    lk_checkpoint_info_free(&info);
    free_model(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(a_run_without_validation_comes_back),
        cmocka_unit_test(other_names_are_no_checkpoints),
        cmocka_unit_test(steps_of_more_digits_are_found),
        cmocka_unit_test(a_later_format_is_an_error),
        cmocka_unit_test(cut_files_are_seen),
        cmocka_unit_test(longer_files_are_seen),
        cmocka_unit_test(flipped_bits_are_seen),
        cmocka_unit_test(files_of_another_checkpoint_are_seen),
        cmocka_unit_test(a_folder_that_cannot_be_is_named),
        cmocka_unit_test(checkpoints_of_older_builds_are_read),
        cmocka_unit_test(a_snapshot_takes_no_memory_before_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
