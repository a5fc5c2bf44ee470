/* The configuration written out in full, and a resumed run's compared with the one it began with.
 * Declared in config.h. */
#include "configs/config.h"
#include "configs/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* ---- to YAML, through libyaml's emitter, which knows what must be escaped ---- */

static int write_bytes(void *stream, unsigned char *bytes, size_t size)
{
    return fwrite(bytes, 1, size, stream) == size;
}

/* Takes the event over. A failure stays in the emitter's `error`. */
static void emit(yaml_emitter_t *emitter, int made, yaml_event_t *event)
{
    if (!made)
        emitter->error = YAML_MEMORY_ERROR;
    else if (emitter->error == YAML_NO_ERROR)
        yaml_emitter_emit(emitter, event);
    else
        yaml_event_delete(event);
}

static void emit_scalar(yaml_emitter_t *emitter, const char *text, bool quoted)
{
    yaml_event_t event;
    yaml_scalar_style_t style = quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE;
    int made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), 1, 1, style);
    emit(emitter, made, &event);
}

static void emit_map_start(yaml_emitter_t *emitter)
{
    yaml_event_t event;
    emit(emitter, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE), &event);
}

static void emit_map_end(yaml_emitter_t *emitter)
{
    yaml_event_t event;
    emit(emitter, yaml_mapping_end_event_initialize(&event), &event);
}

/* Names that no reader takes for anything else stay without quotes. */
static bool needs_quotes(const char *text)
{
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    bool starts_plain = text[0] && strchr(LETTERS "/", text[0]);
    return !starts_plain || text[strspn(text, LETTERS "0123456789_./-")] != '\0';
#undef LETTERS
}

static void emit_share(yaml_emitter_t *emitter, const char *path, double share)
{
    char number[32];
    yaml_event_t event;
    snprintf(number, sizeof number, "%.17g", share);
    emit(emitter, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_FLOW_MAPPING_STYLE), &event);
    emit_scalar(emitter, "path", false);
    emit_scalar(emitter, path, needs_quotes(path));
    emit_scalar(emitter, "share", false);
    emit_scalar(emitter, number, false);
    emit_map_end(emitter);
}

static void emit_value(yaml_emitter_t *emitter, const lk_key *key, const lk_config *config)
{
    char value[LK_KEY_VALUE];
    yaml_event_t event;
    if (key->type != LK_KEY_LIST && key->type != LK_KEY_SHARED) {
        lk_key_format(key, config, 0, value);
        emit_scalar(emitter, value, key->type == LK_KEY_TEXT && needs_quotes(value));
        return;
    }
    emit(emitter, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_FLOW_SEQUENCE_STYLE), &event);
    for (int i = 0; i < lk_key_items(key, config); i++) {
        lk_key_format(key, config, i, value);
        if (lk_key_share(key, config, i) > 0)
            emit_share(emitter, value, lk_key_share(key, config, i));
        else
            emit_scalar(emitter, value, needs_quotes(value));
    }
    emit(emitter, yaml_sequence_end_event_initialize(&event), &event);
}

/* Bytes up to and with the last dot that two paths have in common. */
static size_t common_sections(const char *a, const char *b)
{
    size_t common = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == '.')
            common = i + 1;
    return common;
}

/* Closes the sections of `before` that `path` is not in, opens those that are new, writes the last name. */
static void emit_path(yaml_emitter_t *emitter, const char *before, const char *path)
{
    size_t common = common_sections(before, path);
    for (const char *dot = before + common; (dot = strchr(dot, '.')) != NULL; dot++)
        emit_map_end(emitter);
    const char *name = path + common;
    for (const char *dot; (dot = strchr(name, '.')) != NULL; name = dot + 1) {
        char section[LK_KEY_VALUE];
        snprintf(section, sizeof section, "%.*s", (int)(dot - name), name);
        emit_scalar(emitter, section, false);
        emit_map_start(emitter);
    }
    emit_scalar(emitter, name, false);
}

