#include "launch/command/commands.h"

#include <stddef.h>

const lk_command *const lk_commands[] = {
#define ROW(name) &lk_command_##name,
    LK_COMMAND_TABLE(ROW)
#undef ROW
        NULL};
