/* A star of TCP connections with rank 0 in the middle, beside MPI: it carries a few bytes while MPI calls block, in the network
 * or behind each other's locks, and its end shows when a process died. For the stall watchdog.
 *
 * Messages are small structs; the ranks of a job have the same byte order.
 */
#ifndef LK_COLLECTIVES_STAR_H
#define LK_COLLECTIVES_STAR_H

#include "base/error.h"
#include "collectives/flight_recorder.h"
#include "collectives/group.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_star_message {
    int64_t kind;
    int64_t step;
    int64_t phase;
    uint64_t count;
    lk_flight_position collectives;
} lk_star_message;

/* One connection. It never blocks; a message that does not fit into the system's buffers is dropped. */
typedef struct lk_star_link {
    int socket; /* -1: none */
    int in_size, out_size;
    char in[sizeof(lk_star_message)];  /* the part of a message that has arrived */
    char out[sizeof(lk_star_message)]; /* the part of a message that could not be sent yet */
} lk_star_link;

/* links[size]: on rank 0 links[r] leads to rank r, on other ranks links[0] leads to rank 0; the rest are empty. The addresses of
 * rank 0 travel through the group: all of them, or those of the network interface of that name ("any": all); the others try them
 * all at once. Strangers on the port, silent or not, keep nobody waiting. LK_BAD_CONFIG on all ranks if rank 0 has no such
 * interface, LK_INTERNAL if a rank cannot reach rank 0, naming it. Every rank must call. */
lk_status lk_star_open(lk_process_group *group, const char *interface, lk_star_link *links);
void lk_star_close(lk_star_link *links, int size);

/* False if the other end is gone. */
bool lk_star_send(lk_star_link *link, const lk_star_message *message);
/* One message if one has arrived; LK_STAR_CLOSED if the other end is gone and all it sent was read. */
typedef enum lk_star_event { LK_STAR_NOTHING, LK_STAR_MESSAGE, LK_STAR_CLOSED } lk_star_event;
lk_star_event lk_star_receive(lk_star_link *link, lk_star_message *out);

#endif
