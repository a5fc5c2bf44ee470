#include "collectives/watchdog.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "collectives/star.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { HOST_SIZE = 64, SENTENCE_SIZE = 900, MOST_NAMED = 8 };

/* After a rank died or rank 0 gave the order, the launcher gets this long to end the job before a rank does. */
static const double grace_seconds = 2;

/* ... and the ranks this long to write what they summed last. */
static const double record_seconds = 1;

/* How much sooner a failure of a sum may be heard of than the death that it comes from. */
static const double death_seconds = 0.3;

/* Beats in the shorter of warn_s and abort_s, and how many of them may be missing before a rank counts as silent. A rank that
 * reported beats sooner: what is known of it is that much newer. */
static const double beats_per_warning = 5, beats_missing = 3;
static const double slowest_beat = 1;
static const double looks_per_beat = 10;

/* Bytes in a beat that show that files are read or written: more than threads in the background may move. */
enum { LEAST_BYTES = 4096 };

/* FAILED: a rank's reducer failed; SPEAK: rank 0 lets it say so, for one line is enough. */
enum message_kind { BEAT = 1, LEAVING, ABORT, FAILED, SPEAK };

/* What this process knows of a rank that it watches. Times are on the watch's clock. */
typedef struct peer {
    int rank;
    int64_t step;
    int64_t phase;
    uint64_t count;
    double heard; /* last message */
    double moved; /* last report */
    lk_flight_position collectives;
    bool leaving; /* has nothing more to report, and may close */
    bool gone;
} peer;

struct lk_watchdog {
    lk_process_group *group;
    double warn_s, abort_s, interval;
    char (*hosts)[HOST_SIZE]; /* [size] */
    lk_star_link *links;      /* [size] */
    peer *peers;              /* rank 0 watches all ranks, itself included; the others watch rank 0 */
    int peer_count;
    struct pollfd *polled; /* [size + 1]: the links, then `wake` */
    bool speaks;

    atomic_uint_least64_t position; /* step << 8 | phase */
    atomic_uint_least64_t count;    /* of reports */
    atomic_bool leaving, stop;
    _Atomic(lk_reducer *) reducer; /* NULL: none is watched */
    char folder[LK_PATH_SIZE];     /* for its record; set before `reducer` */
    int wake;
    bool running;
    pthread_t thread;

    /* Of the thread alone: */
    double now, next_beat;
    uint64_t told;    /* the reports that the last beat knew of */
    uint64_t moved;   /* bytes that the process had read and written at the last beat */
    uint64_t looks;   /* bytes that looking for them read itself */
    double abort_at;  /* 0: no end is set */
    lk_error failure; /* of the reducer */
    int failed_rank;  /* rank 0: whose was the first */
    double speak_at;  /* 0: there was no failure */
    bool warned;
};

const char *lk_phase_name(lk_phase phase)
{
    switch (phase) {
#define LK_PHASE_NAME(name, text)                                                                                                \
    case name: return text;
        LK_PHASE_TABLE(LK_PHASE_NAME)
#undef LK_PHASE_NAME
    }
    return "?";
}

__attribute__((format(printf, 2, 3))) static void append(char *out, const char *format, ...)
{
    size_t used = strlen(out);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out + used, SENTENCE_SIZE - used, format, arguments);
    va_end(arguments);
}

/* Rank 0 speaks for the job; when it is the one that is missing, others speak for themselves. */
static void speak(lk_watchdog *dog, const char *kind, const char *sentence)
{
    if (!dog->speaks)
        return;
    if (dog->group->rank != 0)
        lk_log_rank("%s%s", kind, sentence);
    else if (strcmp(kind, "error: ") == 0)
        lk_log_error("%s", sentence);
    else if (strcmp(kind, "warning: ") == 0)
        lk_warn("%s", sentence);
    else
        lk_info("%s", sentence);
}

static bool is_silent(const lk_watchdog *dog, const peer *p)
{
    return dog->now - p->heard >= beats_missing * dog->interval;
}

/* Seconds without progress. Ranks wait for each other, so those that are there make progress as long as one of them reports; a
 * rank that is silent stands for itself. Whether a rank reports is for rank 0 to judge; the others only see whether rank 0 is
 * there. */
