/* likeness config: a configuration as it will be used, in full or one key of it, for people and for the scripts of launch/. */
#include "configs/config.h"
#include "launch/command/commands.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HELP[] = "usage: likeness config CONFIG [--set KEY=VALUE ...] [--get KEY]\n"
                           "\n"
                           "Checks a configuration and prints it in full, defaults included, as likeness train will use it.\n"
                           "\n"
                           "  --set KEY=VALUE   one key of the configuration, e.g. --set loss.lambda=1 (may be repeated)\n"
                           "  --get KEY         print the value of this key alone, the items of a list with \", \" between";

enum { MAX_SETS = 64, VALUE_SIZE = LK_CONFIG_PATHS * (LK_CONFIG_TEXT + 2) };

static lk_status print_key(const lk_config *config, const char *key)
{
    char value[VALUE_SIZE];
    for (int i = 0; lk_config_key(i); i++) {
        if (strcmp(lk_config_key(i), key) != 0)
            continue;
        lk_config_value(config, i, value, sizeof value);
        puts(value);
        return LK_OK;
    }
    return lk_fail(LK_USAGE, "config: there is no key '%s'; likeness train --help-config lists them", key);
}

static lk_status print_all(const lk_config *config)
{
    char *yaml = NULL;
    LK_TRY(lk_config_to_yaml(config, &yaml));
    fputs(yaml, stdout);
    free(yaml);
    return LK_OK;
}

lk_status lk_command_config(int argc, char **argv)
{
    static const struct option options[] = {
        {"set", required_argument, NULL, 's'}, {"get", required_argument, NULL, 'g'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *sets[MAX_SETS];
    const char *key = NULL;
    int set_count = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 's':
            if (set_count == MAX_SETS)
                return lk_fail(LK_USAGE, "more than %d --set; write a configuration file instead", MAX_SETS);
            sets[set_count++] = optarg;
            break;
        case 'g': key = optarg; break;
        case 'h': puts(HELP); return LK_OK;
        default: return lk_fail(LK_USAGE, "likeness config --help lists the options");
        }
    }
    if (argc - optind != 1)
        return lk_fail(LK_USAGE, "likeness config takes one configuration file; likeness config --help says more");
    lk_config *config;
    LK_TRY(lk_config_load(argv[optind], sets, set_count, &config));
    lk_status status = key ? print_key(config, key) : print_all(config);
    lk_config_free(config);
    if (status == LK_OK && fflush(stdout) != 0)
        status = lk_fail(LK_IO, "config: cannot write the result");
    return status;
}
