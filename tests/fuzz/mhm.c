/* MakeHuman's files: any bytes as a .mhm. What is read comes back from the file that is written of it. */
#include "dataset/parameters.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

static const char schema_text[] = "name: fuzz\n"
                                  "continuous:\n"
                                  "  - {name: macrodetails/Age, min: 0.5, max: 0.9, default: 0.5}\n"
                                  "  - {name: macrodetails/African, min: 0, max: 1, default: 0.33}\n"
                                  "  - {name: macrodetails/Asian, min: 0, max: 1, default: 0.33}\n"
                                  "  - {name: eyes/eye-scale-decr|incr, min: -0.5, max: 0.5, default: 0}\n"
                                  "  - {name: head/head-square|round, min: -0.5, max: 0.5, default: 0}\n"
                                  "  - {name: asym/asym-eye-2, min: -0.2, max: 0.2, default: 0}\n"
                                  "  - {name: nose/nose-hump-decr|incr, min: -1, max: 1, default: 0}\n"
                                  "discrete:\n"
                                  "  - {name: hair, choices: [bald, short, bob]}\n";
enum { CONTINUOUS = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lk_schema *schema;
    if (!schema)
        FUZZ_REQUIRE(lk_schema_parse(schema_text, "fuzz", &schema) == LK_OK);
    float continuous[CONTINUOUS], back[CONTINUOUS];
    uint8_t discrete[1], choice[1];
    lk_status status = lk_parameters_parse_mhm(schema, (const char *)data, size, "fuzz", continuous, discrete);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    const char *path = fuzz_file(data, 0, ".mhm");
    FUZZ_REQUIRE(lk_parameters_save(schema, path, continuous, discrete) == LK_OK);
    FUZZ_REQUIRE(lk_parameters_load(schema, path, back, choice) == LK_OK);
    for (int i = 0; i < CONTINUOUS; i++)
        FUZZ_REQUIRE(fabsf(back[i] - continuous[i]) <= 1e-6f);
    FUZZ_REQUIRE(choice[0] == discrete[0]);
    return 0;
}
