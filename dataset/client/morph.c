#include "dataset/client/morph.h"

#include "base/file.h"
#include "base/thread.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { RACES = 3, SEXES = 2, AGES = 2, MUSCLES = 3 };
enum { RACE_TARGETS = RACES * SEXES * AGES, MACRO_TARGETS = RACE_TARGETS + SEXES * AGES * MUSCLES };
enum { GENDER, AGE, AFRICAN, ASIAN, CAUCASIAN, MUSCLE, MACRO_COUNT };
enum { EXPRESSION_TARGETS = RACES * LK_EXPRESSIONS, MAX_TARGET_BYTES = 8 << 20 };

static const char *const RACE_NAMES[RACES] = {"african", "asian", "caucasian"};
static const char *const SEX_NAMES[SEXES] = {"female", "male"};
static const char *const AGE_NAMES[AGES] = {"young", "old"};
static const char *const MUSCLE_NAMES[MUSCLES] = {"minmuscle", "averagemuscle", "maxmuscle"};

static const char *const EXPRESSION_NAMES[LK_EXPRESSIONS] = {
    [LK_SMILE] = "mouth-corner-puller",
    [LK_BARE_TEETH] = "mouth-upward-retraction",
    [LK_STRETCH_MOUTH] = "mouth-retraction",
    [LK_PART_LIPS] = "mouth-part-later",
    [LK_OPEN_MOUTH] = "mouth-open",
    [LK_PURSE_LIPS] = "mouth-pursing",
    [LK_FROWN_MOUTH] = "mouth-depression",
    [LK_CLOSE_LEFT_EYE] = "eye-left-closure",
    [LK_CLOSE_RIGHT_EYE] = "eye-right-closure",
    [LK_NARROW_LEFT_EYE] = "eye-left-slit",
    [LK_NARROW_RIGHT_EYE] = "eye-right-slit",
    [LK_RAISE_LEFT_BROW] = "eyebrows-left-up",
    [LK_RAISE_RIGHT_BROW] = "eyebrows-right-up",
    [LK_LOWER_LEFT_BROW] = "eyebrows-left-down",
    [LK_LOWER_RIGHT_BROW] = "eyebrows-right-down",
    [LK_WORRY_LEFT_BROW] = "eyebrows-left-inner-up",
    [LK_WORRY_RIGHT_BROW] = "eyebrows-right-inner-up",
};

static const struct {
    const char *name;
    float average;
} MACROS[MACRO_COUNT] = {[GENDER] = {"macrodetails/Gender", 0.5f},           [AGE] = {"macrodetails/Age", 0.5f},
                         [AFRICAN] = {"macrodetails/African", 1.0f / 3},     [ASIAN] = {"macrodetails/Asian", 1.0f / 3},
                         [CAUCASIAN] = {"macrodetails/Caucasian", 1.0f / 3}, [MUSCLE] = {"macrodetails-universal/Muscle", 0.5f}};

/* A sparse target: moves of some vertices. */
typedef struct morph_target {
    int count;
    uint16_t *vertices;
    lk_vec3 *moves;
} morph_target;

struct lk_morph {
    const char *folder; /* while opening */
    const lk_mesh *mesh;
    const lk_schema *schema;
    lk_vec3 *neutral;
    int macro_index[MACRO_COUNT];   /* which continuous parameter, or -1 */
    lk_vec3 *macros[MACRO_TARGETS]; /* dense: they move every vertex */
    morph_target (*modifiers)[2];   /* [continuous_count] negative and positive */
    morph_target expressions[RACES][LK_EXPRESSIONS];
};

/* ---- reading targets ---- */

