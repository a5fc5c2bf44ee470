/* What it takes to work on a face, in as many sets as there are threads: one to align photos and to draw the client's face.
 *
 * A set that is taken is also the right to compute: so no more threads than that do so at once, and what photos take together
 * while they are decoded stays under LK_WORKBENCH_BYTES (but for a single larger one).
 */
#ifndef LK_LAUNCH_SERVE_WORKBENCH_H
#define LK_LAUNCH_SERVE_WORKBENCH_H

#include "base/error.h"
#include "dataset/align/align.h"
#include "dataset/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LK_WORKBENCH_BYTES = 1 << 30 };

typedef struct lk_workbench_options {
    int sets;
    lk_align_options align; /* with the encoder's size, which the faces of triptychs have too */
    int size;               /* edge of the larger client's face */
    const char *landmarks;  /* dlib's model; NULL: the installed one */
    const char *client;     /* another client (dataset/client/other.h); NULL: the built-in one */
    double client_seconds;
    const char *assets; /* the folder of assets that the built-in client may need (dataset/client/assets.h); NULL: none */
} lk_workbench_options;

typedef struct lk_workbench lk_workbench;
/* `schema` and the texts must outlive it. That the built-in client does not know the schema is no failure, but in the log. */
lk_status lk_workbench_open(const lk_workbench_options *options, const lk_schema *schema, lk_workbench **out);
void lk_workbench_close(lk_workbench *bench);
bool lk_workbench_can_draw(const lk_workbench *bench);

typedef struct lk_tools lk_tools;
/* Waits for a set, and until `bytes` more are free. Whoever has one takes no other before it is back. */
lk_tools *lk_workbench_take(lk_workbench *bench, int64_t bytes);
void lk_workbench_give(lk_workbench *bench, lk_tools *tools);

lk_aligner *lk_tools_aligner(const lk_tools *tools);
/* The client's face, size*size*3 pixels; `large`: of the options' size, else of the encoder's. A command that fails is
 * LK_BAD_DATA; LK_USAGE: there is no client. */
lk_status lk_tools_draw(lk_tools *tools, bool large, const float *continuous, const uint8_t *discrete, uint8_t *pixels);
/* The parameters as the text of a .mhm file, which the caller frees. LK_USAGE: the schema cannot be written so. */
lk_status lk_tools_mhm(lk_tools *tools, const float *continuous, const uint8_t *discrete, char **text, size_t *size);

#endif
