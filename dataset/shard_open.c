/* Opening a shard (shard_format.h): what the checker says that HDF5 says is judged against the format and the file's size
 * before memory is taken for it or a byte of it is trusted. HDF5 checks its own metadata (format bounds V110: every block has
 * a checksum; a file cut short is refused). */
#include "base/file.h"
#include "base/hash.h"
#include "dataset/shard_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <unistd.h>

typedef struct opening {
    const char *path;
    uint64_t file_size;
    lk_shard_layout layout;
    lk_shard *shard;
    const lk_schema *schema;
} opening;

/* ---- the file ---- */

lk_status lk_shard_open_file(lk_shard_checker *checker, const char *path, lk_shard *shard)
{
    *shard = (lk_shard){.path = strdup(path), .fd = -1};
    lk_status status = shard->path ? lk_open_file(path, &shard->fd, NULL) : lk_fail(LK_INTERNAL, "%s: out of memory", path);
    if (status == LK_IO && (errno == EMFILE || errno == ENFILE))
        status = lk_fail(LK_IO, "%s: too many open files; each shard stays open: raise 'ulimit -n' or make larger shards", path);
    if (status == LK_OK)
        lk_shard_checker_give(checker, shard->fd);
    else
        lk_shard_close(shard);
    return status;
}

/* ---- attributes ---- */

static lk_status judge_dimensions(const opening *o)
{
    uint64_t count = o->layout.count, size = o->layout.size;
    /* Each sample has at least its checksum in the file. */
    if (count < 1 || count > o->file_size / sizeof(uint64_t))
        return lk_fail(LK_BAD_DATA, "%s: claims %llu samples, which a file of %llu bytes cannot hold; make the shard anew",
                       o->path, (unsigned long long)count, (unsigned long long)o->file_size);
    if (size < 1 || size > LK_MAX_PICTURE_EDGE)
        return lk_fail(LK_BAD_DATA, "%s: claims pictures of %llu pixels a side; 1 to %d are allowed", o->path,
                       (unsigned long long)size, LK_MAX_PICTURE_EDGE);
    o->shard->count = (int64_t)count;
    o->shard->size = (int)size;
    return LK_OK;
}

static lk_status adopt_schema(opening *o, const char *text, lk_schema **schema, const char *schema_origin)
{
    lk_schema *own = NULL;
    lk_status status = LK_OK;
    if (lk_hash(text, strlen(text)) != o->layout.schema_hash)
        return lk_fail(LK_BAD_DATA, "%s: the schema does not fit its hash; the shard is damaged, make it anew", o->path);
    if (!*schema || strcmp((*schema)->text, text) != 0) {
        char origin[LK_PATH_SIZE + 32];
        snprintf(origin, sizeof origin, "%s: schema", o->path);
        LK_TRY(lk_schema_parse(text, origin, &own));
        if (*schema) {
            status = lk_schema_require_equal(*schema, schema_origin, own, o->path);
        } else {
            *schema = own;
            own = NULL;
        }
    }
    o->schema = *schema;
    lk_schema_free(own);
    return status;
}

/* ---- arrays ---- */

typedef struct expected {
    int array;                       /* LK_LAYOUT_... */
    uint32_t element, element_bytes; /* 0 bytes: a text of 1 to LK_KEY_SIZE */
    uint64_t rank;
    uint64_t dims[LK_LAYOUT_MAX_RANK]; /* the first may be 0: any */
} expected;

typedef struct found {
    off_t at;
    size_t element_bytes;
    uint64_t rows;
} found;

static bool array_fits(const lk_layout_array *array, const expected *want)
{
    bool fits = array->element == want->element && array->rank == want->rank;
    fits = fits && (want->element_bytes != 0 ? array->element_bytes == want->element_bytes
                                             : array->element_bytes >= 1 && array->element_bytes <= LK_KEY_SIZE);
    for (uint64_t i = 0; fits && i < want->rank; i++)
        fits = array->dims[i] == want->dims[i] || (i == 0 && want->dims[0] == 0);
    return fits;
}

