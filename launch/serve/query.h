/* What a request says, read with suspicion: its query, the names in its Host and Origin headers, the parameters in its body. */
#ifndef LK_LAUNCH_SERVE_QUERY_H
#define LK_LAUNCH_SERVE_QUERY_H

#include "base/error.h"
#include "dataset/schema.h"

#include <stdbool.h>
#include <stddef.h>

/* The pictures that an answer can hold, in the order of the triptych, which is the three side by side. */
#define LK_SERVE_PICTURES(X) X(crop) X(decoded) X(client) X(triptych)
typedef enum lk_serve_picture {
#define LK_SERVE_PICTURE(name) LK_SERVE_##name,
    LK_SERVE_PICTURES(LK_SERVE_PICTURE)
#undef LK_SERVE_PICTURE
        LK_SERVE_PICTURE_COUNT
} lk_serve_picture;
extern const char *const lk_serve_picture_names[LK_SERVE_PICTURE_COUNT];

typedef struct lk_query {
    bool aligned;                        /* the body is a crop already */
    bool wanted[LK_SERVE_PICTURE_COUNT]; /* pictures */
} lk_query;

/* One key of the query, decoded; value NULL: it stands alone. LK_BAD_DATA names a key or value that there is not. */
lk_status lk_query_take(lk_query *query, const char *key, const char *value);

/* Whether a Host header (NULL: there is none) names one of `names`, comma separated, with any port. */
bool lk_host_is_one_of(const char *host, const char *names);
/* Whether an Origin header is of the server that the Host header names: of a page that came from here. */
bool lk_origin_is_host(const char *origin, const char *host);

/* Parameters as POST /v1/predict answers them: a parameter file in JSON (dataset/parameters.h), beside which that answer's
 * "certainty", "quality" and "pictures" may stand and are passed over. LK_BAD_DATA. */
lk_status lk_read_face(const lk_schema *schema, const char *text, size_t size, float *continuous, uint8_t *discrete);

#endif
