/* The process group on several ranks. tests/run/collectives.sh, watchdog.sh and nccl.sh start it under mpirun:
 *
 *     mpi_collectives check             everything that must hold on any number of ranks
 *     mpi_collectives disagree RANK     that rank fails; the program ends as main() would, with the agreed status
 *     mpi_collectives abort RANK        that rank ends the job with 75 while the others wait in a collective
 *     mpi_collectives stall RANK HOW    steps under a watchdog that warns after 1 s and ends the job after 3 s. In step 5 that
 *                                       rank meets its fate: stop (SIGSTOP), die (SIGKILL), hang (in phase data, its threads
 *                                       go on), slow (for 2 s, then all goes on to the end), write (a file, for 5 s in phase
 *                                       save, without a report), or none; tree: none, with sums in the tree. Ranks sum in every
 *                                       step, and their last collectives are recorded in the folder "collectives"
 *     mpi_collectives open              opens a reducer and closes it
 *     mpi_collectives strangers         the watchdog's connections, while silent and lying strangers crowd rank 0's port
 *
 * With --stand-in as the first argument sums are those of a CUDA device, by NCCL, both of them stand-ins (tests/stand_in/).
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "collectives/buckets.h"
#include "collectives/reducer.h"
#include "collectives/star.h"
#include "collectives/tree_sum.h"
#include "collectives/watchdog.h"
#include "tests/unit/stand_in_device.h"

#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static lk_process_group group;
static lk_device *device;
static lk_mark *mark;
static bool stand_in;

/* A rank that failed alone must take the others along. */
#define CHECK(condition)                                                                                                         \
    do {                                                                                                                         \
        if (!(condition)) {                                                                                                      \
            lk_log_rank("%s:%d: not true: %s (%s)", __FILE__, __LINE__, #condition, lk_error_text());                            \
            lk_group_abort(&group, 1);                                                                                           \
        }                                                                                                                        \
    } while (0)

/* Values of very different sizes, so that another order of summation shows in the bits. */
static void fill(float *out, size_t count, int owner, int salt)
{
    lk_random r = lk_random_make((uint64_t)salt, (uint64_t)owner);
    for (size_t i = 0; i < count; i++)
        out[i] = lk_random_normal(&r) * (float)(1 << lk_random_below(&r, 24));
}

static float *buffer_of(size_t count)
{
    float *buffer = calloc(count + 1, sizeof *buffer);
    CHECK(buffer);
    return buffer;
}

static void check_same_on_all_ranks(const void *data, size_t size)
{
    uint64_t mine = lk_hash(data, size);
    uint64_t *all = calloc((size_t)group.size, sizeof *all);
    CHECK(all);
    lk_group_gather(&group, &mine, sizeof mine, all);
    for (int r = 0; r < group.size; r++)
        CHECK(all[r] == mine);
    free(all);
}

static void check_small_collectives(void)
{
    int n = group.size;
    int64_t i[2] = {-group.rank, (int64_t)1 << 40 | group.rank};
    lk_group_max_i64(&group, i, 2);
    CHECK(i[0] == 0 && i[1] == ((int64_t)1 << 40 | (n - 1)));
    for (int root = 0; root < n; root++) {
        char word[16] = "";
        if (group.rank == root)
            snprintf(word, sizeof word, "from %d", root);
        lk_group_broadcast(&group, word, sizeof word, root);
        char expected[16] = "";
        snprintf(expected, sizeof expected, "from %d", root);
        CHECK(strcmp(word, expected) == 0);
    }
    CHECK(group.local_size == n && group.local_rank == group.rank); /* the test runs on one host */
    lk_group_barrier(&group);
}

/* What carries sums; each must pass every check of sums. */
typedef struct carrier {
    bool reproducible, bf16;
    double rounding; /* of an addition, relative */
} carrier;

static const carrier carriers[] = {{false, false, 0x1p-24}, {true, false, 0x1p-24}, {false, true, 0x1p-8}};

static bool goes_with_ranks(const carrier *by)
{
    return !by->reproducible || lk_is_power_of_two(group.size);
}

static lk_reducer *open_reducer(const carrier *by, size_t largest)
{
    lk_reducer *reducer;
    lk_reducer_options options = {.reproducible = by->reproducible,
                                  .bf16 = by->bf16,
                                  .kernels = stand_in ? &stand_in_kernels : NULL,
                                  .largest = largest,
                                  .most = 1};
    CHECK(lk_reducer_open(&group, device, options, &reducer) == LK_OK);
    return reducer;
}

static void sum(lk_reducer *reducer, float *buffer, size_t count)
{
    CHECK(lk_mark_record(mark, lk_device_stream(device)) == LK_OK);
    CHECK(lk_reducer_sum(reducer, 0, buffer, count, mark) == LK_OK);
    CHECK(lk_reducer_wait(reducer) == LK_OK);
    CHECK(lk_device_wait(device) == LK_OK);
}

static void check_sum(const carrier *by)
{
    const size_t counts[] = {0, 1, 7, 100003, 3 << 20};
    lk_reducer *reducer = open_reducer(by, 3 << 20);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        size_t count = counts[c];
        float *buffer = buffer_of(count);
        float *term = buffer_of(count);
        double *expected = calloc(count + 1, sizeof *expected), *size = calloc(count + 1, sizeof *size);
        CHECK(expected && size);
        fill(buffer, count, group.rank, 1);
        for (int r = 0; r < group.size; r++) {
            fill(term, count, r, 1);
            for (size_t i = 0; i < count; i++)
                expected[i] += (double)term[i], size[i] += fabs((double)term[i]);
        }
        sum(reducer, buffer, count);
        for (size_t i = 0; i < count; i++)
            CHECK(fabs((double)buffer[i] - expected[i]) <= group.size * by->rounding * size[i]);
        check_same_on_all_ranks(buffer, count * sizeof *buffer);
        free(buffer);
        free(term);
        free(expected);
        free(size);
    }
    lk_reducer_close(reducer);
}

