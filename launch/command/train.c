/* likeness train (commands.h): trains the decoder or the encoder from a configuration. */
#include "collectives/group.h"
#include "configs/config.h"
#include "launch/command/commands.h"
#include "trainer/train.h"

typedef struct train_values {
    lk_set_list sets;
    const char *resume;
} train_values;

static const lk_option option_table[] = {
    LK_SET_OPTION(train_values, sets),
    {LK_OPTION_PATH, "resume", "HOW",
     "auto (default): go on from the newest valid checkpoint of run.dir, start fresh if\nthere is none; never: refuse a run.dir "
     "that holds a run; CHECKPOINT: go on from that one",
     LK_TARGET(train_values, resume), .choices = "auto|never"},
    {LK_OPTION_PRINT, "help-config", NULL, "every key: type, default, what is allowed, what it means",
     .print = lk_config_print_keys},
    {0}};

static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    const train_values *v = values;
    lk_process_group group;
    lk_config *config = NULL;
    LK_TRY(lk_group_open(&group));
    lk_status status = lk_group_agree(&group, lk_config_load(arguments[0], v->sets.items, v->sets.count, &config));
    if (status == LK_OK)
        status = lk_train(config, &group, v->resume);
    lk_config_free(config);
    lk_group_close(&group);
    return status;
}

const lk_command lk_command_train = {
    .name = "train",
    .summary = "train the decoder or the encoder from a configuration",
    .usage = "CONFIG [--set KEY=VALUE ...] [--resume auto|never|CHECKPOINT]",
    .about = "Trains the stage of the configuration (train.stage: decoder or encoder) into run.dir. Several ranks:\n"
             "mpirun -n 4 likeness train CONFIG.",
    .options = option_table,
    .size = sizeof(train_values),
    .defaults = &(train_values){.resume = "auto"},
    .takes = "one configuration file",
    .least = 1,
    .most = 1,
    .run = run};