static double still(const lk_watchdog *dog)
{
    double longest = 0, shortest = INFINITY;
    for (int i = 0; i < dog->peer_count; i++) {
        const peer *p = &dog->peers[i];
        bool judged = dog->group->rank == 0 && !p->leaving;
        if (p->gone)
            continue;
        if (judged && !is_silent(dog, p))
            shortest = fmin(shortest, dog->now - p->moved);
        else
            longest = fmax(longest, dog->now - (judged ? p->moved : p->heard));
    }
    return isfinite(shortest) ? fmax(longest, shortest) : longest;
}

static bool is_earlier(const peer *a, const peer *b)
{
    return a->step < b->step || (a->step == b->step && a->phase < b->phase);
}

static bool is_waited_for(const lk_watchdog *dog, const peer *p, bool any_silent)
{
    if (any_silent)
        return is_silent(dog, p);
    for (int i = 0; i < dog->peer_count; i++)
        if (!dog->peers[i].leaving && is_earlier(&dog->peers[i], p))
            return false;
    return !p->leaving;
}

static void append_peer(const lk_watchdog *dog, char *out, const peer *p)
{
    append(out, "rank %d on %s (", p->rank, dog->hosts[p->rank]);
    if (is_silent(dog, p))
        append(out, "last heard of %.1f s ago in ", dog->now - p->heard);
    append(out, "step %lld, phase %s)", (long long)p->step, lk_phase_name((lk_phase)p->phase));
}

/* "no progress for 30.2 s; waiting for rank 2 on n1 (step 7, phase forward)" */
static void describe_stall(const lk_watchdog *dog, double seconds, char *out)
{
    bool any_silent = false;
    for (int i = 0; i < dog->peer_count; i++)
        any_silent |= is_silent(dog, &dog->peers[i]);
    append(out, "no progress for %.1f s; waiting for ", seconds);
    int found = 0;
    for (int i = 0; i < dog->peer_count; i++) {
        if (!is_waited_for(dog, &dog->peers[i], any_silent) || ++found > MOST_NAMED)
            continue;
        if (found > 1)
            append(out, ", ");
        append_peer(dog, out, &dog->peers[i]);
    }
    if (found > MOST_NAMED)
        append(out, " and %d more", found - MOST_NAMED);
}

/* What this rank knows of the others' collectives, itself included. */
static void append_collectives(lk_watchdog *dog, char *out)
{
    int count = 0;
    char text[SENTENCE_SIZE / 2];
    lk_reducer *reducer = atomic_load(&dog->reducer);
    lk_flight_position *positions = calloc((size_t)dog->peer_count + 1, sizeof *positions);
    int *ranks = calloc((size_t)dog->peer_count + 1, sizeof *ranks);
    if (reducer && positions && ranks) {
        for (int i = 0; i < dog->peer_count; i++, count++) {
            positions[count] = dog->peers[i].collectives;
            ranks[count] = dog->peers[i].rank;
        }
        int own = dog->group->rank == 0 ? 0 : count++;
        ranks[own] = dog->group->rank;
        lk_reducer_where(reducer, &positions[own]);
        lk_flight_compare(positions, ranks, count, text, sizeof text);
        if (text[0])
            append(out, "; %s; the last ones of each rank: %s", text, dog->folder);
    }
    free(positions);
    free(ranks);
}

static void *record(void *argument)
{
    lk_watchdog *dog = argument;
    if (lk_reducer_record(atomic_load(&dog->reducer), dog->folder) != LK_OK) {
        char sentence[SENTENCE_SIZE] = "";
        append(sentence, "the last collectives are not recorded: %s", lk_error_text());
        speak(dog, "warning: ", sentence);
    }
    lk_reducer_abort(atomic_load(&dog->reducer));
    return NULL;
}

/* Sets the end. Before it the last collectives are written and those under way aborted, by a thread of its own: the disk may be
 * what stalls, and an abort may hang as well. */
static void end_at(lk_watchdog *dog, double at)
{
    pthread_t thread;
    if (dog->abort_at == 0 && atomic_load(&dog->reducer) && lk_thread_start(&thread, "record", record, dog) == LK_OK)
        pthread_detach(thread);
    dog->abort_at = at;
}

/* Tells all ranks, so that each of them ends even where no launcher reaches them. The others tell rank 0, too: when it wakes, it
 * must not take those that ended without it for dead. */