static lk_status read_gzip(const char *path, char **text)
{
    int fd;
    lk_status status = lk_open_file(path, &fd, NULL);
    if (status == LK_BAD_DATA)
        return lk_fail(LK_BAD_DATA, "%s; make deps fetches the face data", lk_error_text());
    LK_TRY(status);
    gzFile file = gzdopen(fd, "rb");
    if (!file) {
        close(fd);
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    }
    size_t capacity = 1 << 16, size = 0;
    char *buffer = malloc(capacity);
    int got = 0;
    while (buffer && (got = gzread(file, buffer + size, (unsigned)(capacity - size - 1))) > 0) {
        size += (size_t)got;
        if (size + 1 < capacity)
            continue;
        capacity *= 2;
        char *larger = capacity <= MAX_TARGET_BYTES ? realloc(buffer, capacity) : NULL;
        if (!larger)
            free(buffer);
        buffer = larger;
    }
    int reason = errno, error = Z_OK;
    gzerror(file, &error);
    gzclose(file);
    if (!buffer)
        return lk_fail(LK_BAD_DATA, "%s: a target of more than %d bytes", path, MAX_TARGET_BYTES);
    if (got < 0) {
        free(buffer);
        if (error == Z_ERRNO)
            return lk_fail_io("read", path, reason, 0);
        return lk_fail(LK_BAD_DATA, "%s: the compressed target is damaged; make deps fetches it anew", path);
    }
    buffer[size] = 0;
    *text = buffer;
    return LK_OK;
}

/* Lines "vertex dx dy dz" in base.obj's numbers, '#' begins a comment. Adds to `target`; vertices dropped from the mesh are
 * skipped. */
static lk_status read_target(const char *path, const lk_mesh *mesh, morph_target *target)
{
    char *text = NULL;
    LK_TRY(read_gzip(path, &text));
    size_t lines = 1;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    size_t room = (size_t)target->count + lines;
    uint16_t *vertices = realloc(target->vertices, room * sizeof *vertices);
    target->vertices = vertices ? vertices : target->vertices;
    lk_vec3 *moves = realloc(target->moves, room * sizeof *moves);
    target->moves = moves ? moves : target->moves;
    lk_status status = vertices && moves ? LK_OK : lk_fail(LK_INTERNAL, "no memory for %s", path);
    int line_number = 1;
    for (char *line = text; status == LK_OK && *line; line_number++) {
        char *at = line, *next = strchr(line, '\n');
        if (*line != '#' && *line != '\n' && *line != '\r') {
            long vertex = strtol(line, &at, 10);
            if (at == line || vertex < 0 || vertex >= mesh->raw_count) {
                status = lk_fail(LK_BAD_DATA, "%s line %d: no such vertex; make deps fetches it anew", path, line_number);
            } else if (mesh->kept[vertex] >= 0) {
                lk_vec3 *move = &target->moves[target->count];
                move->x = strtof(at, &at);
                move->y = strtof(at, &at);
                move->z = strtof(at, &at);
                target->vertices[target->count++] = (uint16_t)mesh->kept[vertex];
                if (!isfinite(move->x + move->y + move->z))
                    status = lk_fail(LK_BAD_DATA, "%s line %d: a move that is not finite", path, line_number);
            }
        }
        line = next ? next + 1 : line + strlen(line);
    }
    free(text);
    return status;
}

/* Names come from schemas that strangers may have written: they must stay inside the targets folder. */
static bool name_is_plain(const char *name)
{
    int slashes = 0;
    for (const char *at = name; *at; at++) {
        if (*at == '/')
            slashes++;
        else if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-|", *at))
            return false;
    }
    return slashes == 1 && name[0] != '/' && strlen(name) < 100;
}

/* Adds targets/STEM.target.gz, or its l- and r- forms; *found tells whether there was any. */
static lk_status add_target(const lk_morph *morph, const char *stem, morph_target *target, bool *found)
{
    const char *slash = strchr(stem, '/');
    static const char *const SIDES[] = {"", "l-", "r-"};
    for (int side = 0; side < 3; side++) {
        char path[LK_PATH_SIZE];
        int written = snprintf(path, sizeof path, "%s/targets/%.*s/%s%s.target.gz", morph->folder, (int)(slash - stem), stem,
                               SIDES[side], slash + 1);
        if (written >= (int)sizeof path)
            return lk_fail(LK_USAGE, "the path of the face data is too long: %s", morph->folder);
        lk_path_kind kind;
        LK_TRY(lk_path_look(path, &kind));
        if (kind == LK_ABSENT)
            continue;
        *found = true;
        LK_TRY(read_target(path, morph->mesh, target));
        if (side == 0)
            break;
    }
    return LK_OK;
}

