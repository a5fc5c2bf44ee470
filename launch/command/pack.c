/* likeness pack: archives, folders and tables of real captures into shards. */
#include "base/thread.h"
#include "dataset/pack/pack.h"
#include "launch/command/commands.h"
#include "launch/command/options.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HELP[] =
    "usage: likeness pack SOURCE... -o FOLDER --schema FILE [--size S] [--align] [--split 0.7/0.3] [--resume]\n"
    "\n"
    "A SOURCE is a tar (plain, gz, zst, xz, bz2), a zip, a 7z, a folder, a table, or - for an archive on standard input. A picture\n"
    "(.jpg, .png) belongs to the parameters of the same name (a/0001.jpg, a/0001.json or .mhm) or to the row of its name in a\n"
    "params.jsonl or params.csv. FOLDER gets shards, pack.json (settings, counts, statistics) and rejected.jsonl (what was not\n"
    "taken, and why).\n"
    "\n"
    "  -o, --output FOLDER    where shards go; must not hold any, but for --resume\n"
    "      --schema FILE      the parameters' schema (YAML)\n"
    "      --size S           edge of the stored pictures in pixels (128)\n"
    "      --split A/B[/C]    shares of train, val and test, by the hash of the key, or of a table's column \"identity\"\n"
    "      --shard-size N     samples to a shard (4096)\n"
    "      --jpeg Q           store JPEG of quality 1 to 100; 0: raw (0). JPEGs that have the size already are stored as they are\n"
    "      --expect N         fail unless the sources have N pictures\n"
    "      --resume           go on with a run that was cut off\n"
    "      --threads N        for decoding and alignment (the cores)\n"
    "\n"
    "Photos:\n"
    "      --align            find the face and put its eyes at their places\n"
    "      --faces WHICH      of several: central (the largest near the middle), all, one (reject the picture), error (stop)\n"
    "      --max-enlarge X    \"too small\": a face that would be enlarged more than this (2)\n"
    "      --max-turn DEG     \"turned away\": further than this from the camera (40)\n"
    "      --min-sharpness X  \"blurred\": less sharp than this (0.015)\n"
    "      --max-outside X    \"cut off\": share of the crop outside the photo (0.25)\n"
    "      --landmarks FILE   dlib's model of 68 landmarks, where it is not installed\n"
    "\n"
    "Limits:\n"
    "      --max-pixels MP    of a picture, in megapixels (64)\n"
    "      --max-entry MB     of an entry (64)\n"
    "      --max-total GB     of a source, unpacked (1024)\n"
    "      --max-entries N    of a source (16777216)\n"
    "      --max-waiting MB   waiting for the picture or parameters that belong to them (256)\n";

static lk_status parse_split(const char *text, lk_pack_options *o)
{
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
        return lk_fail(LK_USAGE, "pack: --split takes two or three shares that sum to 1, like 0.7/0.3, not '%.80s'", text);
    return LK_OK;
}

static lk_status parse_scaled(const char *option, const char *text, int64_t high, int64_t unit, int64_t *out)
{
    LK_TRY(lk_option_whole("pack", option, text, 1, high, out));
    *out *= unit;
    return LK_OK;
}

