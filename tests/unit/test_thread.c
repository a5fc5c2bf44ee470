/* Threads: what a new one starts with, what happens where the system has none to give, which failure of a loop is told. */
#include "base/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/check.h"

static void *blocked_signals(void *mask)
{
    pthread_sigmask(SIG_SETMASK, NULL, mask);
    return mask;
}

static void a_thread_blocks_signals_and_its_starter_keeps_its_own(void **state)
{
    (void)state;
    sigset_t mine, before, after, its;
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &mine, &before);
    pthread_t thread;
    assert_ok(lk_thread_start(&thread, "a test", blocked_signals, &its));
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    for (int number = 1; number < 32; number++) {
        if (number != SIGKILL && number != SIGSTOP)
            assert_true(sigismember(&its, number));
        assert_int_equal(sigismember(&after, number), sigismember(&before, number) || number == SIGUSR2);
    }
}

static void *wait_for_end(void *pipe_end)
{
    char byte;
    return read(*(int *)pipe_end, &byte, 1) == 0 ? pipe_end : NULL;
}

static void a_thread_has_its_name(void **state)
{
    (void)state;
    int ends[2];
    pthread_t thread;
    char name[16], starter[16], still[16];
    assert_int_equal(pipe(ends), 0);
    pthread_getname_np(pthread_self(), starter, sizeof starter);
    assert_ok(lk_thread_start(&thread, "stall watchdog", wait_for_end, &ends[0]));
    assert_int_equal(pthread_getname_np(thread, name, sizeof name), 0);
    assert_string_equal(name, "stall watchdog");
    pthread_getname_np(pthread_self(), still, sizeof still);
    assert_string_equal(still, starter);
    close(ends[1]);
    void *result;
    pthread_join(thread, &result);
    assert_ptr_equal(result, &ends[0]);
    close(ends[0]);
}

/* No thread starts whose stack does not fit into the address space. */
static pthread_attr_t usual;

static int forbid_threads(void **state)
{
    (void)state;
    pthread_attr_t huge;
    return pthread_getattr_default_np(&usual) || pthread_getattr_default_np(&huge) ||
           pthread_attr_setstacksize(&huge, (size_t)1 << 60) || pthread_setattr_default_np(&huge) || pthread_attr_destroy(&huge);
}

static int allow_threads(void **state)
{
    (void)state;
    return pthread_setattr_default_np(&usual) || pthread_attr_destroy(&usual);
}

static void a_thread_that_cannot_start_is_named(void **state)
{
    (void)state;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    pthread_t thread;
    assert_int_equal(lk_thread_start(&thread, "checkpoint", blocked_signals, &after), LK_INTERNAL);
    assert_told("cannot start the checkpoint thread: ");
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++)
        assert_int_equal(sigismember(&after, number), sigismember(&before, number));
}

enum { ITEMS = 1000 };
static atomic_int done[ITEMS];

static lk_status count_item(void *context, int64_t i, int worker)
{
    atomic_fetch_or((atomic_int *)context, 1 << worker);
    atomic_fetch_add(&done[i], 1);
    return LK_OK;
}

static void count_items(int threads, int *workers)
{
    atomic_int seen = 0;
    for (int i = 0; i < ITEMS; i++)
        atomic_store(&done[i], 0);
    assert_ok(lk_parallel_for(threads, ITEMS, count_item, &seen));
    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(atomic_load(&done[i]), 1);
    *workers = atomic_load(&seen);
}

static void a_loop_does_every_item_once(void **state)
{
    (void)state;
    int workers;
    count_items(4, &workers);
    assert_in_range(workers, 1, 0xf);
    count_items(1, &workers);
    assert_int_equal(workers, 1);
    count_items(0, &workers);
    assert_int_equal(workers, 1);
}

static void a_loop_without_threads_to_be_had_does_every_item_itself(void **state)
{
    (void)state;
    int workers;
    count_items(4, &workers);
    assert_int_equal(workers, 1);
}

static lk_status look_at_mask(void *context, int64_t i, int worker)
{
    (void)i;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (worker > 0) {
        atomic_store((atomic_bool *)context, true);
        return sigismember(&mask, SIGTERM) ? LK_OK : lk_fail(LK_INTERNAL, "worker %d would take the signal", worker);
    }
    usleep(1000); /* leaves items to the others */
    return sigismember(&mask, SIGTERM) ? lk_fail(LK_INTERNAL, "the caller would not take the signal") : LK_OK;
}

static void the_caller_of_a_loop_gets_the_signals(void **state)
{
    (void)state;
    atomic_bool others = false;
    for (int i = 0; i < 1000 && !atomic_load(&others); i++)
        assert_ok(lk_parallel_for(3, 50, look_at_mask, &others));
    assert_true(atomic_load(&others));
}

static lk_status fail_from_10_on(void *context, int64_t i, int worker)
{
    (void)context;
    (void)worker;
    return i < 10 ? LK_OK : lk_fail(LK_BAD_DATA, "item %d is bad", (int)i);
}

static void the_first_failed_item_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        lk_fail(LK_INTERNAL, "another sentence");
        assert_int_equal(lk_parallel_for(4, ITEMS, fail_from_10_on, NULL), LK_BAD_DATA);
        assert_string_equal(lk_error_text(), "item 10 is bad");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_blocks_signals_and_its_starter_keeps_its_own),
        cmocka_unit_test(a_thread_has_its_name),
        cmocka_unit_test_setup_teardown(a_thread_that_cannot_start_is_named, forbid_threads, allow_threads),
        cmocka_unit_test(a_loop_does_every_item_once),
        cmocka_unit_test_setup_teardown(a_loop_without_threads_to_be_had_does_every_item_itself, forbid_threads, allow_threads),
        cmocka_unit_test(the_caller_of_a_loop_gets_the_signals),
        cmocka_unit_test(the_first_failed_item_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
