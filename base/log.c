#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int this_rank = 0;
static atomic_int ranks = 1;
static char footer[256];

void lk_log_set_rank(int rank, int size)
{
    this_rank = rank;
    ranks = size;
}

int lk_log_get_rank(void)
{
    return this_rank;
}

static void speak(const char *kind, const char *format, va_list arguments)
{
    char line[2048];
    int used = snprintf(line, sizeof line, "likeness: %s", kind);
    int more = vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    size_t length = (size_t)used + (more > 0 ? (size_t)more : 0);
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length] = '\n';
    line[length + 1] = '\0';
    pthread_mutex_lock(&lock);
    /* One write a line: several ranks share the terminal. */
    if (footer[0])
        fprintf(stderr, "\r\033[K%s%s", line, footer);
    else
        fputs(line, stderr);
    fflush(stderr);
    pthread_mutex_unlock(&lock);
}

#define SPEAK(kind)                                                                                                              \
    va_list arguments;                                                                                                           \
    va_start(arguments, format);                                                                                                 \
    speak(kind, format, arguments);                                                                                              \
    va_end(arguments)

void lk_info(const char *format, ...)
{
    if (this_rank != 0)
        return;
    SPEAK("");
}

void lk_warn(const char *format, ...)
{
    if (this_rank != 0)
        return;
    SPEAK("warning: ");
}

void lk_log_error(const char *format, ...)
{
    if (this_rank != 0)
        return;
    SPEAK("error: ");
}

void lk_log_rank(const char *format, ...)
{
    char kind[128];
    char host[64] = "?";
    gethostname(host, sizeof host - 1);
    if (ranks > 1)
        snprintf(kind, sizeof kind, "rank %d on %s: ", this_rank, host);
    else
        kind[0] = '\0';
    SPEAK(kind);
}

void lk_log_set_footer(const char *text)
{
    pthread_mutex_lock(&lock);
    if (text) {
        snprintf(footer, sizeof footer, "%s", text);
        fprintf(stderr, "\r\033[K%s", footer);
    } else if (footer[0]) {
        footer[0] = '\0';
        fputs("\r\033[K", stderr);
    }
    fflush(stderr);
    pthread_mutex_unlock(&lock);
}
