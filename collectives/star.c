#include "collectives/star.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_ADDRESSES = 12, HOST_SIZE = 64 };

static const double seconds_to_connect = 3;   /* to one address */
static const double seconds_to_introduce = 3; /* until a stranger who connected must have said who he is */
static const double seconds_to_answer = 15;   /* rank 0 listens to one at a time */
static const double seconds_to_gather = 45;   /* rank 0 waits for all of them */

/* How rank 0 can be reached. */
typedef struct invitation {
    uint64_t token; /* a stranger on this port does not know it */
    char host[HOST_SIZE];
    int count;
    struct sockaddr_storage addresses[MOST_ADDRESSES];
} invitation;

/* What both ends say first. */
typedef struct introduction {
    uint64_t token;
    int64_t rank;
} introduction;

static bool wait_for(int socket, short events, double until)
{
    double left = until - lk_clock();
    struct pollfd p = {.fd = socket, .events = events};
    return left > 0 && poll(&p, 1, (int)(left * 1000) + 1) == 1;
}

static bool read_all(int socket, void *out, size_t size, double until)
{
    for (size_t have = 0; have < size;) {
        ssize_t got = recv(socket, (char *)out + have, size - have, MSG_DONTWAIT);
        if (got > 0)
            have += (size_t)got;
        else if (got == 0 || (errno != EAGAIN && errno != EINTR) || !wait_for(socket, POLLIN, until))
            return false;
    }
    return true;
}

/* A few bytes on a fresh connection always fit into its buffer. */
static bool introduce(int socket, uint64_t token, int rank)
{
    introduction mine = {.token = token, .rank = rank};
    return send(socket, &mine, sizeof mine, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof mine;
}

static void set_port(struct sockaddr_storage *address, in_port_t port)
{
    if (address->ss_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = port;
    else
        ((struct sockaddr_in6 *)address)->sin6_port = port;
}

static socklen_t address_size(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void describe(const invitation *call, char *out, size_t size)
{
    snprintf(out, size, "%s (", call->host);
    for (int i = 0; i < call->count; i++) {
        char text[INET6_ADDRSTRLEN] = "?";
        const struct sockaddr_storage *a = &call->addresses[i];
        const void *raw = a->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                                                  : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;
        inet_ntop(a->ss_family, raw, text, sizeof text);
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s", i ? ", " : "", text);
    }
    size_t used = strlen(out);
    snprintf(out + used, size - used, ")");
}

/* The addresses of this host: loopback first, which only ranks on the same host try. Link-local ones need a scope that
 * another host cannot know. */
static void list_addresses(invitation *call, sa_family_t family, in_port_t port)
{
    struct ifaddrs *list;
    if (getifaddrs(&list) != 0)
        return;
    for (int want_loopback = 1; want_loopback >= 0; want_loopback--)
        for (struct ifaddrs *i = list; i && call->count < MOST_ADDRESSES; i = i->ifa_next) {
            int loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;
            if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || loopback != want_loopback)
                continue;
            sa_family_t kind = i->ifa_addr->sa_family;
            if (kind != AF_INET && (kind != AF_INET6 || family != AF_INET6))
                continue;
            if (kind == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr))
                continue;
            struct sockaddr_storage *slot = &call->addresses[call->count++];
            memcpy(slot, i->ifa_addr, kind == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
            set_port(slot, port);
        }
    freeifaddrs(list);
}

/* Listens on any free port, for both families where the host has IPv6. */
static lk_status listen_for(invitation *call, int backlog, int *out)
{
    struct sockaddr_storage address = {.ss_family = AF_INET6};
    int no = 0;
    int s = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) != 0 ||
        bind(s, (struct sockaddr *)&address, address_size(&address)) != 0) {
        if (s >= 0)
            close(s);
        address = (struct sockaddr_storage){.ss_family = AF_INET};
        s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s >= 0 && bind(s, (struct sockaddr *)&address, address_size(&address)) != 0) {
            close(s);
            s = -1;
        }
    }
    socklen_t size = sizeof address;
    if (s < 0 || listen(s, backlog) != 0 || getsockname(s, (struct sockaddr *)&address, &size) != 0) {
        lk_status status = lk_fail(LK_INTERNAL, "cannot listen on a TCP port for the stall watchdog: %s", strerror(errno));
        if (s >= 0)
            close(s);
        return status;
    }
    /* The port lies at the same place for both families. */
    list_addresses(call, address.ss_family, ((struct sockaddr_in *)&address)->sin_port);
    *out = s;
    return LK_OK;
}

static void accept_one(int listener, uint64_t token, lk_star_link *links, int size, int *missing)
{
    int s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (s < 0)
        return;
    introduction who;
    bool known = read_all(s, &who, sizeof who, lk_clock() + seconds_to_introduce) && who.token == token && who.rank > 0 &&
                 who.rank < size && links[who.rank].socket < 0;
    if (!known || !introduce(s, token, 0)) {
        close(s);
        return;
    }
    links[who.rank].socket = s;
    --*missing;
}

