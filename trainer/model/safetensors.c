#include "trainer/model/safetensors.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian and so must this machine be"
#endif

enum { LENGTH_SIZE = 8, ALIGNMENT = 8, READ_SIZE = 1 << 20 };

static const char notes_key[] = "__metadata__";

/* Fit for a file and for a line of an error message. */
static bool good_name(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length >= LK_SAFETENSOR_NAME_SIZE)
        return false;
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    }
    return true;
}

/* False where the bytes of the shape do not fit 63 bits. */
static bool count_bytes(const lk_safetensor *tensor, int64_t *bytes)
{
    *bytes = (int64_t)lk_dtype_size(tensor->dtype);
    /* A zero among the sizes must not hide an overflow that another order of them would show. */
    int64_t product = *bytes;
    for (int i = 0; i < tensor->dims; i++) {
        int64_t size = tensor->shape[i];
        if (size < 0 || __builtin_mul_overflow(product, size > 0 ? size : 1, &product))
            return false;
        *bytes = size > 0 && *bytes > 0 ? product : 0;
    }
    return true;
}

size_t lk_safetensor_bytes(const lk_safetensor *tensor)
{
    int64_t bytes = 0;
    count_bytes(tensor, &bytes);
    return (size_t)bytes;
}

/* ---- writing ---- */

static json_t *describe(const lk_safetensor *tensor, int64_t begin, int64_t end)
{
    json_t *shape = json_array();
    for (int i = 0; i < tensor->dims; i++)
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", lk_dtype_name(tensor->dtype), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

static lk_status add_notes(json_t *header, const lk_safetensors_note *notes, size_t count, const char *path)
{
    if (count == 0)
        return LK_OK;
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++) {
        if (json_object_set_new(object, notes[i].key, json_string(notes[i].value)) != 0) {
            json_decref(object);
            return lk_fail(LK_INTERNAL, "%s: the note \"%.80s\" is not UTF-8 text", path, notes[i].key);
        }
    }
    json_object_set_new(header, notes_key, object);
    return LK_OK;
}

static lk_status add_tensor(json_t *header, const lk_safetensor *tensor, int64_t *offset, const char *path)
{
    int64_t bytes, end;
    if (!tensor->name || !good_name(tensor->name) || strcmp(tensor->name, notes_key) == 0)
        return lk_fail(LK_INTERNAL, "%s: \"%.80s\" cannot name a tensor", path, tensor->name ? tensor->name : "");
    if (json_object_get(header, tensor->name))
        return lk_fail(LK_INTERNAL, "%s: two tensors are called \"%s\"", path, tensor->name);
    if (tensor->dims < 0 || tensor->dims > LK_SAFETENSOR_DIMS || !count_bytes(tensor, &bytes) ||
        __builtin_add_overflow(*offset, bytes, &end))
        return lk_fail(LK_INTERNAL, "%s: the tensor \"%s\" has no shape that can be written", path, tensor->name);
    if (json_object_set_new(header, tensor->name, describe(tensor, *offset, end)) != 0)
        return lk_fail(LK_INTERNAL, "%s: cannot describe the tensor \"%s\": its name is not UTF-8, or out of memory", path,
                       tensor->name);
    *offset = end;
    return LK_OK;
}

/* Wider elements first: then every tensor starts at a multiple of its element's size. Fills order[count]. */
static void order_by_width(const lk_safetensor *tensors, size_t count, const lk_safetensor **order)
{
    size_t placed = 0;
    for (size_t width = ALIGNMENT; width > 0; width /= 2) {
        for (size_t i = 0; i < count; i++) {
            if (lk_dtype_size(tensors[i].dtype) == width)
                order[placed++] = &tensors[i];
        }
    }
}

/* The length word, the JSON and its padding as one block, freed by the caller. */
static lk_status make_header(const lk_safetensor *const *order, size_t count, const lk_safetensors_note *notes, size_t note_count,
                             const char *path, char **block, size_t *size, int64_t *data_size)
{
    char *text = NULL;
    json_t *header = json_object();
    lk_status status = header ? add_notes(header, notes, note_count, path) : lk_fail(LK_INTERNAL, "%s: out of memory", path);
    *data_size = 0;
    for (size_t i = 0; i < count && status == LK_OK; i++)
        status = add_tensor(header, order[i], data_size, path);
    if (status != LK_OK)
        goto done;
    text = json_dumps(header, JSON_COMPACT);
    size_t length = text ? strlen(text) : 0;
    uint64_t padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *block = text && padded <= LK_SAFETENSORS_HEADER_LIMIT ? malloc(LENGTH_SIZE + padded) : NULL;
    if (!*block) {
        status = lk_fail(LK_INTERNAL, "%s: a header of %zu bytes for %zu tensors cannot be written", path, length, count);
        goto done;
    }
    memcpy(*block, &padded, LENGTH_SIZE);
    memcpy(*block + LENGTH_SIZE, text, length);
    memset(*block + LENGTH_SIZE + length, ' ', padded - length);
    *size = LENGTH_SIZE + padded;
done:
    free(text);
    json_decref(header);
    return status;
}

