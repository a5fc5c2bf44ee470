/* Writing a shard (shard.h). The number of samples and of JPEG bytes is known only at the end, while contiguous arrays need it at
 * the start. So pictures go to a nameless spool file beside the shard as they come, labels stay in memory, and the commit
 * lays out the shard through HDF5 and fills it in. */
#include "base/file.h"
#include "base/leftover.h"
#include "base/version.h"
#include "dataset/image.h"
#include "dataset/shard_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_CAPACITY = 1 << 24, COPY_BYTES = 1 << 20 };

struct lk_shard_writer {
    char path[LK_PATH_SIZE];
    char *provenance;
    const lk_schema *schema;
    int size, jpeg_quality;
    int64_t capacity, count;
    int spool; /* pictures, one after the other */
    uint64_t spooled;
    float *continuous;      /* [capacity, nc] */
    uint8_t *discrete;      /* [capacity, groups] */
    char *keys;             /* [capacity, LK_KEY_SIZE] */
    uint64_t *checksums;    /* [capacity] */
    uint64_t *jpeg_offsets; /* [capacity + 1] */
    size_t longest_key;
};

/* The arrays of a shard in the order in which they lie in it. */
enum { PICTURES, JPEG_OFFSETS, CONTINUOUS, DISCRETE, KEY, CHECKSUM, ARRAY_COUNT };
typedef struct layout {
    off_t at[ARRAY_COUNT];
} layout;

static int64_t picture_bytes(const lk_shard_writer *w)
{
    return (int64_t)w->size * w->size * 3;
}

static lk_status allocate(lk_shard_writer *w, const char *provenance)
{
    size_t capacity = (size_t)w->capacity;
    if (asprintf(&w->provenance, "%s; %s", provenance, lk_program()) < 0)
        w->provenance = NULL;
    /* calloc: untouched pages of a large capacity cost nothing. */
    w->continuous = calloc(capacity, (size_t)w->schema->continuous_count * sizeof *w->continuous);
    w->discrete = calloc(capacity, (size_t)w->schema->group_count);
    w->keys = calloc(capacity, LK_KEY_SIZE);
    w->checksums = calloc(capacity, sizeof *w->checksums);
    w->jpeg_offsets = calloc(capacity + 1, sizeof *w->jpeg_offsets);
    if (!w->provenance || !w->continuous || !w->discrete || !w->keys || !w->checksums || !w->jpeg_offsets)
        return lk_fail(LK_INTERNAL, "%s: out of memory for a shard of %lld samples", w->path, (long long)w->capacity);
    return LK_OK;
}

/* Without a name, so that nothing of it outlives the process. */
static lk_status open_spool(lk_shard_writer *w)
{
    char name[LK_PATH_SIZE];
    int leftover;
    LK_TRY(lk_temporary_create(w->path, O_RDWR, name, &w->spool, &leftover));
    lk_status status = lk_remove_file(name);
    lk_leftover_forget(leftover);
    return status;
}

lk_status lk_shard_create(const char *path, const lk_schema *schema, int size, int64_t capacity, int jpeg_quality,
                          const char *provenance, lk_shard_writer **out)
{
    *out = NULL;
    if (strlen(path) >= LK_PATH_SIZE)
        return lk_fail(LK_USAGE, "%.80s...: the path is longer than %d bytes", path, LK_PATH_SIZE - 1);
    if (size < 1 || size > LK_MAX_PICTURE_EDGE || capacity < 1 || capacity > MAX_CAPACITY || jpeg_quality < 0 ||
        jpeg_quality > 100 || strlen(provenance) + sizeof "; " + strlen(lk_program()) > LK_MAX_PROVENANCE)
        return lk_fail(
            LK_USAGE,
            "%s: a shard holds 1 to %d pictures of 1 to %d pixels a side, JPEG quality 0 to 100, provenance under %d bytes", path,
            MAX_CAPACITY, LK_MAX_PICTURE_EDGE, LK_MAX_PROVENANCE);
    lk_shard_writer *w = calloc(1, sizeof *w);
    if (!w)
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    snprintf(w->path, sizeof w->path, "%s", path);
    w->schema = schema;
    w->size = size;
    w->capacity = capacity;
    w->jpeg_quality = jpeg_quality;
    w->spool = -1;
    lk_status status = allocate(w, provenance);
    if (status == LK_OK)
        status = open_spool(w);
    if (status != LK_OK) {
        lk_shard_abort(w);
        return status;
    }
    *out = w;
    return LK_OK;
}

