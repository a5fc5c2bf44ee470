#include "dataset/pack/pack.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/thread.h"
#include "dataset/pack/output.h"
#include "dataset/pack/pairing.h"
#include "dataset/pack/pipeline.h"
#include "dataset/pack/table.h"
#include "dataset/parameters.h"
#include "dataset/unfinished.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Jobs in the pipeline at once: a constant, so that the order of all that happens does not depend on the threads. */
enum { DEPTH = 32 };

/* Shares of the memory that may be used, which do not lend to each other: so what is refused does not depend on what else is
 * there. The entry or row that is read just now has the rest, an eighth. */
static int64_t memory_inside(const lk_pack_options *o)
{
    return o->max_memory / 2;
}

static int64_t memory_waiting(const lk_pack_options *o)
{
    return o->max_memory / 8 * 3;
}

const lk_pack_options lk_pack_defaults = {.alignment = LK_ALIGN_DEFAULTS,
                                          .shard_size = 4096,
                                          .part_count = 1,
                                          .shares = {1.0},
                                          .limits = LK_LIMITS_DEFAULTS,
                                          .max_pixels = 64000000,
                                          .max_memory = (int64_t)2 << 30};

typedef struct packing {
    const lk_pack_options *options;
    lk_schema *schema;
    lk_prepare_options prepare;
    lk_face_model *model;
    lk_aligner **aligners; /* [threads], NULL without align */
    lk_pairing *pairing;
    lk_pack_report *report;
    json_t *settings;
    lk_output_options output_options;
    lk_output *output;
    lk_pipeline *pipeline;
    lk_progress bar;
    int64_t pictures, finished_before, inside, inside_bytes;
    int *tables; /* [source_count]: how many tables of each source have been read beforehand */
    int source;  /* the one being read */
    double share_read;
} packing;

/* ---- results, in order ---- */

static lk_status store_face(packing *p, const lk_job *job, int number)
{
    const lk_prepared *face = &job->faces[number];
    bool many = p->options->alignment.faces == LK_FACE_ALL && p->options->align;
    /* No key of a picture has a double slash, so these are keys of their own. */
    char key[LK_KEY_SIZE + 16];
    snprintf(key, sizeof key, many ? "%s//%d" : "%s", job->picture.key, number + 1);
    if (face->refused)
        return lk_pack_report_refuse(p->report, face->refused, job->picture.name, face->detail);
    if (strlen(key) >= LK_KEY_SIZE)
        return lk_pack_report_refuse(p->report, "name too long", job->picture.name, NULL);
    lk_pairing_state state = LK_WANTED;
    if (many)
        LK_TRY(lk_pairing_see(p->pairing, key, true, &state));
    if (state == LK_FINISHED)
        return LK_OK;
    uint64_t hash;
    LK_TRY(lk_name_hash(job->labels.identity ? job->labels.identity : job->picture.key, &hash));
    int part = lk_output_part(p->output, hash);
    lk_sample sample = {face->pixels, job->continuous, job->discrete, key};
    LK_TRY(lk_output_add(p->output, part, &sample, face->jpeg, face->jpeg_size));
    lk_pack_report_take(p->report, part, job->continuous, job->discrete);
    return LK_OK;
}

static void show_progress(packing *p)
{
    char note[64];
    int64_t taken = lk_pack_report_taken(p->report);
    snprintf(note, sizeof note, "%" PRId64 " not taken", lk_pack_report_refused(p->report));
    /* How many there will be is guessed from how much of the sources has been read. */
    if (p->options->expect > 0)
        p->bar.total = p->options->expect;
    else if (p->share_read > 0)
        p->bar.total = (int64_t)((double)p->pictures / p->share_read);
    lk_progress_update(&p->bar, taken, note);
}