static lk_status load_modifier(const lk_morph *morph, const char *name, morph_target targets[2])
{
    char stem[2][128];
    const char *bar = strchr(name, '|');
    bool found[2] = {false, false}, one_sided = false;
    if (!name_is_plain(name))
        goto unknown;
    if (bar) {
        const char *dash = bar;
        while (dash > name && *dash != '-')
            dash--;
        snprintf(stem[0], sizeof stem[0], "%.*s", (int)(bar - name), name);
        snprintf(stem[1], sizeof stem[1], "%.*s%s", (int)(dash + 1 - name), name, bar + 1);
    } else if (strncmp(name, "asym/", 5) == 0) {
        snprintf(stem[0], sizeof stem[0], "%s-l", name);
        snprintf(stem[1], sizeof stem[1], "%s-r", name);
    } else {
        one_sided = true;
        snprintf(stem[1], sizeof stem[1], "%s", name);
    }
    for (int sign = one_sided; sign < 2; sign++)
        LK_TRY(add_target(morph, stem[sign], &targets[sign], &found[sign]));
    if (found[1] && (one_sided || found[0]))
        return LK_OK;
unknown:
    return lk_fail(LK_BAD_DATA, "the client knows no modifier \"%s\"; configs/client-schema.yaml lists the usual ones", name);
}

static lk_status load_macro(lk_morph *morph, int number)
{
    char path[LK_PATH_SIZE];
    if (number < RACE_TARGETS) {
        snprintf(path, sizeof path, "%s/targets/macrodetails/%s-%s-%s.target.gz", morph->folder,
                 RACE_NAMES[number / (SEXES * AGES)], SEX_NAMES[number / AGES % SEXES], AGE_NAMES[number % AGES]);
    } else {
        int rest = number - RACE_TARGETS;
        snprintf(path, sizeof path, "%s/targets/macrodetails/universal-%s-%s-%s-averageweight.target.gz", morph->folder,
                 SEX_NAMES[rest / (AGES * MUSCLES)], AGE_NAMES[rest / MUSCLES % AGES], MUSCLE_NAMES[rest % MUSCLES]);
    }
    morph_target sparse = {0};
    lk_status status = read_target(path, morph->mesh, &sparse);
    morph->macros[number] = calloc((size_t)morph->mesh->count, sizeof **morph->macros);
    if (status == LK_OK && !morph->macros[number])
        status = lk_fail(LK_INTERNAL, "no memory for %s", path);
    for (int i = 0; status == LK_OK && i < sparse.count; i++) {
        lk_vec3 *move = &morph->macros[number][sparse.vertices[i]];
        *move = lk_vec3_add(*move, sparse.moves[i]);
    }
    free(sparse.vertices);
    free(sparse.moves);
    return status;
}

static lk_status load_expression(lk_morph *morph, int number)
{
    char path[LK_PATH_SIZE];
    int race = number / LK_EXPRESSIONS, unit = number % LK_EXPRESSIONS;
    int written = snprintf(path, sizeof path, "%s/targets/expression/units/%s/%s.target.gz", morph->folder, RACE_NAMES[race],
                           EXPRESSION_NAMES[unit]);
    if (written >= (int)sizeof path)
        return lk_fail(LK_USAGE, "the path of the face data is too long: %s", morph->folder);
    return read_target(path, morph->mesh, &morph->expressions[race][unit]);
}

static lk_status load_item(void *context, int64_t i, int worker)
{
    (void)worker;
    lk_morph *morph = context;
    if (i < MACRO_TARGETS)
        return load_macro(morph, (int)i);
    int parameter = (int)i - MACRO_TARGETS;
    if (parameter >= morph->schema->continuous_count)
        return load_expression(morph, parameter - morph->schema->continuous_count);
    for (int macro = 0; macro < MACRO_COUNT; macro++)
        if (morph->macro_index[macro] == parameter)
            return LK_OK;
    return load_modifier(morph, morph->schema->continuous[parameter].name, morph->modifiers[parameter]);
}

/* ---- applying ---- */

