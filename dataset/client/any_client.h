/* Whoever draws the client's pictures: the built-in client, or another one's command (other.h).
 *
 *     const lk_client_choice choice = {.command = command, .seconds = 30, .folder = "out", .size = 128};
 *     LK_TRY(lk_any_client_open(schema, &choice, threads, &client));
 *     LK_TRY_OR(done, lk_any_client_draw(client, worker, "ann", NULL, continuous, discrete, &picture));
 */
#ifndef LK_DATASET_CLIENT_ANY_CLIENT_H
#define LK_DATASET_CLIENT_ANY_CLIENT_H

#include "base/error.h"
#include "dataset/client/client.h"
#include "dataset/image.h"
#include "dataset/schema.h"

#include <stdint.h>

typedef struct lk_any_client lk_any_client;

typedef struct lk_client_choice {
    const char *command; /* of other.h; NULL: the built-in client */
    const char *assets;  /* of the built-in client (lk_client_open_assets); NULL: none */
    double seconds;      /* that the command may take for one face */
    const char *folder;  /* in which the command's parameter files and pictures are for a moment */
    int size;            /* edge of the built-in client's pictures, which are canonical */
} lk_client_choice;

/* LK_BAD_DATA where the built-in client's files are missing or it does not know the schema. `threads` may draw at once. `schema`
 * and what `choice` points to must outlive it. */
lk_status lk_any_client_open(const lk_schema *schema, const lk_client_choice *choice, int threads, lk_any_client **out);
/* NULL is fine. */
void lk_any_client_close(lk_any_client *client);

/* The built-in client, NULL where it is another. */
const lk_client *lk_any_client_built_in(const lk_any_client *client);

/* The square picture of one face of continuous [nc] in [0,1] and discrete [groups]: of choice.size pixels, or as another client
 * draws it. `name` is told in errors and is a file's name, another for each face. `params` is the face's parameter file NAME.json
 * if there is one already, for another client to read. `worker` is 0..threads-1, each used by one thread at a time. *out is the
 * caller's. */
lk_status lk_any_client_draw(lk_any_client *client, int worker, const char *name, const char *params, const float *continuous,
                             const uint8_t *discrete, lk_image *out);

#endif