static void emit_document(yaml_emitter_t *emitter, const lk_config *config)
{
    yaml_event_t event;
    emit(emitter, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event);
    emit(emitter, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event);
    emit_map_start(emitter);
    const char *before = "";
    for (int i = 0; i < LK_KEY_COUNT; i++) {
        emit_path(emitter, before, lk_keys[i].path);
        emit_value(emitter, &lk_keys[i], config);
        before = lk_keys[i].path;
    }
    for (const char *dot = before; (dot = strchr(dot, '.')) != NULL; dot++)
        emit_map_end(emitter);
    emit_map_end(emitter);
    emit(emitter, yaml_document_end_event_initialize(&event, 1), &event);
    emit(emitter, yaml_stream_end_event_initialize(&event), &event);
}

lk_status lk_config_to_yaml(const lk_config *config, char **text)
{
    *text = NULL;
    char *buffer = NULL;
    size_t size = 0;
    lk_plain_numbers numbers;
    LK_TRY(lk_plain_numbers_begin(&numbers));
    bool good = false;
    yaml_emitter_t emitter;
    FILE *stream = open_memstream(&buffer, &size);
    if (stream && yaml_emitter_initialize(&emitter)) {
        fputs("# The whole configuration of this run: what its file and --set gave, and the defaults.\n"
              "# docs/configuration.md says what the keys mean.\n",
              stream);
        yaml_emitter_set_output(&emitter, write_bytes, stream);
        yaml_emitter_set_unicode(&emitter, 1);
        yaml_emitter_set_width(&emitter, -1);
        emit_document(&emitter, config);
        good = emitter.error == YAML_NO_ERROR;
        yaml_emitter_delete(&emitter);
    }
    if (stream)
        good = fclose(stream) == 0 && good;
    lk_plain_numbers_end(&numbers);
    if (!good) {
        free(buffer);
        return lk_fail(LK_INTERNAL, "out of memory writing the configuration");
    }
    *text = buffer;
    return LK_OK;
}

/* ---- comparing ---- */

static bool may_change(const lk_key *key, const lk_config *saved, const lk_config *now)
{
    switch (key->on_resume) {
    case LK_RESUME_ANY: return true;
    case LK_RESUME_DIGITS: return !saved->train.reproducible && !now->train.reproducible;
    case LK_RESUME_LENGTH: return saved->optimizer.schedule != LK_COSINE && now->optimizer.schedule != LK_COSINE;
    case LK_RESUME_SAME: break;
    }
    return false;
}

static void print_value(FILE *out, const lk_key *key, const lk_config *config)
{
    char value[LK_KEY_VALUE];
    int count = lk_key_items(key, config);
    for (int i = 0; i < count; i++) {
        fprintf(out, "%s%s", i ? ", " : "", lk_key_format(key, config, i, value));
        if (lk_key_share(key, config, i) > 0)
            fprintf(out, " (share %g)", lk_key_share(key, config, i));
    }
}

/* "; a.b was X, is Y" for each key that differs and may not. */
static int print_differences(FILE *out, const lk_config *saved, const lk_config *now)
{
    int differences = 0;
    for (int i = 0; i < LK_KEY_COUNT; i++) {
        const lk_key *key = &lk_keys[i];
        if (may_change(key, saved, now) || lk_key_equal(key, saved, now))
            continue;
        fprintf(out, "%s%s was ", differences ? "; " : "", key->path);
        print_value(out, key, saved);
        fputs(", is ", out);
        print_value(out, key, now);
        differences++;
    }
    return differences;
}

lk_status lk_config_compare(const lk_config *saved, const lk_config *now)
{
    char *text = NULL;
    size_t size = 0;
    lk_plain_numbers numbers;
    LK_TRY(lk_plain_numbers_begin(&numbers));
    int differences = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream)
        differences = print_differences(stream, saved, now);
    bool good = stream && fclose(stream) == 0;
    lk_plain_numbers_end(&numbers);
    lk_status status = LK_OK;
    if (!good)
        status = lk_fail(LK_INTERNAL, "out of memory comparing configurations");
    else if (differences)
        status = lk_fail(LK_BAD_CONFIG, "a resumed run must keep these, set them back or start in another run.dir: %s", text);
    free(text);
    return status;
}

/* ---- one key at a time ---- */

const char *lk_config_key(int index)
{
    return index >= 0 && index < LK_KEY_COUNT ? lk_keys[index].path : NULL;
}

void lk_config_value(const lk_config *config, int index, char *out, size_t size)
{
    char item[LK_KEY_VALUE];
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < lk_key_items(&lk_keys[index], config) && used < size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "", lk_key_format(&lk_keys[index], config, i, item));
}
