#include "dataset/stage.h"

#include "base/hash.h"
#include "base/thread.h"
#include "dataset/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char MARK[] = "stage", UNNAMED_MARK[] = "stage.tmp-", WHOLE[] = "whole\n", UNFINISHED[] = "unfinished\n";
enum { PIECE = 4 << 20, LONGEST_MARK = 64 };

/* ---- the folder ---- */

static lk_status write_mark(const char *folder, const char *text)
{
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, folder, MARK));
    return lk_write_file(path, text, strlen(text));
}

/* `text` begins as the mark does; "" where there is none. */
static lk_status read_mark(const char *folder, char text[LONGEST_MARK])
{
    char path[LK_PATH_SIZE], *data;
    lk_path_kind kind;
    size_t size;
    text[0] = '\0';
    LK_TRY(lk_path_join(path, folder, MARK));
    LK_TRY(lk_path_look(path, &kind));
    if (kind != LK_FILE)
        return LK_OK;
    LK_TRY(lk_read_file(path, LONGEST_MARK - 1, &data, &size));
    memcpy(text, data, size + 1);
    free(data);
    return LK_OK;
}

lk_status lk_stage_check(const char *folder)
{
    char text[LONGEST_MARK];
    LK_TRY(read_mark(folder, text));
    if (strcmp(text, WHOLE) != 0)
        return lk_fail(LK_BAD_DATA, "%s: is not a whole stage; likeness stage makes one", folder);
    return LK_OK;
}

/* The mark goes last: what a kill leaves is a stage still. */
static lk_status remove_marked(const char *folder)
{
    lk_names names;
    LK_TRY(lk_list_folder(folder, "", &names));
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < names.count; i++) {
        char path[LK_PATH_SIZE];
        if (strcmp(names.names[i], MARK) == 0)
            continue;
        status = lk_path_join(path, folder, names.names[i]);
        if (status == LK_OK)
            status = lk_remove_tree(path);
    }
    lk_names_free(&names);
    return status == LK_OK ? lk_remove_tree(folder) : status;
}

/* Nothing is lost with a folder that is empty. A kill leaves one, too, just before there is a mark and just after. */
static lk_status remove_bare(const char *folder)
{
    static const char *const marks[] = {MARK};
    lk_names names;
    bool bare = true;
    LK_TRY(lk_list_folder(folder, "", &names));
    for (size_t i = 0; i < names.count; i++)
        bare = bare && strncmp(names.names[i], UNNAMED_MARK, strlen(UNNAMED_MARK)) == 0;
    lk_names_free(&names);
    if (bare)
        LK_TRY(lk_sweep_temporaries(folder, marks, 1, true));
    if (bare && rmdir(folder) == 0)
        return LK_OK;
    if (bare && errno != ENOTEMPTY && errno != EEXIST)
        return lk_fail_io("remove", folder, errno, 0);
    return lk_fail(LK_USAGE, "%s: is there already and is not a stage; name another folder", folder);
}

