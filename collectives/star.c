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
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_SIZE = 64, MOST_STRANGERS = 256, BACKLOG = 1024 };

static const double seconds_to_introduce = 3; /* until a stranger who connected must have said who he is */
static const double seconds_to_connect = 30;  /* to rank 0, over all its addresses */
static const double seconds_to_gather = 45;   /* rank 0 waits for all of them */
static const double seconds_to_retry = 0.2;

/* How rank 0 can be reached. */
typedef struct invitation {
    uint64_t token; /* a stranger on this port does not know it */
    char host[HOST_SIZE];
    int count;
    struct sockaddr_storage *addresses; /* [count], freed by whoever has the invitation */
} invitation;

/* What both ends say first. */
typedef struct introduction {
    uint64_t token;
    int64_t rank;
} introduction;

/* A fresh connection on which an introduction is due. */
typedef struct stranger {
    int socket; /* -1: none */
    bool connected;
    double until;
    size_t have; /* bytes of `said` */
    introduction said;
} stranger;

typedef enum progress { WAITING, INTRODUCED, LOST } progress;

/* Takes what has arrived; never blocks. */
static progress hear(stranger *s)
{
    while (s->have < sizeof s->said) {
        ssize_t got = recv(s->socket, (char *)&s->said + s->have, sizeof s->said - s->have, MSG_DONTWAIT);
        if (got > 0)
            s->have += (size_t)got;
        else if (got < 0 && errno == EINTR)
            continue;
        else
            return got < 0 && errno == EAGAIN && lk_clock() < s->until ? WAITING : LOST;
    }
    return INTRODUCED;
}

/* A few bytes on a fresh connection always fit into its buffer. */
static bool introduce(int socket, uint64_t token, int rank)
{
    introduction mine = {.token = token, .rank = rank};
    return send(socket, &mine, sizeof mine, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof mine;
}

static void drop(stranger *s)
{
    if (s->socket >= 0)
        close(s->socket);
    s->socket = -1;
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

static bool is_loopback(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET ? ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127
                                   : IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

/* Bridges lead to containers and virtual machines of this host, hardly ever to another one. */
static bool is_bridge(const char *interface)
{
    char path[64 + IF_NAMESIZE];
    snprintf(path, sizeof path, "/sys/class/net/%s/bridge", interface);
    return access(path, F_OK) == 0;
}

/* Of what class an address of this host is, in the order in which they are listed; -1: of no use to others. Link-local ones
 * need a scope that another host cannot know. */
enum { LOOPBACK, ROUTABLE, BRIDGE, CLASSES };
static int classify(const struct ifaddrs *i, sa_family_t family, const char *interface)
{
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
        return -1;
    sa_family_t kind = i->ifa_addr->sa_family;
    if (kind != AF_INET && (kind != AF_INET6 || family != AF_INET6))
        return -1;
    if (kind == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)i->ifa_addr)->sin6_addr))
        return -1;
    if (strcmp(interface, "any") != 0 && strcmp(interface, i->ifa_name) != 0)
        return -1;
    if (i->ifa_flags & IFF_LOOPBACK)
        return LOOPBACK;
    return is_bridge(i->ifa_name) ? BRIDGE : ROUTABLE;
}

/* The addresses of this host: loopback first, which only ranks on the same host try. */
static lk_status list_addresses(invitation *call, sa_family_t family, in_port_t port, const char *interface)
{
    struct ifaddrs *list;
    size_t most = 0;
    if (getifaddrs(&list) != 0)
        return lk_fail(LK_INTERNAL, "cannot list the network interfaces for the stall watchdog: %s", strerror(errno));
    for (struct ifaddrs *i = list; i; i = i->ifa_next)
        most++;
    call->addresses = calloc(most ? most : 1, sizeof *call->addresses);
    for (int class = 0; class < CLASSES && call->addresses; class ++)
        for (struct ifaddrs *i = list; i; i = i->ifa_next) {
            if (classify(i, family, interface) != class)
                continue;
            struct sockaddr_storage *slot = &call->addresses[call->count++];
            memcpy(slot, i->ifa_addr,
                   i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
            set_port(slot, port);
        }
    freeifaddrs(list);
    if (!call->addresses)
        return lk_fail(LK_INTERNAL, "out of memory for the addresses of this host");
    if (call->count == 0 && strcmp(interface, "any") != 0)
        return lk_fail(LK_BAD_CONFIG, "stall.interface: %s has no network interface '%s' that is up and has an address",
                       call->host, interface);
    return LK_OK;
}

/* Listens on any free port, for both families where the host has IPv6. */
static lk_status listen_for(invitation *call, const char *interface, int *out)
{
    struct sockaddr_storage address = {.ss_family = AF_INET6};
    int no = 0;
    int s = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0 || setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) != 0 ||
        bind(s, (struct sockaddr *)&address, address_size(&address)) != 0) {
        if (s >= 0)
            close(s);
        address = (struct sockaddr_storage){.ss_family = AF_INET};
        s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s >= 0 && bind(s, (struct sockaddr *)&address, address_size(&address)) != 0) {
            close(s);
            s = -1;
        }
    }
    socklen_t size = sizeof address;
    if (s < 0 || listen(s, BACKLOG) != 0 || getsockname(s, (struct sockaddr *)&address, &size) != 0) {
        lk_status status = lk_fail(LK_INTERNAL, "cannot listen on a TCP port for the stall watchdog: %s", strerror(errno));
        if (s >= 0)
            close(s);
        return status;
    }
    *out = s;
    /* The port lies at the same place for both families. */
    return list_addresses(call, address.ss_family, ((struct sockaddr_in *)&address)->sin_port, interface);
}

