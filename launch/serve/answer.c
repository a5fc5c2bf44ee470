#include "launch/serve/answer.h"

#include "base/log.h"
#include "dataset/pack/names.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char out_of_memory[] = "{\"error\": \"the server is out of memory; try again later\"}\n";

void lk_answer_free(lk_answer *answer)
{
    free(answer->data);
    *answer = (lk_answer){0};
}

void lk_answer_data(lk_answer *answer, const char *type, void *data, size_t size)
{
    lk_answer_free(answer);
    *answer = (lk_answer){.code = 200, .type = type, .data = data, .size = size};
}

static void put_json(lk_answer *answer, int code, json_t *root)
{
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    size_t size = text ? strlen(text) : 0;
    if (text)
        text[size++] = '\n'; /* in the place of the zero: for terminals */
    json_decref(root);
    lk_answer_free(answer);
    *answer = text ? (lk_answer){.code = code, .data = (uint8_t *)text, .size = size}
                   : (lk_answer){.code = 500, .fixed = out_of_memory, .size = sizeof out_of_memory - 1};
    answer->type = "application/json";
}

void lk_answer_json(lk_answer *answer, json_t *root)
{
    put_json(answer, 200, root);
}

void lk_answer_error(lk_answer *answer, int code, const char *format, ...)
{
    char text[LK_ERROR_SIZE], shown[4 * LK_ERROR_SIZE]; /* bytes that a client sent may be no UTF-8, which JSON must be */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    lk_name_show(text, shown, sizeof shown);
    put_json(answer, code, json_pack("{s:s}", "error", shown));
}

void lk_answer_refusal(lk_answer *answer, const char *reason, const char *sentence)
{
    put_json(answer, 422, json_pack("{s:s, s:s}", "error", sentence, "reason", reason));
}

void lk_answer_failure(lk_answer *answer, int code, lk_status status)
{
    if (status == LK_BAD_DATA) {
        lk_answer_error(answer, code, "%s", lk_error_text());
        return;
    }
    lk_warn("a request failed: %s", lk_error_text());
    lk_answer_error(answer, 500, "the server failed at this request; its log says why");
}
