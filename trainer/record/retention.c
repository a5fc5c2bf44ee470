#include "trainer/record/retention.h"

#include "base/file.h"
#include "base/log.h"
#include "trainer/record/checkpoint.h"
#include "trainer/record/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static lk_status path_of_best(const char *run, char out[LK_PATH_SIZE])
{
    return lk_path_join(out, run, "checkpoints/best");
}

/* ---- what was set aside ---- */

static const char aside_mark[] = ".aside-";

/* "step-000000300.aside-2": the step; 0 for what has none ("metrics.jsonl.aside-1"), -1 for other names, as who wants to keep it
 * may give it. */
static int64_t step_of_aside(const char *name)
{
    char stem[64];
    int64_t step = 0;
    const char *mark = strstr(name, aside_mark);
    const char *number = mark ? mark + sizeof aside_mark - 1 : "";
    if (mark == name || !*number || number[strspn(number, "0123456789")])
        return -1;
    snprintf(stem, sizeof stem, "%.*s", (int)(mark - name), name);
    return lk_checkpoint_step_of(stem, &step) ? step : 0;
}

lk_status lk_retention_set_aside_after(const char *run, int64_t step)
{
    int64_t *steps = NULL;
    size_t count = 0;
    LK_TRY(lk_checkpoint_list(run, &steps, &count));
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        char path[LK_PATH_SIZE];
        if (steps[i] <= step)
            continue;
        status = lk_checkpoint_path(run, steps[i], path);
        if (status == LK_OK)
            status = lk_set_aside(path);
    }
    free(steps);
    return status;
}

/* Keeps the sentence of the first failure. */
static lk_status first_of(lk_error *first, lk_status status)
{
    if (status != LK_OK && first->status == LK_OK)
        lk_error_take(first, status);
    return status;
}

/* Of steps up to `step`, in a folder. */
static lk_status remove_aside(const char *folder, int64_t step)
{
    lk_names names;
    lk_error first = {.status = LK_OK};
    LK_TRY(lk_list_folder(folder, "", &names));
    for (size_t i = 0; i < names.count; i++) {
        char path[LK_PATH_SIZE];
        int64_t of = step_of_aside(names.names[i]);
        if (of >= 0 && of <= step && first_of(&first, lk_path_join(path, folder, names.names[i])) == LK_OK)
            first_of(&first, lk_remove_tree(path));
    }
    lk_names_free(&names);
    return first.status == LK_OK ? LK_OK : lk_error_put(&first);
}

/* ---- before a beginning ---- */

static void take_step(void *newest, size_t key, int64_t step, double bytes)
{
    (void)key, (void)bytes;
    if (step > *(int64_t *)newest)
        *(int64_t *)newest = step;
}

/* The newest checkpoint that metrics.jsonl tells of; -1 for none. */
static lk_status last_recorded(const char *run, int64_t *step)
{
    char path[LK_PATH_SIZE];
    lk_path_kind kind;
    int64_t damaged;
    static const lk_metrics_key key = {"checkpoint", "bytes"};
    *step = -1;
    LK_TRY(lk_path_join(path, run, "metrics.jsonl"));
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    return lk_metrics_scan(path, &key, 1, take_step, step, &damaged);
}

static lk_status count_checkpoints(const char *run, size_t *count)
{
    char folder[LK_PATH_SIZE];
    lk_names names;
    lk_path_kind kind;
    int64_t *steps = NULL;
    LK_TRY(lk_checkpoint_list(run, &steps, count));
    free(steps);
    LK_TRY(lk_path_join(folder, run, "checkpoints"));
    LK_TRY(lk_path_look(folder, &kind));
    if (kind != LK_FOLDER)
        return LK_OK;
    LK_TRY(lk_list_folder(folder, "", &names));
    for (size_t i = 0; i < names.count; i++)
        *count += step_of_aside(names.names[i]) > 0;
    lk_names_free(&names);
    return LK_OK;
}

lk_status lk_retention_require_unbegun(const char *run)
{
    size_t count = 0;
    int64_t step;
    LK_TRY(count_checkpoints(run, &count));
    if (count > 0)
        return lk_fail(LK_BAD_DATA,
                       "%s: was begun, and none of its %zu checkpoints can be used; put a whole one back or name one with "
                       "--resume, or move the folder away to begin anew",
                       run, count);
    LK_TRY(last_recorded(run, &step));
    if (step >= 0)
        return lk_fail(LK_BAD_DATA,
                       "%s: was begun and had a checkpoint of step %" PRId64 ", but checkpoints/ holds none; bring it back, or "
                       "move the folder away to begin anew",
                       run, step);
    return LK_OK;
}

/* ---- the best ---- */

