/* Opening a shard (shard_format.h): everything that HDF5 says is checked against the format before memory is taken for it or a
 * byte of it is trusted. HDF5 checks its own metadata (format bounds V110: every block has a checksum; a file cut short is
 * refused). */
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
    hid_t file;
    const char *path;
    uint64_t file_size;
    lk_shard *shard;
    const lk_schema *schema;
} opening;

/* ---- the file ---- */

static lk_status open_plain(const char *path, lk_shard *shard, uint64_t *file_size)
{
    shard->path = strdup(path);
    if (!shard->path)
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    shard->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block here */
    if (shard->fd < 0)
        return lk_fail(LK_BAD_DATA, "%s: cannot open the shard: %s", path, strerror(errno));
    struct stat info;
    if (fstat(shard->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return lk_fail(LK_BAD_DATA, "%s: is not a regular file, so not a shard", path);
    *file_size = (uint64_t)info.st_size;
    return LK_OK;
}

/* ---- attributes ---- */

static lk_status check_format(const opening *o)
{
    char *format;
    uint64_t version;
    LK_TRY(lk_h5_get_text(o->file, o->path, LK_ATTRIBUTE_FORMAT, 64, &format));
    bool ours = strcmp(format, LK_SHARD_FORMAT) == 0;
    free(format);
    if (!ours)
        return lk_fail(LK_BAD_DATA, "%s: an HDF5 file, but not a shard of likeness (its format is not '%s')", o->path,
                       LK_SHARD_FORMAT);
    LK_TRY(lk_h5_get_number(o->file, o->path, LK_ATTRIBUTE_VERSION, &version));
    if (version != LK_SHARD_VERSION)
        return lk_fail(LK_BAD_DATA, "%s: a shard of format version %llu; this program reads version %d", o->path,
                       (unsigned long long)version, LK_SHARD_VERSION);
    return LK_OK;
}

static lk_status read_dimensions(const opening *o)
{
    uint64_t count, size;
    LK_TRY(lk_h5_get_number(o->file, o->path, LK_ATTRIBUTE_COUNT, &count));
    LK_TRY(lk_h5_get_number(o->file, o->path, LK_ATTRIBUTE_SIZE, &size));
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

static lk_status adopt_schema(opening *o, lk_schema **schema, const char *schema_origin)
{
    char *text;
    uint64_t hash;
    lk_schema *own = NULL;
    LK_TRY(lk_h5_get_text(o->file, o->path, LK_ATTRIBUTE_SCHEMA, LK_MAX_SCHEMA_TEXT, &text));
    lk_status status;
    LK_TRY_OR(done, lk_h5_get_number(o->file, o->path, LK_ATTRIBUTE_SCHEMA_HASH, &hash));
    if (lk_hash(text, strlen(text)) != hash) {
        status = lk_fail(LK_BAD_DATA, "%s: the schema does not fit its hash; the shard is damaged, make it anew", o->path);
        goto done;
    }
    if (!*schema || strcmp((*schema)->text, text) != 0) {
        char origin[LK_PATH_SIZE + 32];
        snprintf(origin, sizeof origin, "%s: schema", o->path);
        LK_TRY_OR(done, lk_schema_parse(text, origin, &own));
        if (*schema) {
            LK_TRY_OR(done, lk_schema_require_equal(*schema, schema_origin, own, o->path));
        } else {
            *schema = own;
            own = NULL;
        }
    }
    o->schema = *schema;
done:
    lk_schema_free(own);
    free(text);
    return status;
}

/* Nothing depends on it: a shard that has none, or a strange one, is as good as any. */
static void read_provenance(const opening *o)
{
    if (H5Aexists(o->file, LK_ATTRIBUTE_PROVENANCE) > 0)
        (void)lk_h5_get_text(o->file, o->path, LK_ATTRIBUTE_PROVENANCE, LK_MAX_PROVENANCE, &o->shard->provenance);
}

/* ---- arrays ---- */

enum { MAX_RANK = 4 };

typedef struct expected {
    const char *name;
    hid_t type; /* negative: a text of fixed length up to LK_KEY_SIZE */
    size_t element_bytes;
    int rank;
    hsize_t dims[MAX_RANK]; /* the first may be 0: any */
} expected;

typedef struct found {
    off_t at;
    size_t element_bytes;
    uint64_t rows;
} found;

static bool has_array(const opening *o, const char *name)
{
    H5L_info_t link;
    /* Soft and external links could lead elsewhere. */
    return H5Lexists(o->file, name, H5P_DEFAULT) > 0 && H5Lget_info(o->file, name, &link, H5P_DEFAULT) >= 0 &&
           link.type == H5L_TYPE_HARD;
}

static bool type_fits(hid_t array, const expected *want, size_t *element_bytes)
{
    hid_t type = H5Dget_type(array);
    if (type < 0)
        return false;
    bool fits;
    if (want->type >= 0) {
        fits = H5Tequal(type, want->type) > 0;
        *element_bytes = want->element_bytes;
    } else {
        *element_bytes = H5Tget_size(type);
        fits = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && *element_bytes >= 1 &&
               *element_bytes <= LK_KEY_SIZE;
    }
    H5Tclose(type);
    return fits;
}

static bool shape_fits(hid_t array, const expected *want, uint64_t *rows)
{
    hsize_t dims[MAX_RANK] = {0};
    hid_t space = H5Dget_space(array);
    bool fits =
        space >= 0 && H5Sget_simple_extent_ndims(space) == want->rank && H5Sget_simple_extent_dims(space, dims, NULL) >= 0;
    for (int i = 0; fits && i < want->rank; i++)
        fits = dims[i] == want->dims[i] || (i == 0 && want->dims[0] == 0);
    if (space >= 0)
        H5Sclose(space);
    *rows = dims[0];
    return fits;
}

static bool is_contiguous(hid_t array)
{
    hid_t how = H5Dget_create_plist(array);
    bool contiguous = how >= 0 && H5Pget_layout(how) == H5D_CONTIGUOUS && H5Pget_external_count(how) == 0;
    if (how >= 0)
        H5Pclose(how);
    return contiguous;
}

static lk_status check_array(const opening *o, hid_t array, const expected *want, found *out)
{
    if (!type_fits(array, want, &out->element_bytes) || !shape_fits(array, want, &out->rows))
        return lk_fail(LK_BAD_DATA,
                       "%s: /%s does not have the type and shape that %lld samples of %d pixels, %d continuous and %d discrete "
                       "labels need; make the shard anew",
                       o->path, want->name, (long long)o->shard->count, o->shard->size, o->schema->continuous_count,
                       o->schema->group_count);
    if (!is_contiguous(array))
        return lk_fail(LK_BAD_DATA, "%s: /%s is not contiguous (chunked or external); make the shard anew", o->path, want->name);
    uint64_t row_bytes = out->element_bytes;
    for (int i = 1; i < want->rank; i++)
        row_bytes *= want->dims[i];
    haddr_t at = H5Dget_offset(array);
    if (at == HADDR_UNDEF || at > o->file_size || out->rows > (o->file_size - at) / row_bytes)
        return lk_fail(LK_BAD_DATA, "%s: /%s does not lie inside the file; the shard is damaged, make it anew", o->path,
                       want->name);
    out->at = (off_t)at;
    return LK_OK;
}

static lk_status find_array(const opening *o, const expected *want, found *out)
{
    if (!has_array(o, want->name))
        return lk_fail(LK_BAD_DATA, "%s: has no array /%s; it is not a shard, or damaged", o->path, want->name);
    hid_t array = H5Dopen2(o->file, want->name, H5P_DEFAULT);
    if (array < 0)
        return lk_h5_fail(LK_BAD_DATA, o->path, "open an array", 0);
    lk_status status = check_array(o, array, want, out);
    H5Dclose(array);
    return status;
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

static lk_status find_pictures(const opening *o)
{
    lk_shard *shard = o->shard;
    hsize_t n = (hsize_t)shard->count, edge = (hsize_t)shard->size;
    found pictures, offsets;
    if (!has_array(o, LK_ARRAY_JPEG)) {
        const expected images = {LK_ARRAY_IMAGES, H5T_STD_U8LE, 1, 4, {n, edge, edge, 3}};
        LK_TRY(find_array(o, &images, &pictures));
        shard->picture_at = pictures.at;
        return LK_OK;
    }
    if (has_array(o, LK_ARRAY_IMAGES))
        return lk_fail(LK_BAD_DATA, "%s: has both /%s and /%s; it is not a shard of likeness", o->path, LK_ARRAY_IMAGES,
                       LK_ARRAY_JPEG);
    const expected jpeg = {LK_ARRAY_JPEG, H5T_STD_U8LE, 1, 1, {0}};
    const expected jpeg_offsets = {LK_ARRAY_JPEG_OFFSETS, H5T_STD_U64LE, sizeof(uint64_t), 1, {n + 1}};
    LK_TRY(find_array(o, &jpeg, &pictures));
    LK_TRY(find_array(o, &jpeg_offsets, &offsets));
    shard->picture_at = pictures.at;
    LK_TRY(load_words(o, &offsets, &shard->jpeg_offsets));
    return check_jpeg_offsets(o, pictures.rows);
}

static lk_status find_labels(const opening *o)
{
    lk_shard *shard = o->shard;
    hsize_t n = (hsize_t)shard->count;
    const expected continuous = {
        LK_ARRAY_CONTINUOUS, H5T_IEEE_F32LE, sizeof(float), 2, {n, (hsize_t)o->schema->continuous_count}};
    const expected discrete = {LK_ARRAY_DISCRETE, H5T_STD_U8LE, 1, 2, {n, (hsize_t)o->schema->group_count}};
    const expected key = {LK_ARRAY_KEY, H5I_INVALID_HID, 0, 1, {n}};
    const expected checksum = {LK_ARRAY_CHECKSUM, H5T_STD_U64LE, sizeof(uint64_t), 1, {n}};
    found array;
    LK_TRY(find_array(o, &continuous, &array));
    shard->continuous_at = array.at;
    LK_TRY(find_array(o, &discrete, &array));
    shard->discrete_at = array.at;
    LK_TRY(find_array(o, &key, &array));
    shard->key_at = array.at;
    shard->key_width = (int)array.element_bytes;
    LK_TRY(find_array(o, &checksum, &array));
    return load_words(o, &array, &shard->checksums);
}

/* ---- all of it ---- */

static lk_status check_all(opening *o, lk_schema **schema, const char *schema_origin)
{
    LK_TRY(check_format(o));
    LK_TRY(read_dimensions(o));
    LK_TRY(adopt_schema(o, schema, schema_origin));
    read_provenance(o);
    LK_TRY(find_pictures(o));
    return find_labels(o);
}

static lk_status open_checked(const char *path, lk_schema **schema, const char *schema_origin, lk_shard *shard)
{
    opening o = {.path = path, .shard = shard};
    LK_TRY(open_plain(path, shard, &o.file_size));
    lk_h5_begin();
    lk_status status;
    hid_t access = lk_h5_access();
    o.file = access < 0 ? H5I_INVALID_HID : H5Fopen(path, H5F_ACC_RDONLY, access);
    if (o.file < 0)
        status = lk_h5_fail(LK_BAD_DATA, path, "open the shard, which is damaged or not one", 0);
    else
        status = check_all(&o, schema, schema_origin);
    if (o.file >= 0)
        H5Fclose(o.file);
    if (access >= 0)
        H5Pclose(access);
    lk_h5_end();
    return status;
}

lk_status lk_shard_open(const char *path, lk_schema **schema, const char *schema_origin, lk_shard *out)
{
    *out = (lk_shard){.fd = -1};
    lk_status status = open_checked(path, schema, schema_origin, out);
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
    char *to = out;
    while (size > 0) {
        ssize_t got = pread(shard->fd, to, size, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lk_fail_io("read", shard->path, errno, 0);
        if (got == 0)
            return lk_fail(LK_BAD_DATA, "%s: the shard was cut short after it was opened; make it anew", shard->path);
        to += got;
        offset += got;
        size -= (size_t)got;
    }
    return LK_OK;
}