/* Takes the oldest job out of the pipeline and stores it. */
static lk_status store_oldest(packing *p)
{
    lk_job *job = lk_pipeline_take(p->pipeline);
    if (!job)
        return LK_OK;
    p->inside--;
    p->inside_bytes -= job->cost;
    lk_status status = LK_OK;
    if (job->error.status != LK_OK)
        status = lk_error_put(&job->error);
    else if (job->refused)
        status = lk_pack_report_refuse(p->report, job->refused,
                                       strcmp(job->refused, "bad parameters") == 0 ? job->labels.name : job->picture.name,
                                       job->detail);
    for (int i = 0; i < job->face_count && status == LK_OK && !job->refused; i++)
        status = store_face(p, job, i);
    lk_job_free(job);
    show_progress(p);
    return status;
}

static void work(void *context, void *job, int worker)
{
    packing *p = context;
    lk_prepare(&p->prepare, p->aligners ? p->aligners[worker] : NULL, job);
}

/* A picture that does not fit into the memory by itself is refused; its turn to be told comes in the order of all. */
static void refuse_too_large(lk_job *job)
{
    job->refused = "too large";
    snprintf(job->detail, sizeof job->detail,
             "decoding takes up to %" PRId64 " MB; raise --max-memory to %" PRId64 " if that is right", (job->cost >> 20) + 1,
             (job->cost >> 19) + 1);
    job->cost = (int64_t)job->picture.size;
}

/* Takes both halves over. */
static lk_status start_job(packing *p, lk_half *picture, lk_half *labels)
{
    lk_job *job = calloc(1, sizeof *job);
    if (!job) {
        lk_half_free(picture);
        lk_half_free(labels);
        return lk_fail(LK_INTERNAL, "out of memory for a picture");
    }
    job->picture = *picture;
    job->labels = *labels;
    job->cost = lk_prepare_cost(&p->prepare, picture, labels);
    if (job->cost > memory_inside(p->options))
        refuse_too_large(job);
    lk_status status = LK_OK;
    while (status == LK_OK && p->inside > 0 &&
           (lk_pipeline_full(p->pipeline) || p->inside_bytes + job->cost > memory_inside(p->options)))
        status = store_oldest(p);
    if (status != LK_OK) {
        lk_job_free(job);
        return status;
    }
    p->inside++;
    p->inside_bytes += job->cost;
    lk_pipeline_give(p->pipeline, job);
    return LK_OK;
}

/* ---- entries ---- */

/* Takes `half` over. */
static lk_status add_half(packing *p, lk_half *half)
{
    lk_half picture, labels;
    bool complete;
    LK_TRY(lk_pairing_add(p->pairing, half, &picture, &labels, &complete));
    return complete ? start_job(p, &picture, &labels) : LK_OK;
}

static lk_status add_row(void *context, lk_half *row)
{
    packing *p = context;
    lk_pairing_state state;
    lk_status status = lk_pairing_see(p->pairing, row->key, false, &state);
    if (status == LK_OK && state == LK_WANTED)
        return add_half(p, row);
    if (status == LK_OK && state == LK_DUPLICATE)
        status = lk_pack_report_refuse(p->report, "duplicate parameters", row->name, row->key);
    lk_half_free(row);
    return status;
}

static lk_status refuse_row(void *context, const char *name)
{
    packing *p = context;
    return lk_pack_report_refuse(p->report, "bad parameters", name, lk_error_text());
}

static lk_status read_table(packing *p, lk_source *source, const lk_entry *entry, lk_name_kind kind, const char *folder)
{
    const lk_table_calls calls = {add_row, refuse_row, p};
    lk_status status = lk_table_read(source, kind, entry->name, folder, p->schema, &calls);
    return status == LK_BAD_DATA ? lk_fail_in(status, "%s", p->options->sources[p->source]) : status;
}

