/* Configurations: any bytes as a file. */
#include "configs/config.h"
#include "tests/fuzz/fuzz.h"

/* The file, and after a zero byte one --set. What loads is written, loads again to the same values, and may resume itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = memchr(data, '\0', size);
    size_t text_size = cut ? (size_t)(cut - data) : size;
    char *set = cut ? fuzz_text(cut + 1, size - text_size - 1) : NULL;
    const char *path = fuzz_file(data, text_size, ".yaml");
    lk_config *config, *again;
    lk_status status = lk_config_load(path, (const char *const *)&set, set != NULL, &config);
    free(set);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    char *text;
    FUZZ_REQUIRE(lk_config_to_yaml(config, &text) == LK_OK);
    path = fuzz_file((const uint8_t *)text, strlen(text), ".yaml");
    FUZZ_REQUIRE(lk_config_load(path, NULL, 0, &again) == LK_OK);
    FUZZ_REQUIRE(lk_config_compare(config, again) == LK_OK);
    char *same;
    FUZZ_REQUIRE(lk_config_to_yaml(again, &same) == LK_OK && strcmp(text, same) == 0);
    free(text);
    free(same);
    lk_config_free(config);
    lk_config_free(again);
    return 0;
}
