/* Errors: a status code that is returned, and a sentence that says what, where and what to do.
 *
 *     if (size == 0)
 *         return lk_fail(LK_BAD_DATA, "%s: the shard is empty; render or pack it again", path);
 *
 * A function that can fail returns lk_status. Callers pass a status on unchanged, or add where they were with
 * lk_fail_in(). The sentence is kept per thread; only main() prints it and only main() exits. A worker thread hands its
 * sentence over with lk_error_take() and lk_error_put().
 */
#ifndef LK_BASE_ERROR_H
#define LK_BASE_ERROR_H

#include <stddef.h>

/* name, exit code of the process, what it means */
#define LK_STATUS_TABLE(X)                                                                                                       \
    X(LK_OK, 0, "done")                                                                                                          \
    X(LK_USAGE, 64, "the command line is wrong")                                                                                 \
    X(LK_BAD_DATA, 65, "an input file is damaged, missing or does not fit")                                                      \
    X(LK_INTERNAL, 70, "an internal or system failure: memory, a library call")                                                  \
    X(LK_IO, 70, "the system could not write or read: full disk, permissions")                                                   \
    X(LK_REQUEUE, 75, "stopped on request with everything saved: run again to go on")                                            \
    X(LK_DEVICE_LOST, 75, "the GPU failed: run again on another, from the last checkpoint")                                      \
    X(LK_BAD_CONFIG, 78, "the configuration is wrong")

typedef enum lk_status {
#define LK_STATUS_ENUM(name, code, meaning) name,
    LK_STATUS_TABLE(LK_STATUS_ENUM)
#undef LK_STATUS_ENUM
} lk_status;

/* Records the sentence for this thread and returns `status`. */
lk_status lk_fail(lk_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "<prefix>: " before the sentence of this thread, for callers that know more; returns `status`. */
lk_status lk_fail_in(lk_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The sentence of the last failure on this thread, "" if there was none; one line, control characters are "?". Valid until the
 * next failure on this thread. */
const char *lk_error_text(void);

int lk_exit_code(lk_status status);

/* Carries a failure from a worker to the thread that waits for it. */
enum { LK_ERROR_SIZE = 1024 };
typedef struct lk_error {
    lk_status status;
    char text[LK_ERROR_SIZE];
} lk_error;

void lk_error_take(lk_error *error, lk_status status);
lk_status lk_error_put(const lk_error *error);

/* Evaluates a call; returns its status from the enclosing function if it failed. For functions with nothing to clean up. */
#define LK_TRY(call)                                                                                                             \
    do {                                                                                                                         \
        lk_status lk_try_status_ = (call);                                                                                       \
        if (lk_try_status_ != LK_OK)                                                                                             \
            return lk_try_status_;                                                                                               \
    } while (0)

/* The same for functions with a cleanup ladder: sets `status` and jumps. */
#define LK_TRY_OR(label, call)                                                                                                   \
    do {                                                                                                                         \
        status = (call);                                                                                                         \
        if (status != LK_OK)                                                                                                     \
            goto label;                                                                                                          \
    } while (0)

#endif
