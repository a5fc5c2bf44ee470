#include "launch/serve/http.h"

#include "base/clock.h"
#include "dataset/parameters.h"
#include "launch/serve/batch.h"
#include "launch/serve/connections.h"
#include "launch/serve/page.h"
#include "launch/serve/queue.h"

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* What the bodies of all requests may take together. A body grows as it arrives: a length that is only claimed takes nothing. */
enum { BODIES_BYTES = 256 << 20, FIRST_BODY_BYTES = 64 << 10 };
/* As many as may share a pass of the networks; no more compute at once than the workbench has sets. */
enum { WORKERS = LK_BATCH_MOST };

/* A route either answers at once, on the thread of the sockets, or works on a body. */
typedef struct route {
    const char *path, *method;
    void (*answer)(lk_http *http, const char *path, lk_answer *answer);
    void (*work)(lk_service *service, const uint8_t *body, size_t size, const lk_query *query, lk_answer *answer);
    bool query; /* takes one */
} route;

/* One request, from its headers to the last byte of its answer. */
typedef struct request {
    lk_http *http;
    struct MHD_Connection *socket;
    lk_connection *connection;
    const route *route; /* NULL: there is none */
    lk_query query;
    uint8_t *body;
    size_t size, room;
    lk_answer answer; /* with a code: no more is asked of it; what still comes of its body is passed over */
    const char *allow;
    bool given;
    double received;
} request;

struct lk_http {
    lk_http_options options;
    lk_service *service;
    lk_counts *counts;
    lk_connections *connections;
    lk_queue *queue;
    struct MHD_Daemon *daemon;
    atomic_bool closing;
    int64_t body_bytes; /* of the sockets' thread alone */
};

/* ---- routes ---- */

static void answer_page(lk_http *http, const char *path, lk_answer *answer)
{
    (void)http;
    lk_page_answer(path, answer);
}

static void answer_health(lk_http *http, const char *path, lk_answer *answer)
{
    static const char ok[] = "{\"status\": \"ok\"}\n";
    (void)http;
    (void)path;
    *answer = (lk_answer){.code = 200, .type = "application/json", .fixed = ok, .size = sizeof ok - 1};
}

static void answer_metrics(lk_http *http, const char *path, lk_answer *answer)
{
    char *text;
    size_t size;
    (void)path;
    lk_status status = lk_counts_write(http->counts, &text, &size);
    if (status == LK_OK)
        lk_answer_data(answer, "text/plain; version=0.0.4; charset=utf-8", text, size);
    else
        lk_answer_failure(answer, 500, status);
}

static void answer_schema(lk_http *http, const char *path, lk_answer *answer)
{
    (void)path;
    lk_service_schema(http->service, answer);
}

static const route routes[] = {
    {.path = "/v1/predict", .method = "POST", .work = lk_service_predict, .query = true},
    {.path = "/v1/render", .method = "POST", .work = lk_service_render},
    {.path = "/v1/mhm", .method = "POST", .work = lk_service_mhm},
    {.path = "/v1/schema", .method = "GET", .answer = answer_schema},
    {.path = "/healthz", .method = "GET", .answer = answer_health},
    {.path = "/metrics", .method = "GET", .answer = answer_metrics},
    {.path = "/", .method = "GET", .answer = answer_page},
    {.path = "/page.css", .method = "GET", .answer = answer_page},
    {.path = "/page.js", .method = "GET", .answer = answer_page},
};

static void find_route(request *r, const char *path, const char *method)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const route *found = &routes[i];
        if (strcmp(found->path, path) != 0)
            continue;
        r->route = found;
        if (strcmp(found->method, method) == 0 || (strcmp(method, "HEAD") == 0 && found->answer))
            return;
        r->allow = found->answer ? "GET, HEAD" : "POST";
        lk_answer_error(&r->answer, 405, "%.20s is not what %s takes; use %s", method, path, found->method);
        return;
    }
    lk_answer_error(
        &r->answer, 404,
        "there is no %.80s; there are POST /v1/predict, /v1/render, /v1/mhm, GET /v1/schema, /healthz, /metrics and /", path);
}