static lk_status read_half(packing *p, lk_source *source, const lk_entry *entry, lk_name_kind kind, const char *key)
{
    bool picture = kind == LK_NAME_PICTURE;
    lk_pairing_state state;
    LK_TRY(lk_pairing_see(p->pairing, key, picture, &state));
    if (state == LK_DUPLICATE)
        return lk_pack_report_refuse(p->report, picture ? "duplicate picture" : "duplicate parameters", entry->name, NULL);
    if (state == LK_FINISHED)
        return LK_OK;
    const char *refused;
    lk_half half = {.kind = kind};
    int64_t limit = picture ? p->options->max_memory / 8 : LK_PARAMETERS_BYTES;
    LK_TRY(lk_source_read(source, limit, &half.data, &half.size, &refused));
    if (refused)
        return lk_pack_report_refuse(p->report, refused, entry->name, lk_error_text());
    char shown[LK_SHOWN_NAME];
    lk_name_show(entry->name, shown, sizeof shown);
    half.key = strdup(key);
    half.name = strdup(shown);
    if (!half.key || !half.name) {
        lk_half_free(&half);
        return lk_fail(LK_INTERNAL, "out of memory for a name");
    }
    return add_half(p, &half);
}

static lk_status take_entry(packing *p, lk_source *source, const lk_entry *entry, int *tables)
{
    lk_name_kind kind;
    char key[LK_KEY_SIZE];
    const char *refused = lk_name_read(entry->name, &kind, key);
    p->pictures += kind == LK_NAME_PICTURE;
    if (!refused)
        refused = entry->refused;
    if (!refused && kind == LK_NAME_OTHER)
        refused = "neither picture nor parameters";
    if (!refused && kind == LK_NAME_ARCHIVE)
        refused = "archive inside an archive";
    if (refused)
        return lk_pack_report_refuse(p->report, refused, entry->name, NULL);
    if (kind == LK_NAME_JSONL || kind == LK_NAME_CSV)
        return ++*tables > p->tables[p->source] ? read_table(p, source, entry, kind, key) : LK_OK;
    return read_half(p, source, entry, kind, key);
}

static lk_status read_source(packing *p, lk_source *source)
{
    lk_entry entry;
    int tables = 0;
    for (;;) {
        LK_TRY(lk_source_next(source, &entry));
        if (!entry.name)
            return LK_OK;
        p->share_read = (p->source + lk_source_share_read(source)) / p->options->source_count;
        LK_TRY(take_entry(p, source, &entry, &tables));
    }
}

/* ---- tables beforehand ---- */

/* Reads the tables of a source, wherever they stand, so that no picture has to wait for its row. Two neighbours of one key show
 * that files pair by their names; then the rest is not searched. */
static lk_status read_tables(packing *p, lk_source *source)
{
    lk_entry entry;
    char before[LK_KEY_SIZE] = "";
    lk_name_kind kind_before = LK_NAME_OTHER, kind;
    char key[LK_KEY_SIZE];
    for (;;) {
        LK_TRY(lk_source_next(source, &entry));
        if (!entry.name)
            return LK_OK;
        if (lk_name_read(entry.name, &kind, key) || entry.refused)
            continue;
        if (kind == LK_NAME_JSONL || kind == LK_NAME_CSV) {
            p->tables[p->source]++;
            LK_TRY(read_table(p, source, &entry, kind, key));
        }
        bool labels = kind == LK_NAME_JSON || kind == LK_NAME_MHM;
        bool labels_before = kind_before == LK_NAME_JSON || kind_before == LK_NAME_MHM;
        bool pictures = kind == LK_NAME_PICTURE || kind_before == LK_NAME_PICTURE;
        if ((labels || labels_before) && pictures && strcmp(key, before) == 0)
            return LK_OK;
        memcpy(before, key, sizeof before);
        kind_before = kind;
    }
}

static lk_status each_source(packing *p, lk_status (*read)(packing *p, lk_source *source), bool again)
{
    for (p->source = 0; p->source < p->options->source_count; p->source++) {
        lk_source *source;
        if (again && lk_source_is_stream(p->options->sources[p->source]))
            continue;
        LK_TRY(lk_source_open(p->options->sources[p->source], &p->options->limits, &source));
        lk_status status = read(p, source);
        lk_source_close(source);
        LK_TRY(status);
    }
    return LK_OK;
}