/* MakeHuman's weights: every macro target counts by the product of its factors. */
static void macro_weights(const float value[MACRO_COUNT], float weights[MACRO_TARGETS])
{
    float races[RACES] = {lk_max(value[AFRICAN], 0), lk_max(value[ASIAN], 0), lk_max(value[CAUCASIAN], 0)};
    float total = races[0] + races[1] + races[2];
    float old = lk_clamp01((value[AGE] - 0.5f) * 2), muscle = lk_clamp01(value[MUSCLE]) * 2;
    float sexes[SEXES] = {1 - lk_clamp01(value[GENDER]), lk_clamp01(value[GENDER])}, ages[AGES] = {1 - old, old};
    float muscles[MUSCLES] = {lk_max(1 - muscle, 0), 1 - fabsf(muscle - 1), lk_max(muscle - 1, 0)};
    for (int i = 0; i < RACE_TARGETS; i++) {
        float race = total > 1e-6f ? races[i / (SEXES * AGES)] / total : 1.0f / RACES;
        weights[i] = race * sexes[i / AGES % SEXES] * ages[i % AGES];
    }
    for (int i = RACE_TARGETS; i < MACRO_TARGETS; i++) {
        int rest = i - RACE_TARGETS;
        weights[i] = sexes[rest / (AGES * MUSCLES)] * ages[rest / MUSCLES % AGES] * muscles[rest % MUSCLES];
    }
}

static void add_macros(const lk_morph *morph, const float value[MACRO_COUNT], lk_vec3 *positions)
{
    float weights[MACRO_TARGETS];
    macro_weights(value, weights);
    memcpy(positions, morph->mesh->base, (size_t)morph->mesh->count * sizeof *positions);
    float *to = &positions->x;
    for (int i = 0; i < MACRO_TARGETS; i++) {
        const float *from = &morph->macros[i]->x;
        if (weights[i] != 0)
            for (int k = 0; k < morph->mesh->count * 3; k++)
                to[k] += weights[i] * from[k];
    }
}

static lk_vec3 between_eyes(const lk_mesh *mesh, const lk_vec3 *positions)
{
    lk_vec3 sum = {0};
    for (int side = 0; side < 2; side++)
        for (int k = 0; k < LK_EYE_LANDMARKS; k++)
            sum = lk_vec3_add(sum, positions[mesh->eye_landmarks[side][k]]);
    return lk_vec3_scale(sum, 1.0f / (2 * LK_EYE_LANDMARKS));
}

static lk_vec3 eyeball_centre(const lk_mesh *mesh, const lk_vec3 *positions)
{
    lk_vec3 sum = {0};
    int n = 0;
    for (int part = LK_PART_LEFT_EYE; part <= LK_PART_RIGHT_EYE; part++)
        for (int c = 0; c < mesh->parts[part].count * 3; c++, n++)
            sum = lk_vec3_add(sum, positions[mesh->parts[part].corners[c / 3][c % 3]]);
    return lk_vec3_scale(sum, 1.0f / (float)n);
}

/* After the eyes have found their place, so that an expression does not move the crop. */
static void add_expression(const lk_morph *morph, const float value[MACRO_COUNT], const float *expression, lk_vec3 *positions)
{
    float races[RACES] = {lk_max(value[AFRICAN], 0), lk_max(value[ASIAN], 0), lk_max(value[CAUCASIAN], 0)};
    float total = races[0] + races[1] + races[2];
    for (int race = 0; race < RACES; race++)
        for (int unit = 0; unit < LK_EXPRESSIONS; unit++) {
            const morph_target *target = &morph->expressions[race][unit];
            float weight = expression[unit] * (total > 1e-6f ? races[race] / total : 1.0f / RACES);
            for (int k = 0; weight != 0 && k < target->count; k++) {
                lk_vec3 *p = &positions[target->vertices[k]];
                *p = lk_vec3_add_scaled(*p, weight, target->moves[k]);
            }
        }
}

