#include "trainer/model/weights_file.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

lk_status lk_weights_resolve(const char *path, char *out)
{
    lk_path_kind kind;
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return lk_fail(LK_BAD_DATA, "%s: there are no weights; give a .safetensors file, a finished run or a checkpoint", path);
    if (kind == LK_FOLDER) {
        LK_TRY(lk_path_join(out, path, "model.safetensors"));
        LK_TRY(lk_path_look(out, &kind));
        if (kind == LK_ABSENT)
            return lk_fail(LK_BAD_DATA, "%s: holds no model.safetensors; has the run finished?", path);
        return LK_OK;
    }
    if (snprintf(out, LK_PATH_SIZE, "%s", path) >= LK_PATH_SIZE)
        return lk_fail(LK_USAGE, "%.80s...: the path is too long", path);
    return LK_OK;
}

lk_status lk_weights_require_finite(const char *origin, const lk_safetensor *tensors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const lk_safetensor *t = &tensors[i];
        const float *values = t->data;
        size_t numbers = t->dtype == LK_DTYPE_F32 ? lk_safetensor_bytes(t) / sizeof *values : 0;
        for (size_t k = 0; k < numbers; k++)
            if (!isfinite(values[k]))
                return lk_fail(LK_BAD_DATA, "%s: the tensor %s holds %g at position %zu; these weights cannot be used", origin,
                               t->name, (double)values[k], k);
    }
    return LK_OK;
}

lk_status lk_weights_save(const char *path, const lk_weights *weights, const lk_safetensors_note *notes, size_t note_count,
                          uint64_t *hash)
{
    lk_status status = LK_OK;
    size_t count = (size_t)weights->count;
    lk_safetensor *tensors = calloc(count ? count : 1, sizeof *tensors);
    float *values = malloc((weights->total ? weights->total : 1) * sizeof *values);
    if (!tensors || !values) {
        status = lk_fail(LK_INTERNAL, "%s: out of memory for %zu weights", path, weights->total);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        const lk_weight *w = &weights->items[i];
        tensors[i] = (lk_safetensor){.name = w->name, .dtype = LK_DTYPE_F32, .dims = w->dims, .data = values + w->offset};
        memcpy(tensors[i].shape, w->sizes, sizeof w->sizes);
        lk_tensor_to_floats(w->value, values + w->offset);
    }
    LK_TRY_OR(done, lk_tensor_check());
    LK_TRY_OR(done, lk_weights_require_finite(path, tensors, count));
    status = lk_safetensors_write(path, tensors, count, notes, note_count, hash);
done:
    free(values);
    free(tensors);
    return status;
}

/* Reads all tensors; *tensors and what they point to is the caller's. */
static lk_status read_tensors(const lk_safetensors *file, lk_safetensor **tensors, char **data)
{
    size_t count = lk_safetensors_count(file), bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += lk_safetensor_bytes(lk_safetensors_at(file, i));
    *tensors = calloc(count + 1, sizeof **tensors);
    *data = malloc(bytes + 1);
    if (!*tensors || !*data)
        return lk_fail(LK_INTERNAL, "%s: out of memory for %zu bytes", lk_safetensors_path(file), bytes);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        (*tensors)[i] = *lk_safetensors_at(file, i);
        LK_TRY(lk_safetensors_read(file, lk_safetensors_at(file, i), *data + used));
        (*tensors)[i].data = *data + used;
        used += lk_safetensor_bytes(&(*tensors)[i]);
    }
    return LK_OK;
}

lk_status lk_weights_copy(const lk_safetensors *file, const char *path, const lk_safetensors_note *notes, size_t note_count)
{
    lk_safetensor *tensors = NULL;
    char *data = NULL;
    size_t count = lk_safetensors_count(file);
    lk_status status = read_tensors(file, &tensors, &data);
    if (status == LK_OK)
        status = lk_weights_require_finite(lk_safetensors_path(file), tensors, count);
    if (status == LK_OK)
        status = lk_safetensors_write(path, tensors, count, notes, note_count, NULL);
    free(data);
    free(tensors);
    return status;
}

static void format_shape(char *out, size_t size, int dims, const int64_t *shape)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < dims && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? "x" : "", (long long)shape[i]);
}

