#include "launch/command/photos.h"

#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "dataset/pack/pairing.h"
#include "dataset/pack/pipeline.h"
#include "dataset/pack/source.h"
#include "launch/command/options.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PHOTO_BYTES = 256 << 20 };
/* Photos at once, and what they may take together; a single one may take more. */
enum { DEPTH = 32, MEMORY_INSIDE = 1 << 30 };

/* One call of lk_photos_run. */
typedef struct walk {
    lk_photos *photos;
    int threads;
    lk_aligner **aligners;
    lk_pipeline *pipeline;
    lk_pairing *stems; /* those that are taken */
    int64_t inside, inside_bytes;
    int64_t others;         /* files in folders and archives that are no photos */
    char own[LK_PATH_SIZE]; /* the folder of the outputs as a prefix of the names in the present source, "": not in it */
} walk;

static void free_photo(const walk *w, lk_photo *p)
{
    if (p->made)
        w->photos->forget(p->made);
    free(p->origin);
    free(p->data);
    free(p->unread);
    free(p);
}

/* ---- outputs and photos are kept apart ---- */

/* Outputs end in .png: a PNG that lies where they go might be replaced by one, and be taken for a photo by the next run. */
static lk_status keep_photos(const lk_photos *photos, const char *path, bool source)
{
    char parent[LK_PATH_SIZE];
    bool same = false;
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    if (source || (dot && strcmp(dot, photos->output) == 0))
        LK_TRY(lk_path_same(source ? path : parent, photos->folder, &same));
    if (same)
        return lk_fail(LK_USAGE, "%s: what is written to '%s' might replace the photos there; give another --output",
                       photos->command, photos->folder);
    return LK_OK;
}

/* In the folder of the outputs the sheet is none of the photos, even where that lies among them. */
static lk_status keep_from_sheet(const lk_photos *photos, const char *source)
{
    char own[LK_PATH_SIZE];
    LK_TRY(lk_path_within(own, photos->folder, photos->sheet));
    return own[0] ? LK_OK : lk_keep_folder(photos->command, "sheet", photos->sheet, source);
}

/* Sets w->own where the outputs go into a folder below this source: what is there is no photo. */
static lk_status find_own(walk *w, const char *path)
{
    char within[LK_PATH_SIZE];
    w->own[0] = '\0';
    if (!w->photos->folder)
        return LK_OK;
    LK_TRY(lk_path_within(within, path, w->photos->folder));
    return within[0] ? lk_path_join(w->own, within, "") : LK_OK;
}

/* ---- through the pipeline ---- */

static void work(void *context, void *job, int worker)
{
    const walk *w = context;
    lk_photo *p = job;
    if (p->data)
        w->photos->work(w->photos->context, p, w->aligners ? w->aligners[worker] : NULL);
}

static lk_status take_oldest(walk *w)
{
    lk_photo *p = lk_pipeline_take(w->pipeline);
    w->inside--;
    w->inside_bytes -= p->cost;
    lk_status status = w->photos->take(w->photos->context, p);
    if (p->error.status != LK_OK)
        status = lk_error_put(&p->error);
    free_photo(w, p);
    return status;
}

/* No two photos have an output of the same name. */
static lk_status claim_names(walk *w, const char *stem, const char *shown)
{
    const lk_photos *photos = w->photos;
    const char *const tails[] = {"", photos->tails[0], photos->tails[1]};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        char name[LK_STEM_SIZE + 32];
        lk_pairing_state state = LK_WANTED;
        if (!tails[i])
            continue;
        snprintf(name, sizeof name, "%s%s", stem, tails[i]);
        LK_TRY(lk_pairing_see(w->stems, name, true, &state));
        if (state == LK_DUPLICATE)
            return lk_fail(LK_USAGE, "%s: %s would become %s%s, as another photo has already; %s them into two folders",
                           photos->command, shown, name, photos->output, photos->command);
    }
    return LK_OK;
}

/* Takes `data` over; where it is NULL `why` is kept instead. `key` is what the outputs are called, slashes become "_": no name
 * out of an archive is a path. */
static lk_status add_photo(walk *w, const char *key, const char *origin, uint8_t *data, size_t size, const char *why)
{
    lk_photo *p = calloc(1, sizeof *p);
    char shown[LK_PHOTO_NAME];
    lk_name_show(origin, shown, sizeof shown);
    char *kept = strdup(shown), *unread = data ? NULL : strdup(why);
    if (!p || !kept || (!data && !unread)) {
        free(data);
        free(kept);
        free(unread);
        free(p);
        return lk_fail(LK_INTERNAL, "out of memory for %s", shown);
    }
    snprintf(p->stem, sizeof p->stem, "%s", key);
    for (char *c = p->stem; *c; c++)
        if (*c == '/')
            *c = '_';
    p->origin = kept;
    p->unread = unread;
    p->data = data;
    p->size = size;
    p->cost = (int64_t)size + LK_ALIGNING_COST * lk_image_pixels(data, size);
    w->photos->count++;
    lk_status status = key[0] ? claim_names(w, p->stem, shown) : LK_OK;
    while (status == LK_OK && w->inside > 0 && (lk_pipeline_full(w->pipeline) || w->inside_bytes + p->cost > MEMORY_INSIDE))
        status = take_oldest(w);
    if (status != LK_OK) {
        free_photo(w, p);
        return status;
    }
    w->inside++;
    w->inside_bytes += p->cost;
    lk_pipeline_give(w->pipeline, p);
    return LK_OK;
}

/* ---- where photos come from ---- */

