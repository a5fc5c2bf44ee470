/* What the server counts, as Prometheus reads it (text format 0.0.4). Any thread. */
#ifndef LK_LAUNCH_SERVE_COUNTS_H
#define LK_LAUNCH_SERVE_COUNTS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lk_counts lk_counts;

lk_status lk_counts_create(lk_counts **out);
void lk_counts_free(lk_counts *counts);

/* Counters that go up by one, gauges that go up and down: name, type, help. */
#define LK_COUNTS_TABLE(X)                                                                                                       \
    X(connections, "gauge", "Connections that are open now.")                                                                    \
    X(refused_connections_total, "counter", "Connections that were closed at once: --connections were open.")                    \
    X(timeouts_total, "counter", "Requests and answers that were cut off after --seconds.")                                      \
    X(aborted_requests_total, "counter", "Requests whose client went away before it had the answer.")                            \
    X(requests_in_flight, "gauge", "Requests that are being received, worked on or answered now.")                               \
    X(queue_length, "gauge", "Requests that wait for a worker now.")                                                             \
    X(photos_without_face_total, "counter", "Photos in which no face was found, or none that a rule allows.")
typedef enum lk_count {
#define LK_COUNT(name, type, help) LK_COUNT_##name,
    LK_COUNTS_TABLE(LK_COUNT)
#undef LK_COUNT
        LK_COUNT_COUNT
} lk_count;
void lk_counts_add(lk_counts *counts, lk_count which, int64_t change);
int64_t lk_counts_value(lk_counts *counts, lk_count which);

/* A request of one of at most LK_COUNTS_PATHS paths (static) was answered, `seconds` after it had been received. */
enum { LK_COUNTS_PATHS = 16 };
void lk_counts_request(lk_counts *counts, const char *path, int code, double seconds);
/* `faces` went through the networks together. */
void lk_counts_batch(lk_counts *counts, int faces);

/* The page; freed by the caller. LK_INTERNAL: out of memory. */
lk_status lk_counts_write(lk_counts *counts, char **text, size_t *size);

#endif