enum { PIECE = 4 << 20 };

/* Has the disk begin with the piece that was just written, and waits for the one before: little is left to the fsync at the
 * end, and whoever watches the bytes (collectives/watchdog.h) sees a slow disk move. Where the file system cannot do so, fsync
 * does all. */
static bool write_back(FILE *stream)
{
    off_t end = fflush(stream) == 0 ? ftello(stream) : -1;
    if (end < 0)
        return false;
    sync_file_range(fileno(stream), end - PIECE, PIECE, SYNC_FILE_RANGE_WRITE);
    if (end >= 2 * PIECE)
        sync_file_range(fileno(stream), end - 2 * PIECE, PIECE,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    return true;
}

static bool put(FILE *stream, XXH3_state_t *hash, const void *data, size_t size)
{
    const char *from = data;
    if (hash && size > 0)
        XXH3_64bits_update(hash, data, size);
    while (size > 0) {
        size_t piece = size < PIECE ? size : PIECE;
        if (fwrite(from, 1, piece, stream) != piece || (piece == PIECE && !write_back(stream)))
            return false;
        from += piece;
        size -= piece;
    }
    return true;
}

lk_status lk_safetensors_write(const char *path, const lk_safetensor *tensors, size_t count, const lk_safetensors_note *notes,
                               size_t note_count, uint64_t *hash)
{
    char *header = NULL;
    size_t header_size = 0;
    int64_t data_size = 0;
    lk_status status;
    const lk_safetensor **order = calloc(count + 1, sizeof *order);
    if (!order)
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    order_by_width(tensors, count, order);
    LK_TRY_OR(done, make_header(order, count, notes, note_count, path, &header, &header_size, &data_size));

    lk_atomic_file file;
    LK_TRY_OR(done, lk_atomic_open(&file, path));
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_state_t *running = hash ? &state : NULL;
    bool good = put(file.stream, running, header, header_size);
    for (size_t i = 0; i < count && good; i++)
        good = put(file.stream, running, order[i]->data, lk_safetensor_bytes(order[i]));
    if (!good) {
        int reason = errno;
        lk_atomic_abort(&file); /* first, so that the bytes missing are counted without the part that was written */
        status = lk_fail_io("write", path, reason, (int64_t)header_size + data_size);
        goto done;
    }
    LK_TRY_OR(done, lk_atomic_commit(&file));
    if (hash)
        *hash = XXH3_64bits_digest(&state);
done:
    free(header);
    free(order);
    return status;
}

/* ---- reading ---- */

/* The tensor comes first: a pointer to it is a pointer to its entry. */
typedef struct entry {
    lk_safetensor tensor;
    int64_t begin, end; /* from the start of the data */
} entry;

struct lk_safetensors {
    char path[LK_PATH_SIZE];
    int fd;
    int64_t size, data_start;
    json_t *header; /* owns all names */
    entry *entries;
    size_t count;
};

static lk_status read_at(const lk_safetensors *file, int64_t offset, void *out, size_t size)
{
    size_t got;
    LK_TRY(lk_read_at(file->fd, file->path, out, size, offset, &got));
    if (got < size)
        return lk_fail(LK_BAD_DATA, "%s: ended at byte %lld while being read; is another program writing it?", file->path,
                       (long long)offset + (long long)got);
    return LK_OK;
}

static lk_status load_header(lk_safetensors *file)
{
    uint64_t length = 0;
    char begin[64] = "";
    size_t begin_size = file->size < (int64_t)sizeof begin ? (size_t)file->size : sizeof begin;
    LK_TRY(read_at(file, 0, begin, begin_size));
    if (lk_is_lfs_pointer(begin, begin_size))
        return lk_fail_lfs_pointer(LK_BAD_DATA, file->path);
    if (file->size < LENGTH_SIZE)
        return lk_fail(LK_BAD_DATA, "%s: has %lld bytes and is no safetensors file", file->path, (long long)file->size);
    LK_TRY(read_at(file, 0, &length, LENGTH_SIZE));
    if (length > LK_SAFETENSORS_HEADER_LIMIT || length > (uint64_t)(file->size - LENGTH_SIZE))
        return lk_fail(LK_BAD_DATA, "%s: is truncated or no safetensors file: a header of %llu bytes in %lld (limit: %d)",
                       file->path, (unsigned long long)length, (long long)file->size, LK_SAFETENSORS_HEADER_LIMIT);
    char *text = malloc(length + 1);
    if (!text)
        return lk_fail(LK_INTERNAL, "%s: out of memory for the header", file->path);
    lk_status status = read_at(file, LENGTH_SIZE, text, length);
    json_error_t where;
    if (status == LK_OK) {
        file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
        if (!file->header && json_error_code(&where) == json_error_duplicate_key)
            status =
                lk_fail(LK_BAD_DATA, "%s: the header has a duplicate key: the same tensor or note twice (byte %d); write it anew",
                        file->path, where.position);
        else if (!file->header || text[0] != '{')
            status = lk_fail(LK_BAD_DATA, "%s: the header is damaged: no JSON object as safetensors wants it (byte %d)",
                             file->path, file->header ? 0 : where.position);
    }
    free(text);
    file->data_start = LENGTH_SIZE + (int64_t)length;
    return status;
}

static bool parse_dtype(const json_t *value, lk_dtype *dtype)
{
    const char *name = json_string_value(value);
    for (int i = 0; name && i < LK_DTYPE_COUNT; i++) {
        if (strcmp(name, lk_dtype_name((lk_dtype)i)) == 0) {
            *dtype = (lk_dtype)i;
            return true;
        }
    }
    return false;
}

/* At most `room` integers >= 0; their number or -1. */
static int parse_integers(const json_t *array, int64_t *out, int room)
{
    if (!json_is_array(array) || json_array_size(array) > (size_t)room)
        return -1;
    size_t i;
    const json_t *value;
    json_array_foreach(array, i, value)
    {
        out[i] = json_integer_value(value);
        if (!json_is_integer(value) || out[i] < 0)
            return -1;
    }
    return (int)json_array_size(array);
}

static lk_status parse_tensor(const lk_safetensors *file, const char *name, const json_t *value, entry *out)
{
    if (!good_name(name))
        return lk_fail(LK_BAD_DATA, "%s: the header is damaged: a tensor's name is empty, too long (%d bytes) or not printable",
                       file->path, LK_SAFETENSOR_NAME_SIZE - 1);
    lk_safetensor *tensor = &out->tensor;
    tensor->name = name;
    if (json_object_size(value) != 3) /* 0 where it is no object */
        return lk_fail(LK_BAD_DATA, "%s: tensor \"%s\": is not described by dtype, shape and data_offsets alone", file->path,
                       name);
    if (!parse_dtype(json_object_get(value, "dtype"), &tensor->dtype))
        return lk_fail(LK_BAD_DATA, "%s: tensor \"%s\": dtype is none of F64, I64, F32, BF16, U8; convert it", file->path, name);
    tensor->dims = parse_integers(json_object_get(value, "shape"), tensor->shape, LK_SAFETENSOR_DIMS);
    if (tensor->dims < 0)
        return lk_fail(LK_BAD_DATA, "%s: tensor \"%s\": shape is not a list of up to %d sizes", file->path, name,
                       LK_SAFETENSOR_DIMS);
    int64_t offsets[2], bytes;
    if (parse_integers(json_object_get(value, "data_offsets"), offsets, 2) != 2)
        return lk_fail(LK_BAD_DATA, "%s: tensor \"%s\": data_offsets are not two offsets", file->path, name);
    if (!count_bytes(tensor, &bytes) || offsets[1] - offsets[0] != bytes)
        return lk_fail(LK_BAD_DATA, "%s: tensor \"%s\": shape and data_offsets %lld..%lld do not agree", file->path, name,
                       (long long)offsets[0], (long long)offsets[1]);
    out->begin = offsets[0];
    out->end = offsets[1];
    return LK_OK;
}

static lk_status check_notes(const lk_safetensors *file, json_t *notes)
{
    const char *key;
    json_t *value;
    if (!json_is_object(notes))
        return lk_fail(LK_BAD_DATA, "%s: __metadata__ is not an object", file->path);
    json_object_foreach(notes, key, value)
    {
        if (!json_is_string(value))
            return lk_fail(LK_BAD_DATA, "%s: __metadata__ has a value that is not a string", file->path);
    }
    return LK_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

/* The entries, sorted by place, must follow each other from the start of the data to the end of the file. */
static lk_status check_places(lk_safetensors *file)
{
    int64_t at = 0, data_size = file->size - file->data_start;
    if (file->count > 0)
        qsort(file->entries, file->count, sizeof *file->entries, compare_entries);
    for (size_t i = 0; i < file->count; i++) {
        const entry *e = &file->entries[i];
        if (e->begin != at)
            return lk_fail(LK_BAD_DATA, "%s: tensor \"%s\": starts at %lld where %lld was due: tensors overlap or leave a hole",
                           file->path, e->tensor.name, (long long)e->begin, (long long)at);
        if (e->end > data_size)
            return lk_fail(LK_BAD_DATA, "%s: tensor \"%s\": ends at %lld, past the %lld bytes of data: the file is truncated",
                           file->path, e->tensor.name, (long long)e->end, (long long)data_size);
        at = e->end;
    }
    if (at != data_size)
        return lk_fail(LK_BAD_DATA, "%s: has %lld bytes after its last tensor", file->path, (long long)(data_size - at));
    return LK_OK;
}

static lk_status parse_header(lk_safetensors *file)
{
    file->entries = calloc(json_object_size(file->header) + 1, sizeof *file->entries);
    if (!file->entries)
        return lk_fail(LK_INTERNAL, "%s: out of memory", file->path);
    const char *name;
    json_t *value;
    json_object_foreach(file->header, name, value)
    {
        if (strcmp(name, notes_key) == 0)
            LK_TRY(check_notes(file, value));
        else
            LK_TRY(parse_tensor(file, name, value, &file->entries[file->count++]));
    }
    return check_places(file);
}

lk_status lk_safetensors_open(const char *path, lk_safetensors **out)
{
    *out = NULL;
    lk_safetensors *file = calloc(1, sizeof *file);
    if (!file)
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    lk_status status = LK_OK;
    snprintf(file->path, sizeof file->path, "%s", path);
    file->fd = -1;
    LK_TRY_OR(fail, lk_open_file(path, &file->fd, &file->size));
    LK_TRY_OR(fail, load_header(file));
    LK_TRY_OR(fail, parse_header(file));
    *out = file;
    return LK_OK;
fail:
    lk_safetensors_close(file);
    return status;
}

void lk_safetensors_close(lk_safetensors *file)
{
    if (!file)
        return;
    free(file->entries);
    json_decref(file->header);
    if (file->fd >= 0)
        close(file->fd);
    free(file);
}

size_t lk_safetensors_count(const lk_safetensors *file)
{
    return file->count;
}

const lk_safetensor *lk_safetensors_at(const lk_safetensors *file, size_t index)
{
    return &file->entries[index].tensor;
}

const lk_safetensor *lk_safetensors_find(const lk_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->entries[i].tensor.name, name) == 0)
            return &file->entries[i].tensor;
    }
    return NULL;
}

const char *lk_safetensors_note_of(const lk_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, notes_key), key));
}

const char *lk_safetensors_path(const lk_safetensors *file)
{
    return file->path;
}

lk_status lk_safetensors_read(const lk_safetensors *file, const lk_safetensor *tensor, void *out)
{
    const entry *e = (const entry *)tensor;
    lk_status status = read_at(file, file->data_start + e->begin, out, (size_t)(e->end - e->begin));
    return status == LK_OK ? LK_OK : lk_fail_in(status, "tensor \"%s\"", tensor->name);
}

lk_status lk_safetensors_hash(const lk_safetensors *file, uint64_t *hash)
{
    char *block = malloc(READ_SIZE);
    if (!block)
        return lk_fail(LK_INTERNAL, "%s: out of memory", file->path);
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    lk_status status = LK_OK;
    for (int64_t at = 0; at < file->size && status == LK_OK; at += READ_SIZE) {
        int64_t left = file->size - at;
        size_t size = (size_t)(left < READ_SIZE ? left : READ_SIZE);
        status = read_at(file, at, block, size);
        if (status == LK_OK)
            XXH3_64bits_update(&state, block, size);
    }
    free(block);
    *hash = XXH3_64bits_digest(&state);
    return status;
}
