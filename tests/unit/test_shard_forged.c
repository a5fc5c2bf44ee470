/* Shards made to break libhdf5: whatever it does with them in the checker, this process gets a sentence.
 * usage: test_shard_forged [BASE.h5 FOLDER COUNT SEED: only writes COUNT forgeries of BASE.h5 into FOLDER]
 * LIKENESS_FORGED=2000 tries more of them than the suite does. */
#include "base/clock.h"
#include "base/file.h"
#include "dataset/shard_format.h"

#include <fcntl.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/forged_shards.h"
#include "tests/unit/small_shards.h"

enum { EDGE = 8, COUNT = 4, MAX_SHARD_BYTES = 1 << 24 };

static void forge(const char *base, const char *path, const forge_blocks *blocks, size_t size, uint64_t seed, int number)
{
    uint8_t *data = malloc(size);
    lk_random random = lk_random_make(seed, (uint64_t)number);
    assert_non_null(data);
    memcpy(data, base, size);
    forge_shard(data, blocks, &random);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    free(data);
}

static lk_status open_and_read(lk_shard_checker *checker, const char *path)
{
    static uint8_t image[1024 * 1024 * 3], discrete[LK_MAX_GROUPS];
    static float continuous[LK_MAX_CONTINUOUS];
    lk_dataset *set;
    LK_TRY(lk_dataset_open_through(checker, &path, 1, &set));
    lk_status status = LK_OK;
    for (int64_t i = 0; i < lk_dataset_count(set) && status == LK_OK; i++)
        status = lk_dataset_read(set, i, image, continuous, discrete, NULL);
    lk_dataset_close(set);
    return status;
}

