/* Packing: archives, folders and tables in, shards and a report out. docs/packing.md is the manual for users. */
#ifndef LK_DATASET_PACK_PACK_H
#define LK_DATASET_PACK_PACK_H

#include "base/error.h"
#include "dataset/pack/prepare.h"
#include "dataset/pack/tally.h"
#include "dataset/pack/source.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_pack_options {
    const char *const *sources; /* archives, folders, tables; "-" for standard input */
    int source_count;
    const char *folder;    /* where shards go */
    const char *schema;    /* path of the YAML file */
    const char *landmarks; /* path of dlib's model; NULL: the installed one */
    bool align, resume;
    lk_align_options alignment;
    int jpeg_quality; /* 0: raw pixels */
    int64_t shard_size;
    int part_count;
    double shares[LK_MAX_PARTS];
    int64_t expect; /* pictures that there must be; 0: any number */
    int threads;    /* 0: the cores */
    lk_limits limits;
    int64_t max_pixels;
    int64_t max_memory; /* bytes for all that is in work on all threads; see docs/packing.md */
    bool quiet;         /* no progress, no report on standard output */
} lk_pack_options;

/* Everything but sources, folder and schema. */
extern const lk_pack_options lk_pack_defaults;

/* Reads the sources once (twice where a table may stand behind the pictures). The shards hold the same bytes for any number of
 * threads, and for a run that was cut off and resumed. A damaged source, a count other than expected, no picture that could be
 * taken: LK_BAD_DATA; full shards stay, and a run with `resume` goes on from them. */
lk_status lk_pack(const lk_pack_options *options);

#endif