/* The tree as its definition: the sum of terms first .. first + n - 1. */
static void serial_tree(float *out, size_t count, int first, int n)
{
    if (n == 1) {
        fill(out, count, first, 2);
        return;
    }
    float *right = buffer_of(count);
    serial_tree(out, count, first, n / 2);
    serial_tree(right, count, first + n / 2, n / 2);
    for (size_t i = 0; i < count; i++)
        out[i] += right[i];
    free(right);
}

enum { MICRO_BATCHES = 8 };

/* A global batch of eight micro-batches, added locally and then over ranks, has the bits of the serial tree. */
static void check_tree(void)
{
    const size_t counts[] = {0, 1, 2, 5, 12345, 300001};
    const carrier *by = &carriers[1];
    int own = MICRO_BATCHES / group.size;
    lk_reducer *reducer = open_reducer(by, 300001);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        size_t count = counts[c];
        float *expected = buffer_of(count);
        float *buffer = buffer_of(count);
        lk_tree_accumulator *tree;
        CHECK(lk_tree_accumulator_create(device, &stand_in_kernels, count, own, &tree) == LK_OK);
        for (int m = 0; m < own; m++) {
            fill(buffer, count, group.rank * own + m, 2);
            CHECK(lk_tree_accumulate(tree, m, buffer, 0, count) == LK_OK);
            CHECK(lk_device_wait(device) == LK_OK);
        }
        sum(reducer, buffer, count);
        serial_tree(expected, count, 0, MICRO_BATCHES);
        CHECK(memcmp(buffer, expected, count * sizeof *buffer) == 0);
        lk_tree_accumulator_free(tree);
        free(buffer);
        free(expected);
    }
    lk_reducer_close(reducer);
}

