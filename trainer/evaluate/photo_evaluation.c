#include "trainer/evaluate/photo_evaluation.h"

#include "dataset/align/detector.h"
#include "dataset/pack/names.h"
#include "trainer/evaluate/json_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- gathering ---- */

static void *copy_of(const void *from, size_t size)
{
    void *copy = malloc(size + 1);
    return copy ? memcpy(copy, from, size) : NULL;
}

/* Room for one more; memory doubles at powers of two. */
static void *grown(void *list, int count, size_t size)
{
    if (count & (count - 1))
        return list;
    return realloc(list, (count ? 2 * (size_t)count : 1) * size);
}

lk_status lk_photo_evaluation_add(lk_photo_evaluation *e, const char *name, const char *photo, const float *continuous,
                                  const uint8_t *discrete, const float *certainty, const lk_photo_measured *measured)
{
    size_t nc = (size_t)e->schema->continuous_count, groups = (size_t)e->schema->group_count;
    lk_photo_result *faces = grown(e->faces, e->count, sizeof *faces);
    if (!faces)
        return lk_fail(LK_INTERNAL, "out of memory for %d faces", e->count);
    e->faces = faces;
    lk_photo_result *face = &faces[e->count];
    *face = (lk_photo_result){.name = strdup(name),
                              .photo = strdup(photo),
                              .continuous = copy_of(continuous, nc * sizeof *continuous),
                              .certainty = copy_of(certainty, groups * sizeof *certainty),
                              .discrete = copy_of(discrete, groups),
                              .added = e->count,
                              .row = -1,
                              .landmarks = measured->landmarks,
                              .distance = NAN};
    e->count++;
    bool described = measured->photo && measured->picture;
    if (described && (face->descriptors = malloc(2 * LK_DESCRIPTOR * sizeof(float))) != NULL) {
        memcpy(face->descriptors, measured->photo, LK_DESCRIPTOR * sizeof(float));
        memcpy(face->descriptors + LK_DESCRIPTOR, measured->picture, LK_DESCRIPTOR * sizeof(float));
    }
    if (!face->name || !face->photo || !face->continuous || !face->certainty || !face->discrete ||
        (described && !face->descriptors))
        return lk_fail(LK_INTERNAL, "out of memory for %d faces", e->count);
    return LK_OK;
}

lk_status lk_photo_evaluation_refuse(lk_photo_evaluation *e, const char *photo, const char *why)
{
    lk_photo_refusal *refused = grown(e->refused, e->refused_count, sizeof *refused);
    if (!refused)
        return lk_fail(LK_INTERNAL, "out of memory for %d photos", e->refused_count);
    e->refused = refused;
    refused[e->refused_count] = (lk_photo_refusal){strdup(photo), strdup(why)};
    const lk_photo_refusal *one = &refused[e->refused_count++];
    return one->photo && one->why ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for %d photos", e->refused_count);
}

void lk_photo_evaluation_free(lk_photo_evaluation *e)
{
    for (int i = 0; i < e->count; i++) {
        free(e->faces[i].name);
        free(e->faces[i].photo);
        free(e->faces[i].continuous);
        free(e->faces[i].certainty);
        free(e->faces[i].discrete);
        free(e->faces[i].descriptors);
    }
    for (int i = 0; i < e->refused_count; i++) {
        free(e->refused[i].photo);
        free(e->refused[i].why);
    }
    free(e->faces);
    free(e->refused);
    free(e->judged);
    free(e->right);
    free(e->absent);
    *e = (lk_photo_evaluation){0};
}

/* ---- judging ---- */

bool lk_photo_is_wrong(const lk_photo_evaluation *e, const lk_photo_result *face, int column)
{
    return face->row >= 0 && lk_seen_judges(e->seen, face->row, column) &&
           !lk_seen_allows(e->seen, face->row, column, lk_seen_said(&e->seen->columns[column], face->continuous, face->discrete));
}

static void judge(lk_photo_evaluation *e, lk_photo_result *face)
{
    for (int c = 0; face->row >= 0 && c < e->seen->column_count; c++) {
        if (!lk_seen_judges(e->seen, face->row, c))
            continue;
        bool right = !lk_photo_is_wrong(e, face, c);
        face->judged++;
        face->right += right;
        e->judged[c]++;
        e->right[c] += right;
        int group = e->seen->columns[c].group;
        if (group >= 0)
            lk_reliability_add(&e->reliability, face->certainty[group], right);
    }
}

