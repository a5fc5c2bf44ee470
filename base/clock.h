/* Time and memory of this process. */
#ifndef LK_BASE_CLOCK_H
#define LK_BASE_CLOCK_H

#include <stdint.h>

/* Seconds on a clock that never jumps; the zero point means nothing. */
double lk_clock(void);
/* Seconds since 1970, UTC. */
double lk_wall_clock(void);
/* Resident memory now, in bytes. */
int64_t lk_resident_bytes(void);

#endif
