/* What a test asks of a path, with a yes or a no. Include after <cmocka.h>. */
#ifndef LK_TESTS_UNIT_PATHS_H
#define LK_TESTS_UNIT_PATHS_H

#include "base/file.h"

static inline lk_path_kind kind_of(const char *path)
{
    lk_path_kind kind;
    if (lk_path_look(path, &kind) != LK_OK)
        fail_msg("%s", lk_error_text());
    return kind;
}

static inline bool exists(const char *path)
{
    return kind_of(path) != LK_ABSENT;
}

#endif
