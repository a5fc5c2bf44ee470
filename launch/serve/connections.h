/* Who is connected, and until when: a client must have sent its request, and taken the answer, within a time that a byte now and
 * then does not prolong. A thread looks several times a second; who is late gets a 408 where it still owes a request, and is cut
 * off. While the server works on a request, its client is not late.
 */
#ifndef LK_LAUNCH_SERVE_CONNECTIONS_H
#define LK_LAUNCH_SERVE_CONNECTIONS_H

#include "base/error.h"
#include "launch/serve/counts.h"

typedef struct lk_connections lk_connections;
typedef struct lk_connection lk_connection;

typedef enum lk_connection_phase { LK_RECEIVING, LK_WORKING, LK_ANSWERING } lk_connection_phase;

/* `counts` must outlive it. */
lk_status lk_connections_open(double seconds, lk_counts *counts, lk_connections **out);
/* After the last connection has gone. NULL is fine. */
void lk_connections_close(lk_connections *connections);

/* NULL: out of memory. The socket must stay open until lk_connection_gone. */
lk_connection *lk_connection_came(lk_connections *connections, int socket);
/* NULL is fine. */
void lk_connection_gone(lk_connections *connections, lk_connection *connection);
/* A new phase, and a new time until it must be over. LK_RECEIVING after an answer is waiting for the next request. */
void lk_connection_enters(lk_connections *connections, lk_connection *connection, lk_connection_phase phase);

#endif
