#include "dataset/shard_format.h"

#include "base/file.h"
#include "base/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

uint64_t lk_sample_checksum(const void *picture, size_t picture_size, const float *continuous, int continuous_count,
                            const uint8_t *discrete, int group_count, const char *key)
{
    const lk_piece pieces[] = {
        {picture, picture_size},
        {continuous, (size_t)continuous_count * sizeof *continuous},
        {discrete, (size_t)group_count},
        {key, strlen(key)},
    };
    return lk_hash_pieces(pieces, sizeof pieces / sizeof *pieces);
}

/* ---- HDF5 ---- */

static pthread_mutex_t h5_lock = PTHREAD_MUTEX_INITIALIZER;

void lk_h5_begin(void)
{
    static bool begun;
    pthread_mutex_lock(&h5_lock);
    /* At exit HDF5 would write once more what it could not write before (a full disk), and crash. */
    if (!begun)
        H5dont_atexit();
    begun = true;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void lk_h5_end(void)
{
    pthread_mutex_unlock(&h5_lock);
}

static herr_t copy_innermost(unsigned n, const H5E_error2_t *error, void *out)
{
    if (n == 0 && error->desc)
        snprintf(out, LK_ERROR_SIZE / 2, "%s", error->desc);
    return 0;
}

int lk_h5_reason(char *out, size_t size)
{
    char reason[LK_ERROR_SIZE / 2] = "no reason given";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, copy_innermost, reason);
    const char *number = strstr(reason, "errno = ");
    snprintf(out, size, "%s", reason);
    return number ? atoi(number + strlen("errno = ")) : 0;
}

lk_status lk_h5_fail_write(const char *path, int64_t wanted)
{
    char reason[LK_ERROR_SIZE / 2];
    int error = lk_h5_reason(reason, sizeof reason);
    if (error != 0)
        return lk_fail_io("write", path, error, wanted);
    return lk_fail(LK_IO, "%s: cannot write: HDF5: %s", path, reason);
}

hid_t lk_h5_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 &&
        (H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0 || H5Pset_file_locking(access, false, true) < 0)) {
        H5Pclose(access);
        return H5I_INVALID_HID;
    }
    return access;
}

void lk_shard_library(char *out, size_t size)
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(out, size, "HDF5 %u.%u.%u", major, minor, release);
}

static herr_t put(hid_t file, const char *name, hid_t file_type, hid_t memory_type, const void *value)
{
    herr_t result = -1;
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = space < 0 ? H5I_INVALID_HID : H5Acreate2(file, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        result = H5Awrite(attribute, memory_type, value);
        if (H5Aclose(attribute) < 0)
            result = -1;
    }
    if (space >= 0)
        H5Sclose(space);
    return result;
}

herr_t lk_h5_put_text(hid_t file, const char *name, const char *text)
{
    herr_t result = -1;
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && H5Tset_size(type, strlen(text) + 1) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        result = put(file, name, type, type, text);
    if (type >= 0)
        H5Tclose(type);
    return result;
}

herr_t lk_h5_put_number(hid_t file, const char *name, hid_t file_type, uint64_t value)
{
    return put(file, name, file_type, H5T_NATIVE_UINT64, &value);
}