static void order_abort(lk_watchdog *dog, double at)
{
    const lk_star_message order = {.kind = ABORT};
    for (int r = 0; r < dog->group->size; r++)
        lk_star_send(&dog->links[r], &order);
    end_at(dog, at);
}

static void mourn(lk_watchdog *dog, peer *p)
{
    p->gone = true;
    if (p->leaving || dog->abort_at > 0)
        return;
    char sentence[SENTENCE_SIZE] = "";
    append_peer(dog, sentence, p);
    append(sentence, " is gone; the job ends");
    append_collectives(dog, sentence);
    speak(dog, "error: ", sentence);
    order_abort(dog, dog->now + grace_seconds);
}

static void check_ranks(lk_watchdog *dog)
{
    if (dog->abort_at > 0)
        return;
    double longest = still(dog);
    char sentence[SENTENCE_SIZE] = "";
    if (dog->abort_s > 0 && longest >= dog->abort_s) {
        describe_stall(dog, longest, sentence);
        append(sentence, "; the job ends (stall.abort_s)");
        append_collectives(dog, sentence);
        speak(dog, "error: ", sentence);
        double needed = atomic_load(&dog->reducer) ? record_seconds : 0;
        order_abort(dog, dog->now + (dog->speaks ? needed : grace_seconds)); /* not before the line is out */
    } else if (dog->warn_s > 0 && longest >= dog->warn_s && !dog->warned) {
        describe_stall(dog, longest, sentence);
        if (dog->abort_s > 0)
            append(sentence, "; the job ends after %g s (stall.abort_s)", dog->abort_s);
        speak(dog, "warning: ", sentence);
        dog->warned = true;
    } else if (dog->warned && longest < dog->warn_s) {
        speak(dog, "", "all ranks make progress again");
        dog->warned = false;
    }
}

/* What the reducer failed with: rank 0 says it, or the rank that it lets speak. */
static void tell_failure(lk_watchdog *dog)
{
    char sentence[SENTENCE_SIZE] = "";
    uint64_t position = atomic_load(&dog->position);
    const char *phase = lk_phase_name((lk_phase)(position & 0xff));
    if (dog->group->rank == 0)
        append(sentence, "rank 0 on %s (step %" PRIu64 ", phase %s): ", dog->hosts[0], position >> 8, phase);
    else
        append(sentence, "error: step %" PRIu64 ", phase %s: ", position >> 8, phase);
    append(sentence, "%s; the job ends", dog->failure.text);
    append_collectives(dog, sentence);
    if (dog->group->rank == 0)
        lk_log_error("%s", sentence);
    else
        lk_log_rank("%s", sentence);
}

/* One line for the job. */
static void let_one_speak(lk_watchdog *dog)
{
    const lk_star_message speak_now = {.kind = SPEAK};
    if (dog->group->rank == 0 && dog->failed_rank != 0)
        lk_star_send(&dog->links[dog->failed_rank], &speak_now);
    else
        tell_failure(dog);
    order_abort(dog, dog->now + record_seconds);
}

/* Notes that a rank's reducer failed. Sums of others fail because a rank died, too: that is then the line. */
static void note_failure(lk_watchdog *dog, int rank)
{
    if (dog->speak_at > 0)
        return;
    dog->failed_rank = rank;
    dog->speak_at = dog->now + death_seconds;
}

/* A failed sum never ends, on any rank. */
static void check_reducer(lk_watchdog *dog)
{
    const lk_star_message failed = {.kind = FAILED};
    lk_reducer *reducer = atomic_load(&dog->reducer);
    if (!reducer || dog->abort_at > 0)
        return;
    if (dog->failure.status == LK_OK) {
        lk_error_take(&dog->failure, lk_reducer_poll(reducer));
        if (dog->failure.status != LK_OK && dog->group->rank == 0)
            note_failure(dog, 0);
        else if (dog->failure.status != LK_OK) {
            lk_star_send(&dog->links[0], &failed);
            dog->speak_at = dog->now + grace_seconds; /* should rank 0 not answer */
        }
    }
    if (dog->speak_at > 0 && dog->now >= dog->speak_at)
        let_one_speak(dog);
}

