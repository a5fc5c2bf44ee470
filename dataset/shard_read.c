/* A data set (shard.h): shards one after the other, samples read from any thread. */
#include "base/file.h"
#include "base/hash.h"
#include "dataset/shard_format.h"
#include "dataset/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <turbojpeg.h>

struct lk_dataset {
    lk_schema *schema;
    lk_shard *shards;
    int64_t *first; /* number of each shard's first sample */
    int shard_count;
    size_t *until; /* [paths] how many shards lie before the end of each path that was given */
    int64_t count;
    uint64_t content_hash;
};

/* ---- opening ---- */

static lk_status append_name(lk_names *list, const char *path)
{
    char **names = realloc(list->names, (list->count + 1) * sizeof *names);
    if (names)
        list->names = names;
    char *copy = names ? strdup(path) : NULL;
    if (!copy)
        return lk_fail(LK_INTERNAL, "%s: out of memory for %zu shards", path, list->count + 1);
    list->names[list->count++] = copy;
    return LK_OK;
}

static lk_status list_folder(const char *folder, lk_names *list)
{
    lk_names names;
    LK_TRY(lk_unfinished_refuse(folder));
    LK_TRY(lk_list_folder(folder, ".h5", &names));
    lk_status status = LK_OK;
    if (names.count == 0)
        status = lk_fail(LK_BAD_DATA, "%s: the folder has no shards (*.h5); render or pack some into it", folder);
    for (size_t i = 0; i < names.count && status == LK_OK; i++) {
        char path[LK_PATH_SIZE];
        status = lk_path_join(path, folder, names.names[i]);
        if (status == LK_OK)
            status = append_name(list, path);
    }
    lk_names_free(&names);
    return status;
}

static lk_status list_shards(const char *path, lk_names *list)
{
    lk_path_kind kind;
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return lk_fail(LK_BAD_DATA, "%s: there is no such data set; render or pack it first", path);
    return kind == LK_FOLDER ? list_folder(path, list) : append_name(list, path);
}

/* The next shard, whose file the checker has. */
static lk_status add_shard(lk_dataset *set, lk_shard_checker *checker)
{
    lk_shard *shard = &set->shards[set->shard_count];
    const lk_shard *before = set->shard_count > 0 ? &set->shards[0] : NULL;
    LK_TRY(lk_shard_judge(checker, &set->schema, before ? before->path : shard->path, shard));
    set->first[set->shard_count++] = set->count;
    set->count += shard->count;
    if (before && before->size != shard->size)
        return lk_fail(LK_BAD_DATA, "%s has pictures of %d pixels a side and %s of %d; a data set has one size", before->path,
                       before->size, shard->path, shard->size);
    return LK_OK;
}

/* The checker is given files ahead, so that it works while the one before is judged. */
static lk_status add_shards(lk_dataset *set, lk_shard_checker *checker, const lk_names *list)
{
    set->shards = calloc(list->count, sizeof *set->shards);
    set->first = calloc(list->count, sizeof *set->first);
    if (!set->shards || !set->first)
        return lk_fail(LK_INTERNAL, "%s: out of memory for %zu shards", list->names[0], list->count);
    size_t given = 0;
    lk_status opened = LK_OK, status = LK_OK;
    for (size_t i = 0; i < list->count && status == LK_OK; i++) {
        if (given == i)
            opened = LK_OK; /* what could not be opened ahead, is tried again in its turn */
        for (; given < list->count && given < i + LK_SHARD_CHECKER_WINDOW && opened == LK_OK; given += opened == LK_OK)
            opened = lk_shard_open_file(checker, list->names[given], &set->shards[given]);
        status = given == i ? opened : add_shard(set, checker);
    }
    for (size_t i = (size_t)set->shard_count; i < given; i++)
        lk_shard_close(&set->shards[i]);
    return status;
}

static lk_status hash_content(lk_dataset *set)
{
    lk_piece *pieces = malloc((size_t)set->shard_count * sizeof *pieces);
    if (!pieces)
        return lk_fail(LK_INTERNAL, "out of memory for %d shards", set->shard_count);
    for (int i = 0; i < set->shard_count; i++)
        pieces[i] = (lk_piece){set->shards[i].checksums, (size_t)set->shards[i].count * sizeof(uint64_t)};
    set->content_hash = lk_hash_pieces(pieces, set->shard_count);
    free(pieces);
    return LK_OK;
}

lk_status lk_dataset_open_through(lk_shard_checker *checker, const char *const *paths, int count, lk_dataset **out)
{
    *out = NULL;
    if (count < 1)
        return lk_fail(LK_USAGE, "a data set needs at least one folder or shard");
    lk_names list = {0};
    lk_dataset *set = calloc(1, sizeof *set);
    if (set)
        set->until = calloc((size_t)count, sizeof *set->until);
    lk_status status = set && set->until ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory", paths[0]);
    for (int i = 0; i < count && status == LK_OK; i++) {
        status = list_shards(paths[i], &list);
        set->until[i] = list.count;
    }
    if (status == LK_OK)
        status = add_shards(set, checker, &list);
    if (status == LK_OK)
        status = hash_content(set);
    lk_names_free(&list);
    if (status != LK_OK) {
        if (checker->waiting > 0) /* answers that nobody takes any more */
            lk_shard_checker_end(checker);
        lk_dataset_close(set);
        return status;
    }
    *out = set;
    return LK_OK;
}