static lk_status accept_all(int listener, const invitation *call, lk_star_link *links, int size)
{
    int missing = size - 1;
    double until = lk_clock() + seconds_to_gather;
    while (missing > 0 && wait_for(listener, POLLIN, until))
        accept_one(listener, call->token, links, size, &missing);
    if (missing == 0)
        return LK_OK;
    int first = 1;
    while (links[first].socket >= 0)
        first++;
    char where[512];
    describe(call, where, sizeof where);
    return lk_fail(LK_INTERNAL,
                   "%d ranks, the first of them rank %d, cannot reach rank 0 by TCP at %s for the stall watchdog; allow TCP "
                   "between the nodes, or run without it (stall.warn_s: 0 and stall.abort_s: 0)",
                   missing, first, where);
}

static int try_address(const struct sockaddr_storage *address, uint64_t token, int rank)
{
    int s = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0)
        return -1;
    int failure = 0;
    socklen_t size = sizeof failure;
    introduction answer;
    bool begun = connect(s, (const struct sockaddr *)address, address_size(address)) == 0 || errno == EINPROGRESS;
    if (begun && wait_for(s, POLLOUT, lk_clock() + seconds_to_connect) &&
        getsockopt(s, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0 && introduce(s, token, rank) &&
        read_all(s, &answer, sizeof answer, lk_clock() + seconds_to_answer) && answer.token == token && answer.rank == 0)
        return s;
    close(s);
    return -1;
}

static lk_status connect_to_centre(const invitation *call, int rank, lk_star_link *link)
{
    char host[HOST_SIZE] = "";
    gethostname(host, sizeof host - 1);
    bool neighbours = strcmp(host, call->host) == 0;
    for (int i = 0; i < call->count; i++) {
        const struct sockaddr_storage *a = &call->addresses[i];
        bool loopback = a->ss_family == AF_INET ? ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127
                                                : IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
        if (loopback && !neighbours)
            continue;
        link->socket = try_address(a, call->token, rank);
        if (link->socket >= 0)
            return LK_OK;
    }
    char where[512];
    describe(call, where, sizeof where);
    return lk_fail(LK_INTERNAL,
                   "cannot reach rank 0 by TCP at %s for the stall watchdog; allow TCP between the nodes, or run without "
                   "it (stall.warn_s: 0 and stall.abort_s: 0)",
                   where);
}

lk_status lk_star_open(lk_process_group *group, lk_star_link *links)
{
    for (int r = 0; r < group->size; r++)
        links[r] = (lk_star_link){.socket = -1};
    invitation call = {.count = 0};
    int listener = -1;
    lk_status status = LK_OK;
    if (group->rank == 0) {
        gethostname(call.host, sizeof call.host - 1);
        if (getrandom(&call.token, sizeof call.token, 0) != sizeof call.token)
            call.token = (uint64_t)getpid();
        status = listen_for(&call, group->size, &listener);
    }
    LK_TRY_OR(done, lk_group_agree(group, status));
    lk_group_broadcast(group, &call, sizeof call, 0);
    status =
        group->rank == 0 ? accept_all(listener, &call, links, group->size) : connect_to_centre(&call, group->rank, &links[0]);
    status = lk_group_agree(group, status);
    if (status != LK_OK)
        lk_star_close(links, group->size);
done:
    if (listener >= 0)
        close(listener);
    return status;
}

void lk_star_close(lk_star_link *links, int size)
{
    for (int r = 0; r < size; r++) {
        if (links[r].socket >= 0)
            close(links[r].socket);
        links[r].socket = -1;
    }
}

/* Sends what it can of link->out; false if the other end is gone. */
static bool flush_link(lk_star_link *link)
{
    ssize_t sent = send(link->socket, link->out, (size_t)link->out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
    link->out_size -= (int)sent;
    memmove(link->out, link->out + sent, (size_t)link->out_size);
    return true;
}

bool lk_star_send(lk_star_link *link, const lk_star_message *message)
{
    if (link->socket < 0)
        return false;
    if (link->out_size > 0 && !flush_link(link))
        return false;
    if (link->out_size > 0)
        return true;
    memcpy(link->out, message, sizeof *message);
    link->out_size = sizeof *message;
    if (!flush_link(link))
        return false;
    if (link->out_size == sizeof *message) /* nothing went out: another, newer message will do as well */
        link->out_size = 0;
    return true;
}

lk_star_event lk_star_receive(lk_star_link *link, lk_star_message *out)
{
    if (link->socket < 0)
        return LK_STAR_NOTHING;
    ssize_t got = recv(link->socket, link->in + link->in_size, sizeof link->in - (size_t)link->in_size, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        close(link->socket);
        link->socket = -1;
        return LK_STAR_CLOSED;
    }
    if (got > 0)
        link->in_size += (int)got;
    if (link->in_size < (int)sizeof *out)
        return LK_STAR_NOTHING;
    memcpy(out, link->in, sizeof *out);
    link->in_size = 0;
    return LK_STAR_MESSAGE;
}