static lk_status judge_array(const opening *o, const expected *want, found *out)
{
    const lk_layout_array *array = &o->layout.arrays[want->array];
    const char *name = lk_layout_names[want->array];
    if (!array->present)
        return lk_fail(LK_BAD_DATA, "%s: has no array /%s; it is not a shard, or damaged", o->path, name);
    if (!array_fits(array, want))
        return lk_fail(LK_BAD_DATA,
                       "%s: /%s does not have the type and shape that %lld samples of %d pixels, %d continuous and %d discrete "
                       "labels need; make the shard anew",
                       o->path, name, (long long)o->shard->count, o->shard->size, o->schema->continuous_count,
                       o->schema->group_count);
    if (!array->contiguous)
        return lk_fail(LK_BAD_DATA, "%s: /%s is not contiguous (chunked or external); make the shard anew", o->path, name);
    /* The row's dimensions are those wanted, so this is at most 4096 * 4096 * 3 bytes. */
    uint64_t row_bytes = array->element_bytes;
    for (uint64_t i = 1; i < want->rank; i++)
        row_bytes *= want->dims[i];
    if (array->at > o->file_size || array->dims[0] > (o->file_size - array->at) / row_bytes)
        return lk_fail(LK_BAD_DATA, "%s: /%s does not lie inside the file; the shard is damaged, make it anew", o->path, name);
    *out = (found){(off_t)array->at, array->element_bytes, array->dims[0]};
    return LK_OK;
}

/* ---- what is kept in memory ---- */

static lk_status load_words(const opening *o, const found *array, uint64_t **out)
{
    size_t size = (size_t)array->rows * sizeof **out;
    *out = malloc(size);
    if (!*out)
        return lk_fail(LK_INTERNAL, "%s: out of memory for %zu bytes of its index", o->path, size);
    return lk_shard_pread(o->shard, *out, size, array->at);
}

static lk_status check_jpeg_offsets(const opening *o, uint64_t jpeg_bytes)
{
    const lk_shard *shard = o->shard;
    const uint64_t *offsets = shard->jpeg_offsets;
    uint64_t most = tjBufSize(shard->size, shard->size, TJSAMP_444);
    bool good = offsets[0] == 0 && offsets[shard->count] == jpeg_bytes;
    for (int64_t i = 0; good && i < shard->count; i++)
        good = offsets[i] < offsets[i + 1] && offsets[i + 1] - offsets[i] <= most;
    if (!good)
        return lk_fail(LK_BAD_DATA, "%s: /%s is damaged; make the shard anew", o->path, LK_ARRAY_JPEG_OFFSETS);
    return LK_OK;
}

static lk_status judge_pictures(const opening *o)
{
    lk_shard *shard = o->shard;
    uint64_t n = (uint64_t)shard->count, edge = (uint64_t)shard->size;
    found pictures, offsets;
    if (!o->layout.arrays[LK_LAYOUT_JPEG].present) {
        const expected images = {LK_LAYOUT_IMAGES, LK_ELEMENT_U8, 1, 4, {n, edge, edge, 3}};
        LK_TRY(judge_array(o, &images, &pictures));
        shard->picture_at = pictures.at;
        return LK_OK;
    }
    if (o->layout.arrays[LK_LAYOUT_IMAGES].present)
        return lk_fail(LK_BAD_DATA, "%s: has both /%s and /%s; it is not a shard of likeness", o->path, LK_ARRAY_IMAGES,
                       LK_ARRAY_JPEG);
    const expected jpeg = {LK_LAYOUT_JPEG, LK_ELEMENT_U8, 1, 1, {0}};
    const expected jpeg_offsets = {LK_LAYOUT_JPEG_OFFSETS, LK_ELEMENT_U64, sizeof(uint64_t), 1, {n + 1}};
    LK_TRY(judge_array(o, &jpeg, &pictures));
    LK_TRY(judge_array(o, &jpeg_offsets, &offsets));
    shard->picture_at = pictures.at;
    LK_TRY(load_words(o, &offsets, &shard->jpeg_offsets));
    return check_jpeg_offsets(o, pictures.rows);
}