/* ---- the headers ---- */

static const char *header(const request *r, const char *name)
{
    return MHD_lookup_connection_value(r->socket, MHD_HEADER_KIND, name);
}

/* A page of somebody else's, open in a browser on this machine, reaches a server on its loopback. So it must call the server by
 * one of its own names (or any page could give a name of its own that address: DNS rebinding) and come from the server itself. */
static void check_names(request *r)
{
    const char *host = header(r, "Host"), *origin = header(r, "Origin"), *names = r->http->options.hosts;
    if (names && !lk_host_is_one_of(host, names))
        lk_answer_error(&r->answer, 421, "this server is not called '%.80s', but %.200s; --host gives it other names",
                        host ? host : "", names);
    else if (origin && !lk_origin_is_host(origin, host))
        lk_answer_error(&r->answer, 403,
                        "a page of %.80s may not use this server; behind a proxy, hand the Host header on (docs/serve.md)",
                        origin);
}

static int64_t most_bytes(const request *r)
{
    bool parameters = r->route && r->route->work && !r->route->query;
    int64_t most = r->http->options.max_body;
    return parameters && most > LK_PARAMETERS_BYTES ? LK_PARAMETERS_BYTES : most;
}

static void refuse_size(request *r)
{
    lk_answer_error(&r->answer, 413, "the body has more than %lld bytes%s; send a smaller one", (long long)most_bytes(r),
                    most_bytes(r) == r->http->options.max_body ? " (--max-body)" : "");
}

static enum MHD_Result take_query(void *context, enum MHD_ValueKind kind, const char *key, const char *value)
{
    request *r = context;
    (void)kind;
    lk_status status = r->route->query ? lk_query_take(&r->query, key, value)
                                       : lk_fail(LK_BAD_DATA, "?%.60s: %s takes no query", key, r->route->path);
    if (status != LK_OK)
        lk_answer_failure(&r->answer, 400, status);
    return status == LK_OK ? MHD_YES : MHD_NO;
}

static void check_headers(request *r, const char *path, const char *method)
{
    const char *length = header(r, "Content-Length"), *encoding = header(r, "Content-Encoding");
    const char *type = header(r, "Content-Type");
    check_names(r);
    if (!r->answer.code)
        find_route(r, path, method);
    if (!r->answer.code)
        MHD_get_connection_values(r->socket, MHD_GET_ARGUMENT_KIND, take_query, r);
    if (!r->answer.code && length && strtoull(length, NULL, 10) > (unsigned long long)most_bytes(r))
        refuse_size(r);
    if (!r->answer.code && encoding && strcasecmp(encoding, "identity") != 0)
        lk_answer_error(&r->answer, 415, "Content-Encoding: %.40s: send the body as it is", encoding);
    if (!r->answer.code && type && strncasecmp(type, "multipart/", strlen("multipart/")) == 0)
        lk_answer_error(&r->answer, 415, "a form with parts: send the file itself as the body (curl --data-binary @FILE)");
    if (!r->answer.code && atomic_load(&r->http->closing))
        lk_answer_error(&r->answer, 503, "the server is going down; ask another one, or again later");
}

/* ---- the body ---- */

static void free_body(request *r)
{
    r->http->body_bytes -= (int64_t)r->room;
    free(r->body);
    r->body = NULL;
    r->size = r->room = 0;
}

static bool make_room(request *r, size_t more)
{
    lk_http *http = r->http;
    size_t room = r->room ? r->room : FIRST_BODY_BYTES;
    while (room < r->size + more)
        room *= 2;
    if (room == r->room)
        return true;
    uint8_t *larger = http->body_bytes + (int64_t)(room - r->room) <= BODIES_BYTES ? realloc(r->body, room) : NULL;
    if (!larger) {
        lk_answer_error(&r->answer, 503, "the server has no memory for one more body just now; try again later");
        return false;
    }
    http->body_bytes += (int64_t)(room - r->room);
    r->body = larger;
    r->room = room;
    return true;
}

