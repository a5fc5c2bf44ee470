/* What the server reads of a request: its query, the Host and Origin headers, the parameters in its body. */
#include "launch/serve/query.h"
#include "tests/fuzz/fuzz.h"

static const char schema_text[] = "name: fuzz\n"
                                  "continuous:\n"
                                  "  - {name: head/head-oval, min: 0, max: 1, default: 0}\n"
                                  "  - {name: nose/nose-width, min: -0.5, max: 0.5, default: 0}\n"
                                  "discrete:\n"
                                  "  - {name: hair, choices: [bald, short, bob]}\n";

static void read_query(const char *key, const char *value)
{
    lk_query query = {0};
    if (lk_query_take(&query, key, value) != LK_OK) {
        fuzz_require_refusal(LK_BAD_DATA);
        return;
    }
    bool any = query.aligned || (value && strcmp(value, "false") == 0);
    for (int i = 0; i < LK_SERVE_PICTURE_COUNT; i++)
        any = any || query.wanted[i];
    FUZZ_REQUIRE(any && value);
}

/* A host is one of the names only if it begins with it, and goes on with nothing but a port. */
static void read_names(const char *host, const char *origin)
{
    static const char names[] = "localhost,[::1],faces.example";
    if (lk_host_is_one_of(host, names)) {
        const char *rest = host[0] == '[' ? strchr(host, ']') + 1 : host + strcspn(host, ":");
        FUZZ_REQUIRE(strspn(rest, ":0123456789") == strlen(rest));
        FUZZ_REQUIRE(!strchr(host, ','));
    }
    if (lk_origin_is_host(origin, host))
        FUZZ_REQUIRE(strlen(origin) >= strlen(host) + 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lk_schema *schema;
    if (!schema)
        FUZZ_REQUIRE(lk_schema_parse(schema_text, "fuzz", &schema) == LK_OK);
    float continuous[2];
    uint8_t discrete[1];
    lk_status status = lk_read_face(schema, (const char *)data, size, continuous, discrete);
    if (status != LK_OK)
        fuzz_require_refusal(status);
    for (int i = 0; i < 2 && status == LK_OK; i++)
        FUZZ_REQUIRE(continuous[i] >= 0 && continuous[i] <= 1);
    FUZZ_REQUIRE(status != LK_OK || discrete[0] < 3);

    char *text = fuzz_text(data, size), *rest = strchr(text, '=');
    if (rest)
        *rest++ = '\0';
    read_query(text, rest);
    read_names(text, rest ? rest : "");
    free(text);
    return 0;
}
