#include "trainer/evaluate/predictor.h"

#include "base/log.h"
#include "configs/config.h"
#include "dataset/parameters.h"
#include "trainer/device.h"
#include "trainer/evaluate/calibration.h"
#include "trainer/model/inference.h"
#include "trainer/model/safetensors.h"
#include "trainer/model/weights_file.h"
#include "trainer/record/find_model.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct lk_predictor {
    lk_schema *schema;
    double *temperatures; /* [groups] */
    lk_encoder encoder;
    lk_decoder decoder; /* folded; has none where !can_draw */
    bool can_draw;
};

/* ---- shapes ---- */

/* A tensor whose shape is looked at; 0 in `shape` stands for any size. */
static lk_status find_tensor(const lk_safetensors *file, const char *name, int dims, const int64_t *shape,
                             const lk_safetensor **out)
{
    const lk_safetensor *tensor = *out = lk_safetensors_find(file, name);
    if (!tensor)
        return lk_fail(LK_BAD_DATA, "%s: holds no tensor %s; it is no %.7s of likeness", lk_safetensors_path(file), name, name);
    bool fits = tensor->dims == dims;
    for (int i = 0; fits && i < dims; i++)
        fits = tensor->shape[i] > 0 && tensor->shape[i] < 1 << 24 && (shape[i] == 0 || tensor->shape[i] == shape[i]);
    if (!fits)
        return lk_fail(LK_BAD_DATA, "%s: the tensor %s has another shape than a model of likeness has", lk_safetensors_path(file),
                       name);
    return LK_OK;
}

/* From the widest layers: what is made of the shape is then no larger than what the file holds. */
static lk_status read_encoder_shape(const lk_safetensors *file, lk_encoder_shape *shape)
{
    const lk_safetensor *widest, *continuous, *discrete;
    LK_TRY(find_tensor(file, "encoder.residual.2.conv2.weight", 4, (int64_t[]){0, 0, 3, 3}, &widest));
    LK_TRY(find_tensor(file, "encoder.continuous.weight", 2, (int64_t[]){0, 0}, &continuous));
    LK_TRY(find_tensor(file, "encoder.discrete.weight", 2, (int64_t[]){0, continuous->shape[1]}, &discrete));
    int64_t channels = widest->shape[0], flat = continuous->shape[1];
    int edge = (int)lrint(sqrt((double)flat / (double)channels));
    if (widest->shape[1] != channels || (int64_t)edge * edge * channels != flat || edge > 128)
        return lk_fail(LK_BAD_DATA, "%s: %lld inputs of the heads are no square map of %lld channels", lk_safetensors_path(file),
                       (long long)flat, (long long)channels);
    const lk_safetensor *norm = lk_safetensors_find(file, "encoder.features.1.weight");
    *shape = (lk_encoder_shape){.size = 32 * edge,
                                .width = (double)channels / 512,
                                .norm = norm && norm->dims == 1 ? LK_NORM_GROUP : LK_NORM_NONE,
                                .continuous_count = (int)continuous->shape[0],
                                .choice_count = (int)discrete->shape[0]};
    return LK_OK;
}

static lk_status read_decoder_shape(const lk_safetensors *file, const lk_encoder_shape *encoder, lk_decoder_shape *shape)
{
    const lk_safetensor *first;
    int64_t inputs = encoder->continuous_count + encoder->choice_count;
    LK_TRY(find_tensor(file, "decoder.layers.0.weight", 4, (int64_t[]){0, 0, 4, 4}, &first));
    if (first->shape[0] != inputs)
        return lk_fail(LK_BAD_DATA, "%s: is a decoder of %lld parameters and choices, the encoder has %lld",
                       lk_safetensors_path(file), (long long)first->shape[0], (long long)inputs);
    *shape = (lk_decoder_shape){.size = encoder->size, .width = (double)first->shape[1] / 512, .inputs = (int)inputs};
    return LK_OK;
}

/* ---- opening ---- */

