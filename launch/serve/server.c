#include "launch/serve/server.h"

#include "base/log.h"
#include "trainer/stop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Files beside the connections: libraries, the epoll, pictures of another client. */
enum { OTHER_FILES = 128, BACKLOG = 1024, NAMES_SIZE = 1024 };

/* main() lets the allocator keep everything, which training gains from. A server's photos are large and rare: what they took goes
 * back, and the threads share few arenas, or each would keep its own largest. */
static void give_memory_back(void)
{
    mallopt(M_MMAP_MAX, 65536);
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_ARENA_MAX, 4);
}

static lk_status allow_files(int connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return LK_OK;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (limit.rlim_cur < wanted || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return lk_fail(LK_USAGE, "serve: --connections %d needs %lld open files, and %lld are allowed; ulimit -n raises that",
                       connections, (long long)wanted, (long long)limit.rlim_max);
    return LK_OK;
}

/* ---- the socket ---- */

static lk_status listen_on(const lk_serve_options *o, const struct addrinfo *found, int *listener)
{
    int on = 1, fd = *listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return lk_fail(LK_INTERNAL, "serve: no socket for %s: %s", o->address, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return LK_OK;
    lk_status status = lk_fail(LK_INTERNAL, "serve: cannot listen on %s, port %d: %s%s", o->address, o->port, strerror(errno),
                               errno == EADDRINUSE ? "; --port chooses another" : "");
    close(fd);
    return status;
}

static lk_status open_listener(const lk_serve_options *o, int *listener)
{
    char port[16];
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
    snprintf(port, sizeof port, "%d", o->port);
    int error = getaddrinfo(o->address, port, &hints, &found);
    if (error != 0)
        return lk_fail(LK_USAGE, "serve: --address %.100s: %s; give a number like 127.0.0.1 or ::1", o->address,
                       gai_strerror(error));
    lk_status status = listen_on(o, found, listener);
    freeaddrinfo(found);
    return status;
}

/* The address as it stands in a URL, the port, and whether only this machine can reach it. */
typedef struct place {
    char host[INET6_ADDRSTRLEN + 2];
    int port;
    bool loopback;
} place;

static void look_at(int listener, place *out)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    char text[INET6_ADDRSTRLEN] = "";
    getsockname(listener, (struct sockaddr *)&bound, &size);
    if (bound.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&bound;
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        snprintf(out->host, sizeof out->host, "[%s]", text);
        out->port = ntohs(six->sin6_port);
        out->loopback =
            IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) || (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) && six->sin6_addr.s6_addr[12] == 127);
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&bound;
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        snprintf(out->host, sizeof out->host, "%s", text);
        out->port = ntohs(four->sin_port);
        out->loopback = ntohl(four->sin_addr.s_addr) >> 24 == 127;
    }
}

/* A server that the network reaches has names that only its user knows: without --host any will do there. */
static lk_status names_of(const lk_serve_options *o, const place *at, char out[NAMES_SIZE], const char **names)
{
    static const char own[] = "localhost,127.0.0.1,[::1]";
    *names = at->loopback || o->http.hosts ? out : NULL;
    int size = snprintf(out, NAMES_SIZE, "%s", own);
    if (!lk_host_is_one_of(at->host, own))
        size += snprintf(out + size, NAMES_SIZE - (size_t)size, ",%s", at->host);
    if (o->http.hosts)
        size += snprintf(out + size, NAMES_SIZE - (size_t)size, ",%s", o->http.hosts);
    return size < NAMES_SIZE ? LK_OK : lk_fail(LK_USAGE, "serve: --host: more than %d bytes of names", NAMES_SIZE - 100);
}

/* ---- the whole ---- */

static const lk_paths stop_signals = {.count = 2, .items = {"TERM", "INT"}};

static lk_status serve(const lk_serve_options *o, int listener, lk_service *service, lk_counts *counts)
{
    char names[NAMES_SIZE];
    place at;
    lk_http_options options = o->http;
    lk_http *http;
    look_at(listener, &at);
    lk_status status = names_of(o, &at, names, &options.hosts);
    if (status != LK_OK) {
        close(listener);
        return status;
    }
    LK_TRY(lk_http_open(&options, listener, service, counts, &http));
    printf("http://%s:%d/\n", at.host, at.port);
    fflush(stdout);
    while (!lk_stop_requested())
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    lk_info("%s: answering what is in flight", lk_stop_reason(lk_stop_requested()));
    lk_http_close(http);
    return LK_OK;
}

lk_status lk_serve(const lk_serve_options *o)
{
    int listener = -1;
    lk_counts *counts = NULL;
    lk_service *service = NULL;
    give_memory_back();
    LK_TRY(allow_files(o->http.connections));
    LK_TRY(open_listener(o, &listener)); /* first: a port in use is told before the model is read */
    lk_status status = lk_counts_create(&counts);
    if (status == LK_OK)
        status = lk_service_open(&o->service, counts, &service);
    if (status == LK_OK)
        status = lk_stop_install(&stop_signals, INFINITY);
    if (status == LK_OK)
        status = serve(o, listener, service, counts);
    else
        close(listener);
    lk_error error;
    lk_error_take(&error, status);
    lk_service_close(service);
    lk_counts_free(counts);
    return lk_error_put(&error);
}
