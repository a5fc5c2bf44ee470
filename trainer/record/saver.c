#include "trainer/record/saver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "trainer/record/retention.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum phase { IDLE, COPYING, WRITING, WRITTEN, FAILED } phase;

struct lk_saver {
    const lk_config *config;
    lk_training_buffers live, copy;
    void *side;              /* the stream of copying */
    lk_mark *ready, *copied; /* on the device: the numbers to be copied, and their copies */
    const lk_checkpoint_texts *texts;
    lk_train_state state; /* of the copy */
    lk_saver_report report;
    int64_t last;
    char temporary[LK_PATH_SIZE]; /* where the copy is written */
    bool told;                    /* that checkpoints/best cannot be a link */
    pthread_t thread;
    bool running;
    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    phase phase;
    bool quit;
    lk_error error;
};

/* The lines of metrics up to the checkpoint's step must survive a loss of power if the checkpoint does. */
static lk_status sync_metrics(const lk_saver *s)
{
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, s->config->run.dir, "metrics.jsonl"));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? LK_OK : lk_fail_io("open", path, errno, 0);
    int failed = fsync(fd);
    int reason = errno;
    close(fd);
    return failed ? lk_fail_io("sync", path, reason, 0) : LK_OK;
}

static lk_status copy_live(lk_saver *s)
{
    lk_device *device = s->live.layout->device;
    size_t bytes = s->live.layout->total * sizeof(float);
    LK_TRY(lk_device_send_to_host(device, s->side, s->copy.values, s->live.values, bytes));
    for (int b = 0; b < s->live.buffer_count; b++)
        LK_TRY(lk_device_send_to_host(device, s->side, s->copy.buffers[b], s->live.buffers[b], bytes));
    return lk_mark_record(s->copied, s->side);
}

static lk_status write_copy(lk_saver *s)
{
    char path[LK_PATH_SIZE];
    double start = lk_clock();
    LK_TRY(lk_mark_wait(s->copied));
    LK_TRY(sync_metrics(s));
    LK_TRY(lk_checkpoint_path(s->config->run.dir, s->state.step, path));
    LK_TRY(lk_temporary_name(path, s->temporary));
    LK_TRY(lk_checkpoint_write(s->temporary, &s->copy, &s->state, s->texts, &s->report.bytes));
    s->report.step = s->state.step;
    s->report.write_s = lk_clock() - start;
    return LK_OK;
}

