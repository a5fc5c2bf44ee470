/* What the server says to one request: a code of HTTP and a body. Errors are {"error": "what is wrong and what to do"}. */
#ifndef LK_LAUNCH_SERVE_ANSWER_H
#define LK_LAUNCH_SERVE_ANSWER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lk_answer {
    int code;         /* 0: none yet */
    const char *type; /* static */
    uint8_t *data;    /* the answer's own (malloc); NULL: `fixed` */
    const void *fixed;
    size_t size;
} lk_answer;

/* Each of these replaces what was there. */
void lk_answer_free(lk_answer *answer);
/* Takes `data`. */
void lk_answer_data(lk_answer *answer, const char *type, void *data, size_t size);
/* Takes `root`; NULL or a tree that cannot be written becomes a 500. */
struct json_t;
void lk_answer_json(lk_answer *answer, struct json_t *root);
void lk_answer_error(lk_answer *answer, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* 422, and beside "error" a "reason" that programs can tell from others: the rule of alignment that refuses the photo. */
void lk_answer_refusal(lk_answer *answer, const char *reason, const char *sentence);
/* A failure of this thread (lk_error_text): bad data is told to the client with `code`; anything else goes into the log and
 * becomes a 500 that says so. */
void lk_answer_failure(lk_answer *answer, int code, lk_status status);

#endif