/* ---- the end ---- */

static void report_orphan(void *context, const lk_half *half)
{
    packing *p = context;
    lk_pack_report_refuse(p->report, half->kind == LK_NAME_PICTURE ? "picture without parameters" : "parameters without picture",
                          half->name, NULL);
}

static lk_status check_counts(const packing *p)
{
    int64_t expect = p->options->expect;
    if (expect > 0 && p->pictures != expect)
        return lk_fail(LK_BAD_DATA, "%" PRId64 " pictures came, %" PRId64 " were expected; is a source cut short?", p->pictures,
                       expect);
    if (p->pictures == 0)
        return lk_fail(LK_BAD_DATA,
                       "there is no picture (.jpg, .jpeg, .png) in the sources; %s/rejected.jsonl has what there was",
                       p->options->folder);
    if (lk_pack_report_taken(p->report) == 0)
        return lk_fail(LK_BAD_DATA, "nothing could be taken out of %" PRId64 " pictures; %s/rejected.jsonl says why of each",
                       p->pictures, p->options->folder);
    return LK_OK;
}

static lk_status finish(packing *p)
{
    json_t *report;
    LK_TRY(lk_pairing_orphans(p->pairing, report_orphan, p));
    lk_progress_end(&p->bar);
    if (!p->options->quiet)
        lk_pack_report_print(p->report, lk_part_names, p->options->part_count);
    LK_TRY(lk_pack_report_finish(p->report));
    LK_TRY(check_counts(p));
    LK_TRY(lk_pack_report_json(p->report, &report));
    json_object_set_new(report, "pictures", json_integer(p->pictures));
    lk_status status = lk_output_finish(p->output, report);
    const char *name;
    json_t *part;
    json_object_foreach(json_object_get(report, "parts"), name, part) if (status == LK_OK && !p->options->quiet)
        printf("content hash%s%s: %s\n", p->options->part_count > 1 ? " of " : "", p->options->part_count > 1 ? name : "",
               json_string_value(json_object_get(part, "content_hash")));
    json_decref(report);
    return status;
}

/* ---- the start ---- */

static lk_status take_existing(void *context, int part, const char *key, const float *continuous, const uint8_t *discrete)
{
    packing *p = context;
    lk_pack_report_take(p->report, part, continuous, discrete);
    p->finished_before++;
    return lk_pairing_mark_finished(p->pairing, key);
}

static lk_status make_settings(packing *p)
{
    const lk_pack_options *o = p->options;
    char hash[LK_HEX_SIZE];
    lk_hash_hex(p->schema->hash, hash);
    json_t *split = json_array();
    for (int i = 0; i < o->part_count; i++)
        json_array_append_new(split, json_real(o->shares[i]));
    p->settings =
        json_pack("{s:s, s:s, s:i, s:i, s:I, s:o, s:b, s:f, s:I}", "schema", p->schema->name, "schema_hash", hash, "size",
                  o->alignment.size, "jpeg", o->jpeg_quality, "shard_size", (json_int_t)o->shard_size, "split", split, "align",
                  o->align, "max_enlarge", o->alignment.max_enlarge, "max_pixels", (json_int_t)o->max_pixels);
    if (p->settings && o->align) {
        json_t *rules = json_pack("{s:i, s:f, s:f, s:f}", "faces", (int)o->alignment.faces, "max_turn", o->alignment.max_turn,
                                  "min_sharpness", o->alignment.min_sharpness, "max_outside", o->alignment.max_outside);
        json_object_update(p->settings, rules);
        json_decref(rules);
    }
    return p->settings ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for the settings");
}