static lk_status read_schema(const lk_safetensors *file, const lk_found_model *found, lk_schema **out)
{
    const char *text = found->schema ? found->schema : lk_safetensors_note_of(file, "schema");
    if (!text)
        return lk_fail(LK_BAD_DATA, "%s: has no note \"schema\", so its parameters have no names; likeness export writes one",
                       found->path);
    return lk_schema_parse(text, found->path, out);
}

/* 1 where the encoder was not calibrated. */
static lk_status read_temperatures(lk_predictor *p, const lk_safetensors *file)
{
    const char *text = lk_safetensors_note_of(file, LK_TEMPERATURE_NOTE);
    p->temperatures = malloc((size_t)p->schema->group_count * sizeof *p->temperatures);
    if (!p->temperatures)
        return lk_fail(LK_INTERNAL, "out of memory");
    for (int g = 0; g < p->schema->group_count; g++)
        p->temperatures[g] = 1;
    return text ? lk_temperature_parse(p->schema, text, lk_safetensors_path(file), p->temperatures) : LK_OK;
}

/* A shape that no model can have is no configuration's fault here, but the file's. */
static lk_status fault_of(const char *path, lk_status status)
{
    return status == LK_BAD_CONFIG ? lk_fail_in(LK_BAD_DATA, "%s", path) : status;
}

static lk_status open_encoder(lk_predictor *p, const lk_safetensors *file, const lk_found_model *found)
{
    lk_encoder_shape shape;
    if (!lk_safetensors_find(file, "encoder.continuous.weight") && lk_safetensors_find(file, "decoder.layers.0.weight"))
        return lk_fail(LK_BAD_DATA, "%s: is a decoder, and parameters are predicted by an encoder; it can be given as --decoder",
                       found->path);
    LK_TRY(read_encoder_shape(file, &shape));
    LK_TRY(read_schema(file, found, &p->schema));
    if (shape.continuous_count != p->schema->continuous_count || shape.choice_count != p->schema->choice_count)
        return lk_fail(LK_BAD_DATA,
                       "%s: its heads have %d and %d outputs, its schema '%s' %d continuous parameters and %d choices",
                       found->path, shape.continuous_count, shape.choice_count, p->schema->name, p->schema->continuous_count,
                       p->schema->choice_count);
    LK_TRY(read_temperatures(p, file));
    LK_TRY(fault_of(found->path, lk_encoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &p->encoder)));
    p->encoder.weights.own_kernels = true;
    return lk_weights_load(&p->encoder.weights, found->path);
}

static lk_status load_decoder(lk_predictor *p, const char *path)
{
    lk_decoder_shape shape;
    lk_decoder trained = {0};
    lk_safetensors *file = NULL;
    char resolved[LK_PATH_SIZE];
    LK_TRY(lk_weights_resolve(path, resolved));
    LK_TRY(lk_safetensors_open(resolved, &file));
    lk_status status;
    LK_TRY_OR(done, read_decoder_shape(file, &p->encoder.shape, &shape));
    const char *schema = lk_safetensors_note_of(file, "schema");
    if (schema && strcmp(schema, p->schema->text) != 0) {
        status = lk_fail(
            LK_BAD_DATA,
            "%s: was trained for another schema than the encoder; give a decoder of the encoder's schema as --decoder", resolved);
        goto done;
    }
    LK_TRY_OR(done, fault_of(resolved, lk_decoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &trained)));
    LK_TRY_OR(done, lk_weights_load(&trained.weights, resolved));
    LK_TRY_OR(done, lk_decoder_fold(&trained, LK_DTYPE_F32, &p->decoder));
    p->decoder.weights.own_kernels = true;
    p->can_draw = true;
done:
    lk_decoder_free(&trained);
    lk_safetensors_close(file);
    return status;
}

