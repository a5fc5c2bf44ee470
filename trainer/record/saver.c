#include "trainer/record/saver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum phase { PREPARING, IDLE, WRITING, WRITTEN, FAILED } phase;

struct lk_saver {
    const lk_config *config;
    lk_training_buffers live, copy;
    const lk_checkpoint_texts *texts;
    lk_train_state state; /* of the copy */
    lk_saver_report report;
    int64_t last;
    pthread_t thread;
    bool running;
    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    phase phase;
    bool quit;
    lk_error error;
};

/* With host and process in its name: an old job that does not know yet that it lost the run must not write into ours. */
static lk_status temporary_path(const lk_saver *s, char out[LK_PATH_SIZE])
{
    char path[LK_PATH_SIZE], host[64] = "";
    LK_TRY(lk_checkpoint_path(s->config->run.dir, s->state.step, path));
    gethostname(host, sizeof host - 1);
    if (snprintf(out, LK_PATH_SIZE, "%s.%s-%ld.tmp", path, host, (long)getpid()) >= LK_PATH_SIZE)
        return lk_fail(LK_USAGE, "%s: the path is too long", path);
    return LK_OK;
}

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

static lk_status write_copy(lk_saver *s)
{
    char path[LK_PATH_SIZE];
    double start = lk_clock();
    LK_TRY(sync_metrics(s));
    LK_TRY(temporary_path(s, path));
    LK_TRY(lk_checkpoint_write(path, &s->copy, &s->state, s->texts, &s->report.bytes));
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

/* The kernel hands out memory page by page at the first touch: here, not in the first snapshot, which training waits for. */
static void touch_copies(lk_saver *s)
{
    size_t bytes = s->live.layout->total * sizeof(float);
    memset(s->copy.values, 0, bytes);
    for (int b = 0; b < s->copy.buffer_count; b++)
        memset(s->copy.buffers[b], 0, bytes);
    set_phase(s, IDLE);
}

static void *work(void *argument)
{
    lk_saver *s = argument;
    touch_copies(s);
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->quit && s->phase != WRITING)
            pthread_cond_wait(&s->changed, &s->lock);
        if (s->phase != WRITING)
            break;
        pthread_mutex_unlock(&s->lock);
        lk_status status = write_copy(s);
        pthread_mutex_lock(&s->lock);
        lk_error_take(&s->error, status);
        s->phase = status == LK_OK ? WRITTEN : FAILED;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Folders of writes that were killed, and a link to a best checkpoint that is gone (a run taken up from an earlier one). */
static lk_status remove_leftovers(const char *run)
{
    char folder[LK_PATH_SIZE], path[LK_PATH_SIZE];
    lk_names names;
    LK_TRY(lk_path_join(path, run, "checkpoints/best"));
    if (!lk_path_exists(path))
        unlink(path);
    LK_TRY(lk_path_join(folder, run, "checkpoints"));
    LK_TRY(lk_make_folder(folder));
    LK_TRY(lk_list_folder(folder, ".tmp", &names));
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < names.count; i++) {
        status = lk_path_join(path, folder, names.names[i]);
        if (status == LK_OK)
            status = lk_remove_tree(path);
    }
    lk_names_free(&names);
    return status;
}

static lk_status allocate_copies(lk_saver *s)
{
    size_t bytes = s->live.layout->total * sizeof(float);
    bool good = (s->copy.values = malloc(bytes)) != NULL;
    for (int b = 0; b < s->copy.buffer_count; b++)
        good = (s->copy.buffers[b] = malloc(bytes)) != NULL && good;
    return good ? LK_OK
                : lk_fail(LK_INTERNAL, "out of memory for the snapshot of checkpoints (%zu bytes)",
                          bytes * (size_t)(1 + s->copy.buffer_count));
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
    LK_TRY(remove_leftovers(config->run.dir));
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
    lk_status status = allocate_copies(s);
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
    char path[LK_PATH_SIZE];
    if (s->phase == WRITTEN && temporary_path(s, path) == LK_OK)
        lk_remove_tree(path);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->copy.values);
    for (int b = 0; b < s->copy.buffer_count; b++)
        free(s->copy.buffers[b]);
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

