/* The subcommands of likeness sweep. */
#ifndef LK_LAUNCH_COMMAND_SWEEP_H
#define LK_LAUNCH_COMMAND_SWEEP_H

#include "launch/command/options.h"

extern const lk_command lk_sweep_plan, lk_sweep_halving;

#endif