static void hear(lk_watchdog *dog, peer *p, const lk_star_message *message)
{
    p->heard = dog->now;
    if (message->kind == ABORT && dog->abort_at == 0)
        order_abort(dog, dog->now + grace_seconds);
    if (message->kind == LEAVING)
        p->leaving = true;
    if (message->kind == FAILED)
        note_failure(dog, p->rank);
    if (message->kind == SPEAK)
        tell_failure(dog);
    if (message->kind >= ABORT)
        return;
    if (message->count != p->count)
        p->moved = dog->now;
    p->count = message->count;
    p->step = message->step;
    p->phase = message->phase;
    p->collectives = message->collectives;
}

static void listen_to_all(lk_watchdog *dog)
{
    for (int i = 0; i < dog->peer_count; i++) {
        peer *p = &dog->peers[i];
        lk_star_message message;
        lk_star_event event;
        while ((event = lk_star_receive(&dog->links[p->rank], &message)) == LK_STAR_MESSAGE)
            hear(dog, p, &message);
        if (event == LK_STAR_CLOSED)
            mourn(dog, p);
    }
}

/* Between two reports of these a rank may read or write files for as long as the disk likes. */
static bool moves_bytes(lk_phase phase)
{
    return phase == LK_PHASE_START || phase == LK_PHASE_SAVE;
}

