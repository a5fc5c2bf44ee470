/* Tables of parameters: params.jsonl and params.csv, one face a row.
 *
 * JSONL: {"key": "a/0001", "continuous": {...}, "discrete": {...}} on each line, with "identity": "..." if known; the rest is as
 * in a parameter file (dataset/parameters.h). CSV (RFC 4180, one record a line): the first row names the columns: "key", perhaps
 * "identity", and every continuous parameter and discrete group of the schema; values in client units, choices by name. Keys are
 * the pictures' paths, with or without ending, from the folder in which the table stands.
 */
#ifndef LK_DATASET_PACK_TABLE_H
#define LK_DATASET_PACK_TABLE_H

#include "dataset/pack/names.h"
#include "dataset/pack/pairing.h"
#include "dataset/pack/source.h"
#include "dataset/schema.h"

typedef struct lk_table_calls {
    /* A good row: takes `row` over. Its data is floats [continuous_count], then choices [group_count]. */
    lk_status (*row)(void *context, lk_half *row);
    /* A row that cannot be used; the sentence is in lk_error_text(). */
    lk_status (*refused)(void *context, const char *name);
    void *context;
} lk_table_calls;

/* Reads the current entry of `source`, which is called `name` and stands in `folder` ("" or with a slash at its end). A CSV whose
 * columns are not those of the schema is LK_BAD_DATA as a whole. */
lk_status lk_table_read(lk_source *source, lk_name_kind kind, const char *name, const char *folder, const lk_schema *schema,
                        const lk_table_calls *calls);

#endif
