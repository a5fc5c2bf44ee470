#include "dataset/shard_layout.h"

#include "base/file.h"
#include "dataset/shard_format.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const lk_layout_names[LK_LAYOUT_ARRAYS] = {
    [LK_LAYOUT_IMAGES] = LK_ARRAY_IMAGES,
    [LK_LAYOUT_JPEG] = LK_ARRAY_JPEG,
    [LK_LAYOUT_JPEG_OFFSETS] = LK_ARRAY_JPEG_OFFSETS,
    [LK_LAYOUT_CONTINUOUS] = LK_ARRAY_CONTINUOUS,
    [LK_LAYOUT_DISCRETE] = LK_ARRAY_DISCRETE,
    [LK_LAYOUT_KEY] = LK_ARRAY_KEY,
    [LK_LAYOUT_CHECKSUM] = LK_ARRAY_CHECKSUM,
};

typedef struct reading {
    hid_t file;
    int *io_error;
} reading;

/* ---- a driver of HDF5 that reads one descriptor ---- */

/* HDF5's own drivers open files by name, and their errors are text. */
typedef struct source {
    H5FD_t of_hdf5; /* first */
    int fd;
    haddr_t end_of_space, end_of_file;
} source;

/* Of the file that is being read; HDF5's lock holds for it too. */
static int source_fd, source_error;

static H5FD_t *source_open(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    (void)name, (void)access, (void)most;
    struct stat info;
    if ((flags & H5F_ACC_RDWR) != 0)
        return NULL;
    if (fstat(source_fd, &info) != 0) {
        source_error = errno;
        return NULL;
    }
    source *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    file->fd = source_fd;
    file->end_of_file = (haddr_t)info.st_size;
    return &file->of_hdf5;
}

static herr_t source_close(H5FD_t *file)
{
    free(file);
    return 0;
}

static herr_t source_query(const H5FD_t *file, unsigned long *features)
{
    (void)file;
    *features = 0;
    return 0;
}

static haddr_t source_end_of_space(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const source *)file)->end_of_space;
}

static herr_t source_set_end_of_space(H5FD_t *file, H5FD_mem_t type, haddr_t end)
{
    (void)type;
    ((source *)file)->end_of_space = end;
    return 0;
}

static haddr_t source_end_of_file(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const source *)file)->end_of_file;
}

static herr_t source_read(H5FD_t *file, H5FD_mem_t type, hid_t how, haddr_t at, size_t size, void *out)
{
    (void)type, (void)how;
    int tries = 0;
    for (char *to = out; size > 0;) {
        ssize_t got = at > INT64_MAX ? 0 : pread(((source *)file)->fd, to, size, (off_t)at);
        if (got < 0 && lk_try_again(&tries, errno))
            continue;
        if (got < 0)
            source_error = errno;
        if (got <= 0)
            return -1;
        to += got;
        at += (haddr_t)got;
        size -= (size_t)got;
    }
    return 0;
}

static herr_t source_write(H5FD_t *file, H5FD_mem_t type, hid_t how, haddr_t at, size_t size, const void *data)
{
    (void)file, (void)type, (void)how, (void)at, (void)size, (void)data;
    return -1;
}