static lk_status open_aligners(packing *p)
{
    if (!p->options->align)
        return LK_OK;
    LK_TRY(lk_face_model_open(p->options->landmarks, &p->model));
    p->aligners = calloc((size_t)p->options->threads, sizeof *p->aligners);
    if (!p->aligners)
        return lk_fail(LK_INTERNAL, "out of memory for the alignment");
    for (int i = 0; i < p->options->threads; i++)
        LK_TRY(lk_aligner_create(p->model, &p->options->alignment, &p->aligners[i]));
    return LK_OK;
}

static lk_status open_all(packing *p, bool *complete)
{
    const lk_pack_options *o = p->options;
    LK_TRY(lk_schema_load(o->schema, &p->schema));
    LK_TRY(make_settings(p));
    for (int i = 0; i < o->source_count; i++)
        LK_TRY(lk_unfinished_refuse(o->sources[i]));
    LK_TRY(lk_pairing_create(memory_waiting(o), &p->pairing));
    p->tables = calloc((size_t)o->source_count, sizeof *p->tables);
    if (!p->tables)
        return lk_fail(LK_INTERNAL, "out of memory for %d sources", o->source_count);
    p->prepare = (lk_prepare_options){p->schema, o->align, o->alignment, o->jpeg_quality, o->max_pixels};
    LK_TRY(open_aligners(p));
    p->output_options = (lk_output_options){.folder = o->folder,
                                            .schema = p->schema,
                                            .size = o->alignment.size,
                                            .jpeg_quality = o->jpeg_quality,
                                            .shard_size = o->shard_size,
                                            .part_count = o->part_count,
                                            .provenance = o->align ? "likeness pack --align" : "likeness pack",
                                            .settings = p->settings,
                                            .resume = o->resume};
    memcpy(p->output_options.shares, o->shares, sizeof o->shares);
    LK_TRY(lk_pack_report_create(p->schema, &p->report));
    LK_TRY(lk_output_open(&p->output_options, take_existing, p, &p->output, complete));
    if (*complete)
        return LK_OK;
    LK_TRY(lk_pack_report_begin(p->report, o->folder));
    return lk_pipeline_start(o->threads, DEPTH, work, p, &p->pipeline);
}

static void close_all(packing *p)
{
    if (p->pipeline)
        for (lk_job *job; (job = lk_pipeline_take(p->pipeline)) != NULL;)
            lk_job_free(job);
    lk_pipeline_stop(p->pipeline);
    lk_output_close(p->output);
    lk_pack_report_free(p->report);
    lk_pairing_free(p->pairing);
    for (int i = 0; p->aligners && i < p->options->threads; i++)
        lk_aligner_free(p->aligners[i]);
    free(p->aligners);
    lk_face_model_close(p->model);
    json_decref(p->settings);
    lk_schema_free(p->schema);
    free(p->tables);
}

static lk_status run(packing *p)
{
    bool complete;
    LK_TRY(open_all(p, &complete));
    if (complete) {
        lk_info("%s is complete: %" PRId64 " samples, nothing to do", p->options->folder, p->finished_before);
        return LK_OK;
    }
    if (p->finished_before > 0)
        lk_info("%s: going on after %" PRId64 " samples", p->options->folder, p->finished_before);
    lk_progress_begin(&p->bar, "pack", "pictures", p->finished_before, 0, p->options->quiet);
    lk_status status = each_source(p, read_tables, true);
    if (status == LK_OK)
        status = each_source(p, read_source, false);
    while (status == LK_OK && p->inside > 0)
        status = store_oldest(p);
    if (status == LK_OK)
        return finish(p);
    lk_progress_end(&p->bar);
    return status;
}

lk_status lk_pack(const lk_pack_options *options)
{
    lk_pack_options resolved = *options;
    packing p = {.options = &resolved};
    if (resolved.threads == 0)
        resolved.threads = lk_core_count();
    lk_status status = run(&p);
    close_all(&p);
    return status;
}
