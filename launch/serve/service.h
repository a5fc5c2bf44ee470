/* What the server can do, without HTTP: each function makes the answer to one request. Any number of threads.
 *
 * The way from a photo to parameters is that of likeness predict, call by call: lk_photo_decode, lk_align or lk_take_crop,
 * lk_predict, lk_predictor_draw, the client, lk_lay_triptychs.
 */
#ifndef LK_LAUNCH_SERVE_SERVICE_H
#define LK_LAUNCH_SERVE_SERVICE_H

#include "base/device/device.h"
#include "launch/serve/answer.h"
#include "launch/serve/counts.h"
#include "launch/serve/query.h"
#include "launch/serve/workbench.h"

typedef struct lk_service_options {
    const char *model, *decoder; /* lk_predictor_open */
    lk_device_choice device;
    int threads;
    int64_t max_pixels;         /* of a photo */
    lk_workbench_options bench; /* but `sets` and `align.size`, which follow from the others */
} lk_service_options;

typedef struct lk_service lk_service;
lk_status lk_service_open(const lk_service_options *options, lk_counts *counts, lk_service **out);
/* After all calls have returned. NULL is fine. */
void lk_service_close(lk_service *service);

/* A photo (PNG or JPEG): parameters, certainty, quality, and the pictures that the query wants. */
void lk_service_predict(lk_service *service, const uint8_t *body, size_t size, const lk_query *query, lk_answer *answer);
/* Parameters (lk_read_face): the client's face as a PNG. */
void lk_service_render(lk_service *service, const uint8_t *body, size_t size, const lk_query *query, lk_answer *answer);
/* Parameters: the same as a .mhm file. */
void lk_service_mhm(lk_service *service, const uint8_t *body, size_t size, const lk_query *query, lk_answer *answer);
/* The parameters that there are, their ranges, defaults and choices. */
void lk_service_schema(lk_service *service, lk_answer *answer);

#endif