static const H5FD_class_t SOURCE = {
    .name = "descriptor",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .open = source_open,
    .close = source_close,
    .query = source_query,
    .get_eoa = source_end_of_space,
    .set_eoa = source_set_end_of_space,
    .get_eof = source_end_of_file,
    .read = source_read,
    .write = source_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

static hid_t open_source(int fd)
{
    static hid_t driver = H5I_INVALID_HID;
    source_fd = fd;
    source_error = 0;
    if (driver < 0)
        driver = H5FDregister(&SOURCE);
    hid_t file = H5I_INVALID_HID, access = lk_h5_access();
    if (driver >= 0 && access >= 0 && H5Pset_driver(access, driver, NULL) >= 0)
        file = H5Fopen("the shard", H5F_ACC_RDONLY, access);
    if (access >= 0)
        H5Pclose(access);
    return file;
}

/* HDF5's last failure: the disk's if it failed, else the file's. */
static lk_status fail(const reading *r, const char *action)
{
    char reason[LK_ERROR_SIZE / 2];
    lk_h5_reason(reason, sizeof reason);
    *r->io_error = source_error;
    if (source_error != 0)
        return lk_fail(LK_IO, "cannot %s: %s", action, strerror(source_error));
    return lk_fail(LK_BAD_DATA, "cannot %s: HDF5: %s", action, reason);
}

/* ---- attributes ---- */

/* An attribute with one value, and its type. */
static lk_status open_scalar(const reading *r, const char *name, H5T_class_t kind, hid_t *attribute, hid_t *type)
{
    *type = H5I_INVALID_HID;
    *attribute = H5I_INVALID_HID;
    htri_t exists = H5Aexists(r->file, name);
    if (exists == 0)
        return lk_fail(LK_BAD_DATA, "has no attribute '%s'; it is not a shard", name);
    if (exists > 0)
        *attribute = H5Aopen(r->file, name, H5P_DEFAULT);
    if (*attribute < 0)
        return fail(r, "read an attribute");
    hid_t space = H5Aget_space(*attribute);
    int scalar = space >= 0 && H5Sget_simple_extent_type(space) == H5S_SCALAR;
    if (space >= 0)
        H5Sclose(space);
    *type = H5Aget_type(*attribute);
    if (!scalar || *type < 0 || H5Tget_class(*type) != kind)
        return lk_fail(LK_BAD_DATA, "attribute '%s' has the wrong type; it is not a shard, or damaged", name);
    return LK_OK;
}

static void close_scalar(hid_t attribute, hid_t type)
{
    if (type >= 0)
        H5Tclose(type);
    if (attribute >= 0)
        H5Aclose(attribute);
}

/* Refuses texts longer than `limit`. Caller frees *text. */
static lk_status get_text(const reading *r, const char *name, size_t limit, char **text)
{
    *text = NULL;
    char *buffer = NULL;
    hid_t attribute, type;
    lk_status status;
    LK_TRY_OR(done, open_scalar(r, name, H5T_STRING, &attribute, &type));
    size_t size = H5Tget_size(type);
    if (H5Tis_variable_str(type) != 0 || size < 1 || size > limit)
        status = lk_fail(LK_BAD_DATA, "attribute '%s' must be a text of fixed length, 1 to %zu bytes", name, limit);
    else if (!(buffer = calloc(1, size + 1)))
        status = lk_fail(LK_INTERNAL, "out of memory for attribute '%s'", name);
    else if (H5Aread(attribute, type, buffer) < 0)
        status = fail(r, "read an attribute");
    if (status == LK_OK) {
        *text = buffer;
        buffer = NULL;
    }
done:
    free(buffer);
    close_scalar(attribute, type);
    return status;
}

static lk_status get_number(const reading *r, const char *name, uint64_t *value)
{
    hid_t attribute, type;
    lk_status status = open_scalar(r, name, H5T_INTEGER, &attribute, &type);
    if (status == LK_OK && H5Aread(attribute, H5T_NATIVE_UINT64, value) < 0)
        status = fail(r, "read an attribute");
    close_scalar(attribute, type);
    return status;
}

static lk_status check_format(const reading *r)
{
    char *format;
    uint64_t version;
    LK_TRY(get_text(r, LK_ATTRIBUTE_FORMAT, 64, &format));
    bool ours = strcmp(format, LK_SHARD_FORMAT) == 0;
    free(format);
    if (!ours)
        return lk_fail(LK_BAD_DATA, "an HDF5 file, but not a shard of likeness (its format is not '%s')", LK_SHARD_FORMAT);
    LK_TRY(get_number(r, LK_ATTRIBUTE_VERSION, &version));
    if (version != LK_SHARD_VERSION)
        return lk_fail(LK_BAD_DATA, "a shard of format version %llu; this program reads version %d", (unsigned long long)version,
                       LK_SHARD_VERSION);
    return LK_OK;
}

/* ---- arrays ---- */

/* 1 or 0; negative is HDF5's failure. */
static htri_t has_array(const reading *r, const char *name)
{
    H5L_info_t link;
    htri_t exists = H5Lexists(r->file, name, H5P_DEFAULT);
    if (exists <= 0)
        return exists;
    if (H5Lget_info(r->file, name, &link, H5P_DEFAULT) < 0)
        return -1;
    return link.type == H5L_TYPE_HARD; /* soft and external links could lead elsewhere */
}

static void read_type(hid_t array, lk_layout_array *out)
{
    hid_t type = H5Dget_type(array);
    if (type < 0)
        return;
    size_t bytes = H5Tget_size(type);
    if (H5Tequal(type, H5T_STD_U8LE) > 0)
        out->element = LK_ELEMENT_U8;
    else if (H5Tequal(type, H5T_STD_U64LE) > 0)
        out->element = LK_ELEMENT_U64;
    else if (H5Tequal(type, H5T_IEEE_F32LE) > 0)
        out->element = LK_ELEMENT_F32;
    else if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && bytes <= LK_KEY_SIZE)
        out->element = LK_ELEMENT_TEXT;
    out->element_bytes = out->element == LK_ELEMENT_OTHER ? 0 : (uint32_t)bytes;
    H5Tclose(type);
}

