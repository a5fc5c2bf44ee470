#include "launch/serve/batch.h"

#include "base/thread.h"
#include "trainer/tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

/* A face that waits, on the stack of the thread that waits for it. */
typedef struct face {
    const uint8_t *crop;
    float *continuous, *certainty;
    uint8_t *discrete, *decoded;
    bool done;
    lk_error error;
    struct face *next;
} face;

struct lk_batch {
    lk_predictor *predictor;
    lk_counts *counts;
    const lk_schema *schema;
    size_t picture; /* bytes */
    int threads;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t came, finished;
    face *first, **last;
    bool closing;
    /* Of the thread alone, for LK_BATCH_MOST faces. */
    uint8_t *crops, *discrete, *decoded;
    float *continuous, *certainty;
};

/* ---- the predictor's thread ---- */

/* Those who asked for D(p), side by side. */
static lk_status draw(lk_batch *b, face *const *faces, int count)
{
    int n = 0;
    size_t nc = (size_t)b->schema->continuous_count, groups = (size_t)b->schema->group_count;
    for (int i = 0; i < count; i++) {
        if (!faces[i]->decoded)
            continue;
        memcpy(b->continuous + (size_t)n * nc, faces[i]->continuous, nc * sizeof(float));
        memcpy(b->discrete + (size_t)n * groups, faces[i]->discrete, groups);
        n++;
    }
    if (n == 0)
        return LK_OK;
    LK_TRY(lk_predictor_draw(b->predictor, n, b->continuous, b->discrete, b->decoded));
    n = 0;
    for (int i = 0; i < count; i++)
        if (faces[i]->decoded)
            memcpy(faces[i]->decoded, b->decoded + (size_t)n++ * b->picture, b->picture);
    return LK_OK;
}

static lk_status compute(lk_batch *b, face *const *faces, int count)
{
    size_t nc = (size_t)b->schema->continuous_count, groups = (size_t)b->schema->group_count;
    for (int i = 0; i < count; i++)
        memcpy(b->crops + (size_t)i * b->picture, faces[i]->crop, b->picture);
    LK_TRY(lk_predict(b->predictor, count, b->crops, b->continuous, b->discrete, b->certainty));
    for (int i = 0; i < count; i++) {
        memcpy(faces[i]->continuous, b->continuous + (size_t)i * nc, nc * sizeof(float));
        memcpy(faces[i]->discrete, b->discrete + (size_t)i * groups, groups);
        memcpy(faces[i]->certainty, b->certainty + (size_t)i * groups, groups * sizeof(float));
    }
    return draw(b, faces, count);
}

/* Called with the lock held; 0: nobody waits, and nobody will. */
static int take(lk_batch *b, face **faces)
{
    int count = 0;
    while (!b->first && !b->closing)
        pthread_cond_wait(&b->came, &b->lock);
    while (b->first && count < LK_BATCH_MOST) {
        faces[count++] = b->first;
        b->first = b->first->next;
    }
    if (!b->first)
        b->last = &b->first;
    return count;
}

static void *run(void *context)
{
    lk_batch *b = context;
    face *faces[LK_BATCH_MOST];
    lk_status started = lk_tensor_start(b->threads);
    pthread_mutex_lock(&b->lock);
    for (int count; (count = take(b, faces)) > 0;) {
        pthread_mutex_unlock(&b->lock);
        lk_status status = started == LK_OK ? compute(b, faces, count) : started;
        lk_counts_batch(b->counts, count);
        pthread_mutex_lock(&b->lock);
        for (int i = 0; i < count; i++) {
            if (status != LK_OK)
                lk_error_take(&faces[i]->error, status);
            faces[i]->done = true;
        }
        pthread_cond_broadcast(&b->finished);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* ---- for everyone ---- */

lk_status lk_batch_open(lk_predictor *predictor, int threads, lk_counts *counts, lk_batch **out)
{
    const lk_schema *schema = lk_predictor_schema(predictor);
    size_t edge = (size_t)lk_predictor_size(predictor);
    *out = NULL;
    lk_batch *b = calloc(1, sizeof *b);
    if (!b)
        return lk_fail(LK_INTERNAL, "out of memory");
    b->predictor = predictor;
    b->counts = counts;
    b->schema = schema;
    b->picture = edge * edge * 3;
    b->threads = threads;
    b->last = &b->first;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->came, NULL);
    pthread_cond_init(&b->finished, NULL);
    b->crops = malloc(LK_BATCH_MOST * b->picture);
    b->decoded = malloc(LK_BATCH_MOST * b->picture);
    b->continuous = malloc(LK_BATCH_MOST * (size_t)schema->continuous_count * sizeof(float));
    b->certainty = malloc(LK_BATCH_MOST * (size_t)schema->group_count * sizeof(float));
    b->discrete = malloc(LK_BATCH_MOST * (size_t)schema->group_count);
    bool whole = b->crops && b->decoded && b->continuous && b->certainty && b->discrete;
    lk_status status = whole ? lk_thread_start(&b->thread, "predictor", run, b) : lk_fail(LK_INTERNAL, "out of memory");
    if (status == LK_OK) {
        *out = b;
        return LK_OK;
    }
    b->threads = 0; /* there is no thread to wait for */
    lk_batch_close(b);
    return status;
}

void lk_batch_close(lk_batch *b)
{
    if (!b)
        return;
    if (b->threads > 0) {
        pthread_mutex_lock(&b->lock);
        b->closing = true;
        pthread_cond_signal(&b->came);
        pthread_mutex_unlock(&b->lock);
        pthread_join(b->thread, NULL);
    }
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->came);
    pthread_cond_destroy(&b->finished);
    free(b->crops);
    free(b->decoded);
    free(b->continuous);
    free(b->certainty);
    free(b->discrete);
    free(b);
}

lk_status lk_batch_predict(lk_batch *b, const uint8_t *crop, float *continuous, uint8_t *discrete, float *certainty,
                           uint8_t *decoded)
{
    face mine = {.crop = crop, .continuous = continuous, .discrete = discrete, .certainty = certainty, .decoded = decoded};
    pthread_mutex_lock(&b->lock);
    *b->last = &mine;
    b->last = &mine.next;
    pthread_cond_signal(&b->came);
    while (!mine.done)
        pthread_cond_wait(&b->finished, &b->lock);
    pthread_mutex_unlock(&b->lock);
    return lk_error_put(&mine.error);
}