static lk_status judge_labels(const opening *o)
{
    lk_shard *shard = o->shard;
    uint64_t n = (uint64_t)shard->count, nc = (uint64_t)o->schema->continuous_count, groups = (uint64_t)o->schema->group_count;
    const expected continuous = {LK_LAYOUT_CONTINUOUS, LK_ELEMENT_F32, sizeof(float), 2, {n, nc}};
    const expected discrete = {LK_LAYOUT_DISCRETE, LK_ELEMENT_U8, 1, 2, {n, groups}};
    const expected key = {LK_LAYOUT_KEY, LK_ELEMENT_TEXT, 0, 1, {n}};
    const expected checksum = {LK_LAYOUT_CHECKSUM, LK_ELEMENT_U64, sizeof(uint64_t), 1, {n}};
    found array;
    LK_TRY(judge_array(o, &continuous, &array));
    shard->continuous_at = array.at;
    LK_TRY(judge_array(o, &discrete, &array));
    shard->discrete_at = array.at;
    LK_TRY(judge_array(o, &key, &array));
    shard->key_at = array.at;
    shard->key_width = (int)array.element_bytes;
    LK_TRY(judge_array(o, &checksum, &array));
    return load_words(o, &array, &shard->checksums);
}

/* ---- all of it ---- */

static lk_status judge_all(opening *o, const lk_shard_texts *texts, lk_schema **schema, const char *schema_origin)
{
    struct stat info;
    if (fstat(o->shard->fd, &info) != 0)
        return lk_fail_io("read", o->path, errno, 0);
    o->file_size = (uint64_t)info.st_size;
    LK_TRY(judge_dimensions(o));
    LK_TRY(adopt_schema(o, texts->schema, schema, schema_origin));
    LK_TRY(judge_pictures(o));
    return judge_labels(o);
}

static bool begins_like_lfs_pointer(const lk_shard *shard)
{
    char begin[64];
    size_t got;
    return lk_read_at(shard->fd, shard->path, begin, sizeof begin, 0, &got) == LK_OK && lk_is_lfs_pointer(begin, got);
}

lk_status lk_shard_judge(lk_shard_checker *checker, lk_schema **schema, const char *schema_origin, lk_shard *shard)
{
    lk_shard_texts texts;
    opening o = {.path = shard->path, .shard = shard};
    lk_status status = lk_shard_checker_take(checker, shard->path, &o.layout, &texts);
    if (status == LK_BAD_DATA && begins_like_lfs_pointer(shard))
        return lk_fail_lfs_pointer(LK_BAD_DATA, shard->path);
    LK_TRY(status);
    status = judge_all(&o, &texts, schema, schema_origin);
    /* Nothing depends on it: a shard that has none is as good as any. */
    if (status == LK_OK && !(shard->provenance = strdup(texts.provenance)))
        status = lk_fail(LK_INTERNAL, "%s: out of memory", shard->path);
    lk_shard_texts_free(&texts);
    return status;
}

lk_status lk_shard_open(lk_shard_checker *checker, const char *path, lk_schema **schema, const char *schema_origin, lk_shard *out)
{
    LK_TRY(lk_shard_open_file(checker, path, out));
    lk_status status = lk_shard_judge(checker, schema, schema_origin, out);
    if (status != LK_OK)
        lk_shard_close(out);
    return status;
}

void lk_shard_close(lk_shard *shard)
{
    if (shard->fd >= 0)
        close(shard->fd);
    free(shard->path);
    free(shard->provenance);
    free(shard->checksums);
    free(shard->jpeg_offsets);
    *shard = (lk_shard){.fd = -1};
}

lk_status lk_shard_pread(const lk_shard *shard, void *out, size_t size, off_t offset)
{
    size_t got;
    LK_TRY(lk_read_at(shard->fd, shard->path, out, size, (int64_t)offset, &got));
    if (got < size)
        return lk_fail(LK_BAD_DATA, "%s: the shard was cut short after it was opened; make it anew", shard->path);
    return LK_OK;
}