void lk_saver_take(lk_saver *s, const lk_train_state *state)
{
    double start = lk_clock();
    size_t bytes = s->live.layout->total * sizeof(float);
    memcpy(s->copy.values, s->live.values, bytes);
    for (int b = 0; b < s->live.buffer_count; b++)
        memcpy(s->copy.buffers[b], s->live.buffers[b], bytes);
    s->state = *state;
    s->report.stall_s = lk_clock() - start;
    set_phase(s, WRITING);
}

void lk_saver_wait(lk_saver *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->phase == PREPARING || s->phase == WRITING)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
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

/* checkpoints/best -> step-N, replaced in one step. */
lk_status lk_saver_point_to_best(const lk_saver *s, int64_t best_step)
{
    char target[64], link[LK_PATH_SIZE], fresh[LK_PATH_SIZE], path[LK_PATH_SIZE];
    LK_TRY(lk_checkpoint_path(s->config->run.dir, best_step, path));
    if (best_step == 0 || !lk_path_exists(path))
        return LK_OK;
    snprintf(target, sizeof target, "step-%09lld", (long long)best_step);
    LK_TRY(lk_path_join(link, s->config->run.dir, "checkpoints/best"));
    LK_TRY(lk_path_join(fresh, s->config->run.dir, "checkpoints/best.tmp"));
    unlink(fresh);
    if (symlink(target, fresh) != 0 || rename(fresh, link) != 0)
        return lk_fail_io("point to the best checkpoint", link, errno, 0);
    return LK_OK;
}

/* The step that checkpoints/best points to, -1 for none. It is not the training's best where saving that one failed. */
static int64_t step_of_best(const lk_saver *s)
{
    char link[LK_PATH_SIZE], target[64] = "";
    long long step = -1;
    if (lk_path_join(link, s->config->run.dir, "checkpoints/best") != LK_OK || readlink(link, target, sizeof target - 1) < 0)
        return -1;
    return sscanf(target, "step-%lld", &step) == 1 ? step : -1;
}

static lk_status prune(const lk_saver *s)
{
    int64_t *steps = NULL;
    int64_t best = step_of_best(s);
    size_t count = 0;
    LK_TRY(lk_checkpoint_list(s->config->run.dir, &steps, &count));
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        bool newest = i + (size_t)s->config->checkpoint.keep >= count;
        bool milestone = s->config->checkpoint.keep_every > 0 && steps[i] % s->config->checkpoint.keep_every == 0;
        if (!newest && !milestone && steps[i] != best)
            status = lk_checkpoint_remove(s->config->run.dir, steps[i]);
    }
    free(steps);
    return status;
}

static lk_status move_into_place(const lk_saver *s, const char *temporary)
{
    char final[LK_PATH_SIZE], folder[LK_PATH_SIZE];
    LK_TRY(lk_checkpoint_path(s->config->run.dir, s->state.step, final));
    LK_TRY(lk_path_join(folder, s->config->run.dir, "checkpoints"));
    LK_TRY(lk_remove_tree(final)); /* one that resume found damaged */
    if (rename(temporary, final) != 0)
        return lk_fail_io("commit the checkpoint", final, errno, 0);
    return lk_sync_folder(folder);
}

lk_status lk_saver_commit(lk_saver *s, int64_t best_step, lk_saver_report *report)
{
    char temporary[LK_PATH_SIZE];
    double start = lk_clock();
    *report = s->report;
    lk_status status = temporary_path(s, temporary);
    if (status == LK_OK)
        status = move_into_place(s, temporary);
    if (status != LK_OK) {
        lk_error error;
        lk_error_take(&error, status);
        lk_remove_tree(temporary);
        set_phase(s, IDLE);
        return lk_error_put(&error);
    }
    s->last = s->state.step;
    /* The checkpoint is there, whatever becomes of these. */
    if (lk_saver_point_to_best(s, best_step) != LK_OK || prune(s) != LK_OK)
        lk_warn("%s", lk_error_text());
    set_phase(s, IDLE);
    report->stall_s += lk_clock() - start;
    return LK_OK;
}

int64_t lk_saver_last(const lk_saver *s)
{
    return s->last;
}
