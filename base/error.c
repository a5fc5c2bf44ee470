#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char detail[LK_ERROR_SIZE];

/* Names and values out of hostile files stand in sentences: a sentence stays one line and cannot steer a terminal. */
static void keep(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t i = 0;
    for (; c[i]; i++) {
        bool two = c[i] == 0xc2 && c[i + 1] >= 0x80 && c[i + 1] <= 0x9f; /* U+0080 to U+009F */
        detail[i] = two || c[i] < ' ' || c[i] == 0x7f ? '?' : text[i];
        if (two)
            detail[++i] = '?';
    }
    detail[i] = '\0';
}

lk_status lk_fail(lk_status status, const char *format, ...)
{
    /* Formatted apart first, since an argument may be the text that stands there. */
    char text[LK_ERROR_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    keep(text);
    return status;
}

lk_status lk_fail_in(lk_status status, const char *format, ...)
{
    char text[LK_ERROR_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof text)
        snprintf(text + used, sizeof text - (size_t)used, ": %s", detail);
    keep(text);
    return status;
}

const char *lk_error_text(void)
{
    return detail;
}

int lk_exit_code(lk_status status)
{
    switch (status) {
#define LK_STATUS_CODE(name, code, meaning)                                                                                      \
    case name: return code;
        LK_STATUS_TABLE(LK_STATUS_CODE)
#undef LK_STATUS_CODE
    }
    return 70;
}

void lk_error_take(lk_error *error, lk_status status)
{
    error->status = status;
    memcpy(error->text, detail, sizeof detail);
}

lk_status lk_error_put(const lk_error *error)
{
    memcpy(detail, error->text, sizeof detail);
    return error->status;
}