/* The decoder that nobody named. That the run's own is gone or does not fit is no failure: the parameters do not need it. */
static lk_status find_decoder(lk_predictor *p, const lk_safetensors *file, const lk_found_model *found)
{
    if (lk_safetensors_find(file, "decoder.layers.0.weight"))
        return load_decoder(p, found->path);
    if (!found->config[0]) {
        lk_info("no decoder is known for %s, so there are no decoded faces; --decoder FILE names one", found->path);
        return LK_OK;
    }
    lk_config *config = NULL;
    lk_status status = lk_config_load(found->config, NULL, 0, &config);
    if (status == LK_OK)
        status = load_decoder(p, config->model.decoder.weights);
    if (status != LK_OK)
        lk_warn("no decoded faces: the decoder of %s: %s; --decoder FILE names another", found->config, lk_error_text());
    lk_config_free(config);
    return LK_OK;
}

static lk_status open_all(lk_predictor *p, const char *model, const char *decoder)
{
    lk_found_model found = {0};
    lk_safetensors *file = NULL;
    lk_status status;
    LK_TRY_OR(done, lk_find_model(model, &found));
    LK_TRY_OR(done, lk_safetensors_open(found.path, &file));
    LK_TRY_OR(done, open_encoder(p, file, &found));
    status = decoder ? load_decoder(p, decoder) : find_decoder(p, file, &found);
done:
    lk_safetensors_close(file);
    lk_found_model_free(&found);
    return status;
}

lk_status lk_predictor_open(const char *model, const char *decoder, lk_device_choice device, int threads, lk_predictor **out)
{
    *out = NULL;
    LK_TRY(lk_choose_device_alone(device));
    LK_TRY(lk_tensor_start(threads));
    lk_predictor *p = calloc(1, sizeof *p);
    if (!p)
        return lk_fail(LK_INTERNAL, "out of memory");
    lk_status status = open_all(p, model, decoder);
    if (status != LK_OK) {
        lk_error error;
        lk_error_take(&error, status);
        lk_predictor_close(p);
        return lk_error_put(&error);
    }
    *out = p;
    return LK_OK;
}

void lk_predictor_close(lk_predictor *p)
{
    if (!p)
        return;
    lk_encoder_free(&p->encoder);
    lk_decoder_free(&p->decoder);
    lk_schema_free(p->schema);
    free(p->temperatures);
    free(p);
}

const lk_schema *lk_predictor_schema(const lk_predictor *p)
{
    return p->schema;
}

int lk_predictor_size(const lk_predictor *p)
{
    return p->encoder.shape.size;
}

bool lk_predictor_can_draw(const lk_predictor *p)
{
    return p->can_draw;
}

/* ---- predicting ---- */

lk_status lk_predict(lk_predictor *p, int n, const uint8_t *pixels, float *continuous, uint8_t *discrete, float *certainty)
{
    double *logits = malloc(((size_t)n * (size_t)p->schema->choice_count + 1) * sizeof *logits);
    if (!logits)
        return lk_fail(LK_INTERNAL, "out of memory for the choices of %d faces", n);
    lk_status status = lk_encode(&p->encoder, pixels, n, continuous, logits);
    if (status == LK_OK)
        lk_most_probable(p->schema, n, logits, p->temperatures, discrete, certainty);
    free(logits);
    return status;
}

lk_status lk_predictor_draw(lk_predictor *p, int n, const float *continuous, const uint8_t *discrete, uint8_t *pixels)
{
    if (!p->can_draw)
        return lk_fail(LK_USAGE, "a face cannot be decoded without a decoder");
    lk_tensor *y = lk_decode(&p->decoder, p->schema, n, continuous, discrete);
    lk_pictures_to_pixels(y, pixels);
    lk_tensor_free(&y);
    return lk_tensor_check();
}

json_t *lk_prediction_to_json(const lk_schema *schema, const float *continuous, const uint8_t *discrete, const float *certainty)
{
    json_t *root = lk_parameters_to_json(schema, continuous, discrete), *map = json_object();
    int failed = 0;
    for (int g = 0; g < schema->group_count; g++) {
        char value[LK_FLOAT_TEXT]; /* the short decimal */
        lk_float_text(certainty[g], value);
        failed |= json_object_set_new(map, schema->groups[g].name, json_real(strtod(value, NULL)));
    }
    failed |= json_object_set_new(root, "certainty", map); /* takes the map, also when it fails */
    if (!failed)
        return root;
    json_decref(root);
    return NULL;
}