void lk_shard_abort(lk_shard_writer *w)
{
    if (!w)
        return;
    if (w->spool >= 0)
        close(w->spool);
    free(w->provenance);
    free(w->continuous);
    free(w->discrete);
    free(w->keys);
    free(w->checksums);
    free(w->jpeg_offsets);
    free(w);
}

/* `wanted`: bytes that a full disk would have to take for the work to go on. */
static lk_status write_at(const lk_shard_writer *w, int fd, const void *data, size_t size, off_t at, int64_t wanted)
{
    const char *from = data;
    while (size > 0) {
        ssize_t put = pwrite(fd, from, size, at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return lk_fail_io("write", w->path, errno, wanted);
        from += put;
        at += put;
        wanted -= put;
        size -= (size_t)put;
    }
    return LK_OK;
}

static lk_status check_key(const lk_shard_writer *w, const char *key)
{
    size_t length = strnlen(key, LK_KEY_SIZE);
    if (length < 1 || length >= LK_KEY_SIZE)
        return lk_fail(LK_BAD_DATA, "%s: sample %lld: a key has 1 to %d bytes", w->path, (long long)w->count, LK_KEY_SIZE - 1);
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return lk_fail(LK_BAD_DATA, "%s: sample %lld: its key holds a control character", w->path, (long long)w->count);
    return LK_OK;
}

/* Puts one picture into the spool, as it will be stored, and its labels into memory. */
static lk_status append(lk_shard_writer *w, const lk_sample *sample, const uint8_t *picture, size_t size)
{
    int64_t i = w->count, wanted = (int64_t)size;
    size_t nc = (size_t)w->schema->continuous_count, groups = (size_t)w->schema->group_count;
    if (i == w->capacity)
        return lk_fail(LK_USAGE, "%s: the shard has room for %lld samples and is full", w->path, (long long)w->capacity);
    LK_TRY(check_key(w, sample->key));
    lk_status status = lk_schema_check_face(w->schema, sample->continuous, sample->discrete);
    if (status != LK_OK)
        return lk_fail_in(status, "%s: sample %lld", w->path, (long long)i);
    if (w->jpeg_quality == 0)
        wanted *= w->capacity - w->count;
    LK_TRY(write_at(w, w->spool, picture, size, (off_t)w->spooled, wanted));
    size_t key_length = strlen(sample->key);
    memcpy(w->continuous + (size_t)i * nc, sample->continuous, nc * sizeof *w->continuous);
    memcpy(w->discrete + (size_t)i * groups, sample->discrete, groups);
    memcpy(w->keys + i * LK_KEY_SIZE, sample->key, key_length);
    w->checksums[i] = lk_sample_checksum(picture, size, sample->continuous, (int)nc, sample->discrete, (int)groups, sample->key);
    w->spooled += size;
    w->jpeg_offsets[i + 1] = w->spooled;
    if (key_length > w->longest_key)
        w->longest_key = key_length;
    w->count++;
    return LK_OK;
}

lk_status lk_shard_append(lk_shard_writer *w, const lk_sample *sample)
{
    if (w->jpeg_quality == 0)
        return append(w, sample, sample->image, (size_t)picture_bytes(w));
    const lk_image image = {.width = w->size, .height = w->size, .pixels = (uint8_t *)sample->image};
    uint8_t *jpeg;
    size_t size;
    LK_TRY(lk_image_encode_jpeg(&image, w->jpeg_quality, &jpeg, &size));
    lk_status status = append(w, sample, jpeg, size);
    free(jpeg);
    return status;
}

lk_status lk_shard_append_jpeg(lk_shard_writer *w, const lk_sample *sample, const uint8_t *jpeg, size_t jpeg_size)
{
    if (w->jpeg_quality == 0)
        return lk_fail(LK_USAGE, "%s: the shard holds raw pixels, not JPEG bytes", w->path);
    return append(w, sample, jpeg, jpeg_size);
}

/* ---- committing ---- */

/* An array without content, at a place that is taken now: *at. */
static herr_t lay_out(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims, off_t *at)
{
    herr_t result = -1;
    hid_t array = H5I_INVALID_HID;
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    if (space >= 0 && how >= 0 && H5Pset_layout(how, H5D_CONTIGUOUS) >= 0 && H5Pset_alloc_time(how, H5D_ALLOC_TIME_EARLY) >= 0 &&
        H5Pset_fill_time(how, H5D_FILL_TIME_NEVER) >= 0 && H5Pset_obj_track_times(how, false) >= 0)
        array = H5Dcreate2(file, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    if (array >= 0) {
        haddr_t place = H5Dget_offset(array);
        if (place != HADDR_UNDEF)
            result = 0;
        *at = (off_t)place;
        if (H5Dclose(array) < 0)
            result = -1;
    }
    if (how >= 0)
        H5Pclose(how);
    if (space >= 0)
        H5Sclose(space);
    return result;
}

static herr_t put_attributes(const lk_shard_writer *w, hid_t file)
{
    if (lk_h5_put_text(file, LK_ATTRIBUTE_FORMAT, LK_SHARD_FORMAT) < 0 ||
        lk_h5_put_number(file, LK_ATTRIBUTE_VERSION, H5T_STD_U32LE, LK_SHARD_VERSION) < 0 ||
        lk_h5_put_number(file, LK_ATTRIBUTE_COUNT, H5T_STD_U64LE, (uint64_t)w->count) < 0 ||
        lk_h5_put_number(file, LK_ATTRIBUTE_SIZE, H5T_STD_U32LE, (uint64_t)w->size) < 0 ||
        lk_h5_put_text(file, LK_ATTRIBUTE_SCHEMA, w->schema->text) < 0 ||
        lk_h5_put_number(file, LK_ATTRIBUTE_SCHEMA_HASH, H5T_STD_U64LE, w->schema->hash) < 0 ||
        lk_h5_put_text(file, LK_ATTRIBUTE_PROVENANCE, w->provenance) < 0)
        return -1;
    return 0;
}

static herr_t lay_out_arrays(const lk_shard_writer *w, hid_t file, layout *where)
{
    hsize_t n = (hsize_t)w->count, edge = (hsize_t)w->size;
    hsize_t images[] = {n, edge, edge, 3}, bytes[] = {w->spooled}, offsets[] = {n + 1}, rows[] = {n};
    hsize_t continuous[] = {n, (hsize_t)w->schema->continuous_count}, discrete[] = {n, (hsize_t)w->schema->group_count};
    herr_t result = -1;
    hid_t key_type = H5Tcopy(H5T_C_S1);
    if (key_type < 0 || H5Tset_size(key_type, w->longest_key + 1) < 0 || H5Tset_cset(key_type, H5T_CSET_UTF8) < 0)
        goto done;
    if (w->jpeg_quality > 0) {
        if (lay_out(file, LK_ARRAY_JPEG, H5T_STD_U8LE, 1, bytes, &where->at[PICTURES]) < 0 ||
            lay_out(file, LK_ARRAY_JPEG_OFFSETS, H5T_STD_U64LE, 1, offsets, &where->at[JPEG_OFFSETS]) < 0)
            goto done;
    } else if (lay_out(file, LK_ARRAY_IMAGES, H5T_STD_U8LE, 4, images, &where->at[PICTURES]) < 0) {
        goto done;
    }
    if (lay_out(file, LK_ARRAY_CONTINUOUS, H5T_IEEE_F32LE, 2, continuous, &where->at[CONTINUOUS]) < 0 ||
        lay_out(file, LK_ARRAY_DISCRETE, H5T_STD_U8LE, 2, discrete, &where->at[DISCRETE]) < 0 ||
        lay_out(file, LK_ARRAY_KEY, key_type, 1, rows, &where->at[KEY]) < 0 ||
        lay_out(file, LK_ARRAY_CHECKSUM, H5T_STD_U64LE, 1, rows, &where->at[CHECKSUM]) < 0)
        goto done;
    result = 0;
done:
    if (key_type >= 0)
        H5Tclose(key_type);
    return result;
}

/* Writes the structure of the shard, its arrays still to be filled, into an existing file. */
static lk_status write_structure(const lk_shard_writer *w, const char *temporary, layout *where)
{
    lk_h5_begin();
    lk_status status = LK_OK;
    hid_t file = H5I_INVALID_HID;
    hid_t access = lk_h5_access();
    hid_t how = H5Pcreate(H5P_FILE_CREATE);
    /* No times inside: the same samples give the same bytes. */
    if (access >= 0 && how >= 0 && H5Pset_obj_track_times(how, false) >= 0)
        file = H5Fcreate(temporary, H5F_ACC_TRUNC, how, access);
    bool good =
        file >= 0 && put_attributes(w, file) >= 0 && lay_out_arrays(w, file, where) >= 0 && H5Fflush(file, H5F_SCOPE_LOCAL) >= 0;
    if (!good)
        status = lk_h5_fail_write(w->path, (int64_t)w->spooled);
    if (file >= 0 && H5Fclose(file) < 0 && good)
        status = lk_h5_fail_write(w->path, (int64_t)w->spooled);
    if (how >= 0)
        H5Pclose(how);
    if (access >= 0)
        H5Pclose(access);
    lk_h5_end();
    return status;
}

static lk_status copy_spool(const lk_shard_writer *w, int fd, off_t at)
{
    char *buffer = malloc(COPY_BYTES);
    if (!buffer)
        return lk_fail(LK_INTERNAL, "%s: out of memory", w->path);
    lk_status status = LK_OK;
    for (uint64_t done = 0; done < w->spooled && status == LK_OK;) {
        size_t got;
        status = lk_read_at(w->spool, w->path, buffer, COPY_BYTES, (int64_t)done, &got);
        if (status == LK_OK && got == 0)
            status = lk_fail_io("read back the pictures of", w->path, EIO, 0);
        if (status == LK_OK)
            status = write_at(w, fd, buffer, got, at + (off_t)done, (int64_t)(w->spooled - done));
        done += got;
    }
    free(buffer);
    return status;
}

static lk_status write_keys(const lk_shard_writer *w, int fd, off_t at)
{
    size_t width = w->longest_key + 1, size = (size_t)w->count * width;
    char *packed = malloc(size);
    if (!packed)
        return lk_fail(LK_INTERNAL, "%s: out of memory", w->path);
    for (int64_t i = 0; i < w->count; i++)
        memcpy(packed + (size_t)i * width, w->keys + i * LK_KEY_SIZE, width);
    lk_status status = write_at(w, fd, packed, size, at, (int64_t)size);
    free(packed);
    return status;
}

static lk_status write_rows(const lk_shard_writer *w, int fd, const void *rows, int64_t count, size_t row_bytes, off_t at)
{
    size_t size = (size_t)count * row_bytes;
    return write_at(w, fd, rows, size, at, (int64_t)size);
}

static lk_status fill_in(const lk_shard_writer *w, int fd, const layout *where)
{
    LK_TRY(copy_spool(w, fd, where->at[PICTURES]));
    if (w->jpeg_quality > 0)
        LK_TRY(write_rows(w, fd, w->jpeg_offsets, w->count + 1, sizeof *w->jpeg_offsets, where->at[JPEG_OFFSETS]));
    LK_TRY(write_rows(w, fd, w->continuous, w->count, (size_t)w->schema->continuous_count * sizeof *w->continuous,
                      where->at[CONTINUOUS]));
    LK_TRY(write_rows(w, fd, w->discrete, w->count, (size_t)w->schema->group_count, where->at[DISCRETE]));
    LK_TRY(write_keys(w, fd, where->at[KEY]));
    return write_rows(w, fd, w->checksums, w->count, sizeof *w->checksums, where->at[CHECKSUM]);
}

static lk_status write_shard(const lk_shard_writer *w)
{
    if (w->count == 0)
        return lk_fail(LK_BAD_DATA, "%s: no samples were put into the shard; it is not written", w->path);
    lk_atomic_file file;
    layout where = {0};
    LK_TRY(lk_atomic_open(&file, w->path));
    /* HDF5 opens the temporary file by its name and truncates it; ours stays the same file. */
    lk_status status = write_structure(w, file.temporary, &where);
    if (status == LK_OK)
        status = fill_in(w, fileno(file.stream), &where);
    if (status == LK_OK)
        return lk_atomic_commit(&file);
    lk_atomic_abort(&file);
    return status;
}

lk_status lk_shard_commit(lk_shard_writer *w)
{
    lk_status status = write_shard(w);
    lk_shard_abort(w);
    return status;
}
