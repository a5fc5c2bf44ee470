#include "trainer/tensor/cuda/cache.h"

#include "base/hash.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* A file: this, then the image. */
typedef struct header {
    char magic[8];
    uint64_t hash; /* of the image */
} header;
static const char magic[8] = "LKCUDA1"; /* with its NUL */
enum { LARGEST = 1 << 28 };

bool lk_cuda_cache_path(const char *name, char out[LK_PATH_SIZE])
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char folder[LK_PATH_SIZE], inner[LK_PATH_SIZE];
    if (cache && cache[0] == '/') { /* the specification ignores others */
        if (lk_path_join(folder, cache, "likeness") != LK_OK)
            return false;
    } else if (!home || home[0] != '/' || lk_path_join(inner, home, ".cache") != LK_OK ||
               lk_path_join(folder, inner, "likeness") != LK_OK) {
        return false;
    }
    return lk_path_join(out, folder, name) == LK_OK;
}

bool lk_cuda_cache_read(const char *path, void **image, size_t *size)
{
    char *data;
    size_t whole;
    lk_path_kind kind;
    header head;
    if (lk_path_look(path, &kind) != LK_OK || kind == LK_ABSENT)
        return false;
    if (lk_read_file(path, LARGEST, &data, &whole) != LK_OK) {
        lk_warn("%s; the kernels are compiled anew", lk_error_text());
        return false;
    }
    bool good = whole > sizeof head;
    if (good) {
        memcpy(&head, data, sizeof head);
        *size = whole - sizeof head;
        good = memcmp(head.magic, magic, sizeof magic) == 0 && head.hash == lk_hash(data + sizeof head, *size);
    }
    if (!good) {
        lk_warn("%s is damaged; the kernels are compiled anew", path);
        free(data);
        return false;
    }
    memmove(data, data + sizeof head, *size);
    *image = data;
    return true;
}

lk_status lk_cuda_cache_write(const char *path, const void *image, size_t size)
{
    char folder[LK_PATH_SIZE];
    memcpy(folder, path, strlen(path) + 1);
    *strrchr(folder, '/') = '\0';
    LK_TRY(lk_make_folder(folder));
    header head = {.hash = lk_hash(image, size)};
    memcpy(head.magic, magic, sizeof magic);
    lk_atomic_file file;
    LK_TRY(lk_atomic_open(&file, path));
    fwrite(&head, sizeof head, 1, file.stream); /* errors are sticky in the stream */
    fwrite(image, 1, size, file.stream);
    return lk_atomic_commit(&file);
}