/* Counts the bytes that the process read and wrote since the last beat as a report. */
static void note_bytes(lk_watchdog *dog)
{
    char text[256] = "";
    uint64_t in = 0, out = 0;
    if (!moves_bytes((lk_phase)(atomic_load(&dog->position) & 0xff)))
        return;
    int file = open("/proc/self/io", O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    if (got <= 0 || sscanf(text, "rchar: %" SCNu64 " wchar: %" SCNu64, &in, &out) != 2)
        return; /* a system that does not count them */
    uint64_t moved = in + out - dog->looks;
    dog->looks += (uint64_t)got;
    if (moved - dog->moved >= LEAST_BYTES)
        atomic_fetch_add(&dog->count, 1);
    dog->moved = moved;
}

static void beat(lk_watchdog *dog)
{
    uint64_t position = atomic_load(&dog->position);
    lk_star_message message = {
        .kind = atomic_load(&dog->leaving) ? LEAVING : BEAT,
        .step = (int64_t)(position >> 8),
        .phase = (int64_t)(position & 0xff),
        .count = atomic_load(&dog->count),
    };
    lk_reducer *reducer = atomic_load(&dog->reducer);
    if (reducer)
        lk_reducer_where(reducer, &message.collectives);
    dog->told = message.count;
    dog->next_beat = dog->now + dog->interval;
    for (int r = 0; r < dog->group->size; r++)
        lk_star_send(&dog->links[r], &message);
    if (dog->group->rank == 0)
        hear(dog, &dog->peers[0], &message);
}

/* Sleeps until it is time to look for reports, for a message, or for a call of stop. */
static void sleep_a_while(lk_watchdog *dog)
{
    int n = dog->group->size;
    for (int r = 0; r < n; r++)
        dog->polled[r] = (struct pollfd){.fd = dog->links[r].socket, .events = POLLIN};
    dog->polled[n] = (struct pollfd){.fd = dog->wake, .events = POLLIN};
    poll(dog->polled, (nfds_t)n + 1, (int)(dog->interval / looks_per_beat * 1000) + 1);
    uint64_t calls;
    if (dog->polled[n].revents && read(dog->wake, &calls, sizeof calls) > 0)
        dog->next_beat = dog->now; /* says at once that this rank is leaving */
}

static void *watch(void *argument)
{
    lk_watchdog *dog = argument;
    double last_turn = lk_clock();
    while (!atomic_load(&dog->stop) || dog->abort_at > 0) { /* an end that was set is not called off */
        sleep_a_while(dog);
        /* A pause of the whole process must not look like silence of the others. */
        double turn = lk_clock();
        double passed = turn - last_turn;
        dog->now += passed < 2 * dog->interval ? passed : 2 * dog->interval;
        last_turn = turn;
        listen_to_all(dog);
        if (dog->now >= dog->next_beat)
            note_bytes(dog);
        if (dog->now >= dog->next_beat || atomic_load(&dog->count) != dog->told)
            beat(dog);
        check_reducer(dog);
        check_ranks(dog);
        if (dog->abort_at > 0 && dog->now >= dog->abort_at)
            lk_group_abort(dog->group, lk_exit_code(LK_REQUEUE));
    }
    beat(dog); /* the others must know that this rank is leaving before they see its connection close */
    return NULL;
}

static void free_watchdog(lk_watchdog *dog)
{
    if (dog->links)
        lk_star_close(dog->links, dog->group->size);
    if (dog->wake >= 0)
        close(dog->wake);
    free(dog->hosts);
    free(dog->links);
    free(dog->peers);
    free(dog->polled);
    free(dog);
}

static lk_status allocate(lk_watchdog *dog)
{
    size_t size = (size_t)dog->group->size;
    dog->peer_count = dog->group->rank == 0 ? dog->group->size : 1;
    dog->hosts = calloc(size, sizeof *dog->hosts);
    dog->links = calloc(size, sizeof *dog->links);
    dog->peers = calloc(size, sizeof *dog->peers);
    dog->polled = calloc(size + 1, sizeof *dog->polled);
    if (!dog->hosts || !dog->links || !dog->peers || !dog->polled)
        return lk_fail(LK_INTERNAL, "out of memory for the stall watchdog");
    for (int r = 0; r < dog->group->size; r++) {
        dog->peers[r].rank = r;
        dog->links[r].socket = -1;
    }
    dog->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return dog->wake >= 0 ? LK_OK : lk_fail(LK_INTERNAL, "cannot make an eventfd for the stall watchdog");
}

static lk_status start_thread(lk_watchdog *dog)
{
    LK_TRY(lk_thread_start(&dog->thread, "stall watchdog", watch, dog));
    dog->running = true;
    return LK_OK;
}

static double choose_interval(double warn_s, double abort_s)
{
    double shorter = warn_s <= 0 || (abort_s > 0 && abort_s < warn_s) ? abort_s : warn_s;
    return shorter / beats_per_warning < slowest_beat ? shorter / beats_per_warning : slowest_beat;
}

lk_status lk_watchdog_start(lk_process_group *group, double warn_s, double abort_s, const char *interface, lk_watchdog **out)
{
    *out = NULL;
    if (warn_s <= 0 && abort_s <= 0)
        return LK_OK;
    lk_status status;
    lk_watchdog *dog = calloc(1, sizeof *dog);
    if (!dog) {
        status = lk_fail(LK_INTERNAL, "out of memory for the stall watchdog");
        return lk_group_agree(group, status);
    }
    *dog = (lk_watchdog){.group = group, .warn_s = warn_s, .abort_s = abort_s, .wake = -1};
    dog->interval = choose_interval(warn_s, abort_s);
    dog->speaks = group->rank <= 1 || group->local_rank == 0;
    LK_TRY_OR(fail, lk_group_agree(group, allocate(dog)));
    char host[HOST_SIZE] = "";
    gethostname(host, sizeof host - 1);
    lk_group_gather(group, host, sizeof host, dog->hosts);
    LK_TRY_OR(fail, lk_star_open(group, interface, dog->links));
    LK_TRY_OR(fail, lk_group_agree(group, start_thread(dog)));
    *out = dog;
    return LK_OK;
fail:
    if (dog->running) {
        atomic_store(&dog->leaving, true);
        atomic_store(&dog->stop, true);
        pthread_join(dog->thread, NULL);
    }
    free_watchdog(dog);
    return status;
}

void lk_watchdog_watch(lk_watchdog *dog, lk_reducer *reducer, const char *folder)
{
    if (!dog || !reducer || !folder)
        return;
    snprintf(dog->folder, sizeof dog->folder, "%s", folder);
    atomic_store(&dog->reducer, reducer);
}

void lk_watchdog_await_end(lk_watchdog *dog)
{
    while (dog && atomic_load(&dog->reducer))
        pause();
}

void lk_watchdog_report(lk_watchdog *dog, int64_t step, lk_phase phase)
{
    if (!dog)
        return;
    atomic_store(&dog->position, (uint64_t)step << 8 | (uint64_t)phase);
    atomic_fetch_add(&dog->count, 1);
}

static void wake(lk_watchdog *dog)
{
    const uint64_t one = 1;
    if (write(dog->wake, &one, sizeof one) < 0)
        return; /* only if the counter is full: awake already */
}

void lk_watchdog_stop(lk_watchdog *dog)
{
    if (!dog)
        return;
    atomic_store(&dog->leaving, true);
    wake(dog);
    lk_group_barrier(dog->group);
    atomic_store(&dog->stop, true);
    wake(dog);
    pthread_join(dog->thread, NULL);
    free_watchdog(dog);
}