/* What a client still sends after it was refused is read and dropped: many clients look at no answer before they have sent all,
 * and a connection that is closed in their face loses it. Time bounds it. */
static void receive(request *r, const char *data, size_t size)
{
    if (r->answer.code)
        return;
    if (!r->route->work) {
        lk_answer_error(&r->answer, 400, "%s takes no body", r->route->path);
    } else if ((int64_t)(r->size + size) > most_bytes(r)) {
        refuse_size(r);
    } else if (make_room(r, size)) {
        memcpy(r->body + r->size, data, size);
        r->size += size;
    }
    if (r->answer.code)
        free_body(r);
}

/* ---- the work ---- */

/* On a worker. Once the connection is resumed the request belongs to the thread of the sockets again. */
static void work(void *context, void *job)
{
    lk_http *http = context;
    request *r = job;
    if (lk_clock() > r->received + http->options.seconds)
        lk_answer_error(&r->answer, 503, "the request waited for more than %g s (--seconds); try again later",
                        http->options.seconds);
    else
        r->route->work(http->service, r->body, r->size, &r->query, &r->answer);
    MHD_resume_connection(r->socket);
}

static void count_waiting(void *context, int change)
{
    lk_http *http = context;
    lk_counts_add(http->counts, LK_COUNT_queue_length, change);
}

static void give_to_workers(request *r)
{
    r->given = true;
    lk_connection_enters(r->http->connections, r->connection, LK_WORKING);
    MHD_suspend_connection(r->socket);
    if (lk_queue_give(r->http->queue, r))
        return;
    lk_answer_error(&r->answer, 503, "%d requests are waiting already (--queue); try again later", r->http->options.queue);
    MHD_resume_connection(r->socket);
}

/* ---- the answer ---- */

