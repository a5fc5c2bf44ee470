/* likeness stage (commands.h): copies the shards of a configuration to a disk that is near, for one start of its training. */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "configs/config.h"
#include "dataset/stage.h"
#include "launch/command/commands.h"
#include "trainer/stop.h"

#include <math.h>
#include <stdbool.h>
#include <unistd.h>

typedef struct stage_values {
    lk_set_list sets;
    const char *folder;
    bool remove;
} stage_values;

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "to", "FOLDER", "the stage", LK_TARGET(stage_values, folder), .required = true},
    LK_SET_OPTION(stage_values, sets),
    {LK_OPTION_FLAG, "remove", NULL, "remove the stage instead; one that is not there is fine", LK_TARGET(stage_values, remove)},
    {0}};

static bool stopped(void)
{
    return lk_stop_requested() != 0;
}

static int list(const lk_paths *paths, const char **items)
{
    for (int i = 0; i < paths->count; i++)
        items[i] = paths->items[i];
    return paths->count;
}

static lk_status make(const lk_config *config, const char *folder)
{
    const char *train[LK_CONFIG_PATHS], *val[LK_CONFIG_PATHS];
    const lk_stage_set sets[] = {{"train", train, list(&config->data.train.paths, train)},
                                 {"val", val, list(&config->data.val, val)}};
    char host[256] = "";
    int64_t bytes;
    double start = lk_clock();
    LK_TRY(lk_stop_install(&config->run.signals, INFINITY));
    LK_TRY(lk_stage_make(sets, 2, folder, lk_core_count(), stopped, &bytes));
    gethostname(host, sizeof host - 1);
    double seconds = lk_clock() - start;
    lk_info("staged %.1f MB at %s on %s in %.1f s, contents checked", 1e-6 * (double)bytes, folder, host, seconds);
    return LK_OK;
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    const stage_values *v = values;
    if (v->remove)
        return lk_stage_remove(v->folder);
    lk_config *config;
    LK_TRY(lk_config_load(arguments[0], v->sets.items, v->sets.count, &config));
    lk_status status = make(config, v->folder);
    lk_config_free(config);
    return status;
}

const lk_command lk_command_stage = {
    .name = "stage",
    .summary = "copy the shards of a configuration to a disk that is near",
    .usage = "CONFIG --to FOLDER [--set KEY=VALUE ...]\nCONFIG --to FOLDER --remove",
    .about = "Copies the shards of data.train and data.val into FOLDER, reads the copies back and compares content hashes.\n"
             "likeness train --staged FOLDER then reads them there. launch/submit --stage does both on every node of a job.",
    .options = option_table,
    .size = sizeof(stage_values),
    .takes = "one configuration file",
    .least = 1,
    .most = 1,
    .run = run};
