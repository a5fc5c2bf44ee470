#include "launch/serve/connections.h"

#include "base/clock.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct lk_connection {
    int socket;
    lk_connection_phase phase;
    bool cut, served; /* served: it had an answer already */
    double until;
    lk_connection *next, *before;
};

struct lk_connections {
    double seconds;
    lk_counts *counts;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t closing_now;
    bool closing;
    lk_connection *first;
};

/* ---- who is late ---- */

static void tell_late(const lk_connections *all, int socket)
{
    char body[256], text[512];
    snprintf(body, sizeof body, "{\"error\":\"the request was not complete after %g s (--seconds); send it faster\"}",
             all->seconds);
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                        "Connection: close\r\n\r\n%s",
                        strlen(body), body);
    /* Whether it arrives is the client's luck: nobody waits for who is late. */
    ssize_t sent = send(socket, text, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent;
}

static void cut_off(lk_connections *all, lk_connection *c)
{
    bool owes = c->phase == LK_RECEIVING && !c->served;
    if (owes)
        tell_late(all, c->socket);
    if (owes || c->phase == LK_ANSWERING)
        lk_counts_add(all->counts, LK_COUNT_timeouts_total, 1);
    shutdown(c->socket, SHUT_RDWR); /* the HTTP library sees the end and closes */
    c->cut = true;
}

static void *watch(void *context)
{
    lk_connections *all = context;
    pthread_mutex_lock(&all->lock);
    while (!all->closing) {
        struct timespec next;
        double now = lk_clock();
        for (lk_connection *c = all->first; c; c = c->next)
            if (!c->cut && c->phase != LK_WORKING && now > c->until)
                cut_off(all, c);
        clock_gettime(CLOCK_MONOTONIC, &next);
        next.tv_nsec += 100000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        pthread_cond_timedwait(&all->closing_now, &all->lock, &next);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* ---- opening ---- */

lk_status lk_connections_open(double seconds, lk_counts *counts, lk_connections **out)
{
    pthread_condattr_t monotonic;
    *out = NULL;
    lk_connections *all = calloc(1, sizeof *all);
    if (!all)
        return lk_fail(LK_INTERNAL, "out of memory");
    all->seconds = seconds;
    all->counts = counts;
    pthread_mutex_init(&all->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&all->closing_now, &monotonic);
    pthread_condattr_destroy(&monotonic);
    lk_status status = lk_thread_start(&all->thread, "connections", watch, all);
    if (status == LK_OK)
        *out = all;
    else
        free(all);
    return status;
}

void lk_connections_close(lk_connections *all)
{
    if (!all)
        return;
    pthread_mutex_lock(&all->lock);
    all->closing = true;
    pthread_cond_signal(&all->closing_now);
    pthread_mutex_unlock(&all->lock);
    pthread_join(all->thread, NULL);
    pthread_mutex_destroy(&all->lock);
    pthread_cond_destroy(&all->closing_now);
    free(all);
}

/* ---- coming and going ---- */

lk_connection *lk_connection_came(lk_connections *all, int socket)
{
    lk_connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->socket = socket;
    c->until = lk_clock() + all->seconds;
    pthread_mutex_lock(&all->lock);
    c->next = all->first;
    if (c->next)
        c->next->before = c;
    all->first = c;
    pthread_mutex_unlock(&all->lock);
    return c;
}

void lk_connection_gone(lk_connections *all, lk_connection *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&all->lock);
    if (c->before)
        c->before->next = c->next;
    else
        all->first = c->next;
    if (c->next)
        c->next->before = c->before;
    pthread_mutex_unlock(&all->lock);
    free(c);
}

void lk_connection_enters(lk_connections *all, lk_connection *c, lk_connection_phase phase)
{
    pthread_mutex_lock(&all->lock);
    c->phase = phase;
    c->until = lk_clock() + all->seconds;
    c->served = c->served || phase == LK_ANSWERING;
    pthread_mutex_unlock(&all->lock);
}