static void read_shape(hid_t array, lk_layout_array *out)
{
    hsize_t dims[LK_LAYOUT_MAX_RANK] = {0};
    hid_t space = H5Dget_space(array);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    if (rank >= 0 && rank <= LK_LAYOUT_MAX_RANK && H5Sget_simple_extent_dims(space, dims, NULL) < 0)
        rank = -1;
    out->rank = rank < 0 ? UINT64_MAX : (uint64_t)rank;
    for (int i = 0; i < LK_LAYOUT_MAX_RANK; i++)
        out->dims[i] = dims[i];
    if (space >= 0)
        H5Sclose(space);
}

static bool is_contiguous(hid_t array)
{
    hid_t how = H5Dget_create_plist(array);
    bool contiguous = how >= 0 && H5Pget_layout(how) == H5D_CONTIGUOUS && H5Pget_external_count(how) == 0;
    if (how >= 0)
        H5Pclose(how);
    return contiguous;
}

static lk_status read_array(const reading *r, const char *name, lk_layout_array *out)
{
    htri_t exists = has_array(r, name);
    if (exists == 0)
        return LK_OK;
    hid_t array = exists < 0 ? H5I_INVALID_HID : H5Dopen2(r->file, name, H5P_DEFAULT);
    if (array < 0)
        return fail(r, "open an array");
    out->present = 1;
    out->contiguous = is_contiguous(array);
    read_type(array, out);
    read_shape(array, out);
    haddr_t at = H5Dget_offset(array);
    out->at = at == HADDR_UNDEF ? UINT64_MAX : at;
    H5Dclose(array);
    return LK_OK;
}

/* ---- all of it ---- */

static lk_status read_all(const reading *r, lk_shard_layout *out, lk_shard_texts *texts)
{
    LK_TRY(check_format(r));
    LK_TRY(get_number(r, LK_ATTRIBUTE_COUNT, &out->count));
    LK_TRY(get_number(r, LK_ATTRIBUTE_SIZE, &out->size));
    LK_TRY(get_number(r, LK_ATTRIBUTE_SCHEMA_HASH, &out->schema_hash));
    for (int i = 0; i < LK_LAYOUT_ARRAYS; i++)
        LK_TRY(read_array(r, lk_layout_names[i], &out->arrays[i]));
    LK_TRY(get_text(r, LK_ATTRIBUTE_SCHEMA, LK_MAX_SCHEMA_TEXT, &texts->schema));
    /* Nothing depends on it: one that is strange is like none. */
    if (H5Aexists(r->file, LK_ATTRIBUTE_PROVENANCE) <= 0 ||
        get_text(r, LK_ATTRIBUTE_PROVENANCE, LK_MAX_PROVENANCE, &texts->provenance) != LK_OK)
        texts->provenance = strdup("");
    return texts->provenance ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for its attributes");
}

lk_status lk_shard_layout_read(int fd, lk_shard_layout *out, lk_shard_texts *texts, int *io_error)
{
    *out = (lk_shard_layout){0};
    *texts = (lk_shard_texts){0};
    *io_error = 0;
    lk_h5_begin();
    reading r = {open_source(fd), io_error};
    lk_status status = r.file < 0 ? fail(&r, "open the shard, which is damaged or not one") : read_all(&r, out, texts);
    if (r.file >= 0)
        H5Fclose(r.file);
    lk_h5_end();
    if (status != LK_OK)
        lk_shard_texts_free(texts);
    return status;
}

void lk_shard_texts_free(lk_shard_texts *texts)
{
    free(texts->schema);
    free(texts->provenance);
    *texts = (lk_shard_texts){0};
}
