/* The flight recorder of a reducer: what became of its last collectives. When a job ends by a stall, each rank's record says
 * how far it came, and the first collective that differs over ranks is where to look.
 *
 * Collectives are counted 1, 2, 3 ... since the reducer was opened, and are done in that order. Any thread may call.
 */
#ifndef LK_COLLECTIVES_FLIGHT_RECORDER_H
#define LK_COLLECTIVES_FLIGHT_RECORDER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { LK_FLIGHT_LENGTH = 64 };

typedef struct lk_flight_recorder lk_flight_recorder;

lk_status lk_flight_open(lk_flight_recorder **out);
void lk_flight_close(lk_flight_recorder *flight); /* NULL is fine */

/* A collective of that bucket was asked for; returns its number. */
int64_t lk_flight_ask(lk_flight_recorder *flight, int bucket, size_t bytes);
/* Collective `number` began, and ended; `at` on lk_wall_clock. */
void lk_flight_begin(lk_flight_recorder *flight, int64_t number, double at);
void lk_flight_end(lk_flight_recorder *flight, int64_t number, double at);

/* How far a rank is. */
typedef struct lk_flight_position {
    int64_t asked, begun, ended; /* how many */
    int64_t bucket, bytes;       /* of the first that has not ended; if all have, of the last one; -1: not known any more */
} lk_flight_position;

void lk_flight_where(lk_flight_recorder *flight, lk_flight_position *position);

/* The last LK_FLIGHT_LENGTH collectives as lines of JSON (docs/formats.md, Run folder). */
lk_status lk_flight_write(lk_flight_recorder *flight, const char *path);

/* Writes into out[size] what the positions of several ranks say of a stall: "the first collective that differs: 57 (bucket 0,
 * 34816 bytes): begun on rank 0, not asked for on rank 1". ranks[i] is whose positions[i] is. "" if none was asked for. */
void lk_flight_compare(const lk_flight_position *positions, const int *ranks, int count, char *out, size_t size);

#endif
