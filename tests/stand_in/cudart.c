/* A stand-in for the CUDA runtime (stand_in.h). Its device memory is the host's. A stream is a thread that does in order what
 * it was asked, beside all others, so a mark that is forgotten shows in the results. */
#include "tests/stand_in/stand_in.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HOST_TO_DEVICE = 1, TO_HOST = 2, WITHIN = 3 }; /* cudaMemcpyKind */
enum { NON_BLOCKING = 1, PORTABLE = 1, GPUS = 8 };    /* cudaStreamNonBlocking, cudaHostAllocPortable */
enum { SUCCESS = 0, INVALID_VALUE = 1, MEMORY_ALLOCATION = 2, INVALID_DEVICE = 101 }; /* cudaError_t */
enum { INVALID_HANDLE = 400, NOT_READY = 600 };

typedef struct task {
    void (*run)(void *argument);
    void *argument;
    struct task *next;
} task;

typedef struct stream {
    int number;
    int device;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    task *first, **last; /* the one that is worked on counts */
    bool stop;
} stream;

typedef struct event {
    int number;
    int device;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t recorded, passed;
    double milliseconds;
} event;

/* ---- record and faults ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int objects;

static int rank(void)
{
    const char *text = getenv("OMPI_COMM_WORLD_RANK");
    return text ? atoi(text) : 0;
}

void stand_in_record(const char *format, ...)
{
    static FILE *file;
    const char *folder = getenv("STAND_IN_RECORD");
    if (!folder)
        return;
    pthread_mutex_lock(&lock);
    char path[1024];
    snprintf(path, sizeof path, "%s/calls-%d", folder, rank());
    if (file || (file = fopen(path, "ae"))) {
        va_list arguments;
        va_start(arguments, format);
        vfprintf(file, format, arguments);
        va_end(arguments);
        fputc('\n', file);
        fflush(file);
    }
    pthread_mutex_unlock(&lock);
}

int stand_in_fault(const char *call)
{
    static int calls;
    char name[64];
    int on, at, code, answer = 0;
    const char *text = getenv("STAND_IN_FAIL");
    if (!text || sscanf(text, "%d %63s %d %d", &on, name, &at, &code) != 4 || on != rank() || strcmp(name, call) != 0)
        return 0;
    pthread_mutex_lock(&lock);
    if (++calls == at)
        answer = code;
    pthread_mutex_unlock(&lock);
    return answer;
}

int stand_in_number(const void *object)
{
    return object ? *(const int *)object : 0;
}

static int next_number(void)
{
    pthread_mutex_lock(&lock);
    int number = ++objects;
    pthread_mutex_unlock(&lock);
    return number;
}

#define FAULT(call)                                                                                                              \
    do {                                                                                                                         \
        int fault_ = stand_in_fault(call);                                                                                       \
        if (fault_)                                                                                                              \
            return fault_;                                                                                                       \
    } while (0)

/* ---- streams ---- */

/* As in CUDA each thread begins with device 0, and whoever forgets cudaSetDevice works on a GPU that is not its own. */
static _Thread_local int current;

static void *work(void *argument)
{
    stream *s = argument;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->first && !s->stop)
            pthread_cond_wait(&s->changed, &s->lock);
        task *now = s->first;
        if (!now)
            break;
        pthread_mutex_unlock(&s->lock);
        now->run(now->argument);
        pthread_mutex_lock(&s->lock);
        s->first = now->next;
        if (!s->first)
            s->last = &s->first;
        free(now);
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static stream *make_stream(void)
{
    stream *s = calloc(1, sizeof *s);
    s->number = next_number();
    s->device = current;
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    pthread_create(&s->thread, NULL, work, s);
    return s;
}

static stream *default_stream;
static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static void make_default(void)
{
    default_stream = make_stream();
}

static stream *find_stream(void *given)
{
    pthread_once(&default_once, make_default);
    return given ? given : default_stream;
}

int stand_in_device(const void *given)
{
    return given ? ((const stream *)given)->device : current;
}

