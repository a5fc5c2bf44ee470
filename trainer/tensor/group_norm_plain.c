/* The loops of group norm for the CPU that the whole program is compiled for. Declared in group_norm_loops.h. */
#define LOOPS lk_norm_loops_plain
#include "trainer/tensor/group_norm_formats.h"
