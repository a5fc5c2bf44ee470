/* Schemas: any bytes as YAML. */
#include "dataset/mirror.h"
#include "tests/fuzz/fuzz.h"

/* What parses keeps its limits, and its canonical text parses to an equal schema. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    lk_schema *schema, *again;
    lk_status status = lk_schema_parse(text, "fuzz", &schema);
    free(text);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    FUZZ_REQUIRE(schema->continuous_count <= LK_MAX_CONTINUOUS && schema->group_count <= LK_MAX_GROUPS);
    int choices = 0;
    for (int i = 0; i < schema->group_count; i++)
        choices += schema->groups[i].count;
    FUZZ_REQUIRE(choices == schema->choice_count);
    for (int i = 0; i < schema->continuous_count; i++)
        FUZZ_REQUIRE(schema->continuous[i].min < schema->continuous[i].max);
    FUZZ_REQUIRE(lk_schema_parse(schema->text, "again", &again) == LK_OK);
    FUZZ_REQUIRE(strcmp(schema->text, again->text) == 0);
    FUZZ_REQUIRE(lk_schema_require_equal(schema, "fuzz", again, "again") == LK_OK);
    /* Mirrored twice, a face is what it was. */
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS];
    for (int i = 0; i < schema->continuous_count; i++)
        continuous[i] = (float)(i % 5) / 4;
    for (int g = 0; g < schema->group_count; g++)
        discrete[g] = (uint8_t)(g % schema->groups[g].count);
    lk_schema_mirror_face(schema, continuous, discrete);
    FUZZ_REQUIRE(lk_schema_check_face(schema, continuous, discrete) == LK_OK);
    lk_schema_mirror_face(again, continuous, discrete);
    for (int i = 0; i < schema->continuous_count; i++)
        FUZZ_REQUIRE(continuous[i] == (float)(i % 5) / 4);
    for (int g = 0; g < schema->group_count; g++)
        FUZZ_REQUIRE(discrete[g] == (uint8_t)(g % schema->groups[g].count));
    lk_schema_free(schema);
    lk_schema_free(again);
    return 0;
}
