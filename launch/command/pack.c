/* likeness pack (commands.h): archives, folders and tables of real captures into shards. */
#include "dataset/pack/pack.h"
#include "launch/command/align.h"
#include "launch/command/commands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lk_status parse_split(const char *command, const char *text, void *values)
{
    lk_pack_options *o = values;
    double sum = 0;
    const char *at = text;
    o->part_count = 0;
    for (;;) {
        char *end;
        double share = strtod(at, &end);
        if (end == at || !(share > 0 && share < 1) || o->part_count == LK_MAX_PARTS)
            break;
        o->shares[o->part_count++] = share;
        sum += share;
        at = end;
        if (*at != '/')
            break;
        at++;
    }
    if (*at != '\0' || o->part_count < 2 || fabs(sum - 1.0) > 1e-6)
        return lk_fail(LK_USAGE, "%s: --split takes two or three shares that sum to 1, like 0.7/0.3, not '%.80s'", command, text);
    return LK_OK;
}

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "output", "FOLDER", "where shards go; must not hold any, but for --resume",
     LK_TARGET(lk_pack_options, folder), .letter = 'o', .required = true, .writes = "pack.json|rejected.jsonl"},
    {LK_OPTION_PATH, "schema", "FILE", "the parameters' schema (YAML)", LK_TARGET(lk_pack_options, schema), .required = true},
    {LK_OPTION_INT, "size", "S", "edge of the stored pictures in pixels", LK_TARGET(lk_pack_options, alignment.size), .low = 16,
     .high = 2048},
    {LK_OPTION_PARSED, "split", "A/B[/C]",
     "shares of train, val and test, by the hash of the key, or of a table's column\n\"identity\"", .parse = parse_split},
    {LK_OPTION_WHOLE, "shard-size", "N", "samples to a shard", LK_TARGET(lk_pack_options, shard_size), .low = 1, .high = 1 << 24},
    {LK_OPTION_INT, "jpeg", "Q",
     "store JPEG of quality 1 to 100; 0: raw (0). JPEGs that have the size already are\nstored as they are",
     LK_TARGET(lk_pack_options, jpeg_quality), .high = 100},
    {LK_OPTION_WHOLE, "expect", "N", "fail unless the sources have N pictures", LK_TARGET(lk_pack_options, expect), .low = 1,
     .high = 1ll << 48},
    {LK_OPTION_FLAG, "resume", NULL, "go on with a run that was cut off", LK_TARGET(lk_pack_options, resume)},
    {LK_OPTION_INT, "threads", "N", "for decoding and alignment (the cores)", LK_TARGET(lk_pack_options, threads), .low = 1,
     .high = 256},
    {LK_OPTION_HEADING, .help = "Photos:"},
    {LK_OPTION_FLAG, "align", NULL, "find the face and put its eyes at their places", LK_TARGET(lk_pack_options, align)},
    LK_ALIGN_OPTIONS(lk_pack_options, alignment, landmarks),
    {LK_OPTION_HEADING, .help = "Limits:"},
    {LK_OPTION_WHOLE, "max-pixels", "MP", "of a picture, in megapixels", LK_TARGET(lk_pack_options, max_pixels), .low = 1,
     .high = 4000, .unit = 1000000},
    {LK_OPTION_WHOLE, "max-entry", "MB", "of an entry", LK_TARGET(lk_pack_options, limits.entry_bytes), .low = 1, .high = 1 << 20,
     .unit = 1 << 20},
    {LK_OPTION_WHOLE, "max-total", "GB", "of a source, unpacked", LK_TARGET(lk_pack_options, limits.total_bytes), .low = 1,
     .high = 1 << 20, .unit = 1 << 30},
    {LK_OPTION_WHOLE, "max-entries", "N", "of a source", LK_TARGET(lk_pack_options, limits.entries), .low = 1, .high = 1ll << 40},
    {LK_OPTION_WHOLE, "max-memory", "MB", "for pictures in work on all threads and for what waits for its other half",
     LK_TARGET(lk_pack_options, max_memory), .low = 512, .high = 1 << 24, .unit = 1 << 20},
    {0}};

static lk_status run(void *values, char **arguments, int count)
{
    lk_pack_options *o = values;
    int standard = 0;
    for (int i = 0; i < count; i++)
        standard += strcmp(arguments[i], "-") == 0;
    if (standard > 1)
        return lk_fail(LK_USAGE, "pack: standard input (-) can be read once only");
    o->sources = (const char *const *)arguments;
    o->source_count = count;
    return lk_pack(o);
}

const lk_command lk_command_pack = {
    .name = "pack",
    .summary = "turn archives, folders and photos with parameters into shards",
    .usage = "SOURCE... -o FOLDER --schema FILE [OPTIONS]",
    .about = "A SOURCE is a tar (plain, gz, zst, xz, bz2), a zip, a 7z, a folder, a table, or - for an archive on standard\n"
             "input. A picture (.jpg, .png) belongs to the parameters of the same name (a/0001.jpg, a/0001.json or .mhm)\n"
             "or to the row of its name in a params.jsonl or params.csv. FOLDER gets shards, pack.json (settings, counts,\n"
             "statistics) and rejected.jsonl (what was not taken, and why).",
    .options = option_table,
    .size = sizeof(lk_pack_options),
    .defaults = &lk_pack_defaults,
    .takes = "a source: an archive, a folder, a table or -",
    .least = 1,
    .most = LK_ANY_NUMBER,
    .run = run};
