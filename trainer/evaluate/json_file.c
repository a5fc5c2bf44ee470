#include "trainer/evaluate/json_file.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a report may be made to read. */
enum { MAX_BYTES = 1 << 26 };

lk_status lk_json_file_write(const char *path, json_t *root, int digits)
{
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(digits)) : NULL;
    lk_status status =
        text ? lk_write_file(path, text, strlen(text)) : lk_fail(LK_INTERNAL, "%s: cannot write the evaluation as JSON", path);
    free(text);
    json_decref(root);
    return status;
}

lk_status lk_json_file_read(const char *path, const char *again, json_t **root)
{
    lk_path_kind kind;
    char *data = NULL;
    size_t size = 0;
    *root = NULL;
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    LK_TRY(lk_read_file(path, MAX_BYTES, &data, &size));
    *root = json_loadb(data, size, 0, NULL);
    free(data);
    if (json_is_object(*root))
        return LK_OK;
    json_decref(*root);
    *root = NULL;
    return lk_fail(LK_BAD_DATA, "%s: is not a JSON object; run %s again", path, again);
}

double lk_json_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}
