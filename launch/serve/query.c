#include "launch/serve/query.h"

#include "dataset/parameters.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

const char *const lk_serve_picture_names[LK_SERVE_PICTURE_COUNT] = {
#define LK_SERVE_PICTURE(name) #name,
    LK_SERVE_PICTURES(LK_SERVE_PICTURE)
#undef LK_SERVE_PICTURE
};

/* ---- the query ---- */

static lk_status want_picture(lk_query *query, const char *name, size_t length)
{
    for (int i = 0; i < LK_SERVE_PICTURE_COUNT; i++)
        if (strlen(lk_serve_picture_names[i]) == length && memcmp(lk_serve_picture_names[i], name, length) == 0) {
            query->wanted[i] = true;
            return LK_OK;
        }
    return lk_fail(LK_BAD_DATA, "?picture=%.*s: there are crop, decoded, client and triptych; several with commas between",
                   length < 60 ? (int)length : 60, name);
}

lk_status lk_query_take(lk_query *query, const char *key, const char *value)
{
    const char *given = value ? value : "";
    if (strcmp(key, "aligned") == 0) {
        query->aligned = strcmp(given, "true") == 0;
        if (!query->aligned && strcmp(given, "false") != 0)
            return lk_fail(LK_BAD_DATA, "?aligned=%.60s: must be true or false", given);
        return LK_OK;
    }
    if (strcmp(key, "picture") != 0)
        return lk_fail(LK_BAD_DATA, "?%.60s: there is no such key; there are aligned and picture", key);
    for (;;) {
        size_t length = strcspn(given, ",");
        LK_TRY(want_picture(query, given, length));
        if (!given[length])
            return LK_OK;
        given += length + 1;
    }
}

/* ---- names of servers ---- */

/* The length of the name that a Host header begins with; -1 where it is none: what follows must be the end or a port. */
static int name_length(const char *host)
{
    size_t length = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
    if (host[0] == '[' && host[length++] != ']')
        return -1;
    const char *rest = host + length;
    if (*rest == ':')
        rest += 1 + strspn(rest + 1, "0123456789");
    return *rest || length == 0 || length > 255 ? -1 : (int)length;
}

bool lk_host_is_one_of(const char *host, const char *names)
{
    int length = host ? name_length(host) : -1;
    while (length > 0 && *names) {
        size_t other = strcspn(names, ",");
        if (other == (size_t)length && strncasecmp(host, names, other) == 0)
            return true;
        names += other + (names[other] == ',');
    }
    return false;
}

bool lk_origin_is_host(const char *origin, const char *host)
{
    const char *name = strstr(origin, "://");
    return name && host && strcasecmp(name + 3, host) == 0;
}

/* ---- parameters ---- */

lk_status lk_read_face(const lk_schema *schema, const char *text, size_t size, float *continuous, uint8_t *discrete)
{
    json_error_t error;
    if (size > LK_PARAMETERS_BYTES)
        return lk_fail(LK_BAD_DATA, "the body has %zu bytes; the parameters of one face take at most %d", size,
                       LK_PARAMETERS_BYTES);
    if (size == 0)
        return lk_fail(LK_BAD_DATA, "the body is empty; POST what /v1/predict answers");
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return lk_fail(LK_BAD_DATA, "the body is no JSON: line %d: %s; POST what /v1/predict answers", error.line, error.text);
    static const char *const passed_over[] = {"certainty", "quality", "pictures"};
    for (size_t i = 0; i < sizeof passed_over / sizeof *passed_over; i++)
        if (json_is_object(root))
            json_object_del(root, passed_over[i]);
    lk_status status = lk_parameters_from_json(schema, root, "the body", continuous, discrete);
    json_decref(root);
    return status;
}
