/* Checkpoints: any bytes as state.json. */
#include "base/hash.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/record/checkpoint.h"

/* A state that parses has counts in their ranges and both texts; any byte after it or missing is seen. Most inputs fail at the
 * hash of the whole, so each is tried once more with its hash put right. */
static void try_state(const char *text, size_t size)
{
    lk_checkpoint_info info;
    lk_status status = lk_checkpoint_parse_state(text, size, "input", &info);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return;
    }
    FUZZ_REQUIRE(info.state.step >= 0 && info.state.updates >= 0 && info.world >= 1 && info.sample_count >= 1);
    FUZZ_REQUIRE(info.config && info.schema);
    lk_checkpoint_info_free(&info);
    FUZZ_REQUIRE(lk_checkpoint_parse_state(text, size - 1, "input", &info) == LK_BAD_DATA);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char before[] = ",\n \"state_hash\": \"", after[] = "\"\n}\n";
    char hex[LK_HEX_SIZE];
    try_state((const char *)data, size);
    char *text = malloc(size + sizeof before + sizeof after + LK_HEX_SIZE);
    FUZZ_REQUIRE(text);
    memcpy(text, data, size);
    lk_hash_hex(lk_hash(data, size), hex);
    int tail = sprintf(text + size, "%s%s%s", before, hex, after);
    try_state(text, size + (size_t)tail);
    free(text);
    return 0;
}
