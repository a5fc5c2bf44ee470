/* Preparing: one picture and its parameters, from the bytes of two files to what a shard stores. On the pipeline's threads. */
#ifndef LK_DATASET_PACK_PREPARE_H
#define LK_DATASET_PACK_PREPARE_H

#include "base/error.h"
#include "dataset/align/align.h"
#include "dataset/pack/pairing.h"
#include "dataset/schema.h"
#include "dataset/shard.h"

#include <stdbool.h>

typedef struct lk_prepare_options {
    const lk_schema *schema;
    bool align;
    lk_align_options alignment; /* size and max_enlarge count without align too */
    int jpeg_quality;           /* 0: raw pixels */
    int64_t max_pixels;         /* of a picture */
} lk_prepare_options;

/* One picture to be stored; or refused. */
typedef struct lk_prepared {
    const char *refused; /* NULL, or the rule */
    char detail[96];
    uint8_t *pixels; /* NULL where jpeg is given */
    uint8_t *jpeg;
    size_t jpeg_size;
} lk_prepared;

typedef struct lk_job {
    lk_half picture, labels;
    int64_t cost;
    /* filled by lk_prepare; a job that is refused before it is not touched */
    lk_error error;      /* not LK_OK: everything stops */
    const char *refused; /* NULL, or why the pair is not taken: "unreadable picture", "bad parameters", "no face" ... */
    char detail[LK_ERROR_SIZE];
    float *continuous;
    uint8_t *discrete; /* behind continuous, in the same memory */
    lk_prepared faces[LK_MAX_FACES];
    int face_count;
} lk_job;

/* The most bytes that the job takes while it is prepared and until it is freed: the files, the picture decoded and turned, what
 * looks for faces, the parsed parameters, the results. */
int64_t lk_prepare_cost(const lk_prepare_options *options, const lk_half *picture, const lk_half *labels);

/* `aligner` is this thread's own, NULL without align. */
void lk_prepare(const lk_prepare_options *options, lk_aligner *aligner, lk_job *job);
void lk_job_free(lk_job *job);

#endif