lk_status lk_stage_remove(const char *folder)
{
    char text[LONGEST_MARK];
    lk_path_kind kind;
    LK_TRY(lk_path_look(folder, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    LK_TRY(read_mark(folder, text));
    if (kind == LK_FOLDER && !text[0])
        return remove_bare(folder);
    if (strcmp(text, WHOLE) != 0 && strcmp(text, UNFINISHED) != 0)
        return lk_fail(LK_USAGE, "%s: is there already and is not a stage; name another folder", folder);
    return remove_marked(folder);
}

lk_status lk_stage_path(char *path, const char *folder, const char *name, int index)
{
    char part[LK_PATH_SIZE];
    snprintf(part, sizeof part, "%s.%d", name, index);
    return lk_path_join(path, folder, part);
}

/* ---- copying ---- */

typedef struct copying {
    bool (*stopped)(void);
    uint8_t *piece; /* [PIECE] */
    int64_t wanted, copied;
} copying;

static lk_status give_up_if_asked(const copying *c)
{
    return c->stopped && c->stopped() ? lk_fail(LK_REQUEUE, "staging was stopped; nothing of it is left") : LK_OK;
}

static lk_status write_piece(copying *c, int fd, const char *path, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t wrote = write(fd, c->piece + done, size - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return lk_fail_io("write", path, errno, c->wanted - c->copied);
        done += (size_t)wrote;
        c->copied += wrote;
    }
    return LK_OK;
}

static lk_status copy_bytes(copying *c, int from, const char *source, int to, const char *target)
{
    size_t got = PIECE;
    for (int64_t at = 0; got == PIECE; at += (int64_t)got) {
        LK_TRY(give_up_if_asked(c));
        LK_TRY(lk_read_at(from, source, c->piece, PIECE, at, &got));
        LK_TRY(write_piece(c, to, target, got));
    }
    return LK_OK;
}

static lk_status copy_file(copying *c, const char *source, const char *target)
{
    int from, to;
    LK_TRY(lk_open_file(source, &from, NULL));
    to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    lk_status status = to < 0 ? lk_fail_io("make", target, errno, 0) : copy_bytes(c, from, source, to, target);
    if (to >= 0 && close(to) != 0 && status == LK_OK)
        status = lk_fail_io("write", target, errno, 0);
    close(from);
    return status;
}

/* Files of one name out of several folders are no danger: each path has a folder of its own. */
static lk_status copy_shards(copying *c, const lk_dataset *from, const char *folder)
{
    LK_TRY(lk_make_folder(folder));
    for (int i = 0; i < lk_dataset_shard_count(from); i++) {
        char target[LK_PATH_SIZE];
        const char *source = lk_dataset_shard_path(from, i), *slash = strrchr(source, '/');
        LK_TRY(lk_path_join(target, folder, slash ? slash + 1 : source));
        LK_TRY(copy_file(c, source, target));
    }
    return LK_OK;
}

/* ---- reading back ---- */

typedef struct checking {
    const lk_dataset *copy;
    const copying *c;
    uint8_t **images; /* [threads], like the two below */
    float **continuous;
    uint8_t **discrete;
} checking;

static lk_status check_sample(void *context, int64_t i, int worker)
{
    const checking *k = context;
    LK_TRY(give_up_if_asked(k->c));
    return lk_dataset_read(k->copy, i, k->images[worker], k->continuous[worker], k->discrete[worker], NULL);
}

static lk_status check_samples(const copying *c, const lk_dataset *copy, int threads)
{
    const lk_schema *schema = lk_dataset_schema(copy);
    size_t n = (size_t)threads, edge = (size_t)lk_dataset_size(copy);
    size_t picture = edge * edge * 3, continuous = (size_t)schema->continuous_count * sizeof(float) + 1;
    size_t discrete = (size_t)schema->group_count + 1;
    checking k = {copy, c, calloc(n, sizeof *k.images), calloc(n, sizeof *k.continuous), calloc(n, sizeof *k.discrete)};
    bool good = k.images && k.continuous && k.discrete;
    for (size_t t = 0; good && t < n; t++) {
        k.images[t] = malloc(picture);
        k.continuous[t] = malloc(continuous);
        k.discrete[t] = malloc(discrete);
        good = k.images[t] && k.continuous[t] && k.discrete[t];
    }
    lk_status status = good ? lk_parallel_for(threads, lk_dataset_count(copy), check_sample, &k)
                            : lk_fail(LK_INTERNAL, "out of memory for reading a stage back");
    for (size_t t = 0; t < n; t++) {
        free(k.images ? k.images[t] : NULL);
        free(k.continuous ? k.continuous[t] : NULL);
        free(k.discrete ? k.discrete[t] : NULL);
    }
    free(k.images);
    free(k.continuous);
    free(k.discrete);
    return status;
}

static lk_status check_copy(const copying *c, const lk_dataset *original, const char *folder, int threads)
{
    lk_dataset *copy;
    LK_TRY(lk_dataset_open(&folder, 1, &copy));
    lk_status status = LK_OK;
    if (lk_dataset_content_hash(copy) != lk_dataset_content_hash(original)) {
        char hex[2][LK_HEX_SIZE];
        lk_hash_hex(lk_dataset_content_hash(copy), hex[0]);
        lk_hash_hex(lk_dataset_content_hash(original), hex[1]);
        status = lk_fail(LK_IO, "%s: the copy has content hash %s, the original %s; was it changed meanwhile?", folder, hex[0],
                         hex[1]);
    }
    if (status == LK_OK)
        status = check_samples(c, copy, threads);
    lk_dataset_close(copy);
    return status;
}

/* ---- the whole ---- */

static lk_status sum_sizes(const lk_dataset *set, int64_t *bytes)
{
    for (int i = 0; i < lk_dataset_shard_count(set); i++) {
        struct stat info;
        const char *path = lk_dataset_shard_path(set, i);
        if (stat(path, &info) != 0)
            return lk_fail_look("look at it", path, errno);
        *bytes += (int64_t)info.st_size;
    }
    return LK_OK;
}

static lk_status check_room(const char *folder, int64_t bytes)
{
    struct statvfs disk;
    if (statvfs(folder, &disk) != 0)
        return lk_fail_look("look at its disk", folder, errno);
    int64_t room = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
    if (bytes > room)
        return lk_fail(LK_IO, "%s: the shards take %.1f MB and the disk has room for %.1f; free space, or train without a stage",
                       folder, 1e-6 * (double)bytes, 1e-6 * (double)room);
    return LK_OK;
}

static lk_status copy_part(copying *c, const lk_dataset *original, const char *folder, int threads)
{
    LK_TRY(copy_shards(c, original, folder));
    return check_copy(c, original, folder, threads);
}

/* A stage is made anew by removing what is there, which must not be what is copied. */
static lk_status keep_originals(const lk_dataset *set, const char *folder)
{
    for (int i = 0; i < lk_dataset_shard_count(set); i++) {
        char within[LK_PATH_SIZE];
        const char *path = lk_dataset_shard_path(set, i);
        LK_TRY(lk_path_within(within, folder, path));
        if (within[0])
            return lk_fail(LK_USAGE, "%s: making this stage would remove %s, which is copied into it; name another folder",
                           folder, path);
    }
    return LK_OK;
}

/* One of each path of each set, in their order. */
static lk_status open_originals(const lk_stage_set *sets, int count, const char *folder, lk_dataset **originals, int64_t *bytes)
{
    for (int s = 0, k = 0; s < count; s++)
        for (int i = 0; i < sets[s].count; i++, k++) {
            LK_TRY(lk_dataset_open(&sets[s].paths[i], 1, &originals[k]));
            LK_TRY(keep_originals(originals[k], folder));
            LK_TRY(sum_sizes(originals[k], bytes));
        }
    return LK_OK;
}

static lk_status fill(copying *c, const lk_stage_set *sets, int count, lk_dataset *const *originals, const char *folder,
                      int threads)
{
    LK_TRY(lk_stage_remove(folder));
    LK_TRY(lk_make_folder(folder));
    lk_status status;
    LK_TRY_OR(failed, write_mark(folder, UNFINISHED));
    LK_TRY_OR(failed, check_room(folder, c->wanted));
    for (int s = 0, k = 0; s < count; s++)
        for (int i = 0; i < sets[s].count; i++, k++) {
            char path[LK_PATH_SIZE];
            LK_TRY_OR(failed, lk_stage_path(path, folder, sets[s].name, i));
            LK_TRY_OR(failed, copy_part(c, originals[k], path, threads));
        }
    LK_TRY_OR(failed, write_mark(folder, WHOLE));
    return LK_OK;
failed:;
    lk_error error;
    lk_error_take(&error, status);
    remove_marked(folder);
    return lk_error_put(&error);
}

lk_status lk_stage_make(const lk_stage_set *sets, int count, const char *folder, int threads, bool (*stopped)(void),
                        int64_t *bytes)
{
    int parts = 0;
    for (int s = 0; s < count; s++)
        parts += sets[s].count;
    copying c = {.stopped = stopped, .piece = malloc(PIECE)};
    lk_dataset **originals = calloc((size_t)parts, sizeof *originals);
    lk_status status =
        c.piece && originals ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory for a stage of %d paths", folder, parts);
    if (status == LK_OK)
        status = open_originals(sets, count, folder, originals, &c.wanted);
    if (status == LK_OK)
        status = fill(&c, sets, count, originals, folder, threads);
    *bytes = c.copied;
    for (int k = 0; originals && k < parts; k++)
        lk_dataset_close(originals[k]);
    free(originals);
    free(c.piece);
    return status;
}
