/* likeness evaluate (commands.h): judges a finished run on a data set, or a model on photos, with pictures. */
#include "base/file.h"
#include "base/log.h"
#include "dataset/client/other.h"
#include "launch/command/commands.h"
#include "launch/command/evaluate_photos.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/evaluation_file.h"
#include "trainer/record/find_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RATIO_ROOM = 32 };

typedef struct evaluate_values {
    const char *data, *folder, *photos, *table, *identity;
    lk_photo_options options;
    bool calibrate;
} evaluate_values;

static const evaluate_values defaults = {.options = LK_PHOTO_DEFAULTS};

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "data", "FOLDER", "another set of shards of the same schema", LK_TARGET(evaluate_values, data)},
    {LK_OPTION_FLAG, "calibrate", NULL,
     "first fit the certainties on the set, and note the temperatures in the run's\nmodel.safetensors",
     LK_TARGET(evaluate_values, calibrate)},
    {LK_OPTION_PATH, "output", "FOLDER", "where the report goes, else RUN/report", LK_TARGET(evaluate_values, folder),
     .letter = 'o', .writes = "evaluation.json|triptych.png|photos.json|photos.png"},
    LK_CLIENT_OPTIONS(evaluate_values, options),
    {LK_OPTION_HEADING, .help = "On photos of people:"},
    {LK_OPTION_PATH, "photos", "PHOTOS", "a folder, an archive or a photo", LK_TARGET(evaluate_values, photos)},
    {LK_OPTION_PATH, "table", "FILE.csv", "what a person sees in them (docs/formats.md)", LK_TARGET(evaluate_values, table)},
    {LK_OPTION_PATH, "identity", "FILE", "dlib's dlib_face_recognition_resnet_model_v1.dat: measure who it is, too",
     LK_TARGET(evaluate_values, identity)},
    LK_PHOTO_OPTIONS(evaluate_values, options),
    {0}};

/* What there is no baseline for (all faces are alike in it) is a dash. */
static const char *ratio(double value, char out[RATIO_ROOM])
{
    snprintf(out, RATIO_ROOM, isfinite(value) ? "%.3f" : "-", value);
    return out;
}

static void print_row(const char *name, double value, double baseline, const char *guess)
{
    char room[RATIO_ROOM];
    printf("%-34s %9.4f %9.4f %7s%s\n", name, value, baseline, ratio(value / baseline, room), guess);
}

static void print_encoder(const lk_schema *schema, const lk_evaluation *e)
{
    char room[3][RATIO_ROOM];
    printf("faces %lld\n", (long long)e->samples);
    printf("%-34s %9s %9s %7s\n", "", "encoder", "baseline", "ratio");
    print_row("F", e->f, e->baseline_f, "");
    print_row("F1", e->f1, e->baseline_f1, "   class frequencies");
    print_row("F2", e->f2, e->baseline_f2, "   true discrete + mean continuous");
    printf("\n%-34s %9s %9s\n", "accuracy", "encoder", "majority");
    for (int g = 0; g < e->group_count; g++)
        printf("%-34s %9.3f %9.3f   %d choices\n", schema->groups[g].name, e->accuracy[g], e->majority[g],
               schema->groups[g].count);
    printf("\n%-34s %9s %9s\n", "certainty", "temper.", "error");
    for (int g = 0; g < e->group_count; g++)
        printf("%-34s %9.3f %9.4f\n", schema->groups[g].name, e->temperature[g], lk_calibration_error(&e->reliability[g]));
    puts("");
    lk_reliability_print(&e->reliability[e->group_count]);
    printf("\nmean absolute error over that of predicting the mean: 10 strongest %s, 20 strongest %s, all %d %s\n\n",
           ratio(lk_mean_ratio(e, 10), room[0]), ratio(lk_mean_ratio(e, 20), room[1]), e->continuous_count,
           ratio(lk_mean_ratio(e, e->continuous_count), room[2]));
    printf("%-40s %9s %7s %7s %7s\n", "continuous, strongest first", "strength", "MAE", "ratio", "corr.");
    for (int k = 0; k < e->continuous_count; k++) {
        const lk_parameter_score *p = &e->parameters[k];
        printf("%-40s %9.3f %7.4f %7s %7.3f\n", schema->continuous[p->index].name, p->strength, p->mae,
               ratio(p->mae_ratio, room[0]), p->correlation);
    }
}

static void print_decoder(const lk_evaluation *e)
{
    printf("faces %lld\n", (long long)e->samples);
    printf("%-34s %9s %9s %7s\n", "", "decoder", "baseline", "ratio");
    printf("%-34s %9.5f %9.5f %7.3f   mean picture\n", "L1", e->f, e->baseline_f, e->f / e->baseline_f);
}

