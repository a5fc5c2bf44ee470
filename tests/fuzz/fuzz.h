/* Fuzzing: each NAME.c beside this file is one libFuzzer target for one parser of bytes from outside.
 *
 * A target must survive any input, and checks what a successful parse promises. tests/fuzz/run builds and runs them all.
 */
#ifndef LK_TESTS_FUZZ_FUZZ_H
#define LK_TESTS_FUZZ_FUZZ_H

#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a finding. */
#define FUZZ_REQUIRE(condition)                                                                                                  \
    do {                                                                                                                         \
        if (!(condition)) {                                                                                                      \
            fprintf(stderr, "%s:%d: broken promise: %s\nlast error: %s\n", __FILE__, __LINE__, #condition, lk_error_text());     \
            abort();                                                                                                             \
        }                                                                                                                        \
    } while (0)

/* A refusal is one of bad input, with a sentence, and not "out of memory" or "internal". */
static inline void fuzz_require_refusal(lk_status status)
{
    FUZZ_REQUIRE(status == LK_BAD_DATA || status == LK_BAD_CONFIG);
    FUZZ_REQUIRE(lk_error_text()[0] != '\0');
    FUZZ_REQUIRE(strchr(lk_error_text(), '\n') == NULL);
}

/* Writes the input to the same file each time, in the folder in memory that tests/fuzz/run makes; `ending` as ".h5". */
static inline const char *fuzz_file(const uint8_t *data, size_t size, const char *ending)
{
    static char path[LK_PATH_SIZE];
    const char *folder = getenv("FUZZ_FOLDER");
    snprintf(path, sizeof path, "%s/input%s", folder ? folder : "/tmp", ending);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    return path;
}

/* The input as a string, cut at its first NUL. Caller frees. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    FUZZ_REQUIRE(text);
    return text;
}

#endif
