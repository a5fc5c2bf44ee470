/* The JSON files of an evaluation: one object each, which likeness evaluate writes and reports read back. */
#ifndef LK_TRAINER_EVALUATE_JSON_FILE_H
#define LK_TRAINER_EVALUATE_JSON_FILE_H

#include "base/error.h"

#include <jansson.h>

/* Written atomically, numbers with so many digits. Takes `root`; NULL is a tree that could not be built: LK_INTERNAL. */
lk_status lk_json_file_write(const char *path, json_t *root, int digits);

/* *root is the caller's to json_decref; NULL where there is no such file. Something else than an object is LK_BAD_DATA, and
 * `again` the command that makes the file anew. */
lk_status lk_json_file_read(const char *path, const char *again, json_t **root);

/* NaN where the object has no such number. */
double lk_json_number(const json_t *object, const char *key);

#endif
