/* The mark of a folder in which shards or labels are being written, the file `unfinished`: while it is there, whatever the reason
 * that its writer has not come to its end, lk_dataset_open or lk_pack refuses the folder, so that nobody takes some of the faces
 * for all of them.
 * Where several ranks write into one folder, rank 0 alone begins, before the others write, and ends when all have written.
 */
#ifndef LK_DATASET_UNFINISHED_H
#define LK_DATASET_UNFINISHED_H

#include "base/error.h"

/* Before the first one; again is fine. LK_IO: it could not be written, so none may be. */
lk_status lk_unfinished_begin(const char *folder);
/* Behind the last one. LK_IO: it is there still. */
lk_status lk_unfinished_end(const char *folder);
/* LK_BAD_DATA where the mark is there. */
lk_status lk_unfinished_refuse(const char *folder);

#endif