static lk_status draw(lk_evaluator *evaluator, const evaluate_values *v, const char *folder)
{
    char path[LK_PATH_SIZE];
    const lk_schema *schema = lk_evaluator_schema(evaluator);
    lk_any_client *client = NULL;
    lk_faces faces = {0};
    lk_status status;
    LK_TRY(lk_path_join(path, folder, "triptych.png"));
    LK_TRY_OR(done, lk_predict_faces(evaluator, 16, &faces));
    const lk_client_choice choice = {.command = v->options.client,
                                     .assets = v->options.assets,
                                     .seconds = v->options.client_seconds,
                                     .folder = folder,
                                     .size = faces.size};
    status = lk_any_client_open(schema, &choice, 1, &client);
    if (status != LK_OK && choice.command)
        goto done;
    if (status != LK_OK)
        lk_warn("no client's faces in the picture: %s; --client names another client", lk_error_text());
    LK_TRY_OR(done, lk_draw_triptych(schema, &faces, client, LK_TRIPTYCH_COLUMNS, path));
    printf("\n%s\n", path);
done:;
    lk_error error;
    lk_error_take(&error, status);
    lk_any_client_close(client);
    lk_faces_free(&faces);
    return lk_error_put(&error);
}

static lk_status report(lk_evaluator *evaluator, const evaluate_values *v, const char *folder)
{
    char path[LK_PATH_SIZE];
    lk_evaluation e;
    const lk_schema *schema = lk_evaluator_schema(evaluator);
    LK_TRY(lk_path_join(path, folder, "evaluation.json"));
    LK_TRY(lk_make_folder(folder));
    if (v->calibrate)
        LK_TRY(lk_evaluator_calibrate(evaluator));
    LK_TRY(lk_evaluate(evaluator, &e));
    if (e.has_parts)
        print_encoder(schema, &e);
    else
        print_decoder(&e);
    lk_status status = draw(evaluator, v, folder);
    if (status == LK_OK) /* last: launch/ takes it for the whole */
        status = lk_evaluation_write(path, schema, &e);
    lk_evaluation_free(&e);
    return status;
}

/* ---- photos ---- */

/* Options of photos do nothing for a data set: whoever gives them means something else. */
static lk_status refuse_photo_options(const evaluate_values *v)
{
    lk_photo_options others = v->options;
    others.client = defaults.options.client;
    others.client_seconds = defaults.options.client_seconds;
    others.assets = defaults.options.assets;
    others.device = defaults.options.device;
    if (v->table || v->identity || memcmp(&others, &defaults.options, sizeof others) != 0)
        return lk_fail(
            LK_USAGE,
            "evaluate: --table, --identity and the options of alignment belong to --photos, which says where the photos are");
    return LK_OK;
}

static lk_status run_photos(const evaluate_values *v, const char *model)
{
    char config[LK_PATH_SIZE], own[LK_PATH_SIZE];
    lk_path_kind kind;
    LK_TRY(lk_path_join(own, model, "report"));
    LK_TRY(lk_path_join(config, model, "config.yaml"));
    LK_TRY(lk_path_look(config, &kind));
    if (v->calibrate)
        return lk_fail(LK_USAGE, "evaluate: --calibrate needs the labels of a data set; --photos has none");
    if (v->data)
        return lk_fail(LK_USAGE, "evaluate: --data and --photos are two evaluations; ask for one after the other");
    if (!v->folder && kind == LK_ABSENT) {
        lk_found_model found;
        LK_TRY(lk_find_model(model, &found)); /* a name that leads nowhere is told as that */
        lk_found_model_free(&found);
        return lk_fail(LK_USAGE, "evaluate: %s is no run, so -o must say where the report goes", model);
    }
    const lk_evaluate_photos values = {.model = model,
                                       .photos = v->photos,
                                       .table = v->table,
                                       .identity = v->identity,
                                       .folder = v->folder ? v->folder : own,
                                       .options = v->options};
    return lk_evaluate_photos_run(&values);
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    const evaluate_values *v = values;
    char own[LK_PATH_SIZE];
    if (v->photos)
        return run_photos(v, arguments[0]);
    LK_TRY(refuse_photo_options(v));
    if (v->options.client)
        LK_TRY(lk_other_client_check(v->options.client));
    LK_TRY(lk_path_join(own, arguments[0], "report"));
    lk_evaluator *evaluator = NULL;
    LK_TRY(lk_evaluator_open(arguments[0], v->data, v->options.device, &evaluator));
    lk_status status = report(evaluator, v, v->folder ? v->folder : own);
    lk_error error;
    lk_error_take(&error, status);
    lk_evaluator_close(evaluator);
    return lk_error_put(&error);
}

const lk_command lk_command_evaluate = {
    .name = "evaluate",
    .summary = "judge a trained run on a data set or on photos, with pictures",
    .usage = "RUN [--data FOLDER] [--calibrate] [--assets FOLDER] [-o FOLDER]\n"
             "RUN|CHECKPOINT|FILE --photos FOLDER|ARCHIVE [--table FILE.csv] [-o FOLDER] [OPTIONS]",
    .about = "Judges a finished run on its validation set, against what a guess without looking would reach, and writes\n"
             "evaluation.json and triptych.png (input | D(p) | the client's render of p) into RUN/report.\n"
             "\n"
             "With --photos judges an encoder on photos, which are aligned as by likeness predict, against a table of what a\n"
             "person sees in them, and writes photos.json and photos.png (photo | D(p) | client, the best first).",
    .options = option_table,
    .size = sizeof(evaluate_values),
    .defaults = &defaults,
    .takes = "one run folder",
    .least = 1,
    .most = 1,
    .run = run};
