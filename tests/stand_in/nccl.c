/* A stand-in for NCCL (stand_in.h). Its sums are real: messages between ranks are files in a folder that rank 0 makes. As with
 * NCCL, a call only asks for work on a stream, an exchange ends only when all its ranks have come, and after a failure it never
 * ends. */
#include "base/bfloat.h"
#include "tests/stand_in/stand_in.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct unique_id {
    char bytes[128];
} unique_id;

enum { SUCCESS = 0, SUM = 0, INVALID_ARGUMENT = 4, FLOAT32 = 7, BFLOAT16 = 9, MOST_RANKS = 16, MOST_GROUPED = 64 };

typedef struct comm {
    int number; /* its rank */
    int device; /* current when it was opened */
    int size;
    char folder[100];
    int collectives, sent[MOST_RANKS], received[MOST_RANKS]; /* so far, by the stream's thread */
    atomic_int failure;
    atomic_bool aborted;
    atomic_int under_way;
} comm;

typedef enum kind { ALL_REDUCE, SEND, RECEIVE } kind;
typedef struct operation {
    kind kind;
    const void *send;
    void *receive;
    size_t count;
    int type, peer;
    int fault; /* code with which it fails while it is under way */
} operation;

typedef struct job {
    comm *comm;
    int count;
    operation operations[MOST_GROUPED];
} job;

static size_t size_of(int type)
{
    return type == BFLOAT16 ? 2 : 4;
}

/* ---- messages ---- */

static void post(comm *c, const char *name, const void *data, size_t bytes)
{
    char path[256], temporary[300];
    snprintf(path, sizeof path, "%s/%s", c->folder, name);
    snprintf(temporary, sizeof temporary, "%s.new-%d", path, c->number);
    FILE *file = fopen(temporary, "wbe");
    if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0 || rename(temporary, path) != 0)
        abort();
}

/* False if the communicator was aborted before the message came. */
static bool fetch(comm *c, const char *name, void *data, size_t bytes)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", c->folder, name);
    FILE *file;
    while (!(file = fopen(path, "rbe"))) {
        if (atomic_load(&c->aborted))
            return false;
        usleep(300);
    }
    if (fread(data, 1, bytes, file) != bytes)
        abort();
    fclose(file);
    return true;
}

static void take_away(comm *c, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", c->folder, name);
    unlink(path);
}

static void add(void *sums, const void *terms, size_t count, int type)
{
    for (size_t i = 0; i < count; i++)
        if (type == FLOAT32)
            ((float *)sums)[i] += ((const float *)terms)[i];
        else
            ((uint16_t *)sums)[i] =
                lk_float_to_bfloat(lk_bfloat_to_float(((uint16_t *)sums)[i]) + lk_bfloat_to_float(((const uint16_t *)terms)[i]));
}

static void reduce(comm *c, const operation *o)
{
    char name[64];
    size_t bytes = o->count * size_of(o->type);
    int now = ++c->collectives;
    snprintf(name, sizeof name, "all-%d-%d", now, c->number);
    post(c, name, o->send, bytes);
    char *term = malloc(bytes + 1);
    for (int r = 0; r < c->size; r++) {
        snprintf(name, sizeof name, "all-%d-%d", now, r);
        if (!fetch(c, name, r == 0 ? o->receive : term, bytes))
            break;
        if (r > 0)
            add(o->receive, term, o->count, o->type);
    }
    free(term);
    /* Who posts one has read all of those before it. */
    snprintf(name, sizeof name, "all-%d-%d", now - 1, c->number);
    take_away(c, name);
}

static void send(comm *c, const operation *o)
{
    char name[64];
    snprintf(name, sizeof name, "one-%d-%d-%d", c->number, o->peer, ++c->sent[o->peer]);
    post(c, name, o->send, o->count * size_of(o->type));
}

static void receive(comm *c, const operation *o)
{
    char name[64];
    snprintf(name, sizeof name, "one-%d-%d-%d", o->peer, c->number, ++c->received[o->peer]);
    if (fetch(c, name, o->receive, o->count * size_of(o->type)))
        take_away(c, name);
}

static void hang(comm *c)
{
    while (!atomic_load(&c->aborted))
        usleep(1000);
}

/* On the stream's thread. */
static void run(void *argument)
{
    job *j = argument;
    for (int i = 0; i < j->count; i++)
        if (j->operations[i].fault) {
            atomic_store(&j->comm->failure, j->operations[i].fault);
            hang(j->comm);
        }
    for (int i = 0; i < j->count && !atomic_load(&j->comm->aborted); i++)
        if (j->operations[i].kind == SEND)
            send(j->comm, &j->operations[i]);
    for (int i = 0; i < j->count && !atomic_load(&j->comm->aborted); i++) {
        if (j->operations[i].kind == RECEIVE)
            receive(j->comm, &j->operations[i]);
        else if (j->operations[i].kind == ALL_REDUCE)
            reduce(j->comm, &j->operations[i]);
    }
    atomic_fetch_sub(&j->comm->under_way, 1);
    free(j);
}

/* ---- the interface ---- */

static _Thread_local int depth;
static _Thread_local job *grouped;
static _Thread_local void *grouped_stream;

