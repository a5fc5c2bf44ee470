/* The commands of the program. Each is an lk_command (launch/command/options.h) in a file of its name. */
#ifndef LK_LAUNCH_COMMAND_COMMANDS_H
#define LK_LAUNCH_COMMAND_COMMANDS_H

#include "launch/command/options.h"

/* In the order in which likeness --help lists them. */
#define LK_COMMAND_TABLE(X)                                                                                                      \
    X(render)                                                                                                                    \
    X(pack)                                                                                                                      \
    X(align)                                                                                                                     \
    X(label)                                                                                                                     \
    X(inspect)                                                                                                                   \
    X(stage)                                                                                                                     \
    X(train)                                                                                                                     \
    X(predict)                                                                                                                   \
    X(serve)                                                                                                                     \
    X(export)                                                                                                                    \
    X(evaluate)                                                                                                                  \
    X(report)                                                                                                                    \
    X(sweep)                                                                                                                     \
    X(config)                                                                                                                    \
    X(bench)                                                                                                                     \
    X(completion)

#define LK_DECLARE_COMMAND(name) extern const lk_command lk_command_##name;
LK_COMMAND_TABLE(LK_DECLARE_COMMAND)
#undef LK_DECLARE_COMMAND

/* All of them; NULL at the end. */
extern const lk_command *const lk_commands[];

#endif
