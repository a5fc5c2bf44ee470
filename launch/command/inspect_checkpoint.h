/* The part of `likeness inspect` that looks at checkpoints. */
#ifndef LK_LAUNCH_COMMAND_INSPECT_CHECKPOINT_H
#define LK_LAUNCH_COMMAND_INSPECT_CHECKPOINT_H

#include "base/error.h"

#include <stdbool.h>

/* Whether the path is a checkpoint, or a run folder that has some. */
lk_status lk_inspects_checkpoints(const char *path, bool *so);
/* Checks all hashes and prints what is in it; of a run folder, one line a checkpoint. `config`: prints the configuration as well.
 * LK_BAD_DATA names what is damaged. */
lk_status lk_inspect_checkpoints(const char *path, bool config);

#endif