/* The rows of the table for which there is no face. */
static lk_status note_absent(lk_photo_evaluation *e)
{
    bool *present = calloc((size_t)e->seen->row_count, sizeof *present);
    e->absent = calloc((size_t)e->seen->row_count, sizeof *e->absent);
    if (present && e->absent) {
        for (int i = 0; i < e->count; i++)
            if (e->faces[i].row >= 0)
                present[e->faces[i].row] = true;
        for (int row = 0; row < e->seen->row_count; row++)
            if (!present[row])
                e->absent[e->absent_count++] = row;
    }
    free(present);
    if (!present || !e->absent)
        return lk_fail(LK_INTERNAL, "%s: out of memory", e->table);
    if (e->absent_count == e->seen->row_count && e->count > 0)
        return lk_fail(LK_BAD_DATA,
                       "%s:%d:1: no face has a name that ends in '%.100s', nor in that of any other row; one is called %s",
                       e->table, e->seen->lines[0], e->seen->faces[0], e->faces[0].name);
    return LK_OK;
}

static lk_status match_rows(lk_photo_evaluation *e)
{
    const char **names = calloc((size_t)e->count + 1, sizeof *names);
    int *rows = calloc((size_t)e->count + 1, sizeof *rows);
    lk_status status = names && rows ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory", e->table);
    for (int i = 0; i < e->count && status == LK_OK; i++)
        names[i] = e->faces[i].name;
    if (status == LK_OK)
        status = lk_seen_match(e->seen, e->table, e->count, names, rows);
    for (int i = 0; i < e->count && status == LK_OK; i++)
        e->faces[i].row = rows[i];
    free(names);
    free(rows);
    return status;
}

static double share_right(const lk_photo_result *face)
{
    return face->judged ? (double)face->right / face->judged : -1;
}

static int best_first(const void *a, const void *b)
{
    const lk_photo_result *x = a, *y = b;
    double s = share_right(x), t = share_right(y);
    if (s != t)
        return (s < t) - (s > t);
    double u = isnan(x->landmarks) ? INFINITY : x->landmarks, v = isnan(y->landmarks) ? INFINITY : y->landmarks;
    return u != v ? (u > v) - (u < v) : (x->added > y->added) - (x->added < y->added);
}

static lk_status judge_all(lk_photo_evaluation *e)
{
    e->judged = calloc((size_t)e->seen->column_count + 1, sizeof *e->judged);
    e->right = calloc((size_t)e->seen->column_count + 1, sizeof *e->right);
    if (!e->judged || !e->right)
        return lk_fail(LK_INTERNAL, "%s: out of memory", e->table);
    LK_TRY(match_rows(e));
    LK_TRY(note_absent(e));
    for (int i = 0; i < e->count; i++)
        judge(e, &e->faces[i]);
    return LK_OK;
}

/* ---- landmarks and identity ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static lk_status find_median(lk_photo_evaluation *e)
{
    double *known = malloc(((size_t)e->count + 1) * sizeof *known);
    if (!known)
        return lk_fail(LK_INTERNAL, "out of memory for %d faces", e->count);
    for (int i = 0; i < e->count; i++)
        if (isfinite(e->faces[i].landmarks))
            known[e->measured++] = e->faces[i].landmarks;
    int n = e->measured;
    qsort(known, (size_t)n, sizeof *known, ascending);
    e->landmarks = n ? 0.5 * (known[(n - 1) / 2] + known[n / 2]) : NAN;
    free(known);
    return LK_OK;
}

static lk_status compare_identities(lk_photo_evaluation *e)
{
    size_t room = (size_t)e->count + 1, bytes = LK_DESCRIPTOR * sizeof(float);
    float *photos = malloc(room * bytes), *pictures = malloc(room * bytes);
    double *distances = malloc(room * sizeof *distances);
    int *ranks = malloc(room * sizeof *ranks), n = 0;
    lk_status status = photos && pictures && distances && ranks
                           ? LK_OK
                           : lk_fail(LK_INTERNAL, "out of memory for the descriptors of %d faces", e->count);
    for (int i = 0; i < e->count && status == LK_OK; i++)
        if (e->faces[i].descriptors) {
            memcpy(photos + (size_t)n * LK_DESCRIPTOR, e->faces[i].descriptors, bytes);
            memcpy(pictures + (size_t)n++ * LK_DESCRIPTOR, e->faces[i].descriptors + LK_DESCRIPTOR, bytes);
        }
    if (status == LK_OK)
        status = lk_identity_measure(n, LK_DESCRIPTOR, photos, pictures, distances, ranks, &e->identity);
    for (int i = 0, k = 0; i < e->count && status == LK_OK && n > 1; i++)
        if (e->faces[i].descriptors) {
            e->faces[i].distance = distances[k];
            e->faces[i].rank = ranks[k++];
        }
    free(photos);
    free(pictures);
    free(distances);
    free(ranks);
    return status;
}

lk_status lk_photo_evaluation_finish(lk_photo_evaluation *e)
{
    if (e->seen)
        LK_TRY(judge_all(e));
    LK_TRY(find_median(e));
    LK_TRY(compare_identities(e));
    qsort(e->faces, (size_t)e->count, sizeof *e->faces, best_first);
    return LK_OK;
}

double lk_photo_accuracy(const lk_photo_evaluation *e, int column)
{
    return e->judged[column] ? (double)e->right[column] / e->judged[column] : NAN;
}

double lk_mean_photo_accuracy(const lk_photo_evaluation *e)
{
    double sum = 0;
    int count = 0;
    for (int c = 0; e->seen && c < e->seen->column_count; c++)
        if (e->judged[c]) {
            sum += lk_photo_accuracy(e, c);
            count++;
        }
    return count ? sum / count : NAN;
}

/* ---- the file ---- */