void stand_in_ask(void *to, void (*run)(void *), void *argument)
{
    stream *s = find_stream(to);
    task *new = calloc(1, sizeof *new);
    *new = (task){.run = run, .argument = argument};
    pthread_mutex_lock(&s->lock);
    *s->last = new;
    s->last = &new->next;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

int cudaStreamCreateWithFlags(void **out, unsigned flags)
{
    FAULT("cudaStreamCreateWithFlags");
    if (flags != NON_BLOCKING) /* it would wait for the default stream, and that for it */
        return INVALID_VALUE;
    *out = make_stream();
    return SUCCESS;
}

int cudaStreamSynchronize(void *given)
{
    stream *s = find_stream(given);
    FAULT("cudaStreamSynchronize");
    pthread_mutex_lock(&s->lock);
    while (s->first)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return SUCCESS;
}

int cudaStreamDestroy(void *given)
{
    stream *s = given;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    free(s);
    return SUCCESS;
}

typedef struct host_function {
    void (*run)(void *data);
    void *data;
} host_function;

static void run_host_function(void *argument)
{
    host_function *h = argument;
    h->run(h->data);
    free(h);
}

int cudaLaunchHostFunc(void *to, void (*run)(void *), void *data)
{
    FAULT("cudaLaunchHostFunc");
    host_function *h = malloc(sizeof *h);
    *h = (host_function){run, data};
    stand_in_record("launch stream %d", stand_in_number(find_stream(to)));
    stand_in_ask(to, run_host_function, h);
    return SUCCESS;
}

/* ---- events ---- */

typedef struct event_task {
    event *event;
    uint64_t version;
} event_task;

static event_task *task_of(event *e, uint64_t version)
{
    event_task *t = malloc(sizeof *t);
    *t = (event_task){e, version};
    return t;
}

int cudaEventCreateWithFlags(void **out, unsigned flags)
{
    (void)flags;
    FAULT("cudaEventCreateWithFlags");
    event *e = calloc(1, sizeof *e);
    e->number = next_number();
    e->device = current;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
    *out = e;
    return SUCCESS;
}

int cudaEventCreate(void **out)
{
    return cudaEventCreateWithFlags(out, 0);
}

int cudaEventDestroy(void *given)
{
    (void)given; /* a stream may still come to it */
    return SUCCESS;
}

static void pass(void *argument)
{
    event_task *t = argument;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&t->event->lock);
    t->event->passed = t->version;
    t->event->milliseconds = 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
    pthread_cond_broadcast(&t->event->changed);
    pthread_mutex_unlock(&t->event->lock);
    free(t);
}

static void await(event *e, uint64_t version)
{
    pthread_mutex_lock(&e->lock);
    while (e->passed < version)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static void await_task(void *argument)
{
    event_task *t = argument;
    await(t->event, t->version);
    free(t);
}

static uint64_t version_of(event *e, bool next)
{
    pthread_mutex_lock(&e->lock);
    uint64_t version = next ? ++e->recorded : e->recorded;
    pthread_mutex_unlock(&e->lock);
    return version;
}

int cudaEventRecord(void *given, void *on)
{
    FAULT("cudaEventRecord");
    if (((event *)given)->device != find_stream(on)->device)
        return INVALID_HANDLE;
    stand_in_record("record event %d stream %d", stand_in_number(given), stand_in_number(find_stream(on)));
    stand_in_ask(on, pass, task_of(given, version_of(given, true)));
    return SUCCESS;
}

int cudaStreamWaitEvent(void *on, void *given, unsigned flags)
{
    (void)flags;
    FAULT("cudaStreamWaitEvent");
    stand_in_record("wait event %d stream %d", stand_in_number(given), stand_in_number(find_stream(on)));
    stand_in_ask(on, await_task, task_of(given, version_of(given, false)));
    return SUCCESS;
}

int cudaEventSynchronize(void *given)
{
    FAULT("cudaEventSynchronize");
    await(given, version_of(given, false));
    return SUCCESS;
}

int cudaEventQuery(void *given)
{
    event *e = given;
    FAULT("cudaEventQuery");
    pthread_mutex_lock(&e->lock);
    bool past = e->passed >= e->recorded;
    pthread_mutex_unlock(&e->lock);
    return past ? SUCCESS : NOT_READY;
}

int cudaEventElapsedTime(float *milliseconds, void *from, void *to)
{
    event *events[2] = {from, to};
    double at[2];
    if (events[0]->device != events[1]->device)
        return INVALID_HANDLE;
    for (int i = 0; i < 2; i++) {
        pthread_mutex_lock(&events[i]->lock);
        at[i] = events[i]->milliseconds;
        int code = events[i]->recorded == 0 ? INVALID_HANDLE : events[i]->passed < events[i]->recorded ? NOT_READY : SUCCESS;
        pthread_mutex_unlock(&events[i]->lock);
        if (code)
            return code;
    }
    *milliseconds = (float)(at[1] - at[0]);
    return SUCCESS;
}

/* ---- memory ---- */

int cudaMalloc(void **out, size_t bytes)
{
    FAULT("cudaMalloc");
    *out = aligned_alloc(256, (bytes + 255) / 256 * 256);
    return *out ? SUCCESS : MEMORY_ALLOCATION;
}

int cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
    FAULT("cudaHostAlloc");
    if (flags != PORTABLE)
        return INVALID_VALUE;
    *out = aligned_alloc(256, (bytes + 255) / 256 * 256);
    return *out ? SUCCESS : MEMORY_ALLOCATION;
}

