/* Tables of parameters: the first byte chooses CSV or JSONL, the rest is the table. */
#include "dataset/pack/table.h"
#include "tests/fuzz/fuzz.h"

static const char schema_text[] = "name: small\n"
                                  "continuous:\n"
                                  "  - {name: a, min: 0, max: 1, default: 0.5}\n"
                                  "  - {name: b, min: -1, max: 1, default: 0}\n"
                                  "discrete:\n"
                                  "  - {name: hair, choices: [bald, short, bob]}\n";
static const lk_limits limits = LK_LIMITS_DEFAULTS;
static lk_schema *schema;

static lk_status take_row(void *context, lk_half *row)
{
    (void)context;
    const float *values = (const float *)row->data;
    FUZZ_REQUIRE(row->key[0] != '\0' && row->key[0] != '/' && strlen(row->key) < LK_KEY_SIZE);
    FUZZ_REQUIRE(row->size == 2 * sizeof(float) + 1 && row->data[2 * sizeof(float)] < 3);
    FUZZ_REQUIRE(values[0] >= 0 && values[0] <= 1 && values[1] >= 0 && values[1] <= 1);
    lk_half_free(row);
    return LK_OK;
}

static lk_status refuse_row(void *context, const char *name)
{
    (void)context;
    FUZZ_REQUIRE(name[0] != '\0' && lk_error_text()[0] != '\0');
    return LK_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const lk_table_calls calls = {take_row, refuse_row, NULL};
    if (!schema)
        FUZZ_REQUIRE(lk_schema_parse(schema_text, "fuzz", &schema) == LK_OK);
    if (size == 0)
        return 0;
    bool csv = data[0] & 1;
    lk_source *source;
    lk_entry entry;
    FUZZ_REQUIRE(lk_source_open(fuzz_file(data + 1, size - 1, csv ? ".csv" : ".jsonl"), &limits, &source) == LK_OK);
    FUZZ_REQUIRE(lk_source_next(source, &entry) == LK_OK && entry.name);
    lk_status status = lk_table_read(source, csv ? LK_NAME_CSV : LK_NAME_JSONL, entry.name, "", schema, &calls);
    if (status != LK_OK)
        fuzz_require_refusal(status);
    lk_source_close(source);
    return 0;
}
