/* likeness train (commands.h): trains the decoder or the encoder from a configuration. */
#include "base/hash.h"
#include "base/version.h"
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
static lk_status load_config(lk_process_group *group, const char *path, const lk_set_list *sets, lk_config **out)
{
    lk_config *own = NULL;
    char *mine = NULL, *first = NULL;
    lk_status loaded = lk_config_load(path, sets->items, sets->count, &own);
    *out = NULL;
    LK_TRY(lk_group_agree(group, group->rank == 0 ? loaded : LK_OK));
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
    lk_config_free(own);
    free(mine);
    free(first);
    return status;
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    const train_values *v = values;
    lk_process_group group;
    lk_config *config = NULL;
    LK_TRY(lk_group_open(&group));
    lk_status status = load_config(&group, arguments[0], &v->sets, &config);
    if (status == LK_OK) {
        config->staged = v->staged;
        status = lk_train(config, &group, v->resume);
    }
    lk_config_free(config);
    lk_group_close(&group);
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
