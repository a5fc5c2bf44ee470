/* The subcommands of likeness sweep: each takes its own argc and argv (argv[0] is its name), as launch/command/commands.h says. */
#ifndef LK_LAUNCH_COMMAND_SWEEP_H
#define LK_LAUNCH_COMMAND_SWEEP_H

#include "base/error.h"

/* A sweep's file into its points, each a folder with a resolved configuration. */
lk_status lk_sweep_plan(int argc, char **argv);
/* Whether a point goes on at the rungs it has reached. */
lk_status lk_sweep_halving(int argc, char **argv);

#endif