static void check_tree_is_refused(void)
{
    const size_t counts[] = {1, 2};
    const lk_buckets_options options = {.bucket_bytes = 8, .reproducible = true};
    lk_reducer *reducer;
    lk_buckets *buckets;
    lk_reducer_options tree = {.reproducible = true, .largest = 1, .most = 1};
    CHECK(lk_reducer_open(&group, device, tree, &reducer) == LK_BAD_CONFIG);
    CHECK(strstr(lk_error_text(), "ranks, not ") && !reducer);
    CHECK(lk_buckets_create(&group, device, counts, 2, options, &buckets) == LK_BAD_CONFIG && !buckets);
}

enum { GRADIENTS = 40, STEPS = 12 };

/* A pause of this rank alone, so that ranks declare their gradients at different times. */
static void dawdle(lk_random *r)
{
    if (lk_random_below(r, 8) == 0)
        usleep(lk_random_below(r, 500));
}

/* A gradient that computing finishes after a while. */
typedef struct gradient {
    float *values;
    size_t count;
    int value;
    unsigned pause; /* microseconds */
} gradient;

static void compute(void *argument)
{
    gradient *g = argument;
    if (g->pause)
        usleep(g->pause);
    for (size_t j = 0; j < g->count; j++)
        g->values[j] = (float)(g->value + (int)(j % 13));
    free(g);
}

/* On the CPU it is there on return, on a CUDA device it is only asked for. */
static void ask_for(gradient g)
{
    gradient *copy = malloc(sizeof *copy);
    CHECK(copy);
    *copy = g;
    if (stand_in)
        CHECK(stand_in_launch(lk_device_stream(device), compute, copy) == LK_OK);
    else
        compute(copy);
}

/* Float32 holds these sums exactly. */
static bool is_near(const carrier *by, float value, int expected)
{
    return fabs((double)value - expected) <= (by->bf16 ? group.size * by->rounding * expected : 0);
}

static void check_buckets(const carrier *by)
{
    size_t sizes[GRADIENTS];
    for (int i = 0; i < GRADIENTS; i++)
        sizes[i] = (size_t)(i * 7919 % 1000) + 1;
    lk_buckets *buckets;
    lk_buckets_options options = {.bucket_bytes = 8000, .reproducible = by->reproducible, .bf16 = by->bf16};
    options.kernels = stand_in ? &stand_in_kernels : NULL;
    options.alone = stand_in; /* one rank sums by NCCL, too */
    CHECK(lk_buckets_create(&group, device, sizes, GRADIENTS, options, &buckets) == LK_OK);
    CHECK(lk_buckets_count(buckets) > 5);
    lk_random r = lk_random_make(3, (uint64_t)group.rank);
    size_t total = lk_buckets_total(buckets);
    for (int step = 0; step < STEPS; step++) {
        lk_buckets_begin(buckets);
        for (int k = 0; k < GRADIENTS; k++) {
            /* In order, backwards, and another order on every rank. */
            int i = step % 3 == 0 ? k : step % 3 == 1 ? GRADIENTS - 1 - k : (k * 7 + 3 * group.rank) % GRADIENTS;
            unsigned pause = lk_random_below(&r, 8) == 0 ? lk_random_below(&r, 500) : 0;
            ask_for((gradient){lk_buckets_gradient(buckets, i), sizes[i], (group.rank + 1) * (step + i), pause});
            lk_buckets_ready(buckets, i);
        }
        double exposed, busy;
        CHECK(lk_buckets_wait(buckets) == LK_OK);
        CHECK(lk_device_wait(device) == LK_OK);
        CHECK(lk_buckets_finish(buckets, &exposed, &busy) == LK_OK);
        CHECK(exposed >= 0 && (group.size == 1 && !stand_in) == (busy == 0));
        int n = group.size;
        for (int i = 0; i < GRADIENTS; i++)
            for (size_t j = 0; j < sizes[i]; j++)
                CHECK(is_near(by, lk_buckets_gradient(buckets, i)[j], n * (n + 1) / 2 * (step + i) + n * (int)(j % 13)));
        /* The main thread talks to the others while buckets of the next step may be under way. */
        int64_t last[2] = {step, group.rank};
        lk_group_max_i64(&group, last, 2);
        CHECK(last[0] == step && last[1] == n - 1);
    }
    check_same_on_all_ranks(lk_buckets_data(buckets), total * sizeof(float));
    lk_buckets_free(buckets);
}