lk_status lk_dataset_open(const char *const *paths, int count, lk_dataset **out)
{
    lk_shard_checker checker = LK_SHARD_CHECKER;
    lk_status status = lk_dataset_open_through(&checker, paths, count, out);
    lk_shard_checker_end(&checker);
    return status;
}

void lk_dataset_close(lk_dataset *set)
{
    if (!set)
        return;
    for (int i = 0; i < set->shard_count; i++)
        lk_shard_close(&set->shards[i]);
    lk_schema_free(set->schema);
    free(set->shards);
    free(set->first);
    free(set->until);
    free(set);
}

int64_t lk_dataset_count(const lk_dataset *set)
{
    return set->count;
}

int64_t lk_dataset_count_of(const lk_dataset *set, int path)
{
    int64_t count = 0;
    for (size_t i = path > 0 ? set->until[path - 1] : 0; i < set->until[path]; i++)
        count += set->shards[i].count;
    return count;
}

int lk_dataset_size(const lk_dataset *set)
{
    return set->shards[0].size;
}

const lk_schema *lk_dataset_schema(const lk_dataset *set)
{
    return set->schema;
}

int lk_dataset_shard_count(const lk_dataset *set)
{
    return set->shard_count;
}

const char *lk_dataset_shard_path(const lk_dataset *set, int shard)
{
    return set->shards[shard].path;
}

uint64_t lk_dataset_content_hash(const lk_dataset *set)
{
    return set->content_hash;
}

const char *lk_dataset_provenance(const lk_dataset *set)
{
    return set->shards[0].provenance ? set->shards[0].provenance : "";
}

/* ---- JPEG pictures: a decoder and a buffer of each thread, freed when the thread ends ---- */

typedef struct scratch {
    tjhandle decoder;
    uint8_t *bytes;
    size_t room;
} scratch;

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static int scratch_error;

static void free_scratch(void *data)
{
    scratch *s = data;
    if (s->decoder)
        tjDestroy(s->decoder);
    free(s->bytes);
    free(s);
}

static void make_scratch_key(void)
{
    scratch_error = pthread_key_create(&scratch_key, free_scratch);
}

/* This thread's scratch with room for `size` bytes; NULL if memory is out. */
static scratch *get_scratch(size_t size)
{
    pthread_once(&scratch_once, make_scratch_key);
    scratch *s = scratch_error ? NULL : pthread_getspecific(scratch_key);
    if (!s && !scratch_error) {
        s = calloc(1, sizeof *s);
        if (s && pthread_setspecific(scratch_key, s) != 0) {
            free(s);
            s = NULL;
        }
    }
    if (s && !s->decoder)
        s->decoder = tjInitDecompress();
    if (!s || !s->decoder)
        return NULL;
    if (s->room < size) {
        uint8_t *grown = realloc(s->bytes, size);
        if (!grown)
            return NULL;
        s->bytes = grown;
        s->room = size;
    }
    return s;
}

static lk_status unpack_jpeg(const lk_shard *shard, int64_t i, scratch *s, size_t size, uint8_t *image)
{
    int width, height, sampling, colours;
    int failed = tjDecompressHeader3(s->decoder, s->bytes, size, &width, &height, &sampling, &colours);
    if (!failed && (width != shard->size || height != shard->size))
        return lk_fail(LK_BAD_DATA, "%s: sample %lld: its JPEG has %d x %d pixels instead of %d", shard->path, (long long)i,
                       width, height, shard->size);
    if (!failed)
        failed =
            tjDecompress2(s->decoder, s->bytes, size, image, width, 0, height, TJPF_RGB, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS);
    if (failed)
        return lk_fail(LK_BAD_DATA, "%s: sample %lld: cannot read its JPEG: %s", shard->path, (long long)i,
                       tjGetErrorStr2(s->decoder));
    return LK_OK;
}

/* ---- reading a sample ---- */