int cudaFree(void *memory)
{
    free(memory);
    return SUCCESS;
}

int cudaFreeHost(void *memory)
{
    free(memory);
    return SUCCESS;
}

typedef struct copy {
    void *target;
    const void *source; /* NULL: fill */
    int value;
    bool to_host;
    size_t bytes;
} copy;

static void run_copy(void *argument)
{
    copy *c = argument;
    const char *slow = getenv("STAND_IN_SLOW_COPY_MS");
    if (slow && c->to_host)
        usleep(1000 * (unsigned)atoi(slow));
    if (c->source)
        memmove(c->target, c->source, c->bytes);
    else
        memset(c->target, c->value, c->bytes);
    free(c);
}

int cudaMemcpyAsync(void *target, const void *source, size_t bytes, int kind, void *on)
{
    FAULT("cudaMemcpyAsync");
    if (kind < HOST_TO_DEVICE || kind > WITHIN)
        return INVALID_VALUE;
    copy *c = malloc(sizeof *c);
    *c = (copy){.target = target, .source = source, .to_host = kind == TO_HOST, .bytes = bytes};
    stand_in_ask(on, run_copy, c);
    return SUCCESS;
}

int cudaMemsetAsync(void *target, int value, size_t bytes, void *on)
{
    FAULT("cudaMemsetAsync");
    copy *c = malloc(sizeof *c);
    *c = (copy){.target = target, .value = value, .bytes = bytes};
    stand_in_ask(on, run_copy, c);
    return SUCCESS;
}

int cudaMemGetInfo(size_t *available, size_t *total)
{
    *available = *total = (size_t)1 << 36;
    return SUCCESS;
}

/* ---- the device ---- */

int cudaDriverGetVersion(int *version)
{
    *version = 13000;
    return SUCCESS;
}

int cudaRuntimeGetVersion(int *version)
{
    *version = 13000;
    return SUCCESS;
}

int cudaGetDeviceCount(int *count)
{
    FAULT("cudaGetDeviceCount");
    *count = GPUS;
    return SUCCESS;
}

/* Name and UUID, with which the struct begins in every version. */
int cudaGetDeviceProperties(void *properties, int index)
{
    char *text = properties;
    FAULT("cudaGetDeviceProperties");
    snprintf(text, 256, "stand-in for a GPU");
    memset(text + 256, 0, 16);
    text[256] = (char)(index + 1);
    return SUCCESS;
}

int cudaSetDevice(int index)
{
    FAULT("cudaSetDevice");
    if (index < 0 || index >= GPUS)
        return INVALID_DEVICE;
    current = index;
    return SUCCESS;
}

int cudaGetLastError(void)
{
    return SUCCESS;
}

const char *cudaGetErrorString(int code)
{
    return code == SUCCESS ? "no error" : code == MEMORY_ALLOCATION ? "out of memory" : "a failure of the stand-in";
}