static lk_status add_file(walk *w, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    char stem[LK_STEM_SIZE], *data = NULL;
    size_t length = dot && dot > name ? (size_t)(dot - name) : strlen(name), size = 0;
    if (length == 0 || length >= LK_STEM_SIZE)
        return lk_fail(LK_USAGE, "%s: '%.80s' is no photo, or its name is longer than %d bytes", w->photos->command, path,
                       LK_STEM_SIZE - 1);
    snprintf(stem, sizeof stem, "%.*s", (int)length, name);
    lk_status status = lk_read_file(path, MAX_PHOTO_BYTES, &data, &size);
    if (status != LK_OK && status != LK_BAD_DATA)
        return status;
    char why[LK_ERROR_SIZE] = "";
    if (status != LK_OK)
        snprintf(why, sizeof why, "%s", lk_error_text());
    return add_photo(w, stem, path, (uint8_t *)data, size, why);
}

static lk_status add_entry(walk *w, lk_source *source, const lk_entry *entry)
{
    lk_name_kind kind;
    char key[LK_KEY_SIZE], why[LK_ERROR_SIZE];
    const char *refused = lk_name_read(entry->name, &kind, key);
    uint8_t *data = NULL;
    size_t size = 0;
    if (w->own[0] && strncmp(entry->name, w->own, strlen(w->own)) == 0)
        return LK_OK;
    if (!refused && kind != LK_NAME_PICTURE) {
        w->others++;
        return LK_OK;
    }
    if (!refused)
        refused = strlen(key) < LK_STEM_SIZE ? entry->refused : "name too long";
    if (refused)
        return add_photo(w, "", entry->name, NULL, 0, refused);
    LK_TRY(lk_source_read(source, MAX_PHOTO_BYTES, &data, &size, &refused));
    if (refused)
        snprintf(why, sizeof why, "%s: %s", refused, lk_error_text());
    return add_photo(w, key, entry->name, data, size, why);
}

static lk_status add_source(walk *w, const char *path)
{
    static const lk_limits limits = {
        .entry_bytes = MAX_PHOTO_BYTES, .total_bytes = (int64_t)1 << 40, .entries = (int64_t)1 << 24, .depth = 32};
    lk_source *source = NULL;
    lk_entry entry;
    LK_TRY(find_own(w, path));
    lk_status status = lk_source_open(path, &limits, &source);
    while (status == LK_OK && (status = lk_source_next(source, &entry)) == LK_OK && entry.name)
        status = add_entry(w, source, &entry);
    lk_source_close(source);
    return status;
}

/* Folders, archives by their names, and standard input; all else is a photo, however it is called. */
static lk_status is_source(const char *path, bool *is)
{
    lk_name_kind kind;
    lk_path_kind on_disk;
    char key[LK_KEY_SIZE];
    const char *slash = strrchr(path, '/');
    lk_name_read(slash ? slash + 1 : path, &kind, key);
    LK_TRY(lk_path_look(path, &on_disk));
    *is = on_disk == LK_FOLDER || strcmp(path, "-") == 0 || kind == LK_NAME_ARCHIVE;
    return LK_OK;
}

static lk_status walk_all(walk *w, char **paths, int count)
{
    const lk_photos *photos = w->photos;
    if (photos->align) {
        w->aligners = calloc((size_t)w->threads, sizeof *w->aligners);
        if (!w->aligners)
            return lk_fail(LK_INTERNAL, "out of memory for %d threads", w->threads);
        for (int i = 0; i < w->threads; i++)
            LK_TRY(lk_aligner_create(photos->model, photos->align, &w->aligners[i]));
    }
    LK_TRY(lk_pairing_create(MEMORY_INSIDE, &w->stems));
    LK_TRY(lk_pipeline_start(w->threads, DEPTH, work, w, &w->pipeline));
    lk_status status = LK_OK;
    for (int i = 0; i < count && status == LK_OK; i++) {
        bool source = false;
        status = is_source(paths[i], &source);
        if (status == LK_OK)
            status = source ? add_source(w, paths[i]) : add_file(w, paths[i]);
    }
    while (w->inside > 0 && status == LK_OK)
        status = take_oldest(w);
    if (status == LK_OK && w->others > 0)
        lk_info("%s: passed over %lld files that are no photos", photos->command, (long long)w->others);
    return status;
}

lk_status lk_photos_run(lk_photos *photos, char **paths, int count)
{
    walk w = {.photos = photos, .threads = photos->threads ? photos->threads : lk_core_count()};
    bool files = true;
    for (int i = 0; i < count; i++) {
        bool source;
        LK_TRY(is_source(paths[i], &source));
        if (photos->folder)
            LK_TRY(keep_photos(photos, paths[i], source));
        if (photos->sheet && source)
            LK_TRY(keep_from_sheet(photos, paths[i]));
        files = files && !source;
    }
    if (files && w.threads > count)
        w.threads = count;
    lk_status status = walk_all(&w, paths, count);
    if (w.pipeline)
        for (lk_photo *p; (p = lk_pipeline_take(w.pipeline)) != NULL;)
            free_photo(&w, p);
    lk_pipeline_stop(w.pipeline);
    for (int i = 0; w.aligners && i < w.threads; i++)
        lk_aligner_free(w.aligners[i]);
    free(w.aligners);
    lk_pairing_free(w.stems);
    if (status == LK_OK && photos->count == 0)
        return lk_fail(LK_BAD_DATA, "%s: there is no photo (.jpg, .jpeg, .png) in %s%s", photos->command, paths[0],
                       count > 1 ? " and what was given besides" : "");
    return status;
}
