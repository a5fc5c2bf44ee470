/* What the unit tests share: a call that must work, small files, a sentence that must hold something. Include after
 * <cmocka.h>. */
#ifndef LK_TESTS_UNIT_CHECK_H
#define LK_TESTS_UNIT_CHECK_H

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fails with the call and its sentence. */
#define assert_ok(call)                                                                                                          \
    do {                                                                                                                         \
        if ((call) != LK_OK)                                                                                                     \
            fail_msg("%s: %s", #call, lk_error_text());                                                                          \
    } while (0)

/* The last failure's sentence is one line that holds `part`. */
static inline void assert_told(const char *part)
{
    if (!strstr(lk_error_text(), part))
        fail_msg("'%s' does not hold '%s'", lk_error_text(), part);
    assert_null(strchr(lk_error_text(), '\n'));
}

/* Fails unless the call does, with this status and such a sentence. */
#define assert_fails(call, status, part)                                                                                         \
    do {                                                                                                                         \
        assert_int_equal((call), (status));                                                                                      \
        assert_told(part);                                                                                                       \
    } while (0)

/* What a path leads to, and whether to anything. */
static inline lk_path_kind kind_of(const char *path)
{
    lk_path_kind kind;
    assert_ok(lk_path_look(path, &kind));
    return kind;
}
static inline bool exists(const char *path)
{
    return kind_of(path) != LK_ABSENT;
}

/* Writes bytes, or a text, in the place of what was there. */
static inline void put_bytes(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}
static inline void put(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text));
}

/* The whole file, NUL-terminated past *size (may be NULL); the caller frees it. */
static inline char *get_bytes(const char *path, size_t *size)
{
    char *data;
    size_t count;
    assert_ok(lk_read_file(path, 1 << 26, &data, &count));
    if (size)
        *size = count;
    return data;
}
static inline void assert_file(const char *path, const void *want, size_t want_size)
{
    size_t size;
    char *data = get_bytes(path, &size);
    assert_int_equal(size, want_size);
    assert_memory_equal(data, want, size);
    free(data);
}
static inline void assert_text(const char *path, const char *want)
{
    char *text = get_bytes(path, NULL);
    assert_string_equal(text, want);
    free(text);
}

#endif
