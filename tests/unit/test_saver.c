/* Snapshots of a training (trainer/record/saver.h): what is copied is what the update before left, and the update after waits
 * for the copies. On the CPU, and as on a GPU, on the stand-in for the CUDA runtime, whose streams run beside each other. The
 * stand-in is a part of this program, so that dlsym finds it before the runtime that libtorch loads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/stand_in/cudart.c"
#include "tests/unit/check.h"
#include "trainer/record/saver.h"

enum { BUFFERS = 2 };
#define SLOW_COPY_S 0.2 /* of each copy to the host, where they are slow */

static lk_device *device, *gpu;
static const lk_config config = {.run.dir = "run", .checkpoint = {.keep = 3}};
static const lk_checkpoint_texts texts = {
    .config = "run: {dir: run}\n", .schema = "name: small\n", .seed = 7, .sample_count = 640, .world = 1, .kernels = "cuda"};

/* ---- a training of which only the numbers are there ---- */

typedef struct training {
    lk_weights weights;
    lk_training_buffers live;
    lk_saver *saver;
} training;

static void open_training(training *t, lk_device *on, int64_t rows)
{
    device = on;
    lk_weights_init(&t->weights, LK_DTYPE_F32, LK_DTYPE_F32);
    lk_weights_add(&t->weights, 2, (int64_t[]){rows, 24}, "encoder.continuous.weight");
    lk_weights_add(&t->weights, 1, (int64_t[]){rows}, "encoder.continuous.bias");
    assert_ok(lk_weights_finish(&t->weights)); /* on the CPU; of its memory this test has no use */
    t->live = (lk_training_buffers){.layout = &t->weights, .buffer_count = BUFFERS};
    size_t bytes = t->weights.total * sizeof(float);
    assert_non_null(t->live.values = lk_device_alloc(device, bytes));
    for (int b = 0; b < BUFFERS; b++)
        assert_non_null(t->live.buffers[b] = lk_device_alloc(device, bytes));
    lk_device *host = t->weights.device;
    t->weights.device = device;
    assert_ok(lk_saver_start(&config, &t->live, &texts, -1, &t->saver));
    t->weights.device = host;
    lk_saver_wait(t->saver);
}

static void close_training(training *t)
{
    t->weights.device = device;
    assert_ok(lk_device_wait(device)); /* an update may still be under way */
    lk_saver_stop(t->saver);
    t->weights.device = lk_device_host();
    lk_device_free(device, t->live.values);
    for (int b = 0; b < BUFFERS; b++)
        lk_device_free(device, t->live.buffers[b]);
    lk_weights_free(&t->weights);
}

/* ---- updates: kernels of the device's stream ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void set_gate(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

typedef struct update {
    training *training;
    float value; /* of every number; the buffers have 1 and 2 more */
} update;

static void apply(const update *u)
{
    for (size_t i = 0; i < u->training->weights.total; i++) {
        u->training->live.values[i] = u->value;
        for (int b = 0; b < BUFFERS; b++)
            u->training->live.buffers[b][i] = u->value + (float)(1 + b);
    }
}

static void run_update(void *argument)
{
    update *u = argument;
    pthread_mutex_lock(&gate.lock);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    apply(u);
    free(u);
}

static void ask_for_update(training *t, float value)
{
    update *u = malloc(sizeof *u);
    assert_non_null(u);
    *u = (update){t, value};
    stand_in_ask(lk_device_stream(device), run_update, u);
}

static void take(training *t, int64_t step)
{
    lk_train_state state = {.step = step, .updates = step};
    t->weights.device = device;
    assert_ok(lk_saver_take(t->saver, &state));
}

/* The checkpoint of that step holds what the update with `value` left. */
static void assert_saved(training *t, int64_t step, float value)
{
    char path[LK_PATH_SIZE];
    lk_status failure;
    lk_saver_report report;
    lk_saver_wait(t->saver);
    bool written = lk_saver_written(t->saver, &failure);
    assert_ok(failure);
    assert_true(written);
    assert_ok(lk_saver_commit(t->saver, 0, &report));
    assert_int_equal(report.step, step);
    lk_training_buffers got = {.layout = &t->weights, .buffer_count = BUFFERS};
    float *memory = malloc((1 + BUFFERS) * t->weights.total * sizeof *memory);
    assert_non_null(memory);
    got.values = memory;
    for (int b = 0; b < BUFFERS; b++)
        got.buffers[b] = memory + (size_t)(1 + b) * t->weights.total;
    assert_ok(lk_checkpoint_path("run", step, path));
    assert_ok(lk_checkpoint_load(path, &got));
    for (size_t i = 0; i < t->weights.total; i++) {
        assert_true(got.values[i] == value);
        for (int b = 0; b < BUFFERS; b++)
            assert_true(got.buffers[b][i] == value + (float)(1 + b));
    }
    free(memory);
}

/* ---- the order ---- */

static void copies_wait_for_the_update_before(void **state)
{
    (void)state;
    training t;
    open_training(&t, gpu, 5);
    set_gate(false);
    ask_for_update(&t, 3);
    take(&t, 1);   /* asks, and does not wait: the update is under way until the gate opens */
    usleep(50000); /* copies that do not wait for it take the numbers from before */
    assert_true(lk_saver_busy(t.saver));
    set_gate(true);
    assert_saved(&t, 1, 3);
    close_training(&t);
}

static void the_update_after_waits_for_the_copies(void **state)
{
    (void)state;
    training t;
    setenv("STAND_IN_SLOW_COPY_MS", "200", 1);
    open_training(&t, gpu, 5);
    set_gate(true);
    for (int64_t step = 1; step <= 2; step++) {
        ask_for_update(&t, (float)(10 * step));
        take(&t, step); /* copies are slow: an update that did not wait for them would be in the checkpoint */
        double start = lk_clock();
        assert_ok(lk_saver_order_update(t.saver)); /* the host does not wait */
        ask_for_update(&t, (float)(10 * step + 5));
        assert_true(lk_clock() - start < BUFFERS * SLOW_COPY_S);
        assert_saved(&t, step, (float)(10 * step));
    }
    close_training(&t);
}

/* Large enough that its copy takes longer than an update that does not wait takes to get there. */
static void on_the_cpu_too(void **state)
{
    (void)state;
    training t;
    open_training(&t, lk_device_host(), 200000);
    for (int64_t step = 1; step <= 2; step++) {
        apply(&(update){&t, (float)(10 * step)});
        take(&t, step);
        assert_ok(lk_saver_order_update(t.saver));
        apply(&(update){&t, (float)(10 * step + 5)});
        assert_saved(&t, step, (float)(10 * step));
    }
    close_training(&t);
}

int main(void)
{
    if (lk_device_open(LK_DEVICE_CUDA, 0, &gpu) != LK_OK) {
        fprintf(stderr, "%s\n", lk_error_text());
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(copies_wait_for_the_update_before),
                                       cmocka_unit_test(the_update_after_waits_for_the_copies), cmocka_unit_test(on_the_cpu_too)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lk_device_close(gpu);
    return failed;
}
