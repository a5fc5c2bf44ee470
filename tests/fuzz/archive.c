/* The archive stream: any bytes as a tar, zip or 7z, compressed or not, within small limits. */
#include "dataset/pack/names.h"
#include "dataset/pack/source.h"
#include "tests/fuzz/fuzz.h"

static const lk_limits limits = {.entry_bytes = 1 << 20, .total_bytes = 8 << 20, .entries = 200, .depth = 4};

static void look_at_name(const char *name)
{
    lk_name_kind kind;
    char key[LK_KEY_SIZE], shown[LK_SHOWN_NAME];
    const char *refused = lk_name_read(name, &kind, key);
    FUZZ_REQUIRE(strlen(key) < LK_KEY_SIZE);
    if (!refused) { /* what is taken leads nowhere */
        FUZZ_REQUIRE(key[0] != '/' && strncmp(key, "../", 3) != 0 && !strstr(key, "/../") && !strstr(key, "//"));
        for (const char *c = key; *c; c++)
            FUZZ_REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
    }
    lk_name_show(name, shown, sizeof shown);
    FUZZ_REQUIRE(strlen(shown) < sizeof shown);
    for (const char *c = shown; *c; c++)
        FUZZ_REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lk_source *source;
    lk_entry entry;
    lk_status status = lk_source_open(fuzz_file(data, size, ".archive"), &limits, &source);
    for (int i = 0; status == LK_OK; i++) {
        status = lk_source_next(source, &entry);
        if (status != LK_OK || !entry.name)
            break;
        look_at_name(entry.name);
        uint8_t *bytes;
        size_t count;
        const char *refused;
        if (entry.refused || i % 4 == 3) /* some are passed over, as a packer passes over what it does not want */
            continue;
        status = lk_source_read(source, limits.entry_bytes, &bytes, &count, &refused);
        if (status == LK_OK)
            FUZZ_REQUIRE(!refused == (bytes != NULL) && count <= (size_t)limits.entry_bytes);
        free(bytes);
    }
    if (status != LK_OK)
        fuzz_require_refusal(status);
    if (source)
        lk_source_close(source);
    return 0;
}
