/* likeness config (commands.h): a configuration as it will be used, in full or one key, for people and for launch/. */
#include "configs/config.h"
#include "launch/command/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SIZE = LK_CONFIG_PATHS * (LK_CONFIG_TEXT + 2) };

typedef struct config_values {
    lk_set_list sets;
    const char *key, *begun;
} config_values;

static const lk_option option_table[] = {
    LK_SET_OPTION(config_values, sets),
    {LK_OPTION_KEY, "get", "KEY", "print the value of this key alone, the items of a list with \", \" between",
     LK_TARGET(config_values, key)},
    {LK_OPTION_PATH, "resumes", "FILE", "fail unless a run that was begun with the configuration FILE could go on with this one",
     LK_TARGET(config_values, begun)},
    {0}};

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

static lk_status check_resumes(const lk_config *config, const char *path)
{
    lk_config *begun;
    LK_TRY(lk_config_load(path, NULL, 0, &begun));
    lk_status status = lk_config_compare(begun, config);
    lk_config_free(begun);
    return status == LK_OK ? LK_OK : lk_fail_in(status, "%s", path);
}

static lk_status print_all(const lk_config *config)
{
    char *yaml = NULL;
    LK_TRY(lk_config_to_yaml(config, &yaml));
    fputs(yaml, stdout);
    free(yaml);
    return LK_OK;
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    const config_values *v = values;
    lk_config *config;
    LK_TRY(lk_config_load(arguments[0], v->sets.items, v->sets.count, &config));
    lk_status status = v->begun ? check_resumes(config, v->begun) : LK_OK;
    if (status == LK_OK)
        status = v->key ? print_key(config, v->key) : print_all(config);
    lk_config_free(config);
    return status;
}

const lk_command lk_command_config = {
    .name = "config",
    .summary = "check a configuration and print it in full",
    .usage = "CONFIG [--set KEY=VALUE ...] [--get KEY] [--resumes FILE]",
    .about = "Checks a configuration and prints it in full, defaults included, as likeness train will use it.",
    .options = option_table,
    .size = sizeof(config_values),
    .takes = "one configuration file",
    .least = 1,
    .most = 1,
    .run = run};
