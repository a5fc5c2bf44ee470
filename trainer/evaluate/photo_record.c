#include "trainer/evaluate/photo_record.h"

#include "trainer/evaluate/json_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t whole(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return strdup(value ? value : "?");
}

static bool read_columns(const json_t *list, lk_photo_record *out)
{
    out->columns = calloc(json_array_size(list) + 1, sizeof *out->columns);
    for (size_t i = 0; out->columns && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        out->columns[out->column_count++] = (lk_recorded_column){text(item, "name"), whole(item, "right"), whole(item, "judged"),
                                                                 lk_json_number(item, "accuracy")};
        if (!out->columns[i].name)
            return false;
    }
    return out->columns;
}

static bool read_faces(const json_t *list, lk_photo_record *out)
{
    out->faces = calloc(json_array_size(list) + 1, sizeof *out->faces);
    for (size_t i = 0; out->faces && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        out->faces[out->face_count++] = (lk_recorded_face){text(item, "face"), whole(item, "right"), whole(item, "judged"),
                                                           lk_json_number(item, "landmarks"), lk_json_number(item, "distance")};
        if (!out->faces[i].name)
            return false;
    }
    return out->faces;
}

lk_status lk_photo_record_read(const char *path, lk_photo_record *out)
{
    *out = (lk_photo_record){0};
    json_t *root;
    LK_TRY(lk_json_file_read(path, "likeness evaluate --photos", &root));
    if (!root)
        return LK_OK;
    const json_t *landmarks = json_object_get(root, "landmarks"), *identity = json_object_get(root, "identity");
    out->present = true;
    out->samples = whole(root, "samples");
    out->mean_accuracy = lk_json_number(root, "mean_accuracy");
    out->calibration_error = lk_json_number(root, "calibration_error");
    out->landmarks = lk_json_number(landmarks, "median");
    out->measured = whole(landmarks, "faces");
    out->auc = lk_json_number(identity, "auc");
    out->rank1 = lk_json_number(identity, "rank1");
    out->identified = whole(identity, "faces");
    out->bin_count = lk_reliability_from_json(json_object_get(root, "reliability"), out->bins);
    bool good = read_columns(json_object_get(root, "columns"), out) && read_faces(json_object_get(root, "faces"), out);
    json_decref(root);
    if (good)
        return LK_OK;
    lk_photo_record_free(out);
    return lk_fail(LK_INTERNAL, "%s: out of memory", path);
}

void lk_photo_record_free(lk_photo_record *record)
{
    for (size_t i = 0; i < record->column_count; i++)
        free(record->columns[i].name);
    for (size_t i = 0; i < record->face_count; i++)
        free(record->faces[i].name);
    free(record->columns);
    free(record->faces);
    *record = (lk_photo_record){0};
}