void lk_morph_apply(const lk_morph *morph, const float *continuous, const float *expression, lk_vec3 *positions)
{
    const lk_schema *schema = morph->schema;
    float macros[MACRO_COUNT];
    for (int m = 0; m < MACRO_COUNT; m++) {
        int i = morph->macro_index[m];
        macros[m] = i < 0 ? MACROS[m].average
                          : schema->continuous[i].min + continuous[i] * (schema->continuous[i].max - schema->continuous[i].min);
    }
    add_macros(morph, macros, positions);
    for (int i = 0; i < schema->continuous_count; i++) {
        float v = schema->continuous[i].min + continuous[i] * (schema->continuous[i].max - schema->continuous[i].min);
        const morph_target *target = &morph->modifiers[i][v > 0];
        for (int k = 0; k < target->count; k++) {
            lk_vec3 *p = &positions[target->vertices[k]];
            *p = lk_vec3_add_scaled(*p, fabsf(v), target->moves[k]);
        }
    }
    lk_vec3 neutral_eyes = between_eyes(morph->mesh, morph->neutral), eyes = between_eyes(morph->mesh, positions);
    lk_vec3 shift = lk_vec3_sub(neutral_eyes, eyes);
    for (int i = 0; i < morph->mesh->count; i++)
        positions[i] = lk_vec3_add(positions[i], shift);
    if (expression)
        add_expression(morph, macros, expression, positions);
}

float lk_morph_age(const lk_morph *morph, const float *continuous)
{
    int i = morph->macro_index[AGE];
    if (i < 0)
        return 0;
    const lk_continuous *age = &morph->schema->continuous[i];
    return lk_clamp01((age->min + continuous[i] * (age->max - age->min) - MACROS[AGE].average) / (1 - MACROS[AGE].average));
}

const lk_vec3 *lk_morph_neutral(const lk_morph *morph)
{
    return morph->neutral;
}

lk_status lk_morph_open(const char *folder, const lk_mesh *mesh, const lk_schema *schema, int threads, lk_morph **out)
{
    lk_morph *morph = calloc(1, sizeof *morph);
    if (!morph)
        return lk_fail(LK_INTERNAL, "no memory for the face targets");
    lk_status status = LK_OK;
    morph->folder = folder;
    morph->mesh = mesh;
    morph->schema = schema;
    morph->neutral = malloc((size_t)mesh->count * sizeof *morph->neutral);
    morph->modifiers = calloc((size_t)schema->continuous_count + 1, sizeof *morph->modifiers);
    if (!morph->neutral || !morph->modifiers) {
        status = lk_fail(LK_INTERNAL, "no memory for the face targets");
        goto failed;
    }
    float average[MACRO_COUNT];
    for (int m = 0; m < MACRO_COUNT; m++) {
        average[m] = MACROS[m].average;
        morph->macro_index[m] = -1;
        for (int i = 0; i < schema->continuous_count; i++)
            if (strcmp(schema->continuous[i].name, MACROS[m].name) == 0)
                morph->macro_index[m] = i;
    }
    LK_TRY_OR(failed, lk_parallel_for(threads, MACRO_TARGETS + schema->continuous_count + EXPRESSION_TARGETS, load_item, morph));
    add_macros(morph, average, morph->neutral);
    lk_vec3 origin = eyeball_centre(mesh, morph->neutral);
    for (int i = 0; i < mesh->count; i++)
        morph->neutral[i] = lk_vec3_sub(morph->neutral[i], origin);
    morph->folder = NULL;
    *out = morph;
    return LK_OK;
failed:
    lk_morph_close(morph);
    return status;
}

void lk_morph_close(lk_morph *morph)
{
    if (!morph)
        return;
    for (int i = 0; i < MACRO_TARGETS; i++)
        free(morph->macros[i]);
    for (int i = 0; morph->modifiers && i < morph->schema->continuous_count; i++)
        for (int sign = 0; sign < 2; sign++) {
            free(morph->modifiers[i][sign].vertices);
            free(morph->modifiers[i][sign].moves);
        }
    for (int i = 0; i < EXPRESSION_TARGETS; i++) {
        free(morph->expressions[i / LK_EXPRESSIONS][i % LK_EXPRESSIONS].vertices);
        free(morph->expressions[i / LK_EXPRESSIONS][i % LK_EXPRESSIONS].moves);
    }
    free(morph->modifiers);
    free(morph->neutral);
    free(morph);
}