static void check_agreement(void)
{
    CHECK(lk_group_agree(&group, LK_OK) == LK_OK);
    lk_status mine = group.rank == group.size - 1 ? lk_fail(LK_BAD_DATA, "shard.h5 is torn") : LK_OK;
    CHECK(lk_group_agree(&group, mine) == LK_BAD_DATA);
    CHECK(strstr(lk_error_text(), "shard.h5 is torn"));
    CHECK(group.size == 1 || strncmp(lk_error_text(), "rank ", 5) == 0);
    CHECK(lk_group_agree(&group, lk_fail(LK_BAD_CONFIG, "rank's own %d", group.rank)) == LK_BAD_CONFIG);
    CHECK(strcmp(lk_error_text(), "rank's own 0") == 0);
}

/* However late a rank comes, the end of the watch is no death. */
static void check_watch_ends(void)
{
    lk_watchdog *dog;
    CHECK(lk_watchdog_start(&group, 0, 0, "any", &dog) == LK_OK && dog == NULL);
    lk_watchdog_report(dog, 1, LK_PHASE_DATA);
    lk_watchdog_stop(dog);
    lk_random r = lk_random_make(4, (uint64_t)group.rank);
    for (int i = 0; i < 40; i++) {
        CHECK(lk_watchdog_start(&group, 30, 60, "any", &dog) == LK_OK);
        lk_watchdog_report(dog, i, LK_PHASE_DATA);
        dawdle(&r);
        lk_watchdog_stop(dog);
    }
}

/* Of two ranks the order of the sum does not matter: NCCL's bits are then MPI's. */
static void check_bf16_is_mpis(void)
{
    enum { COUNT = 100003 };
    const carrier by = {.bf16 = true};
    if (!stand_in || group.size != 2)
        return;
    float *wanted = buffer_of(COUNT), *got = lk_device_alloc(device, COUNT * sizeof *got);
    CHECK(got);
    fill(wanted, COUNT, group.rank, 9);
    memcpy(got, wanted, COUNT * sizeof *got);
    lk_reducer *nccl = open_reducer(&by, COUNT), *mpi;
    sum(nccl, got, COUNT);
    lk_reducer_close(nccl);
    CHECK(lk_reducer_open(&group, lk_device_host(), (lk_reducer_options){.bf16 = true, .largest = COUNT, .most = 1}, &mpi) ==
          LK_OK);
    CHECK(lk_reducer_sum(mpi, 0, wanted, COUNT, NULL) == LK_OK && lk_reducer_wait(mpi) == LK_OK);
    lk_reducer_close(mpi);
    CHECK(memcmp(got, wanted, COUNT * sizeof *got) == 0);
    lk_device_free(device, got);
    free(wanted);
}

static void check_tree_of_bf16_is_refused(void)
{
    lk_reducer_options options = {.reproducible = true, .bf16 = true, .largest = 1, .most = 1};
    lk_reducer *reducer;
    if (lk_is_power_of_two(group.size))
        CHECK(lk_reducer_open(&group, device, options, &reducer) == LK_BAD_CONFIG && strstr(lk_error_text(), "bfloat16"));
}

static lk_status check_all(void)
{
    check_small_collectives();
    for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++) {
        if (!goes_with_ranks(&carriers[i]))
            continue;
        check_sum(&carriers[i]);
        check_buckets(&carriers[i]);
    }
    if (lk_is_power_of_two(group.size))
        check_tree();
    else
        check_tree_is_refused();
    check_bf16_is_mpis();
    check_tree_of_bf16_is_refused();
    check_agreement();
    check_watch_ends();
    if (group.rank == 0)
        printf("%d ranks: all checks hold\n", group.size);
    return LK_OK;
}

static lk_status abort_on(int rank)
{
    if (group.rank == rank) {
        usleep(100000);
        lk_group_abort(&group, lk_exit_code(LK_REQUEUE));
    }
    lk_group_barrier(&group);
    return LK_OK;
}

