/* likeness evaluate (commands.h): judges a finished run on a data set, with pictures. */
#include "base/file.h"
#include "launch/command/commands.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/evaluation_file.h"

#include <stdio.h>

typedef struct evaluate_values {
    const char *data, *folder, *assets;
} evaluate_values;

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "data", "FOLDER", "another set of shards of the same schema", LK_TARGET(evaluate_values, data)},
    {LK_OPTION_PATH, "assets", "FOLDER", "MakeHuman's data folder, if the schema names assets of it (see render)",
     LK_TARGET(evaluate_values, assets)},
    {LK_OPTION_PATH, "output", "FOLDER", "where the report goes", LK_TARGET(evaluate_values, folder), .letter = 'o'},
    {0}};

static void print_encoder(const lk_schema *schema, const lk_evaluation *e)
{
    printf("faces %lld\n", (long long)e->samples);
    printf("%-34s %9s %9s %7s\n", "", "encoder", "baseline", "ratio");
    printf("%-34s %9.4f %9.4f %7.3f\n", "F", e->f, e->baseline_f, e->f / e->baseline_f);
    printf("%-34s %9.4f %9.4f %7.3f   class frequencies\n", "F1", e->f1, e->baseline_f1, e->f1 / e->baseline_f1);
    printf("%-34s %9.4f %9.4f %7.3f   true discrete + mean continuous\n", "F2", e->f2, e->baseline_f2, e->f2 / e->baseline_f2);
    printf("\n%-34s %9s %9s\n", "accuracy", "encoder", "majority");
    for (int g = 0; g < e->group_count; g++)
        printf("%-34s %9.3f %9.3f   %d choices\n", schema->groups[g].name, e->accuracy[g], e->majority[g],
               schema->groups[g].count);
    printf("\nmean absolute error over that of predicting the mean: 10 strongest %.3f, 20 strongest %.3f, all %d %.3f\n\n",
           lk_mean_ratio(e, 10), lk_mean_ratio(e, 20), e->continuous_count, lk_mean_ratio(e, e->continuous_count));
    printf("%-40s %9s %7s %7s %7s\n", "continuous, strongest first", "strength", "MAE", "ratio", "corr.");
    for (int k = 0; k < e->continuous_count; k++) {
        const lk_parameter_score *p = &e->parameters[k];
        printf("%-40s %9.3f %7.4f %7.3f %7.3f\n", schema->continuous[p->index].name, p->strength, p->mae, p->mae_ratio,
               p->correlation);
    }
}

static void print_decoder(const lk_evaluation *e)
{
    printf("faces %lld\n", (long long)e->samples);
    printf("%-34s %9s %9s %7s\n", "", "decoder", "baseline", "ratio");
    printf("%-34s %9.5f %9.5f %7.3f   mean picture\n", "L1", e->f, e->baseline_f, e->f / e->baseline_f);
}

static lk_status report(lk_evaluator *evaluator, const char *folder, const char *assets)
{
    char path[LK_PATH_SIZE];
    lk_evaluation e;
    lk_faces faces;
    const lk_schema *schema = lk_evaluator_schema(evaluator);
    LK_TRY(lk_make_folder(folder));
    LK_TRY(lk_evaluate(evaluator, &e));
    if (e.has_parts)
        print_encoder(schema, &e);
    else
        print_decoder(&e);
    lk_status status = lk_path_join(path, folder, "evaluation.json");
    if (status == LK_OK)
        status = lk_evaluation_write(path, schema, &e);
    lk_evaluation_free(&e);
    LK_TRY(status);
    LK_TRY(lk_predict_faces(evaluator, 16, &faces));
    status = lk_path_join(path, folder, "triptych.png");
    if (status == LK_OK)
        status = lk_draw_triptych(schema, &faces, assets, LK_TRIPTYCH_COLUMNS, path);
    lk_faces_free(&faces);
    if (status == LK_OK)
        printf("\n%s\n", path);
    return status;
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    const evaluate_values *v = values;
    char own[LK_PATH_SIZE];
    LK_TRY(lk_path_join(own, arguments[0], "report"));
    lk_evaluator *evaluator = NULL;
    LK_TRY(lk_evaluator_open(arguments[0], v->data, &evaluator));
    lk_status status = report(evaluator, v->folder ? v->folder : own, v->assets);
    lk_error error;
    lk_error_take(&error, status);
    lk_evaluator_close(evaluator);
    return lk_error_put(&error);
}

const lk_command lk_command_evaluate = {
    .name = "evaluate",
    .summary = "judge a trained run on a data set, with pictures",
    .usage = "RUN [--data FOLDER] [--assets FOLDER] [-o FOLDER]",
    .about = "Judges a finished run on its validation set, against what a guess without looking would reach, and writes\n"
             "evaluation.json and triptych.png (input | D(p) | the client's render of p) into RUN/report.",
    .options = option_table,
    .size = sizeof(evaluate_values),
    .takes = "one run folder",
    .least = 1,
    .most = 1,
    .run = run};