/* ---- rank 0 ---- */

typedef struct gathering {
    const invitation *call;
    lk_star_link *links;
    int size, missing;
    stranger strangers[MOST_STRANGERS];
} gathering;

/* Everybody who is at the door; where there is no room, the one who has been silent longest goes. */
static void let_in(gathering *g, int listener)
{
    for (int s; (s = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        stranger *place = &g->strangers[0];
        for (int i = 0; i < MOST_STRANGERS && place->socket >= 0; i++)
            if (g->strangers[i].socket < 0 || g->strangers[i].until < place->until)
                place = &g->strangers[i];
        drop(place);
        *place = (stranger){.socket = s, .connected = true, .until = lk_clock() + seconds_to_introduce};
    }
}

/* A rank is answered on one of its connections alone. */
static void listen_to(gathering *g, stranger *s)
{
    progress now = hear(s);
    if (now == WAITING)
        return;
    int64_t rank = s->said.rank;
    bool known = now == INTRODUCED && s->said.token == g->call->token && rank > 0 && rank < g->size && g->links[rank].socket < 0;
    if (!known || !introduce(s->socket, g->call->token, 0)) {
        drop(s);
        return;
    }
    g->links[rank].socket = s->socket;
    s->socket = -1;
    g->missing--;
}

static lk_status gather(gathering *g, int listener)
{
    double until = lk_clock() + seconds_to_gather;
    for (int i = 0; i < MOST_STRANGERS; i++)
        g->strangers[i].socket = -1;
    while (g->missing > 0 && lk_clock() < until) {
        struct pollfd polled[MOST_STRANGERS + 1] = {{.fd = listener, .events = POLLIN}};
        for (int i = 0; i < MOST_STRANGERS; i++) /* poll passes over -1 */
            polled[i + 1] = (struct pollfd){.fd = g->strangers[i].socket, .events = POLLIN};
        poll(polled, MOST_STRANGERS + 1, (int)(seconds_to_retry * 1000));
        let_in(g, listener);
        for (int i = 0; i < MOST_STRANGERS; i++)
            if (g->strangers[i].socket >= 0)
                listen_to(g, &g->strangers[i]);
    }
    for (int i = 0; i < MOST_STRANGERS; i++)
        drop(&g->strangers[i]);
    if (g->missing == 0)
        return LK_OK;
    int first = 1;
    while (g->links[first].socket >= 0)
        first++;
    char where[512];
    describe(g->call, where, sizeof where);
    return lk_fail(LK_INTERNAL,
                   "%d ranks, the first of them rank %d, cannot reach rank 0 by TCP at %s for the stall watchdog; allow TCP "
                   "between the nodes, or name the network in stall.interface",
                   g->missing, first, where);
}

static lk_status accept_all(int listener, const invitation *call, lk_star_link *links, int size)
{
    gathering *g = calloc(1, sizeof *g);
    if (!g)
        return lk_fail(LK_INTERNAL, "out of memory for the stall watchdog");
    *g = (gathering){.call = call, .links = links, .size = size, .missing = size - 1};
    lk_status status = gather(g, listener);
    free(g);
    return status;
}

/* ---- the others ---- */

static void knock(stranger *s, const struct sockaddr_storage *address, double until)
{
    *s = (stranger){.until = until};
    s->socket = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->socket >= 0 && connect(s->socket, (const struct sockaddr *)address, address_size(address)) != 0 &&
        errno != EINPROGRESS)
        drop(s);
}