static lk_status parse_options(int argc, char **argv, lk_pack_options *o, bool *help)
{
    enum {
        SCHEMA = 256,
        SIZE,
        SPLIT,
        SHARD_SIZE,
        JPEG,
        EXPECT,
        RESUME,
        THREADS,
        ALIGN,
        FACES,
        ENLARGE,
        TURN,
        SHARPNESS,
        OUTSIDE,
        LANDMARKS,
        PIXELS,
        ENTRY,
        TOTAL,
        ENTRIES,
        WAITING
    };
    static const struct option LONG[] = {{"output", required_argument, NULL, 'o'},
                                         {"schema", required_argument, NULL, SCHEMA},
                                         {"size", required_argument, NULL, SIZE},
                                         {"split", required_argument, NULL, SPLIT},
                                         {"shard-size", required_argument, NULL, SHARD_SIZE},
                                         {"jpeg", required_argument, NULL, JPEG},
                                         {"expect", required_argument, NULL, EXPECT},
                                         {"resume", no_argument, NULL, RESUME},
                                         {"threads", required_argument, NULL, THREADS},
                                         {"align", no_argument, NULL, ALIGN},
                                         {"faces", required_argument, NULL, FACES},
                                         {"max-enlarge", required_argument, NULL, ENLARGE},
                                         {"max-turn", required_argument, NULL, TURN},
                                         {"min-sharpness", required_argument, NULL, SHARPNESS},
                                         {"max-outside", required_argument, NULL, OUTSIDE},
                                         {"landmarks", required_argument, NULL, LANDMARKS},
                                         {"max-pixels", required_argument, NULL, PIXELS},
                                         {"max-entry", required_argument, NULL, ENTRY},
                                         {"max-total", required_argument, NULL, TOTAL},
                                         {"max-entries", required_argument, NULL, ENTRIES},
                                         {"max-waiting", required_argument, NULL, WAITING},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    optind = 1;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":o:h", LONG, NULL)) != -1;) {
        lk_status status = LK_OK;
        switch (c) {
        case 'o': o->folder = optarg; break;
        case 'h': *help = true; return LK_OK;
        case SCHEMA: o->schema = optarg; break;
        case SIZE: status = lk_option_whole_int("pack", "size", optarg, 16, 2048, &o->alignment.size); break;
        case SPLIT: status = parse_split(optarg, o); break;
        case SHARD_SIZE: status = lk_option_whole("pack", "shard-size", optarg, 1, 1 << 24, &o->shard_size); break;
        case JPEG: status = lk_option_whole_int("pack", "jpeg", optarg, 0, 100, &o->jpeg_quality); break;
        case EXPECT: status = lk_option_whole("pack", "expect", optarg, 1, (int64_t)1 << 48, &o->expect); break;
        case RESUME: o->resume = true; break;
        case THREADS: status = lk_option_whole_int("pack", "threads", optarg, 1, 256, &o->threads); break;
        case ALIGN: o->align = true; break;
        case FACES: status = lk_option_faces("pack", optarg, &o->alignment.faces); break;
        case ENLARGE: status = lk_option_real("pack", "max-enlarge", optarg, 0.01, 1000, &o->alignment.max_enlarge); break;
        case TURN: status = lk_option_real("pack", "max-turn", optarg, 0, 180, &o->alignment.max_turn); break;
        case SHARPNESS: status = lk_option_real("pack", "min-sharpness", optarg, 0, 100, &o->alignment.min_sharpness); break;
        case OUTSIDE: status = lk_option_real("pack", "max-outside", optarg, 0, 1, &o->alignment.max_outside); break;
        case LANDMARKS: o->landmarks = optarg; break;
        case PIXELS: status = parse_scaled("max-pixels", optarg, 4000, 1000000, &o->max_pixels); break;
        case ENTRY: status = parse_scaled("max-entry", optarg, 1 << 20, 1 << 20, &o->limits.entry_bytes); break;
        case TOTAL: status = parse_scaled("max-total", optarg, 1 << 20, 1 << 30, &o->limits.total_bytes); break;
        case ENTRIES: status = lk_option_whole("pack", "max-entries", optarg, 1, (int64_t)1 << 40, &o->limits.entries); break;
        case WAITING: status = parse_scaled("max-waiting", optarg, 1 << 20, 1 << 20, &o->max_waiting); break;
        default: return lk_option_unknown("pack", c, argv, optind);
        }
        LK_TRY(status);
    }
    o->sources = (const char *const *)argv + optind;
    o->source_count = argc - optind;
    return LK_OK;
}

static lk_status check_options(const lk_pack_options *o)
{
    int standard = 0;
    for (int i = 0; i < o->source_count; i++)
        standard += strcmp(o->sources[i], "-") == 0;
    if (o->source_count == 0 || !o->folder || !o->schema)
        return lk_fail(LK_USAGE, "pack: needs a source, -o FOLDER and --schema FILE; likeness pack --help says more");
    if (standard > 1)
        return lk_fail(LK_USAGE, "pack: standard input (-) can be read once only");
    return LK_OK;
}

lk_status lk_command_pack(int argc, char **argv)
{
    lk_pack_options options = lk_pack_defaults;
    bool help = false;
    options.threads = lk_core_count();
    LK_TRY(parse_options(argc, argv, &options, &help));
    if (help) {
        fputs(HELP, stdout);
        return LK_OK;
    }
    LK_TRY(check_options(&options));
    return lk_pack(&options);
}