/* As to a disk that takes 80 KB/s. */
static void write_slowly(void)
{
    static const char piece[8192];
    FILE *file = fopen("slow-disk", "wbe");
    CHECK(file);
    for (int i = 0; i < 50; i++, usleep(100000))
        CHECK(fwrite(piece, 1, sizeof piece, file) == sizeof piece && fflush(file) == 0);
    fclose(file);
}

static void meet_fate(const char *how)
{
    if (strcmp(how, "stop") == 0)
        raise(SIGSTOP);
    else if (strcmp(how, "die") == 0)
        raise(SIGKILL);
    else if (strcmp(how, "hang") == 0)
        pause();
    else if (strcmp(how, "slow") == 0)
        sleep(2);
    else if (strcmp(how, "write") == 0)
        write_slowly();
}

static lk_status open_one(void)
{
    lk_reducer *reducer;
    LK_TRY(lk_reducer_open(&group, device, (lk_reducer_options){.largest = 1, .most = 1}, &reducer));
    lk_reducer_close(reducer);
    return LK_OK;
}

enum { STALL_STEPS = 60, FATAL_STEP = 5 };

static lk_status stall_on(int rank, const char *how)
{
    lk_watchdog *dog;
    LK_TRY(lk_watchdog_start(&group, 1, 3, "any", &dog));
    lk_reducer *reducer = open_reducer(&carriers[strcmp(how, "tree") == 0], 1);
    lk_watchdog_watch(dog, reducer, "collectives");
    bool early = strcmp(how, "hang") == 0;
    for (int step = 0; step < STALL_STEPS; step++) {
        bool now = step == FATAL_STEP && group.rank == rank;
        lk_watchdog_report(dog, step, LK_PHASE_DATA);
        if (now && early)
            meet_fate(how);
        usleep(20000);
        lk_watchdog_report(dog, step, now && strcmp(how, "write") == 0 ? LK_PHASE_SAVE : LK_PHASE_FORWARD);
        if (now && !early)
            meet_fate(how);
        float value = 1;
        lk_watchdog_report(dog, step, LK_PHASE_REDUCE);
        CHECK(lk_mark_record(mark, lk_device_stream(device)) == LK_OK);
        double exposed, busy;
        if (lk_reducer_sum(reducer, 0, &value, 1, mark) != LK_OK || lk_reducer_wait(reducer) != LK_OK ||
            lk_reducer_finish(reducer, &exposed, &busy) != LK_OK)
            lk_watchdog_await_end(dog);
        CHECK(value == (float)group.size);
    }
    /* Longer than the watchdog would wait, were it not for the reports. */
    for (int i = 0; i < 40; i++, usleep(50000))
        lk_watchdog_report(dog, STALL_STEPS, LK_PHASE_VALIDATE);
    if (group.rank == 0)
        usleep(300000); /* the others wait in stop */
    lk_watchdog_stop(dog);
    lk_reducer_close(reducer);
    if (group.rank == 0)
        printf("%d ranks: reached the end\n", group.size);
    return LK_OK;
}

/* ---- strangers on the port ---- */

enum { MOST_FILES = 256, SILENT = 50, LYING = 20 };

typedef struct crowd {
    bool listened[MOST_FILES]; /* MPI's sockets, before the star has its own */
    int sockets[SILENT + LYING];
} crowd;

static bool listens(int fd)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

/* Waits for the star's socket and connects to it more often than it has ranks. */
static void *crowd_in(void *argument)
{
    crowd *c = argument;
    int door = -1;
    for (; door < 0; usleep(1000))
        for (int fd = 0; fd < MOST_FILES; fd++)
            if (!c->listened[fd] && listens(fd))
                door = fd;
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof at;
    CHECK(getsockname(door, (struct sockaddr *)&at, &size) == 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = ((struct sockaddr_in *)&at)->sin_port};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < SILENT + LYING; i++) {
        c->sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(c->sockets[i] >= 0 && connect(c->sockets[i], (struct sockaddr *)&here, sizeof here) == 0);
        const int64_t lie[2] = {12345, 1}; /* not the token; a rank that there is */
        if (i >= SILENT)
            CHECK(send(c->sockets[i], lie, sizeof lie, MSG_NOSIGNAL) == sizeof lie);
    }
    return NULL;
}

