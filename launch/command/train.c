#include "base/log.h"
#include "collectives/group.h"
#include "configs/config.h"
#include "launch/command/commands.h"
#include "trainer/train.h"

#include <getopt.h>
#include <stdio.h>

static void print_help(void)
{
    puts("usage: likeness train CONFIG [--set KEY=VALUE ...] [--resume auto|never|CHECKPOINT]\n"
         "\n"
         "Trains the stage of the configuration (train.stage: decoder or encoder) into run.dir. Several ranks:\n"
         "mpirun -n 4 likeness train CONFIG.\n"
         "\n"
         "  --set KEY=VALUE   one key of the configuration, e.g. --set loss.lambda=1 (may be repeated)\n"
         "  --resume HOW      auto (default): go on from the newest valid checkpoint of run.dir, start fresh if there is none;\n"
         "                    never: refuse a run.dir that holds a run; CHECKPOINT: go on from that one\n"
         "  --help-config     every key: type, default, what is allowed, what it means");
}

enum { MAX_SETS = 64 };

lk_status lk_command_train(int argc, char **argv)
{
    static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                            {"resume", required_argument, NULL, 'r'},
                                            {"help-config", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *sets[MAX_SETS];
    int set_count = 0;
    const char *resume = "auto";
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 's':
            if (set_count == MAX_SETS)
                return lk_fail(LK_USAGE, "more than %d --set; write a configuration file instead", MAX_SETS);
            sets[set_count++] = optarg;
            break;
        case 'r': resume = optarg; break;
        case 'c': lk_config_print_keys(); return LK_OK;
        case 'h': print_help(); return LK_OK;
        default: return lk_fail(LK_USAGE, "likeness train --help lists the options");
        }
    }
    if (argc - optind != 1)
        return lk_fail(LK_USAGE, "likeness train takes one configuration file; likeness train --help says more");

    lk_process_group group;
    lk_config *config = NULL;
    LK_TRY(lk_group_open(&group));
    lk_status status = lk_group_agree(&group, lk_config_load(argv[optind], sets, set_count, &config));
    if (status == LK_OK)
        status = lk_train(config, &group, resume);
    lk_config_free(config);
    lk_group_close(&group);
    return status;
}
