/* Which checkpoints of a run stay, and which one is the best. Rank 0 alone calls these.
 *
 * Nothing that may be the only copy is deleted when a run is taken over: what is in the way is renamed to NAME.aside-N beside its
 * place, and goes after a commit of its step or a later one.
 */
#ifndef LK_TRAINER_RECORD_RETENTION_H
#define LK_TRAINER_RECORD_RETENTION_H

#include "base/error.h"
#include "configs/config.h"

#include <stdbool.h>
#include <stdint.h>

/* Before a run without a checkpoint that holds is begun at step 1: LK_BAD_DATA, with what to do, where it had one. That it has
 * none is then no beginning but a loss. */
lk_status lk_retention_require_unbegun(const char *run);

/* Sets the checkpoints of later steps aside: damaged, or given up by going back. They would be the newest next time. */
lk_status lk_retention_set_aside_after(const char *run, int64_t step);

/* At a start from `step`: makes checkpoints/, removes what killed writes left there and a link `best` that leads nowhere. A
 * folder `best` (a run that was copied without its links) becomes the checkpoint that it is a copy of, or is set aside. What
 * cannot be removed is a warning. */
lk_status lk_retention_tidy(const char *run, int64_t step);

/* checkpoints/best -> step-N, replaced in one step, where that checkpoint is there. On disks without symbolic links `best` is
 * a file with the name in it, which is told once (*told). */
lk_status lk_retention_point_to_best(const char *run, int64_t step, bool *told);

/* After a commit of `step`: removes the checkpoints that checkpoint.keep and keep_every do not keep and what was set aside.
 * `best_step` and what checkpoints/best names stay. One that cannot be removed does not keep the others; the first such
 * failure is returned. */
lk_status lk_retention_prune(const lk_config *config, int64_t step, int64_t best_step);

#endif
