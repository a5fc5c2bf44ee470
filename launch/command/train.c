/* likeness train (commands.h): trains the decoder or the encoder from a configuration. */
#include "base/hash.h"
#include "base/version.h"
#include "collectives/deadline.h"
#include "collectives/group.h"
#include "collectives/same.h"
#include "configs/config.h"
#include "launch/command/commands.h"
#include "trainer/train.h"

#include <stdlib.h>
#include <string.h>

typedef struct train_values {
    lk_set_list sets;
    const char *resume, *staged;
} train_values;

static const lk_option option_table[] = {
    LK_SET_OPTION(train_values, sets),
    {LK_OPTION_PATH, "resume", "HOW",
     "auto (default): go on from the newest valid checkpoint of run.dir, start fresh if\nit never had one; never: refuse a "
     "run.dir that holds a run; CHECKPOINT: go on from that one",
     LK_TARGET(train_values, resume), .choices = "auto|never"},
    {LK_OPTION_PATH, "staged", "FOLDER",
     "read the shards of this stage (likeness stage), and remove it when all ranks of the host\nhave them open",
     LK_TARGET(train_values, staged)},
    {LK_OPTION_PRINT, "help-config", NULL, "every key: type, default, what is allowed, what it means",
     .print = lk_config_print_keys},
    {0}};

/* What was loaded here, as text; rank 0's where this rank could load nothing. Caller frees. */
static lk_status resolved_text(lk_process_group *group, const lk_config *own, char **mine, char **first)
{
    int64_t size = 0;
    *mine = *first = NULL;
    lk_status status = own ? lk_config_to_yaml(own, mine) : LK_OK;
    if (group->rank == 0 && status == LK_OK)
        size = (int64_t)strlen(*mine) + 1;
    LK_TRY(lk_group_agree(group, status));
    lk_group_broadcast(group, &size, sizeof size, 0);
    *first = malloc((size_t)size);
    LK_TRY(lk_group_agree(group, *first ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for the configuration")));
    if (group->rank == 0)
        memcpy(*first, *mine, (size_t)size);
    lk_group_broadcast(group, *first, (size_t)size, 0);
    return LK_OK;
}

/* Rank 0's configuration is everyone's. A rank that finds no such file on its node takes it; one that finds another is an error,
 * and so is another build of the program. Every rank must call. */
static lk_status share_config(lk_process_group *group, const char *path, const lk_config *own, lk_config **out)
{
    char *mine = NULL, *first = NULL;
    lk_status status = resolved_text(group, own, &mine, &first);
    if (status == LK_OK) {
        const char *text = mine ? mine : first;
        const lk_same items[] = {
            {"is another build of likeness", lk_hash(lk_program(), strlen(lk_program())), LK_BAD_CONFIG,
             "start the same program on every node"},
            {"has another configuration", lk_hash(text, strlen(text)), LK_BAD_CONFIG, "give every node the same file"},
        };
        status = lk_group_agree(group, lk_require_same(group, items, sizeof items / sizeof *items));
    }
    if (status == LK_OK)
        status = lk_group_agree(group, lk_config_parse(first, path, out));
    free(mine);
    free(first);
    return status;
}

/* `loaded`: how loading `own` went. Every rank must call. */
static lk_status train(lk_process_group *group, const char *path, const lk_config *own, const lk_error *loaded,
                       const train_values *v)
{
    lk_config *config = NULL;
    LK_TRY(lk_group_agree(group, group->rank == 0 ? lk_error_put(loaded) : LK_OK));
    LK_TRY(share_config(group, path, own, &config));
    config->staged = v->staged;
    lk_status status = lk_train(config, group, v->resume);
    lk_config_free(config);
    return status;
}

/* The configuration comes before MPI: it says how long ranks may wait for each other. A rank that finds none waits as is usual,
 * until it has rank 0's. */
static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    const train_values *v = values;
    const char *path = arguments[0];
    lk_process_group group;
    lk_config *own = NULL;
    lk_error loaded;
    lk_error_take(&loaded, lk_config_load(path, v->sets.items, v->sets.count, &own));
    lk_status status = lk_deadline_set("while the ranks start", own ? own->stall.abort_s : LK_USUAL_PATIENCE);
    if (status == LK_OK)
        status = lk_group_open(&group);
    if (status == LK_OK) {
        status = train(&group, path, own, &loaded, v);
        lk_group_close(&group);
    }
    lk_config_free(own);
    return status;
}

const lk_command lk_command_train = {
    .name = "train",
    .summary = "train the decoder or the encoder from a configuration",
    .usage = "CONFIG [--set KEY=VALUE ...] [--resume auto|never|CHECKPOINT] [--staged FOLDER]",
    .about = "Trains the stage of the configuration (train.stage: decoder or encoder) into run.dir. Several ranks:\n"
             "mpirun -n 4 likeness train CONFIG.",
    .options = option_table,
    .size = sizeof(train_values),
    .defaults = &(train_values){.resume = "auto"},
    .takes = "one configuration file",
    .least = 1,
    .most = 1,
    .run = run};
