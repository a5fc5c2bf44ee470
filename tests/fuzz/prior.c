/* Priors: any bytes as YAML. */
#include "dataset/client/prior.h"
#include "tests/fuzz/fuzz.h"

static const char SCHEMA[] = "name: fuzz\n"
                             "continuous:\n"
                             "  - {name: sex, min: 0, max: 1, default: 0}\n"
                             "  - {name: nose, min: -1, max: 1, default: 0}\n"
                             "discrete:\n"
                             "  - {name: hair, choices: [bald, short, long]}\n"
                             "  - {name: beard, choices: [none, full]}\n";

/* What parses draws faces that the schema allows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lk_schema *schema;
    if (!schema)
        FUZZ_REQUIRE(lk_schema_parse(SCHEMA, "schema", &schema) == LK_OK);
    lk_prior *prior;
    lk_status status = lk_prior_parse((const char *)data, size, "fuzz", schema, &prior);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    float continuous[2];
    uint8_t discrete[2];
    for (uint64_t i = 0; i < 20; i++) {
        lk_prior_draw(prior, 1, i, continuous, discrete);
        FUZZ_REQUIRE(lk_schema_check_face(schema, continuous, discrete) == LK_OK);
    }
    lk_prior_free(prior);
    return 0;
}