/* The step that checkpoints/best names, -1 for none. It is not state.best_step where saving that one failed. */
static lk_status step_of_best(const char *run, int64_t *step)
{
    char path[LK_PATH_SIZE], target[64] = "";
    char *text = NULL;
    size_t size;
    *step = -1;
    LK_TRY(path_of_best(run, path));
    int tries = 0;
    ssize_t length;
    do
        length = readlink(path, target, sizeof target - 1);
    while (length < 0 && errno != EINVAL && lk_try_again(&tries, errno));
    if (length < 0 && lk_means_absent(errno))
        return LK_OK;
    if (length < 0 && errno != EINVAL)
        return lk_fail_io("read the link", path, errno, 0);
    if (length < 0) { /* no link, so a file that names it */
        LK_TRY(lk_read_file(path, sizeof target - 1, &text, &size));
        snprintf(target, sizeof target, "%s", text);
        free(text);
    }
    target[strcspn(target, "/\n")] = '\0';
    lk_checkpoint_step_of(target, step);
    return LK_OK;
}

lk_status lk_retention_point_to_best(const char *run, int64_t step, bool *told)
{
    char target[64], link[LK_PATH_SIZE], fresh[LK_PATH_SIZE], path[LK_PATH_SIZE];
    lk_path_kind kind;
    if (step <= 0)
        return LK_OK;
    LK_TRY(lk_checkpoint_path(run, step, path));
    LK_TRY(lk_path_look(path, &kind));
    if (kind != LK_FOLDER) /* it could not be saved */
        return LK_OK;
    snprintf(target, sizeof target, "%s\n", strrchr(path, '/') + 1);
    LK_TRY(path_of_best(run, link));
    LK_TRY(lk_temporary_name(link, fresh));
    size_t length = strlen(target);
    target[length - 1] = '\0';
    if (symlink(target, fresh) == 0) {
        if (rename(fresh, link) == 0)
            return LK_OK;
        lk_status status = lk_fail_io("point to the best checkpoint", link, errno, 0);
        unlink(fresh);
        return status;
    }
    if (!*told)
        lk_warn("%s: cannot be a link here (%s); it is a file that names the best checkpoint", link, strerror(errno));
    *told = true;
    target[length - 1] = '\n';
    return lk_write_file(link, target, length);
}

/* A folder `best` is what a copy made of the link. */
static lk_status adopt_best(const char *run, int64_t step)
{
    char path[LK_PATH_SIZE], place[LK_PATH_SIZE];
    lk_checkpoint_info info;
    lk_path_kind kind;
    LK_TRY(path_of_best(run, path));
    lk_status status = lk_checkpoint_verify(path, &info);
    if (status == LK_IO)
        return status;
    if (status == LK_OK) {
        int64_t own = info.state.step;
        lk_checkpoint_info_free(&info);
        LK_TRY(lk_checkpoint_path(run, own, place));
        LK_TRY(lk_path_look(place, &kind));
        if (kind == LK_ABSENT && own <= step)
            return rename(path, place) == 0 ? LK_OK : lk_fail_io("move", path, errno, 0);
    }
    return lk_set_aside(path);
}

/* ---- at a start ---- */

static lk_status tidy_best(const char *run, int64_t step)
{
    char path[LK_PATH_SIZE], target[2];
    lk_path_kind kind;
    LK_TRY(path_of_best(run, path));
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return lk_remove_file(path);
    return kind == LK_FOLDER && readlink(path, target, sizeof target) < 0 && errno == EINVAL ? adopt_best(run, step) : LK_OK;
}

lk_status lk_retention_tidy(const char *run, int64_t step)
{
    static const char *const ours[] = {"step-", "best"};
    char folder[LK_PATH_SIZE];
    LK_TRY(lk_path_join(folder, run, "checkpoints"));
    LK_TRY(lk_make_folder(folder));
    LK_TRY(lk_sweep_temporaries(folder, ours, sizeof ours / sizeof *ours, true));
    if (tidy_best(run, step) != LK_OK)
        lk_warn("%s", lk_error_text());
    return LK_OK;
}

/* ---- after a commit ---- */

lk_status lk_retention_prune(const lk_config *config, int64_t step, int64_t best_step)
{
    const char *run = config->run.dir;
    char folder[LK_PATH_SIZE];
    int64_t *steps = NULL;
    int64_t best;
    size_t count = 0;
    lk_error first = {.status = LK_OK};
    LK_TRY(step_of_best(run, &best));
    LK_TRY(lk_checkpoint_list(run, &steps, &count));
    for (size_t i = 0; i < count; i++) {
        bool newest = i + (size_t)config->checkpoint.keep >= count;
        bool milestone = config->checkpoint.keep_every > 0 && steps[i] % config->checkpoint.keep_every == 0;
        if (!newest && !milestone && steps[i] != best && steps[i] != best_step)
            first_of(&first, lk_checkpoint_remove(run, steps[i]));
    }
    free(steps);
    if (first_of(&first, lk_path_join(folder, run, "checkpoints")) == LK_OK)
        first_of(&first, remove_aside(folder, step));
    first_of(&first, remove_aside(run, step));
    return first.status == LK_OK ? LK_OK : lk_error_put(&first);
}
