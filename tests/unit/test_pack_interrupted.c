/* Packing that is cut short, by a kill or a full disk, and goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/check.h"

#include "tests/unit/small_shards.h"

#include "base/clock.h"
#include "tests/unit/pack_data.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { EDGE = 40 };

/* ---- resume ---- */

static void resume_split(lk_pack_options *o)
{
    split_in_two(o);
    o->resume = true;
}

static void resume_other_size(lk_pack_options *o)
{
    resume_split(o);
    o->alignment.size = 64;
}

static uint64_t hash_of_parts(const char *folder)
{
    char train[LK_PATH_SIZE], val[LK_PATH_SIZE];
    snprintf(train, sizeof train, "%s/train", folder);
    snprintf(val, sizeof val, "%s/val", folder);
    return content_hash(train) ^ (content_hash(val) << 1);
}

/* Whatever has a shard's name is whole. */
static void assert_no_half_shards(const char *folder)
{
    static const char *const parts[] = {"train", "val"};
    for (int p = 0; p < 2; p++) {
        char path[LK_PATH_SIZE];
        lk_names names = {0};
        assert_int_equal(lk_path_join(path, folder, parts[p]), LK_OK);
        if (kind_of(path) == LK_FOLDER)
            assert_int_equal(lk_list_folder(path, ".h5", &names), LK_OK);
        for (size_t i = 0; i < names.count; i++) {
            char shard[LK_PATH_SIZE];
            assert_int_equal(lk_path_join(shard, path, names.names[i]), LK_OK);
            content_hash(shard);
        }
        lk_names_free(&names);
    }
}

/* Packs kill.tar.gz into `folder` in a process of its own, which is killed after `delay` microseconds (0: never). True if it
 * ended. */
static bool pack_until(const char *folder, unsigned delay)
{
    int result;
    pid_t child = fork();
    if (child == 0)
        _exit(pack_with("kill.tar.gz", folder, resume_split) == LK_OK ? 0 : 1);
    if (delay > 0) {
        usleep(delay);
        kill(child, SIGKILL);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    if (WIFSIGNALED(result))
        return false;
    assert_int_equal(WEXITSTATUS(result), 0);
    return true;
}

/* SIGKILL at 20 random moments, resumed each time; runs that get through before that are followed by others. */
static void killed_and_resumed_it_is_the_same(void **state)
{
    (void)state;
    captures c = {0};
    capture_pairs(&c, 400, 64);
    capture_text(&c, "faces/0007.txt", "noise");
    captures_archive(&c, "kill.tar.gz", NULL, NULL);
    double start = lk_clock();
    assert_ok(pack_with("kill.tar.gz", "out-calm", split_in_two));
    double calm = lk_clock() - start;
    uint64_t hash = hash_of_parts("out-calm");
    const char *seed_text = getenv("LIKENESS_SEED");
    unsigned seed = seed_text ? (unsigned)atoi(seed_text) : (unsigned)getpid();
    print_message("LIKENESS_SEED=%u\n", seed);
    lk_random random = lk_random_make(seed, 0);
    for (int kills = 0, runs = 0; kills < 20; runs++) {
        char folder[32];
        snprintf(folder, sizeof folder, "out-killed-%d", runs);
        while (kills < 20 && !pack_until(folder, 1 + lk_random_below(&random, (uint32_t)(calm * 1e6)))) {
            kills++;
            assert_no_half_shards(folder);
        }
        assert_true(pack_until(folder, 0));
        assert_true(hash_of_parts(folder) == hash);
        assert_int_equal(report_number(folder, "taken"), 400);
        assert_int_equal(report_number(folder, "refused"), 1);
        /* Nothing is left of the runs that were cut off: pack.json, rejected.jsonl, train, val. */
        lk_names names;
        assert_int_equal(lk_list_folder(folder, "", &names), LK_OK);
        assert_int_equal(names.count, 4);
        lk_names_free(&names);
    }
    assert_int_equal(pack_with("kill.tar.gz", "out-killed-0", resume_other_size), LK_USAGE);
    assert_non_null(strstr(lk_error_text(), "size = 32, not 64"));
    captures_free(&c);
}

/* ---- a full disk ---- */

static void a_full_disk_is_one_error(void **state)
{
    (void)state;
    bool mounted = lk_make_folder("full") == LK_OK && (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
                   mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount("none", "full", "tmpfs", 0, "size=500k") == 0;
    if (!mounted) {
        print_message("skipped: no small file system can be mounted here\n");
        skip();
    }
    captures c = {0};
    capture_pairs(&c, 400, EDGE);
    captures_archive(&c, "disk.tar", NULL, NULL);
    lk_status status = pack_with("disk.tar", "full/out", NULL);
    assert_int_equal(status, LK_IO);
    assert_non_null(strstr(lk_error_text(), "the disk is full"));
    lk_dataset *set;
    const char *folder = "full/out";
    assert_int_equal(lk_dataset_open(&folder, 1, &set), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "full/out: not all of it is there"));
    assert_int_equal(unlink("full/out/unfinished"), 0);
    assert_ok(lk_dataset_open(&folder, 1, &set)); /* the finished shards */
    assert_true(lk_dataset_count(set) >= 16 && lk_dataset_count(set) < 400);
    lk_dataset_close(set);
    json_t *report = load_report(folder);
    assert_true(json_is_false(json_object_get(report, "complete")));
    json_decref(report);
    assert_int_equal(umount2("full", MNT_DETACH), 0);
    captures_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_and_resumed_it_is_the_same),
        cmocka_unit_test(a_full_disk_is_one_error),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