static int find_shard(const lk_dataset *set, int64_t i)
{
    int low = 0, high = set->shard_count;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (set->first[middle] <= i)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* A key is zero-terminated within its width, and zero from there on. */
static lk_status read_key(const lk_shard *shard, int64_t i, char key[LK_KEY_SIZE])
{
    size_t width = (size_t)shard->key_width;
    LK_TRY(lk_shard_pread(shard, key, width, shard->key_at + (off_t)i * (off_t)width));
    bool good = key[width - 1] == '\0';
    for (size_t c = strnlen(key, width); good && c < width; c++)
        good = key[c] == '\0';
    if (!good)
        return lk_fail(LK_BAD_DATA, "%s: the key of sample %lld is damaged; make the shard anew", shard->path, (long long)i);
    return LK_OK;
}

/* `i` counts within the shard. */
static lk_status read_sample(const lk_shard *shard, const lk_schema *schema, int64_t i, uint8_t *image, float *continuous,
                             uint8_t *discrete, char key[LK_KEY_SIZE])
{
    size_t continuous_bytes = (size_t)schema->continuous_count * sizeof *continuous;
    size_t groups = (size_t)schema->group_count;
    uint8_t *picture = image;
    size_t picture_bytes = (size_t)shard->size * (size_t)shard->size * 3;
    off_t picture_at = shard->picture_at + (off_t)i * (off_t)picture_bytes;
    scratch *s = NULL;
    if (shard->jpeg_offsets) {
        picture_bytes = shard->jpeg_offsets[i + 1] - shard->jpeg_offsets[i];
        picture_at = shard->picture_at + (off_t)shard->jpeg_offsets[i];
        s = get_scratch(picture_bytes);
        if (!s)
            return lk_fail(LK_INTERNAL, "%s: out of memory for a JPEG decoder", shard->path);
        picture = s->bytes;
    }
    LK_TRY(lk_shard_pread(shard, picture, picture_bytes, picture_at));
    LK_TRY(lk_shard_pread(shard, continuous, continuous_bytes, shard->continuous_at + (off_t)i * (off_t)continuous_bytes));
    LK_TRY(lk_shard_pread(shard, discrete, groups, shard->discrete_at + (off_t)i * (off_t)groups));
    LK_TRY(read_key(shard, i, key));
    uint64_t checksum =
        lk_sample_checksum(picture, picture_bytes, continuous, schema->continuous_count, discrete, schema->group_count, key);
    if (checksum != shard->checksums[i])
        return lk_fail(LK_BAD_DATA, "%s: sample %lld is damaged (its checksum does not fit); make the shard anew", shard->path,
                       (long long)i);
    lk_status status = lk_schema_check_face(schema, continuous, discrete);
    if (status != LK_OK)
        return lk_fail_in(status, "%s: sample %lld", shard->path, (long long)i);
    return s ? unpack_jpeg(shard, i, s, picture_bytes, image) : LK_OK;
}

lk_status lk_dataset_read(const lk_dataset *set, int64_t i, uint8_t *image, float *continuous, uint8_t *discrete,
                          char key[LK_KEY_SIZE])
{
    if (i < 0 || i >= set->count)
        return lk_fail(LK_INTERNAL, "sample %lld of a data set of %lld was asked for", (long long)i, (long long)set->count);
    char unused[LK_KEY_SIZE];
    int shard = find_shard(set, i);
    return read_sample(&set->shards[shard], set->schema, i - set->first[shard], image, continuous, discrete, key ? key : unused);
}

/* ---- ahead of reading ---- */

/* What Linux reads ahead for one request, at the least: of a longer one it takes the beginning alone. */
enum { AHEAD_AT_ONCE = 128 << 10 };

static void ask_for(int fd, off_t at, size_t size)
{
    for (size_t done = 0; done < size; done += AHEAD_AT_ONCE)
        posix_fadvise(fd, at + (off_t)done, (off_t)(size - done < AHEAD_AT_ONCE ? size - done : AHEAD_AT_ONCE),
                      POSIX_FADV_WILLNEED);
}

/* `first` counts within the shard. */
static void read_shard_ahead(const lk_shard *shard, const lk_schema *schema, int64_t first, int64_t count)
{
    size_t n = (size_t)count, picture = (size_t)shard->size * (size_t)shard->size * 3;
    size_t continuous = (size_t)schema->continuous_count * sizeof(float), groups = (size_t)schema->group_count;
    off_t at = first * (off_t)picture;
    size_t size = n * picture;
    if (shard->jpeg_offsets) {
        at = (off_t)shard->jpeg_offsets[first];
        size = shard->jpeg_offsets[first + count] - shard->jpeg_offsets[first];
    }
    ask_for(shard->fd, shard->picture_at + at, size);
    ask_for(shard->fd, shard->continuous_at + first * (off_t)continuous, n * continuous);
    ask_for(shard->fd, shard->discrete_at + first * (off_t)groups, n * groups);
    ask_for(shard->fd, shard->key_at + first * (off_t)shard->key_width, n * (size_t)shard->key_width);
}

void lk_dataset_read_ahead(const lk_dataset *set, int64_t first, int64_t count)
{
    int64_t end = count < set->count - first ? first + count : set->count;
    while (first >= 0 && first < end) {
        int i = find_shard(set, first);
        const lk_shard *shard = &set->shards[i];
        int64_t begin = first - set->first[i], left = shard->count - begin;
        int64_t n = end - first < left ? end - first : left;
        read_shard_ahead(shard, set->schema, begin, n);
        first += n;
    }
}

void lk_dataset_forget(const lk_dataset *set)
{
    for (int i = 0; i < set->shard_count; i++)
        posix_fadvise(set->shards[i].fd, 0, 0, POSIX_FADV_DONTNEED);
}