static int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void forgeries_are_refused_or_read(void **state)
{
    (void)state;
    const char *wanted = getenv("LIKENESS_FORGED"), *seed = getenv("LIKENESS_SEED");
    int count = wanted ? atoi(wanted) : 200, refused = 0, broken = 0, before = open_files();
    uint64_t first_seed = seed ? strtoull(seed, NULL, 10) : 1;
    lk_shard_checker checker = LK_SHARD_CHECKER;
    for (int quality = 0; quality <= 90; quality += 90) {
        char *data;
        size_t size;
        small_shard("base.h5", EDGE, 0, COUNT, COUNT, quality);
        assert_int_equal(lk_read_file("base.h5", MAX_SHARD_BYTES, &data, &size), LK_OK);
        forge_blocks blocks = forge_find((uint8_t *)data, size);
        assert_true(blocks.count >= 7); /* superblock, root, five arrays */
        for (int i = 0; i < count / 2; i++) {
            forge(data, "forged.h5", &blocks, size, first_seed + (uint64_t)quality, i);
            lk_status status = open_and_read(&checker, "forged.h5");
            if (status != LK_OK && (status != LK_BAD_DATA || strncmp(lk_error_text(), "forged.h5: ", 11) != 0))
                fail_msg("forgery %d of quality %d: status %d (%s)", i, quality, (int)status, lk_error_text());
            refused += status == LK_BAD_DATA;
            broken += status == LK_BAD_DATA && strstr(lk_error_text(), "forged.h5: HDF5 ") != NULL;
        }
        free(data);
    }
    assert_int_equal(open_and_read(&checker, "base.h5"), LK_OK); /* after all of that */
    lk_shard_checker_end(&checker);
    assert_int_equal(open_files(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    assert_true(refused > count / 4);
    printf("%d forgeries: %d refused, %d of them broke libhdf5\n", count, refused, broken);
}

/* A continuation of one byte, which cannot even hold its checksum, makes libhdf5 1.10.8 read far past its buffer. */
static void a_forgery_that_breaks_libhdf5_is_a_sentence(void **state)
{
    (void)state;
    enum { CONTINUATION = 0x10, LENGTH_AT = 16 };
    char *text;
    size_t size;
    small_shard("crash.h5", EDGE, 0, COUNT, COUNT, 0);
    assert_int_equal(lk_read_file("crash.h5", MAX_SHARD_BYTES, &text, &size), LK_OK);
    uint8_t *data = (uint8_t *)text;
    forge_blocks all = forge_find(data, size);
    int k = 0;
    while (k < all.count && (memcmp(data + all.blocks[k].at, "OCHK", 4) != 0 || data[all.blocks[k].at + 4] != CONTINUATION))
        k++;
    assert_true(k < all.count);
    forge_put(data + all.blocks[k].at + LENGTH_AT, 1, 8);
    forge_seal(data, all.blocks[k]);
    assert_int_equal(lk_write_file("crash.h5", data, size), LK_OK);
    free(text);
    unsigned major, minor, release;
    H5get_libversion(&major, &minor, &release);
    bool crashes = major == 1 && minor == 10 && release <= 8;
    assert_refused("crash.h5", crashes ? "crash.h5: HDF5 crashes on it (" : "crash.h5: ");
}

/* ---- a checker that breaks for certain ---- */

static void use_checker(const char *script, const char *seconds)
{
    char text[512];
    int size = snprintf(text, sizeof text, "#!/bin/bash\nexec >&0\nprintf 'likeness\\0'\n%s\n", script);
    assert_int_equal(lk_write_file("checker", text, (size_t)size), LK_OK);
    assert_int_equal(chmod("checker", 0755), 0);
    setenv("LIKENESS_SHARD_CHECKER", "./checker", 1);
    setenv("LIKENESS_SHARD_CHECKER_SECONDS", seconds, 1);
}

static void use_no_other_checker(void)
{
    unsetenv("LIKENESS_SHARD_CHECKER");
    unsetenv("LIKENESS_SHARD_CHECKER_SECONDS");
}

static void a_broken_checker_is_a_sentence(void **state)
{
    (void)state;
    small_shard("whole.h5", EDGE, 0, COUNT, COUNT, 0);
    const char *path = "whole.h5";
    const struct {
        const char *script, *seconds;
        lk_status status;
        const char *sentence;
    } cases[] = {
        {"kill -SEGV $$", "60", LK_BAD_DATA, "whole.h5: HDF5 crashes on it (signal 11)"},
        {"kill -ABRT $$", "60", LK_BAD_DATA, "whole.h5: HDF5 crashes on it (signal 6)"},
        {"exit 3", "60", LK_BAD_DATA, "whole.h5: HDF5 crashes on it (exit code 3)"},
        {"kill -XCPU $$", "60", LK_BAD_DATA, "whole.h5: HDF5 does not come to an end with it"},
        {"kill -STOP $$", "2", LK_BAD_DATA, "whole.h5: HDF5 does not come to an end with it"},
        {"head -c 1000 /dev/zero | tr '\\0' x; exec sleep 100", "60", LK_BAD_DATA, "whole.h5: HDF5 loses its way in it"},
        {"head -c 100 /dev/zero; exit 0", "60", LK_BAD_DATA, "whole.h5: HDF5 crashes on it (exit code 0)"},
        {"head -c 10000 /dev/zero; exec sleep 100", "60", LK_BAD_DATA, "whole.h5: claims 0 samples"},
        {"kill -KILL $$", "60", LK_INTERNAL, "whole.h5: the process that checks it was killed from outside; run it again"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lk_dataset *set;
        use_checker(cases[i].script, cases[i].seconds);
        lk_status status = lk_dataset_open(&path, 1, &set);
        if (status != cases[i].status || strncmp(lk_error_text(), cases[i].sentence, strlen(cases[i].sentence)) != 0)
            fail_msg("%s: status %d (%s)", cases[i].script, (int)status, lk_error_text());
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
    lk_dataset *set;
    setenv("LIKENESS_SHARD_CHECKER", "./no-such-program", 1);
    assert_int_equal(lk_dataset_open(&path, 1, &set), LK_INTERNAL);
    assert_non_null(strstr(lk_error_text(), "cannot start the checker of shards"));
    setenv("LIKENESS_SHARD_CHECKER", "/bin/false", 1);
    assert_int_equal(lk_dataset_open(&path, 1, &set), LK_INTERNAL);
    assert_non_null(strstr(lk_error_text(), "the checker of shards does not start (exit code 1)"));
    use_no_other_checker();
    assert_int_equal(lk_dataset_open(&path, 1, &set), LK_OK);
    lk_dataset_close(set);
}

/* A checker that broke after good answers is started again, and the files that waited are asked about again. */
static void a_set_goes_on_with_a_fresh_checker(void **state)
{
    (void)state;
    lk_shard_checker checker = LK_SHARD_CHECKER;
    lk_shard shards[3];
    lk_schema *schema = NULL;
    pid_t first = 0;
    for (int i = 0; i < 3; i++) {
        char path[32];
        snprintf(path, sizeof path, "set-%d.h5", i);
        small_shard(path, EDGE, i * COUNT, COUNT, COUNT, 0);
        assert_int_equal(lk_shard_open_file(&checker, path, &shards[i]), LK_OK);
        if (i > 0)
            continue;
        assert_int_equal(lk_shard_judge(&checker, &schema, "", &shards[0]), LK_OK);
        first = checker.process;
        kill(first, SIGSTOP); /* it is to answer nothing of what it is given now */
    }
    kill(first, SIGKILL);
    for (int i = 1; i < 3; i++)
        assert_int_equal(lk_shard_judge(&checker, &schema, "", &shards[i]), LK_OK);
    assert_true(checker.process != first);
    lk_shard_checker_end(&checker);
    lk_schema_free(schema);
    for (int i = 0; i < 3; i++)
        lk_shard_close(&shards[i]);
}

/* ---- what surrounds it ---- */

static char *text_of(pid_t process, const char *name, size_t *size)
{
    char path[64], *text;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)process, name);
    assert_int_equal(lk_read_file(path, 1 << 16, &text, size), LK_OK);
    return text;
}

static void the_checker_has_nothing_but_the_file(void **state)
{
    (void)state;
    setenv("OMPI_COMM_WORLD_RANK", "0", 1);
    int inherited = open("/dev/null", O_RDONLY); /* as a library opens its files, without O_CLOEXEC */
    small_shard("alone.h5", EDGE, 0, COUNT, COUNT, 0);
    lk_shard_checker checker = LK_SHARD_CHECKER;
    assert_int_equal(open_and_read(&checker, "alone.h5"), LK_OK);
    size_t size;
    char *environment = text_of(checker.process, "environ", &size), path[64], target[256];
    for (const char *variable = environment; variable < environment + size; variable += strlen(variable) + 1)
        if (strncmp(variable, "LD_LIBRARY_PATH=", 16) != 0 && !strstr(variable, "SAN_OPTIONS="))
            fail_msg("it got %s", variable);
    free(environment);
    for (int fd = 0; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)checker.process, fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = '\0';
        bool fits = fd == 0 ? strncmp(target, "socket:", 7) == 0 : strcmp(target, fd < 3 ? "/dev/null" : "") == 0;
        if (!fits && !(fd == 3 && strstr(target, "alone.h5"))) /* it may not have closed it yet */
            fail_msg("its descriptor %d is '%s'", fd, target);
    }
    struct rlimit limit;
    assert_int_equal(prlimit(checker.process, RLIMIT_NOFILE, NULL, &limit), 0);
    assert_int_equal(limit.rlim_max, 4);
    assert_int_equal(prlimit(checker.process, RLIMIT_FSIZE, NULL, &limit), 0);
    assert_int_equal(limit.rlim_max, 0);
    assert_int_equal(prlimit(checker.process, RLIMIT_CPU, NULL, &limit), 0);
    assert_true(limit.rlim_cur <= 20);
    /* A job's signals pass it by: the program decides what becomes of them. */
    kill(checker.process, SIGTERM);
    kill(checker.process, SIGINT);
    pid_t same = checker.process;
    assert_int_equal(open_and_read(&checker, "alone.h5"), LK_OK);
    assert_int_equal(checker.process, same);
    lk_shard_checker_end(&checker);
    assert_true(kill(same, 0) != 0);
    close(inherited);
    unsetenv("OMPI_COMM_WORLD_RANK");
}

/* A sparse file of 3 GB whose first object claims to be 2 GB large. */
static void a_file_that_wants_memory_gets_none(void **state)
{
    (void)state;
    char *text;
    size_t size;
    small_shard("large.h5", EDGE, 0, COUNT, COUNT, 0);
    assert_int_equal(lk_read_file("large.h5", MAX_SHARD_BYTES, &text, &size), LK_OK);
    uint8_t *data = (uint8_t *)text, *root = data + 48;
    const uint64_t end = 3ull << 30;
    assert_memory_equal(root, "OHDR\2", 5);
    root[5] = (uint8_t)((root[5] & ~0x33) | 2); /* no times, no phase change, a size of four bytes */
    forge_put(root + 6, 2u << 30, 4);
    forge_put(data + 28, end, 8);
    forge_seal(data, (forge_block){0, FORGE_SUPERBLOCK_BYTES});
    assert_int_equal(lk_write_file("large.h5", data, size), LK_OK);
    assert_int_equal(truncate("large.h5", (off_t)end), 0);
    free(text);
    assert_refused("large.h5", "large.h5: ");
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* which have no limit */
    if (used.ru_maxrss > 512 << 10)
        fail_msg("the checker took %ld KB", used.ru_maxrss);
#endif
}

/* Reading a process's memory where it has none fails like a bad disk. */
static void a_failing_disk_is_not_damage(void **state)
{
    (void)state;
    const char *path = "/proc/self/mem";
    lk_dataset *set;
    assert_int_equal(lk_dataset_open(&path, 1, &set), LK_IO);
    assert_non_null(strstr(lk_error_text(), "/proc/self/mem"));
    assert_non_null(strstr(lk_error_text(), strerror(EIO)));
}

static int write_forgeries(char **argv)
{
    char *data, path[LK_PATH_SIZE];
    size_t size;
    if (lk_read_file(argv[1], MAX_SHARD_BYTES, &data, &size) != LK_OK || lk_make_folder(argv[2]) != LK_OK) {
        fprintf(stderr, "%s\n", lk_error_text());
        return 1;
    }
    forge_blocks blocks = forge_find((uint8_t *)data, size);
    for (int i = 0; i < atoi(argv[3]); i++) {
        snprintf(path, sizeof path, "%s/%05d.h5", argv[2], i);
        forge(data, path, &blocks, size, strtoull(argv[4], NULL, 10), i);
    }
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5)
        return write_forgeries(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forgeries_are_refused_or_read),        cmocka_unit_test(a_forgery_that_breaks_libhdf5_is_a_sentence),
        cmocka_unit_test(a_broken_checker_is_a_sentence),       cmocka_unit_test(a_set_goes_on_with_a_fresh_checker),
        cmocka_unit_test(the_checker_has_nothing_but_the_file), cmocka_unit_test(a_file_that_wants_memory_gets_none),
        cmocka_unit_test(a_failing_disk_is_not_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
