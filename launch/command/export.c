/* likeness export (commands.h): the weights of a checkpoint or a run as one file for other programs. */
#include "base/file.h"
#include "base/log.h"
#include "launch/command/commands.h"
#include "trainer/evaluate/calibration.h"
#include "trainer/model/weights_file.h"
#include "trainer/record/find_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct export_values {
    const char *output;
} export_values;

static const lk_option option_table[] = {{LK_OPTION_PATH, "output", "FILE", "where to", LK_TARGET(export_values, output),
                                          .letter = 'o', .required = true, .writes = ""},
                                         {0}};

/* What was found in a run or checkpoint stays what it is. */
static lk_status keep_inputs(const lk_found_model *from, const char *output)
{
    char state[LK_PATH_SIZE];
    const char *slash = strrchr(from->path, '/');
    if ((size_t)snprintf(state, sizeof state, "%.*sstate.json", slash ? (int)(slash + 1 - from->path) : 0, from->path) >=
        sizeof state)
        return lk_fail(LK_USAGE, "%.80s...: the path is too long", from->path);
    const char *const inputs[] = {from->path, from->config, state};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        LK_TRY(lk_keep_input("export", "output", output, inputs[i]));
    return LK_OK;
}

static lk_status write_export(const lk_found_model *from, const char *output)
{
    lk_safetensors *file = NULL;
    char step[32];
    LK_TRY(lk_safetensors_open(from->path, &file));
    size_t notes_used = 0;
    lk_safetensors_note notes[4] = {{"format", "pt"}};
    const char *schema = from->schema ? from->schema : lk_safetensors_note_of(file, "schema");
    notes_used++;
    if (schema)
        notes[notes_used++] = (lk_safetensors_note){"schema", schema};
    snprintf(step, sizeof step, "%" PRId64, from->step);
    if (from->step >= 0)
        notes[notes_used++] = (lk_safetensors_note){"step", step};
    const char *temperature = lk_safetensors_note_of(file, LK_TEMPERATURE_NOTE);
    if (temperature)
        notes[notes_used++] = (lk_safetensors_note){LK_TEMPERATURE_NOTE, temperature};
    lk_status status = lk_weights_copy(file, output, notes, notes_used);
    if (status == LK_OK)
        printf("%s: %zu tensors from %s\n", output, lk_safetensors_count(file), from->path);
    lk_safetensors_close(file);
    return status;
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    const export_values *v = values;
    lk_found_model from;
    lk_status status = lk_find_model(arguments[0], &from);
    if (status == LK_OK)
        status = keep_inputs(&from, v->output);
    if (status == LK_OK)
        status = write_export(&from, v->output);
    lk_found_model_free(&from);
    return status;
}

const lk_command lk_command_export = {
    .name = "export",
    .summary = "the weights of a checkpoint or a run as one file, e.g. for PyTorch",
    .usage = "CHECKPOINT|RUN -o FILE.safetensors",
    .about = "Writes the weights of a checkpoint (runs/demo/checkpoints/best, ...) as one safetensors file, with the\n"
             "schema as the note \"schema\". Of a run: its final weights, or while it goes on those of its newest\n"
             "checkpoint. All hashes are checked first. docs/load_encoder.py shows how to load the file in PyTorch.",
    .options = option_table,
    .size = sizeof(export_values),
    .takes = "one checkpoint or run",
    .least = 1,
    .most = 1,
    .run = run};
