/* Tables of what a person sees: any bytes as CSV. */
#include "trainer/evaluate/seen.h"
#include "tests/fuzz/fuzz.h"

static const char SCHEMA[] = "name: fuzz\n"
                             "continuous:\n"
                             "  - {name: macrodetails/Gender, min: 0, max: 1, default: 0}\n"
                             "  - {name: nose-down|up, min: -1, max: 1, default: 0}\n"
                             "discrete:\n"
                             "  - {name: hair, choices: [bald, short, long]}\n"
                             "  - {name: beard, choices: [none, full]}\n";

static void require_whole(const lk_seen *seen)
{
    static const float continuous[][2] = {{0, 0}, {0.5f, 0.3f}, {1, 1}};
    static const uint8_t discrete[][2] = {{0, 0}, {1, 0}, {2, 1}};
    FUZZ_REQUIRE(seen->column_count > 0 && seen->row_count > 0);
    for (int c = 0; c < seen->column_count; c++) {
        const lk_seen_column *column = &seen->columns[c];
        FUZZ_REQUIRE(column->name[0] && column->word_count >= 2 && (column->group < 0) != (column->continuous < 0));
        for (int i = 0; i < 3; i++) {
            int said = lk_seen_said(column, continuous[i], discrete[i]);
            FUZZ_REQUIRE(said >= 0 && said < column->word_count);
        }
        for (int row = 0; row < seen->row_count; row++) {
            int allowed = 0;
            for (int w = 0; w < 256; w++) {
                bool right = lk_seen_allows(seen, row, c, w);
                FUZZ_REQUIRE(!right || w < column->word_count);
                allowed += right;
            }
            FUZZ_REQUIRE((allowed > 0) == lk_seen_judges(seen, row, c));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lk_schema *schema;
    if (!schema)
        FUZZ_REQUIRE(lk_schema_parse(SCHEMA, "schema", &schema) == LK_OK);
    lk_seen *seen;
    lk_status status = lk_seen_parse((const char *)data, size, "fuzz", schema, &seen);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    require_whole(seen);
    static const char *const names[] = {"ann-1", "a_ann-1", "bob"};
    int rows[3];
    status = lk_seen_match(seen, "fuzz", 3, names, rows);
    for (int i = 0; status == LK_OK && i < 3; i++)
        FUZZ_REQUIRE(rows[i] >= -1 && rows[i] < seen->row_count);
    if (status != LK_OK)
        fuzz_require_refusal(status);
    lk_seen_free(seen);
    return 0;
}
