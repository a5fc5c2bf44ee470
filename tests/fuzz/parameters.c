/* Parameter files: any bytes as JSON or .mhm. */
#include "dataset/parameters.h"
#include "tests/fuzz/fuzz.h"

static const char schema_text[] = "name: fuzz\n"
                                  "continuous:\n"
                                  "  - {name: head/head-oval, min: 0, max: 1, default: 0}\n"
                                  "  - {name: nose/nose-width, min: -0.5, max: 0.5, default: 0}\n"
                                  "discrete:\n"
                                  "  - {name: hair, choices: [bald, short, bob]}\n";

static void require_in_range(const float *continuous, const uint8_t *discrete)
{
    for (int i = 0; i < 2; i++)
        FUZZ_REQUIRE(continuous[i] >= 0 && continuous[i] <= 1);
    FUZZ_REQUIRE(discrete[0] < 3);
}

/* The same bytes as JSON from memory, as a .json and as a .mhm file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lk_schema *schema;
    if (!schema)
        FUZZ_REQUIRE(lk_schema_parse(schema_text, "fuzz", &schema) == LK_OK);
    float continuous[2];
    uint8_t discrete[1];
    lk_status status = lk_parameters_parse_json(schema, (const char *)data, size, "fuzz", continuous, discrete);
    if (status == LK_OK)
        require_in_range(continuous, discrete);
    else
        fuzz_require_refusal(status);
    static const char *const endings[] = {".json", ".mhm"};
    for (int i = 0; i < 2; i++) {
        status = lk_parameters_load(schema, fuzz_file(data, size, endings[i]), continuous, discrete);
        if (status == LK_OK)
            require_in_range(continuous, discrete);
        else
            fuzz_require_refusal(status);
    }
    return 0;
}
