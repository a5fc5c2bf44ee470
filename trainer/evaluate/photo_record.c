#include "trainer/evaluate/photo_record.h"

#include "base/file.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

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
        out->columns[out->column_count++] =
            (lk_recorded_column){text(item, "name"), whole(item, "right"), whole(item, "judged"), number(item, "accuracy")};
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
                                                           number(item, "landmarks"), number(item, "distance")};
        if (!out->faces[i].name)
            return false;
    }
    return out->faces;
}

lk_status lk_photo_record_read(const char *path, lk_photo_record *out)
{
    *out = (lk_photo_record){0};
    lk_path_kind kind;
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    char *data = NULL;
    size_t size = 0;
    json_error_t error;
    LK_TRY(lk_read_file(path, 1 << 26, &data, &size));
    json_t *root = json_loadb(data, size, 0, &error);
    free(data);
    if (!json_is_object(root)) {
        json_decref(root);
        return lk_fail(LK_BAD_DATA, "%s: is not a JSON object; run likeness evaluate --photos again", path);
    }
    const json_t *landmarks = json_object_get(root, "landmarks"), *identity = json_object_get(root, "identity");
    out->present = true;
    out->samples = whole(root, "samples");
    out->mean_accuracy = number(root, "mean_accuracy");
    out->calibration_error = number(root, "calibration_error");
    out->landmarks = number(landmarks, "median");
    out->measured = whole(landmarks, "faces");
    out->auc = number(identity, "auc");
    out->rank1 = number(identity, "rank1");
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