static void add_headers(const request *r, struct MHD_Response *response)
{
    MHD_add_response_header(response, "Content-Type", r->answer.type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy", LK_PAGE_POLICY);
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    if (r->allow)
        MHD_add_response_header(response, "Allow", r->allow);
    if (r->answer.code == 503)
        MHD_add_response_header(response, "Retry-After", "1");
    if (atomic_load(&r->http->closing))
        MHD_add_response_header(response, "Connection", "close");
}

static enum MHD_Result send_answer(request *r)
{
    lk_answer *a = &r->answer;
    struct MHD_Response *response =
        a->data ? MHD_create_response_from_buffer(a->size, a->data, MHD_RESPMEM_MUST_FREE)
                : MHD_create_response_from_buffer(a->size, (void *)(uintptr_t)a->fixed, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    a->data = NULL; /* the response's now */
    add_headers(r, response);
    lk_counts_request(r->http->counts, r->route ? r->route->path : "other", a->code,
                      r->received > 0 ? lk_clock() - r->received : 0);
    lk_connection_enters(r->http->connections, r->connection, LK_ANSWERING);
    enum MHD_Result sent = MHD_queue_response(r->socket, (unsigned)a->code, response);
    MHD_destroy_response(response);
    return sent;
}

/* ---- called by libmicrohttpd, all on its thread ---- */

static enum MHD_Result begin(lk_http *http, struct MHD_Connection *socket, const char *path, const char *method, void **state)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(socket, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request *r = info && info->socket_context ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return MHD_NO;
    *state = r;
    r->http = http;
    r->socket = socket;
    r->connection = info->socket_context;
    lk_counts_add(http->counts, LK_COUNT_requests_in_flight, 1);
    check_headers(r, path, method);
    /* Who asks first is told at once. */
    const char *expect = header(r, "Expect");
    return r->answer.code && expect && strcasecmp(expect, "100-continue") == 0 ? send_answer(r) : MHD_YES;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *socket, const char *path, const char *method,
                              const char *version, const char *data, size_t *size, void **state)
{
    lk_http *http = context;
    request *r = *state;
    (void)version;
    if (!r)
        return begin(http, socket, path, method, state);
    if (*size > 0) {
        receive(r, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (!r->given)
        r->received = lk_clock();
    if (!r->answer.code && r->route->answer)
        r->route->answer(http, path, &r->answer);
    if (!r->answer.code && !r->given) {
        give_to_workers(r);
        return MHD_YES;
    }
    return send_answer(r);
}

static void completed(void *context, struct MHD_Connection *socket, void **state, enum MHD_RequestTerminationCode how)
{
    lk_http *http = context;
    request *r = *state;
    (void)socket;
    if (!r)
        return;
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        lk_connection_enters(http->connections, r->connection, LK_RECEIVING);
    else if (how != MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN)
        lk_counts_add(http->counts, LK_COUNT_aborted_requests_total, 1);
    lk_counts_add(http->counts, LK_COUNT_requests_in_flight, -1);
    free_body(r);
    lk_answer_free(&r->answer);
    free(r);
    *state = NULL;
}

static enum MHD_Result admit(void *context, const struct sockaddr *address, socklen_t size)
{
    lk_http *http = context;
    (void)address;
    (void)size;
    if (lk_counts_value(http->counts, LK_COUNT_connections) < http->options.connections)
        return MHD_YES;
    lk_counts_add(http->counts, LK_COUNT_refused_connections_total, 1);
    return MHD_NO;
}

static void connection_changed(void *context, struct MHD_Connection *socket, void **state,
                               enum MHD_ConnectionNotificationCode what)
{
    lk_http *http = context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(socket, MHD_CONNECTION_INFO_CONNECTION_FD);
        *state = lk_connection_came(http->connections, info->connect_fd);
        lk_counts_add(http->counts, LK_COUNT_connections, 1);
        return;
    }
    lk_connection_gone(http->connections, *state);
    *state = NULL;
    lk_counts_add(http->counts, LK_COUNT_connections, -1);
}

/* ---- opening and closing ---- */

static lk_status start_daemon(lk_http *http, int listener)
{
    sigset_t all, before;
    unsigned flags = MHD_USE_EPOLL_INTERNALLY | MHD_USE_SUSPEND_RESUME | MHD_USE_PEDANTIC_CHECKS;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    http->daemon =
        MHD_start_daemon(flags, 0, admit, http, handle, http, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)http->options.connections + 16, MHD_OPTION_NOTIFY_COMPLETED, completed, http,
                         MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http, MHD_OPTION_END);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (http->daemon)
        return LK_OK;
    close(listener);
    return lk_fail(LK_INTERNAL, "the HTTP server cannot be started: %s", strerror(error));
}

lk_status lk_http_open(const lk_http_options *options, int listener, lk_service *service, lk_counts *counts, lk_http **out)
{
    *out = NULL;
    lk_http *http = calloc(1, sizeof *http);
    if (!http) {
        close(listener);
        return lk_fail(LK_INTERNAL, "out of memory");
    }
    http->options = *options;
    http->service = service;
    http->counts = counts;
    lk_queue_work workers = {.threads = WORKERS, .most = options->queue, .run = work, .waiting = count_waiting, .context = http};
    lk_status status = lk_connections_open(options->seconds, counts, &http->connections);
    if (status == LK_OK)
        status = lk_queue_open(&workers, &http->queue);
    if (status == LK_OK)
        status = start_daemon(http, listener);
    else
        close(listener);
    if (status == LK_OK) {
        *out = http;
        return LK_OK;
    }
    lk_error error;
    lk_error_take(&error, status);
    lk_http_close(http);
    return lk_error_put(&error);
}

void lk_http_close(lk_http *http)
{
    if (!http)
        return;
    atomic_store(&http->closing, true);
    if (http->daemon) {
        int listener = MHD_quiesce_daemon(http->daemon);
        if (listener >= 0)
            close(listener);
        while (lk_counts_value(http->counts, LK_COUNT_requests_in_flight) > 0)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    lk_queue_close(http->queue);
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    lk_connections_close(http->connections);
    free(http);
}
