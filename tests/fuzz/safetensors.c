/* Weights: any bytes as a .safetensors file. */
#include "tests/fuzz/fuzz.h"
#include "trainer/model/safetensors.h"

/* What opens has tensors that lie within the file and can all be read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lk_safetensors *file;
    lk_status status = lk_safetensors_open(fuzz_file(data, size, ".safetensors"), &file);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    size_t total = 0;
    for (size_t i = 0; i < lk_safetensors_count(file); i++) {
        const lk_safetensor *tensor = lk_safetensors_at(file, i);
        FUZZ_REQUIRE(tensor->dims >= 0 && tensor->dims <= LK_SAFETENSOR_DIMS);
        FUZZ_REQUIRE(lk_safetensors_find(file, tensor->name) == tensor);
        size_t bytes = lk_safetensor_bytes(tensor);
        total += bytes;
        FUZZ_REQUIRE(total <= size);
        uint8_t *copy = malloc(bytes + 1);
        FUZZ_REQUIRE(copy && lk_safetensors_read(file, tensor, copy) == LK_OK);
        free(copy);
    }
    uint64_t hash;
    FUZZ_REQUIRE(lk_safetensors_hash(file, &hash) == LK_OK);
    lk_safetensors_note_of(file, "format");
    lk_safetensors_close(file);
    return 0;
}
