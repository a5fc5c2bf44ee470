/* HTTP around the service: routes, limits, and the queue between the sockets and those who work. libmicrohttpd's thread does all
 * reading and writing; requests that take computing wait, suspended, for one of the workers.
 */
#ifndef LK_LAUNCH_SERVE_HTTP_H
#define LK_LAUNCH_SERVE_HTTP_H

#include "launch/serve/counts.h"
#include "launch/serve/service.h"

typedef struct lk_http_options {
    int64_t max_body; /* bytes */
    double seconds;   /* to send a request; to wait in the queue; to take the answer */
    int connections, queue;
    const char *hosts; /* names that a Host header may have, comma separated; NULL: any */
} lk_http_options;

typedef struct lk_http lk_http;
/* Serves the connections of `listener`, a listening TCP socket, which is taken over, also on failure. `service`, `counts` and
 * the texts must outlive it. */
lk_status lk_http_open(const lk_http_options *options, int listener, lk_service *service, lk_counts *counts, lk_http **out);
/* Accepts nobody any more, answers what is in flight, and closes. That ends: who sends or takes slowly is cut off after
 * `seconds`, who waits longer than that in the queue gets a 503. NULL is fine. */
void lk_http_close(lk_http *http);

#endif