static void set_phase(lk_saver *s, phase next)
{
    pthread_mutex_lock(&s->lock);
    s->phase = next;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void *work(void *argument)
{
    lk_saver *s = argument;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->quit && s->phase != COPYING)
            pthread_cond_wait(&s->changed, &s->lock);
        if (s->phase != COPYING)
            break;
        pthread_mutex_unlock(&s->lock);
        lk_status status = copy_live(s);
        set_phase(s, WRITING);
        if (status == LK_OK)
            status = write_copy(s);
        pthread_mutex_lock(&s->lock);
        lk_error_take(&s->error, status);
        s->phase = status == LK_OK ? WRITTEN : FAILED;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static lk_status allocate_copies(lk_saver *s)
{
    size_t bytes = s->live.layout->total * sizeof(float);
    lk_device *device = s->live.layout->device;
    bool good = (s->copy.values = lk_device_alloc_host(device, bytes)) != NULL;
    for (int b = 0; b < s->copy.buffer_count; b++)
        good = (s->copy.buffers[b] = lk_device_alloc_host(device, bytes)) != NULL && good;
    return good ? LK_OK : lk_fail_in(LK_INTERNAL, "the snapshot of checkpoints");
}

static lk_status open_side(lk_saver *s)
{
    lk_device *device = s->live.layout->device;
    LK_TRY(lk_device_stream_open(device, &s->side));
    LK_TRY(lk_mark_create(device, &s->ready));
    return lk_mark_create(device, &s->copied);
}

static lk_status start_thread(lk_saver *s)
{
    LK_TRY(lk_thread_start(&s->thread, "checkpoint", work, s));
    s->running = true;
    return LK_OK;
}

lk_status lk_saver_start(const lk_config *config, const lk_training_buffers *live, const lk_checkpoint_texts *texts, int64_t last,
                         lk_saver **out)
{
    *out = NULL;
    LK_TRY(lk_retention_tidy(config->run.dir, last));
    lk_saver *s = calloc(1, sizeof *s);
    if (!s)
        return lk_fail(LK_INTERNAL, "out of memory");
    s->config = config;
    s->live = s->copy = *live;
    s->texts = texts;
    s->last = last;
    s->copy.values = NULL;
    for (int b = 0; b < live->buffer_count; b++)
        s->copy.buffers[b] = NULL;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    lk_status status = open_side(s);
    if (status == LK_OK)
        status = allocate_copies(s);
    if (status == LK_OK)
        status = start_thread(s);
    if (status == LK_OK)
        *out = s;
    else
        lk_saver_stop(s);
    return status;
}

void lk_saver_stop(lk_saver *s)
{
    if (!s)
        return;
    if (s->running) {
        pthread_mutex_lock(&s->lock);
        s->quit = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    if (s->phase == WRITTEN)
        lk_remove_tree(s->temporary);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    lk_device_free_host(s->live.layout->device, s->copy.values);
    for (int b = 0; b < s->copy.buffer_count; b++)
        lk_device_free_host(s->live.layout->device, s->copy.buffers[b]);
    lk_mark_free(s->ready);
    lk_mark_free(s->copied);
    lk_device_stream_close(s->live.layout->device, s->side);
    free(s);
}

static phase phase_of(lk_saver *s)
{
    pthread_mutex_lock(&s->lock);
    phase now = s->phase;
    pthread_mutex_unlock(&s->lock);
    return now;
}

bool lk_saver_busy(lk_saver *s)
{
    return phase_of(s) != IDLE;
}

lk_status lk_saver_take(lk_saver *s, const lk_train_state *state)
{
    LK_TRY(lk_mark_record(s->ready, lk_device_stream(s->live.layout->device)));
    LK_TRY(lk_mark_follow(s->ready, s->side));
    s->state = *state;
    s->report.stall_s = 0;
    set_phase(s, COPYING);
    return LK_OK;
}

/* Until the thread is past that phase. */
static void wait_for(lk_saver *s, phase past)
{
    pthread_mutex_lock(&s->lock);
    while (s->phase == COPYING || s->phase == past)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

lk_status lk_saver_order_update(lk_saver *s)
{
    double start = lk_clock();
    wait_for(s, COPYING);
    s->report.stall_s += lk_clock() - start;
    return lk_mark_follow(s->copied, lk_device_stream(s->live.layout->device));
}

void lk_saver_wait(lk_saver *s)
{
    wait_for(s, WRITING);
}

bool lk_saver_written(lk_saver *s, lk_status *failure)
{
    *failure = LK_OK;
    switch (phase_of(s)) {
    case WRITTEN: return true;
    case FAILED:
        *failure = lk_error_put(&s->error);
        set_phase(s, IDLE);
        return false;
    default: return false;
    }
}

/* ---- commit ---- */

lk_status lk_saver_point_to_best(lk_saver *s, int64_t best_step)
{
    return lk_retention_point_to_best(s->config->run.dir, best_step, &s->told);
}

static lk_status move_into_place(const lk_saver *s)
{
    char final[LK_PATH_SIZE], folder[LK_PATH_SIZE];
    LK_TRY(lk_checkpoint_path(s->config->run.dir, s->state.step, final));
    LK_TRY(lk_path_join(folder, s->config->run.dir, "checkpoints"));
    int failed = rename(s->temporary, final);
    if (failed && (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)) { /* something of that name is not ours */
        LK_TRY(lk_set_aside(final));
        failed = rename(s->temporary, final);
    }
    return failed ? lk_fail_io("commit the checkpoint", final, errno, 0) : lk_sync_folder(folder);
}

lk_status lk_saver_commit(lk_saver *s, int64_t best_step, lk_saver_report *report)
{
    double start = lk_clock();
    *report = s->report;
    lk_status status = move_into_place(s);
    if (status != LK_OK) {
        lk_error error;
        lk_error_take(&error, status);
        lk_remove_tree(s->temporary);
        set_phase(s, IDLE);
        return lk_error_put(&error);
    }
    s->last = s->state.step;
    /* The checkpoint is there, whatever becomes of these. */
    if (lk_saver_point_to_best(s, best_step) != LK_OK)
        lk_warn("%s", lk_error_text());
    if (lk_retention_prune(s->config, s->state.step, best_step) != LK_OK)
        lk_warn("%s", lk_error_text());
    set_phase(s, IDLE);
    report->stall_s += lk_clock() - start;
    return LK_OK;
}

int64_t lk_saver_last(const lk_saver *s)
{
    return s->last;
}
