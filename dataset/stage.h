/* Stages: copies of data sets on a disk that is near, such as a node's own, for one start of a training.
 *
 *     lk_stage_make(sets, 2, "/local/stage", NULL);
 *     lk_stage_path(path, "/local/stage", "train", 0);      the copy of the first path of the set called train
 *     ... lk_dataset_open(path) ...
 *     lk_stage_remove("/local/stage");                      who has it open goes on reading
 *
 * A stage is a folder with a file `stage` in it, which says `whole` once every copy has been read back: each sample's checksum
 * fits, and the content hash is the original's. Whatever cannot become whole is removed. Only folders with that file are ever
 * removed or written over, and empty ones.
 */
#ifndef LK_DATASET_STAGE_H
#define LK_DATASET_STAGE_H

#include "base/error.h"
#include "base/file.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_stage_set {
    const char *name;         /* a plain word */
    const char *const *paths; /* as lk_dataset_open takes them */
    int count;
} lk_stage_set;

/* Makes a stage of the sets; one that is there is made anew, unless it is what is copied (LK_USAGE). *bytes are copied. `stopped`
 * (NULL: never) is asked now and then whether to give up, which is LK_REQUEUE. A disk without room is LK_IO, before anything is
 * copied where that can be known. `threads` read the copies back. */
lk_status lk_stage_make(const lk_stage_set *sets, int count, const char *folder, int threads, bool (*stopped)(void),
                        int64_t *bytes);

/* LK_BAD_DATA unless the folder is a whole stage. */
lk_status lk_stage_check(const char *folder);
/* Where the copy of path `index` of a set lies; path[LK_PATH_SIZE]. */
lk_status lk_stage_path(char *path, const char *folder, const char *name, int index);
/* A folder that is not there is fine; one that is no stage is LK_USAGE. */
lk_status lk_stage_remove(const char *folder);

#endif