/* bfloat16 is the upper half of a float32. The numbers lie in the second half of the buffer and are spread from its front. */
static void widen(float *values, size_t count)
{
    const char *halves = (const char *)values + count * sizeof(uint16_t);
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, halves + i * sizeof half, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(&values[i], &bits, sizeof bits);
    }
}

static lk_status load_one(lk_weight *w, const lk_safetensors *file, const char *name)
{
    const char *path = lk_safetensors_path(file);
    const lk_safetensor *tensor = lk_safetensors_find(file, name);
    char wrapped[LK_SAFETENSOR_NAME_SIZE + sizeof "module."];
    snprintf(wrapped, sizeof wrapped, "module.%s", name);
    if (!tensor && lk_safetensors_find(file, wrapped))
        return lk_fail(LK_BAD_DATA,
                       "%s: its tensors have the prefix \"module.\" of PyTorch's DistributedDataParallel; save "
                       "model.module.state_dict() instead",
                       path);
    if (!tensor)
        return lk_fail(LK_BAD_DATA, "%s: the tensor %s is missing; the file is of another model", path, name);
    bool same = tensor->dims == w->dims;
    for (int i = 0; same && i < w->dims; i++)
        same = tensor->shape[i] == w->sizes[i];
    if (!same) {
        char theirs[64], ours[64];
        format_shape(theirs, sizeof theirs, tensor->dims, tensor->shape);
        format_shape(ours, sizeof ours, w->dims, w->sizes);
        return lk_fail(LK_BAD_DATA, "%s: the tensor %s is %s, the model needs %s; check model.size, the widths and the schema",
                       path, name, theirs, ours);
    }
    bool narrow = tensor->dtype == LK_DTYPE_BF16;
    if (tensor->dtype != LK_DTYPE_F32 && !narrow)
        return lk_fail(LK_BAD_DATA, "%s: the tensor %s is %s; weights are F32 or BF16", path, name, lk_dtype_name(tensor->dtype));
    float *values = malloc(w->count * sizeof *values);
    if (!values)
        return lk_fail(LK_INTERNAL, "%s: out of memory for the tensor %s", path, name);
    char *read = (char *)values + (narrow ? w->count * sizeof(uint16_t) : 0);
    lk_status status = lk_safetensors_read(file, tensor, read);
    if (status == LK_OK && narrow)
        widen(values, w->count);
    for (size_t i = 0; status == LK_OK && i < w->count; i++)
        if (!isfinite(values[i]))
            status = lk_fail(LK_BAD_DATA, "%s: the tensor %s holds %g at position %zu; these weights cannot be used", path, name,
                             (double)values[i], i);
    if (status == LK_OK) {
        lk_tensor *source = lk_tensor_from_floats(values, LK_DTYPE_F32, w->dims, w->sizes);
        lk_tensor_copy_(w->value, source);
        lk_tensor_free(&source);
        status = lk_tensor_check();
    }
    free(values);
    return status;
}

static lk_status load(lk_weights *weights, const char *path, bool torchvision_allowed)
{
    static const char prefix[] = "encoder.";
    char resolved[LK_PATH_SIZE];
    lk_safetensors *file = NULL;
    LK_TRY(lk_weights_resolve(path, resolved));
    LK_TRY(lk_safetensors_open(resolved, &file));
    bool torchvision = torchvision_allowed && lk_safetensors_find(file, "features.0.weight") &&
                       !lk_safetensors_find(file, "encoder.features.0.weight");
    lk_status status = LK_OK;
    for (int i = 0; status == LK_OK && i < weights->count; i++) {
        lk_weight *w = &weights->items[i];
        const char *name = w->name;
        if (torchvision) {
            name += sizeof prefix - 1;
            if (strncmp(name, "features.", 9) != 0)
                continue;
        }
        status = load_one(w, file, name);
    }
    lk_safetensors_close(file);
    lk_weights_refresh(weights);
    return status;
}

lk_status lk_weights_load(lk_weights *weights, const char *path)
{
    return load(weights, path, false);
}

lk_status lk_weights_load_init(lk_weights *weights, const char *path)
{
    return load(weights, path, true);
}