/* JSON has no name for a number that is not finite: null. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *seen_words(const lk_photo_evaluation *e, int row, int column)
{
    json_t *words = json_array();
    for (int w = 0; w < e->seen->columns[column].word_count; w++)
        if (lk_seen_allows(e->seen, row, column, w))
            json_array_append_new(words, json_string(e->seen->columns[column].words[w]));
    return words;
}

static json_t *wrong_faces(const lk_photo_evaluation *e, int column)
{
    const lk_seen_column *c = &e->seen->columns[column];
    json_t *list = json_array();
    for (int i = 0; i < e->count; i++) {
        const lk_photo_result *face = &e->faces[i];
        if (!lk_photo_is_wrong(e, face, column))
            continue;
        const char *said = c->words[lk_seen_said(c, face->continuous, face->discrete)];
        json_t *item = json_pack("{s:s, s:s, s:o}", "face", face->name, "said", said, "seen", seen_words(e, face->row, column));
        if (c->group >= 0)
            json_object_set_new(item, "certainty", real(face->certainty[c->group]));
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *columns(const lk_photo_evaluation *e)
{
    json_t *list = json_array();
    for (int c = 0; c < e->seen->column_count; c++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:o, s:o}", "name", e->seen->columns[c].name, "right", e->right[c],
                                              "judged", e->judged[c], "accuracy", real(lk_photo_accuracy(e, c)), "wrong",
                                              wrong_faces(e, c)));
    return list;
}

static json_t *faces(const lk_photo_evaluation *e)
{
    json_t *list = json_array();
    for (int i = 0; i < e->count; i++) {
        const lk_photo_result *face = &e->faces[i];
        json_t *item = json_pack("{s:s, s:s, s:i, s:i}", "face", face->name, "photo", face->photo, "right", face->right, "judged",
                                 face->judged);
        if (isfinite(face->landmarks))
            json_object_set_new(item, "landmarks", real(face->landmarks));
        if (face->rank > 0) {
            json_object_set_new(item, "distance", real(face->distance));
            json_object_set_new(item, "rank", json_integer(face->rank));
        }
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *refusals(const lk_photo_evaluation *e)
{
    json_t *list = json_array();
    for (int i = 0; i < e->refused_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "photo", e->refused[i].photo, "refused", e->refused[i].why));
    return list;
}

static json_t *absent(const lk_photo_evaluation *e)
{
    json_t *list = json_array();
    for (int i = 0; i < e->absent_count; i++)
        json_array_append_new(list, json_string(e->seen->faces[e->absent[i]]));
    return list;
}

lk_status lk_photo_evaluation_write(const char *path, const lk_photo_evaluation *e)
{
    json_t *root = json_pack("{s:i}", "samples", e->count);
    if (e->seen) {
        char table[LK_SHOWN_NAME];
        lk_name_show(e->table, table, sizeof table);
        json_object_set_new(root, "table", json_string(table));
        json_object_set_new(root, "mean_accuracy", real(lk_mean_photo_accuracy(e)));
        json_object_set_new(root, "columns", columns(e));
        json_object_set_new(root, "absent", absent(e));
        json_object_set_new(root, "calibration_error", real(lk_calibration_error(&e->reliability)));
        json_object_set_new(root, "reliability", lk_reliability_to_json(&e->reliability));
    }
    if (e->measured > 0)
        json_object_set_new(root, "landmarks", json_pack("{s:i, s:o}", "faces", e->measured, "median", real(e->landmarks)));
    if (e->identity.count > 1)
        json_object_set_new(root, "identity",
                            json_pack("{s:i, s:o, s:o, s:o, s:o}", "faces", e->identity.count, "auc", real(e->identity.auc),
                                      "rank1", real(e->identity.rank1), "own", real(e->identity.own), "other",
                                      real(e->identity.other)));
    json_object_set_new(root, "faces", faces(e));
    json_object_set_new(root, "refused", refusals(e));
    return lk_json_file_write(path, root, 9);
}
