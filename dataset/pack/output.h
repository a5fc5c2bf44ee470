/* Output: samples into shards, split into parts, so that a run that was cut off can go on.
 *
 * Without a split shards lie in OUT itself, otherwise in OUT/train, OUT/val, OUT/test. A part takes a sample by the hash of its
 * key (or identity) alone, so adding data moves nothing. OUT/pack.json holds the settings from the start and the report at the
 * end ("complete": true); until then nobody takes a part for a data set (dataset/unfinished.h). Shards are full but for the last
 * of each part, and appear only when complete. One thread; one process at a time in OUT (flock).
 */
#ifndef LK_DATASET_PACK_OUTPUT_H
#define LK_DATASET_PACK_OUTPUT_H

#include "base/error.h"
#include "dataset/pack/tally.h"
#include "dataset/shard.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct lk_output_options {
    const char *folder;
    const lk_schema *schema;
    int size, jpeg_quality;
    int64_t shard_size;
    int part_count;              /* 1: no split */
    double shares[LK_MAX_PARTS]; /* sum to 1 */
    const char *provenance;
    json_t *settings; /* what must be the same when a run goes on */
    bool resume;
} lk_output_options;

extern const char *const lk_part_names[LK_MAX_PARTS];

/* A sample that an earlier run has written. */
typedef lk_status lk_existing_function(void *context, int part, const char *key, const float *continuous,
                                       const uint8_t *discrete);

typedef struct lk_output lk_output;
/* `options` and what it points to must outlive the output. A folder that holds shards already is refused (LK_USAGE) unless
 * `resume`; then the settings must be equal, and every sample in it is verified and given to `existing`. *complete: an earlier
 * run has finished, nothing is to be added. */
lk_status lk_output_open(const lk_output_options *options, lk_existing_function *existing, void *context, lk_output **out,
                         bool *complete);
/* Which part a key or identity belongs to, by its lk_name_hash. */
int lk_output_part(const lk_output *output, uint64_t hash);
/* jpeg NULL: sample->image is stored as the settings say. */
lk_status lk_output_add(lk_output *output, int part, const lk_sample *sample, const uint8_t *jpeg, size_t jpeg_size);
/* Commits the last shards, then pack.json with `report`. */
lk_status lk_output_finish(lk_output *output, json_t *report);
/* What is not committed is dropped. NULL is fine. */
void lk_output_close(lk_output *output);

#endif