static int ask(comm *c, void *stream, operation o)
{
    job *j = grouped;
    if (stand_in_device(stream) != c->device || (o.type != FLOAT32 && o.type != BFLOAT16))
        return INVALID_ARGUMENT;
    if (!j) {
        j = calloc(1, sizeof *j);
        j->comm = c;
    }
    if (j->count == MOST_GROUPED || o.peer >= c->size)
        return INVALID_ARGUMENT;
    o.fault = stand_in_fault("asynchronous");
    j->operations[j->count++] = o;
    if (depth > 0) {
        grouped = j;
        grouped_stream = stream;
        return SUCCESS;
    }
    atomic_fetch_add(&c->under_way, 1);
    stand_in_ask(stream, run, j);
    return SUCCESS;
}

int ncclGetVersion(int *version)
{
    *version = 22809;
    return SUCCESS;
}

int ncclGetUniqueId(unique_id *id)
{
    int code = stand_in_fault("ncclGetUniqueId");
    if (code)
        return code;
    char here[64];
    memset(id, 0, sizeof *id);
    if (!getcwd(here, sizeof here))
        return INVALID_ARGUMENT;
    snprintf(id->bytes, sizeof id->bytes, "%s/nccl-XXXXXX", here);
    return mkdtemp(id->bytes) ? SUCCESS : INVALID_ARGUMENT;
}

int ncclCommInitRank(void **out, int size, unique_id id, int rank)
{
    char name[64], byte;
    int code = stand_in_fault("ncclCommInitRank");
    stand_in_record("ncclCommInitRank %d of %d", rank, size);
    if (code)
        return code;
    if (size > MOST_RANKS)
        return INVALID_ARGUMENT;
    comm *c = calloc(1, sizeof *c);
    c->number = rank;
    c->device = stand_in_device(NULL);
    c->size = size;
    snprintf(c->folder, sizeof c->folder, "%.99s", id.bytes);
    snprintf(name, sizeof name, "here-%d", rank);
    post(c, name, "", 0);
    for (int r = 0; r < size; r++) {
        snprintf(name, sizeof name, "here-%d", r);
        fetch(c, name, &byte, 0);
    }
    *out = c;
    return SUCCESS;
}

int ncclAllReduce(const void *sent, void *received, size_t count, int type, int operator, void * c, void *stream)
{
    int code = stand_in_fault("ncclAllReduce");
    stand_in_record("ncclAllReduce %zu type %d operator %d stream %d", count, type, operator, stand_in_number(stream));
    if (code == 0 && operator!= SUM)
        code = INVALID_ARGUMENT;
    return code
               ? code
               : ask(c, stream, (operation){.kind = ALL_REDUCE, .send = sent, .receive = received, .count = count, .type = type});
}

int ncclSend(const void *sent, size_t count, int type, int peer, void *c, void *stream)
{
    int code = stand_in_fault("ncclSend");
    stand_in_record("ncclSend %zu to %d stream %d", count, peer, stand_in_number(stream));
    return code ? code : ask(c, stream, (operation){.kind = SEND, .send = sent, .count = count, .type = type, .peer = peer});
}

int ncclRecv(void *received, size_t count, int type, int peer, void *c, void *stream)
{
    int code = stand_in_fault("ncclRecv");
    stand_in_record("ncclRecv %zu from %d stream %d", count, peer, stand_in_number(stream));
    return code ? code
                : ask(c, stream, (operation){.kind = RECEIVE, .receive = received, .count = count, .type = type, .peer = peer});
}

int ncclGroupStart(void)
{
    depth++;
    return stand_in_fault("ncclGroupStart");
}

int ncclGroupEnd(void)
{
    int code = stand_in_fault("ncclGroupEnd");
    job *j = grouped;
    stand_in_record("ncclGroupEnd");
    if (--depth > 0 || !j || code)
        return code;
    grouped = NULL;
    atomic_fetch_add(&j->comm->under_way, 1);
    stand_in_ask(grouped_stream, run, j);
    return SUCCESS;
}

int ncclCommGetAsyncError(void *given, int *error)
{
    comm *c = given;
    *error = atomic_load(&c->failure);
    return SUCCESS;
}

/* Ends what is under way. */
int ncclCommAbort(void *given)
{
    comm *c = given;
    stand_in_record("ncclCommAbort, %d under way", atomic_load(&c->under_way));
    atomic_store(&c->aborted, true);
    while (atomic_load(&c->under_way) > 0)
        usleep(300);
    return SUCCESS;
}

int ncclCommDestroy(void *given)
{
    comm *c = given;
    stand_in_record("ncclCommDestroy, %d under way", atomic_load(&c->under_way));
    free(c);
    return SUCCESS;
}

const char *ncclGetErrorString(int code)
{
    static const char *const texts[] = {"no error",
                                        "unhandled cuda error",
                                        "unhandled system error",
                                        "internal error",
                                        "invalid argument",
                                        "invalid usage",
                                        "remote process exited or there was a network error"};
    return code >= 0 && code < (int)(sizeof texts / sizeof *texts) ? texts[code] : "unknown result code";
}

const char *ncclGetLastError(void *c)
{
    (void)c;
    return "the stand-in was told to";
}
