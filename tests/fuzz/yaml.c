/* The YAML reader. */
#include "configs/yaml.h"
#include "tests/fuzz/fuzz.h"

/* Walks the whole tree: every pointer is good, lines do not run away, keys stand in maps alone. */
static int walk(const lk_yaml_node *node, int lines)
{
    int nodes = 1;
    FUZZ_REQUIRE(node->line >= 1 && node->line <= lines);
    if (node->kind == LK_YAML_SCALAR)
        FUZZ_REQUIRE(node->text && node->count == 0);
    for (int i = 0; i < node->count; i++) {
        FUZZ_REQUIRE((node->items[i]->key != NULL) == (node->kind == LK_YAML_MAP));
        if (node->kind == LK_YAML_MAP)
            FUZZ_REQUIRE(lk_yaml_find(node, node->items[i]->key) == node->items[i]);
        nodes += walk(node->items[i], lines);
    }
    return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lk_yaml *document;
    lk_status status = lk_yaml_parse((const char *)data, size, "fuzz", &document);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    FUZZ_REQUIRE(walk(lk_yaml_root(document), (int)size + 1) <= 100000);
    lk_yaml_free(document);
    return 0;
}
