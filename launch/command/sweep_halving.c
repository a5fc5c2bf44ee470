/* likeness sweep halving (sweep.h): asynchronous successive halving (ASHA, Li et al. 2020, arXiv:1810.05934), in its
 * form that stops.
 *
 * Rungs are at epochs first, first/keep, first/keep^2 ... When a point has been validated at a rung it is compared with all
 * points that have been so far, and stops unless it is among the best `keep` of them. Nobody waits for anybody.
 *
 * Lambda changes F, so F cannot rank across points: the score is the mean of the place by F1 and the place by F2.
 */
#include "base/file.h"
#include "launch/command/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { METRICS_LIMIT = 1 << 30, LOG_LIMIT = 64 << 20, LINE_SIZE = 512 };

/* A point's first validation at or after the rung. */
typedef struct standing {
    double f1, f2;
} standing;

/* ---- reading ---- */

/* What went astray is written as "nan" or "inf", and is worse than any number. */
static double loss_of(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    return json_is_number(value) ? json_number_value(value) : INFINITY;
}

static bool read_validation(char *line, double rung, standing *out)
{
    json_t *root = json_loads(line, 0, NULL);
    const char *kind = json_string_value(json_object_get(root, "kind"));
    bool found = kind && strcmp(kind, "val") == 0 && json_number_value(json_object_get(root, "epoch")) >= rung;
    if (found)
        *out = (standing){loss_of(root, "F1"), loss_of(root, "F2")};
    json_decref(root);
    return found;
}

/* *reached is false for a point that is not so far yet. */
static lk_status read_standing(const char *point, double rung, bool *reached, standing *out)
{
    char path[LK_PATH_SIZE], *text = NULL, *rest = NULL;
    size_t size = 0;
    *reached = false;
    LK_TRY(lk_path_join(path, point, "metrics.jsonl"));
    lk_path_kind kind;
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    LK_TRY(lk_read_file(path, METRICS_LIMIT, &text, &size));
    for (char *line = strtok_r(text, "\n", &rest); line && !*reached; line = strtok_r(NULL, "\n", &rest))
        if (strstr(line, "\"val\""))
            *reached = read_validation(line, rung, out);
    free(text);
    return LK_OK;
}

/* ---- judging ---- */

typedef struct verdict {
    int points; /* that have reached the rung, this one included */
    int kept;   /* of them */
    int better; /* with a better score */
} verdict;

/* Twice the mean place by F1 and F2; equal values share a place. */
static int score(const standing *all, int count, standing mine)
{
    int places = 2;
    for (int i = 0; i < count; i++)
        places += (all[i].f1 < mine.f1) + (all[i].f2 < mine.f2);
    return places;
}

static verdict compare(const standing *all, int count, standing mine, double keep)
{
    verdict v = {.points = count, .kept = (int)ceil(count * keep - 1e-9)};
    int own = score(all, count, mine);
    for (int i = 0; i < count; i++)
        v.better += score(all, count, all[i]) < own;
    return v;
}

/* The standings at a rung of all points of the sweep; caller frees. */
static lk_status read_standings(const char *sweep, double rung, standing **out, int *count)
{
    char path[LK_PATH_SIZE], *text = NULL, *rest = NULL;
    size_t size = 0;
    *count = 0;
    LK_TRY(lk_path_join(path, sweep, "job/points"));
    LK_TRY(lk_read_file(path, LOG_LIMIT, &text, &size));
    *out = calloc(size + 1, sizeof **out); /* no more points than bytes */
    lk_status status = *out ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory", path);
    for (char *point = strtok_r(text, "\n", &rest); status == LK_OK && point; point = strtok_r(NULL, "\n", &rest)) {
        bool reached;
        status = read_standing(point, rung, &reached, &(*out)[*count]);
        *count += reached;
    }
    free(text);
    return status;
}

/* ---- deciding once ---- */

static lk_status open_log(const char *sweep, char path[LK_PATH_SIZE], int *fd)
{
    LK_TRY(lk_path_join(path, sweep, "job/halving.log"));
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    return *fd >= 0 ? LK_OK : lk_fail_io("open", path, errno, 0);
}

static lk_status is_decided(const char *sweep, const char *point, double rung, bool *decided)
{
    char path[LK_PATH_SIZE], wanted[LK_PATH_SIZE + 64], *text = NULL;
    size_t size = 0;
    LK_TRY(lk_path_join(path, sweep, "job/halving.log"));
    *decided = false;
    lk_path_kind kind;
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    LK_TRY(lk_read_file(path, LOG_LIMIT, &text, &size));
    snprintf(wanted, sizeof wanted, "%s at epoch %g: ", point, rung);
    *decided = strstr(text, wanted) != NULL;
    free(text);
    return LK_OK;
}

static lk_status decide(const char *sweep, const char *point, double rung, double keep, bool *stop)
{
    char log[LK_PATH_SIZE], path[LK_PATH_SIZE], line[LK_PATH_SIZE + LINE_SIZE];
    standing mine, *all = NULL;
    bool reached;
    int count = 0, fd = -1;
    LK_TRY(read_standing(point, rung, &reached, &mine));
    lk_status status = read_standings(sweep, rung, &all, &count);
    LK_TRY_OR(done, status);
    verdict v = compare(all, count, mine, keep);
    *stop = v.better >= v.kept;
    int size = snprintf(line, sizeof line, "%s at epoch %g: %s; F1 %.6g, F2 %.6g, %d of %d points are better, %d go on\n", point,
                        rung, *stop ? "stop" : "go on", mine.f1, mine.f2, v.better, v.points, v.kept);
    LK_TRY_OR(done, open_log(sweep, log, &fd));
    LK_TRY_OR(done, lk_append(fd, log, line, (size_t)size));
    fputs(line, stdout);
    if (*stop) {
        LK_TRY_OR(done, lk_path_join(path, point, "STOPPED"));
        LK_TRY_OR(done, lk_write_file(path, line, (size_t)size));
    }
done:
    if (fd >= 0)
        close(fd);
    free(all);
    return status;
}

static lk_status visit_rungs(const char *sweep, const char *point, double first, double keep)
{
    bool stop = false, reached = true, decided;
    for (double rung = first; !stop; rung = fmax(rung + 1, round(rung / keep))) {
        standing ignored;
        LK_TRY(read_standing(point, rung, &reached, &ignored));
        if (!reached)
            break;
        LK_TRY(is_decided(sweep, point, rung, &decided));
        if (!decided)
            LK_TRY(decide(sweep, point, rung, keep, &stop));
    }
    return LK_OK;
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)values, (void)count;
    double first, keep;
    LK_TRY(lk_parse_real("sweep halving", "FIRST_EPOCH", arguments[2], 1, 1e6, &first));
    LK_TRY(lk_parse_real("sweep halving", "KEEP", arguments[3], 0.05, 0.95, &keep));
    return visit_rungs(arguments[0], arguments[1], first, keep);
}

const lk_command lk_sweep_halving = {
    .name = "sweep halving",
    .summary = "stops a point that falls behind the others",
    .usage = "SWEEP-FOLDER POINT-FOLDER FIRST_EPOCH KEEP",
    .about = "Says whether a point is worth going on with, for launch/sweep. Every decision is a line of job/halving.log\n"
             "in the sweep's folder; a point that is to stop gets a file STOPPED with the reason.",
    .takes = "a sweep's folder, a point's folder, a first epoch and a share to keep",
    .least = 4,
    .most = 4,
    .run = run};