/* True if this connection is the one that rank 0 answered. */
static bool is_answered(stranger *s, short events, const invitation *call, int rank)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    if (!s->connected && (events & (POLLOUT | POLLERR | POLLHUP))) {
        s->connected = getsockopt(s->socket, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0 &&
                       introduce(s->socket, call->token, rank);
        if (!s->connected)
            drop(s);
    }
    progress now = s->socket >= 0 && s->connected ? hear(s) : WAITING;
    if (now == INTRODUCED && s->said.token == call->token && s->said.rank == 0)
        return true;
    if (now != WAITING)
        drop(s);
    return false;
}

/* All addresses at once; returns the socket that was answered, or -1. */
static int try_all(const invitation *call, int rank, bool neighbours, stranger *s, struct pollfd *polled, double until)
{
    int answered = -1, open = 0;
    for (int i = 0; i < call->count; i++) {
        s[i].socket = -1;
        if (neighbours || !is_loopback(&call->addresses[i]))
            knock(&s[i], &call->addresses[i], until);
        open += s[i].socket >= 0;
    }
    while (open > 0 && answered < 0 && lk_clock() < until) {
        for (int i = 0; i < call->count; i++)
            polled[i] = (struct pollfd){.fd = s[i].socket, .events = s[i].connected ? POLLIN : POLLOUT};
        poll(polled, (nfds_t)call->count, (int)(seconds_to_retry * 1000));
        open = 0;
        for (int i = 0; i < call->count && answered < 0; i++) {
            if (s[i].socket >= 0 && is_answered(&s[i], polled[i].revents, call, rank)) {
                answered = s[i].socket;
                s[i].socket = -1;
            }
            open += s[i].socket >= 0;
        }
    }
    for (int i = 0; i < call->count; i++)
        drop(&s[i]);
    return answered;
}

static lk_status connect_to_centre(const invitation *call, int rank, lk_star_link *link)
{
    char host[HOST_SIZE] = "";
    gethostname(host, sizeof host - 1);
    double until = lk_clock() + seconds_to_connect;
    stranger *strangers = calloc((size_t)call->count + 1, sizeof *strangers);
    struct pollfd *polled = calloc((size_t)call->count + 1, sizeof *polled);
    while (strangers && polled && link->socket < 0 && lk_clock() < until) {
        link->socket = try_all(call, rank, strcmp(host, call->host) == 0, strangers, polled, until);
        if (link->socket < 0)
            poll(NULL, 0, (int)(seconds_to_retry * 1000)); /* every address refused: rank 0 had no room */
    }
    bool memory = strangers && polled;
    free(strangers);
    free(polled);
    if (!memory)
        return lk_fail(LK_INTERNAL, "out of memory for the stall watchdog");
    if (link->socket >= 0)
        return LK_OK;
    char where[512];
    describe(call, where, sizeof where);
    return lk_fail(LK_INTERNAL,
                   "cannot reach rank 0 by TCP at %s for the stall watchdog; allow TCP between the nodes, or name the "
                   "network in stall.interface",
                   where);
}

/* ---- all of them ---- */

/* From rank 0 to all, whatever the number of addresses. */
static lk_status send_invitation(lk_process_group *group, invitation *call)
{
    struct sockaddr_storage *own = call->addresses;
    lk_group_broadcast(group, call, sizeof *call, 0);
    call->addresses = group->rank == 0 ? own : calloc((size_t)call->count + 1, sizeof *call->addresses);
    LK_TRY(lk_group_agree(group, call->addresses ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for rank 0's addresses")));
    lk_group_broadcast(group, call->addresses, (size_t)call->count * sizeof *call->addresses, 0);
    return LK_OK;
}

lk_status lk_star_open(lk_process_group *group, const char *interface, lk_star_link *links)
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
        status = listen_for(&call, interface, &listener);
    }
    LK_TRY_OR(done, lk_group_agree(group, status));
    LK_TRY_OR(done, send_invitation(group, &call));
    status =
        group->rank == 0 ? accept_all(listener, &call, links, group->size) : connect_to_centre(&call, group->rank, &links[0]);
    status = lk_group_agree(group, status);
    if (status != LK_OK)
        lk_star_close(links, group->size);
done:
    if (listener >= 0)
        close(listener);
    free(call.addresses);
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