static void check_messages(lk_star_link *links)
{
    lk_star_message message = {.kind = 7, .step = group.rank};
    if (group.rank != 0)
        CHECK(lk_star_send(&links[0], &message));
    double until = lk_clock() + 20;
    for (int r = 1; r < group.size && group.rank == 0; r++) {
        lk_star_event event;
        while ((event = lk_star_receive(&links[r], &message)) == LK_STAR_NOTHING && lk_clock() < until)
            usleep(1000);
        CHECK(event == LK_STAR_MESSAGE && message.kind == 7 && message.step == r);
    }
    lk_group_barrier(&group);
}

static lk_status meet_strangers(void)
{
    static crowd c;
    lk_star_link links[64];
    pthread_t thread;
    for (int fd = 0; fd < MOST_FILES; fd++)
        c.listened[fd] = listens(fd);
    lk_group_barrier(&group);
    if (group.rank == 0)
        CHECK(pthread_create(&thread, NULL, crowd_in, &c) == 0);
    else
        sleep(1); /* the strangers come first */
    double begun = lk_clock();
    LK_TRY(lk_star_open(&group, "any", links));
    CHECK(lk_clock() - begun < 10); /* each of them would be heard for 3 s */
    check_messages(links);
    if (group.rank == 0) {
        CHECK(pthread_join(thread, NULL) == 0);
        char byte;
        for (int i = 0; i < SILENT + LYING; i++) {
            CHECK(recv(c.sockets[i], &byte, 1, 0) <= 0); /* dropped, and told nothing */
            close(c.sockets[i]);
        }
    }
    lk_star_close(links, group.size);
    LK_TRY(lk_star_open(&group, "lo", links));
    check_messages(links);
    lk_star_close(links, group.size);
    CHECK(lk_star_open(&group, "nosuch0", links) == LK_BAD_CONFIG && strstr(lk_error_text(), "no network interface 'nosuch0'"));
    if (group.rank == 0)
        printf("%d ranks: strangers kept nobody waiting\n", group.size);
    return LK_OK;
}

int main(int argc, char **argv)
{
    stand_in = argc > 1 && strcmp(argv[1], "--stand-in") == 0;
    argc -= stand_in;
    argv += stand_in;
    const char *what = argc > 1 ? argv[1] : "check";
    int rank = argc > 2 ? atoi(argv[2]) : 0;
    lk_status status = lk_group_open(&group);
    if (status != LK_OK) {
        lk_log_error("%s", lk_error_text());
        return lk_exit_code(status);
    }
    CHECK(lk_device_open(stand_in ? LK_DEVICE_CUDA : LK_DEVICE_CPU, stand_in ? group.local_rank : 0, &device) == LK_OK);
    CHECK(lk_mark_create(device, &mark) == LK_OK);
    if (strcmp(what, "check") == 0)
        status = check_all();
    else if (strcmp(what, "disagree") == 0)
        status = lk_group_agree(&group, group.rank == rank ? lk_fail(LK_BAD_DATA, "shard.h5 is torn") : LK_OK);
    else if (strcmp(what, "abort") == 0)
        status = abort_on(rank);
    else if (strcmp(what, "stall") == 0)
        status = stall_on(rank, argc > 3 ? argv[3] : "none");
    else if (strcmp(what, "open") == 0)
        status = open_one();
    else if (strcmp(what, "strangers") == 0)
        status = meet_strangers();
    else
        status = lk_fail(LK_USAGE, "mpi_collectives: there is no test '%s'", what);
    lk_mark_free(mark);
    lk_device_close(device);
    lk_group_close(&group);
    if (status != LK_OK)
        lk_log_error("%s", lk_error_text());
    return lk_exit_code(status);
}
