/* Files: what cannot be looked at is not absent; temporary files meet nobody's; nothing is overwritten by setting aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Out of file descriptors: a file that is there is neither absent nor damaged. */
static void looking_has_three_answers(void **unused)
{
    (void)unused;
    lk_path_kind kind;
    lk_names names;
    char *text, longer[300];
    size_t size;
    assert_ok(lk_make_folder("a/b"));
    assert_ok(lk_write_file("a/file", "x", 1));
    assert_int_equal(symlink("nowhere", "a/dangling"), 0);
    assert_int_equal(kind_of("a/b"), LK_FOLDER);
    assert_int_equal(kind_of("a/file"), LK_FILE);
    assert_int_equal(kind_of("a/none"), LK_ABSENT);
    assert_int_equal(kind_of("a/file/none"), LK_ABSENT);
    assert_int_equal(kind_of("a/dangling"), LK_ABSENT);
    memset(longer, 'n', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(lk_path_look(longer, &kind), LK_IO);
    assert_int_equal(lk_read_file("a/none", 10, &text, &size), LK_BAD_DATA);
    assert_int_equal(lk_list_folder("a/none", "", &names), LK_BAD_DATA);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    lk_status reading = lk_read_file("a/file", 10, &text, &size), listing = lk_list_folder("a", "", &names);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(reading, LK_IO);
    assert_int_equal(listing, LK_IO);
    assert_non_null(strstr(lk_error_text(), "a: cannot list the folder: Too many open files"));
}

/* However much is written at once: a stream that failed before it is closed keeps no reason. */
static void a_failed_write_says_why(void **unused)
{
    (void)unused;
    struct rlimit before;
    char *data = calloc(1, 1 << 20);
    assert_non_null(data);
    getrlimit(RLIMIT_FSIZE, &before);
    const struct rlimit small = {.rlim_cur = 1 << 16, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    lk_status status = lk_write_file("large", data, 1 << 20);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    free(data);
    assert_int_equal(status, LK_IO);
    assert_non_null(strstr(lk_error_text(), "large: cannot write: File too large"));
    assert_false(exists("large"));
}

/* Names out of files stand in sentences: nothing in them steers a terminal, characters stay what they are. */
static void a_sentence_is_plain_text(void **unused)
{
    (void)unused;
    lk_fail(LK_BAD_DATA, "%s",
            "a\x1b[2J\n\xc2\x9b"
            "2J \xc2\xa9 \xc3\x9f");
    assert_string_equal(lk_error_text(), "a?[2J???2J \xc2\xa9 \xc3\x9f");
}

static void two_paths_of_one_file(void **unused)
{
    (void)unused;
    char within[LK_PATH_SIZE];
    bool same;
    assert_ok(lk_make_folder("one/inner"));
    assert_ok(lk_write_file("one/file", "x", 1));
    assert_ok(lk_write_file("one.file", "x", 1));
    assert_int_equal(symlink("one/file", "link"), 0);
    assert_int_equal(symlink("one/inner", "way"), 0);
    const char *const names[][3] = {{"one/file", "./one//inner/../file", "1"},
                                    {"one/file", "link", "1"},
                                    {"one/inner", "way", "1"},
                                    {"one/file", "one.file", ""},
                                    {"none", "none", ""},
                                    {"one/file/none", "one/file", ""}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_ok(lk_path_same(names[i][0], names[i][1], &same));
        assert_int_equal(same, names[i][2][0] == '1');
    }
    const char *const places[][3] = {{"one", "one/file", "file"},
                                     {"one", "link", "file"},
                                     {".", "one/file", "one/file"},
                                     {"one", "way/new.png", "inner/new.png"},
                                     {"one/inner", "way/new.png", "new.png"},
                                     {".", "new.png", "new.png"},
                                     {"one", "one.file", ""},
                                     {"one", "new.png", ""},
                                     {"one", "one", ""},
                                     {"one", "none/new.png", ""},
                                     {"none", "one/file", ""}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        assert_ok(lk_path_within(within, places[i][0], places[i][1]));
        assert_string_equal(within, places[i][2]);
    }
}

static void passing_reasons_are_tried_again(void **unused)
{
    (void)unused;
    int tries = 0, count = 0;
    for (errno = ESTALE; lk_try_again(&tries, ESTALE); count++)
        assert_int_equal(errno, ESTALE);
    assert_int_equal(count, 3);
    tries = 0;
    assert_false(lk_try_again(&tries, ENOENT) || lk_try_again(&tries, EACCES) || lk_try_again(&tries, ENOSPC));
}

/* Another process with this host and number (a container) has begun the same file, or someone has put a link in its place. */
static void temporary_files_meet_nobodys(void **unused)
{
    (void)unused;
    lk_atomic_file one, two;
    char named[LK_PATH_SIZE];
    snprintf(named, sizeof named, "out.tmp-%ld", (long)getpid()); /* as a name without host and random bits would be */
    assert_ok(lk_write_file("precious", "precious", 8));
    assert_int_equal(symlink("precious", named), 0);
    assert_ok(lk_atomic_open(&one, "out"));
    assert_ok(lk_atomic_open(&two, "out"));
    assert_string_not_equal(one.temporary, two.temporary);
    fputs("one", one.stream);
    fputs("two", two.stream);
    assert_ok(lk_atomic_commit(&two));
    assert_text("out", "two");
    assert_ok(lk_atomic_commit(&one));
    assert_text("out", "one");
    assert_text("precious", "precious");
    unlink(named);
    /* A name that leaves no room for the mark. */
    char longest[256];
    memset(longest, 'n', 255);
    longest[255] = '\0';
    assert_ok(lk_write_file(longest, "x", 1));
    assert_text(longest, "x");
}

static void put_aged(const char *path, time_t age)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
    assert_ok(lk_write_file(path, "x", 1));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Where others may write, only what is clearly stale goes; the owner of a folder removes all. */
static void leftovers_are_swept(void **unused)
{
    (void)unused;
    static const char *const prefixes[] = {"shard-"};
    char stale[LK_PATH_SIZE], fresh[LK_PATH_SIZE], living[LK_PATH_SIZE], tail[LK_PATH_SIZE];
    assert_ok(lk_make_folder("sweep"));
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    waitpid(dead, NULL, 0);
    assert_ok(lk_temporary_name("sweep/shard-1.h5", living));
    snprintf(tail, sizeof tail, "%s", strrchr(living, '-'));
    int host = (int)(strstr(living, ".tmp-") + 5 - living);
    host += (int)strcspn(living + host, "-");
    snprintf(stale, sizeof stale, "%.*s-%ld%s", host, living, (long)dead, tail);
    snprintf(fresh, sizeof fresh, "%.*s-%ld-00000001", host, living, (long)dead);
    put_aged(living, 7200);
    put_aged(stale, 7200);
    put_aged(fresh, 60);
    put_aged("sweep/shard-2.h5.tmp-elsewhere-1-00000001", 7200);
    put_aged("sweep/other.tmp-elsewhere-1-00000001", 7200);
    put_aged("sweep/shard-3.h5", 7200);
    assert_ok(lk_sweep_temporaries("sweep", prefixes, 1, false));
    assert_false(exists(stale));
    assert_true(exists(living) && exists(fresh) && exists("sweep/shard-2.h5.tmp-elsewhere-1-00000001"));
    assert_ok(lk_make_folder("sweep/shard-4.tmp/deep"));
    assert_ok(lk_sweep_temporaries("sweep", prefixes, 1, true));
    assert_false(exists(living) || exists(fresh) || exists("sweep/shard-2.h5.tmp-elsewhere-1-00000001") ||
                 exists("sweep/shard-4.tmp"));
    assert_true(exists("sweep/other.tmp-elsewhere-1-00000001") && exists("sweep/shard-3.h5"));
}

static void set_aside_overwrites_nothing(void **unused)
{
    (void)unused;
    assert_ok(lk_write_file("aside", "1", 1));
    assert_ok(lk_set_aside("aside"));
    assert_ok(lk_write_file("aside", "2", 1));
    assert_ok(lk_set_aside("aside"));
    assert_text("aside.aside-1", "1");
    assert_text("aside.aside-2", "2");
    assert_false(exists("aside"));
    assert_int_equal(lk_set_aside("aside"), LK_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looking_has_three_answers),
        cmocka_unit_test(a_failed_write_says_why),
        cmocka_unit_test(a_sentence_is_plain_text),
        cmocka_unit_test(two_paths_of_one_file),
        cmocka_unit_test(passing_reasons_are_tried_again),
        cmocka_unit_test(temporary_files_meet_nobodys),
        cmocka_unit_test(leftovers_are_swept),
        cmocka_unit_test(set_aside_overwrites_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
