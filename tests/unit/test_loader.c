/* The loader: batches in order and right, whatever the threads; errors in order; stopping at any time. */
#include "base/file.h"
#include "dataset/loader.h"
#include "dataset/sampler.h"
#include "dataset/shard_format.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/small_shards.h"

enum { EDGE = 16, COUNT = 100 };

static lk_dataset *set;

static int make_set(void **state)
{
    (void)state;
    assert_int_equal(lk_make_folder("set"), LK_OK);
    small_shard("set/a.h5", EDGE, 0, 37, 37, 0);
    small_shard("set/b.h5", EDGE, 37, COUNT - 37, COUNT, 0);
    const char *path = "set";
    return lk_dataset_open(&path, 1, &set) == LK_OK ? 0 : -1;
}

static int close_set(void **state)
{
    (void)state;
    lk_dataset_close(set);
    return 0;
}

/* One pass in order; the last batch is short. */
static int in_order(const void *context, int64_t number, int batch_size, int64_t *indices)
{
    (void)context;
    int count = 0;
    for (int64_t i = number * batch_size; i < COUNT && count < batch_size; i++)
        indices[count++] = i;
    return count;
}

static int shuffled_forever(const void *context, int64_t number, int batch_size, int64_t *indices)
{
    for (int i = 0; i < batch_size; i++) {
        int64_t at = number * batch_size + i;
        indices[i] = lk_sampler_at(context, at / COUNT, at % COUNT);
    }
    return batch_size;
}

static bool batch_is_right(const lk_batch *batch)
{
    for (int i = 0; i < batch->count; i++)
        if (!small_sample_is(batch->indices[i], EDGE, batch->images + i * EDGE * EDGE * 3, batch->continuous + i * SMALL_NC,
                             batch->discrete + i * SMALL_GROUPS))
            return false;
    return true;
}

static lk_loader *start(const lk_dataset *dataset, lk_order_function *order, const void *context, int batch_size, int threads,
                        int prefetch, int64_t first)
{
    const lk_loader_options options = {
        .batch_size = batch_size, .threads = threads, .prefetch = prefetch, .first = first, .order = order, .context = context};
    lk_loader *loader;
    assert_int_equal(lk_loader_start(dataset, &options, &loader), LK_OK);
    return loader;
}

static void one_pass_delivers_every_sample_in_order(void **state)
{
    (void)state;
    const int batch_sizes[] = {1, 7, 32, 100, 250};
    for (size_t b = 0; b < sizeof batch_sizes / sizeof *batch_sizes; b++)
        for (int threads = 1; threads <= 4; threads++) {
            lk_loader *loader = start(set, in_order, NULL, batch_sizes[b], threads, 1 + threads % 3, 0);
            const lk_batch *batch;
            int64_t seen = 0, number = 0;
            for (;;) {
                assert_int_equal(lk_loader_next(loader, &batch), LK_OK);
                if (!batch)
                    break;
                assert_int_equal(batch->number, number++);
                for (int i = 0; i < batch->count; i++)
                    assert_int_equal(batch->indices[i], seen++);
                assert_true(batch_is_right(batch));
                lk_loader_release(loader, batch);
            }
            assert_int_equal(seen, COUNT);
            assert_int_equal(lk_loader_next(loader, &batch), LK_OK); /* and again */
            assert_null(batch);
            lk_loader_stop(loader);
        }
}

static void a_resumed_loader_continues_the_sequence(void **state)
{
    (void)state;
    const lk_sampler sampler = {.count = COUNT, .seed = 4, .shuffle = true};
    lk_loader *whole = start(set, shuffled_forever, &sampler, 9, 2, 4, 0);
    lk_loader *resumed = start(set, shuffled_forever, &sampler, 9, 3, 2, 40);
    const lk_batch *a, *b;
    for (int number = 0; number < 80; number++) {
        assert_int_equal(lk_loader_next(whole, &a), LK_OK);
        assert_true(batch_is_right(a));
        if (number >= 40) {
            assert_int_equal(lk_loader_next(resumed, &b), LK_OK);
            assert_int_equal(b->number, number);
            assert_memory_equal(a->indices, b->indices, 9 * sizeof *a->indices);
            lk_loader_release(resumed, b);
        }
        lk_loader_release(whole, a);
    }
    lk_loader_stop(whole);
    lk_loader_stop(resumed);
}

/* Reading ahead crosses the border of two shards and the end of the set, and changes no sample. */
static void runs_are_read_ahead_and_delivered_right(void **state)
{
    (void)state;
    const lk_sampler sampler = {.count = COUNT, .seed = 4, .shuffle = true, .block = 8, .window = 2, .batch = 9};
    const lk_loader_options options = {
        .batch_size = 9, .threads = 3, .prefetch = 2, .block = 8, .order = shuffled_forever, .context = &sampler};
    lk_loader *loader;
    assert_int_equal(lk_loader_start(set, &options, &loader), LK_OK);
    for (int number = 0; number < 60; number++) {
        const lk_batch *batch;
        assert_int_equal(lk_loader_next(loader, &batch), LK_OK);
        assert_true(batch_is_right(batch));
        lk_loader_release(loader, batch);
    }
    lk_loader_stop(loader);
}

/* The share of the set's files that the page cache holds. */
static double cached(void)
{
    size_t pages = 0, there = 0, size = (size_t)sysconf(_SC_PAGESIZE);
    const char *names[] = {"set/a.h5", "set/b.h5"};
    for (int i = 0; i < 2; i++) {
        int fd = open(names[i], O_RDONLY);
        size_t count = ((size_t)lseek(fd, 0, SEEK_END) + size - 1) / size;
        unsigned char *bits = malloc(count);
        void *map = mmap(NULL, count * size, PROT_READ, MAP_SHARED, fd, 0);
        assert_true(map != MAP_FAILED);
        assert_int_equal(mincore(map, count * size, bits), 0);
        for (size_t p = 0; p < count; p++)
            there += bits[p] & 1;
        pages += count;
        munmap(map, count * size);
        free(bits);
        close(fd);
    }
    return (double)there / (double)pages;
}

static void what_is_read_ahead_is_in_the_page_cache(void **state)
{
    (void)state;
    lk_dataset_forget(set);
    if (cached() > 0.1) /* no file system of a disk: memory cannot forget */
        skip();
    lk_dataset_read_ahead(set, -3, COUNT); /* nothing */
    lk_dataset_read_ahead(set, 30, COUNT);
    for (int tries = 0; tries < 200 && cached() < 0.5; tries++)
        usleep(10000);
    assert_true(cached() >= 0.5);
}

static void two_batches_may_be_held_in_any_order(void **state)
{
    (void)state;
    lk_loader *loader = start(set, in_order, NULL, 10, 2, 1, 0);
    const lk_batch *a, *b, *c;
    assert_int_equal(lk_loader_next(loader, &a), LK_OK);
    assert_int_equal(lk_loader_next(loader, &b), LK_OK);
    assert_fails(lk_loader_next(loader, &c), LK_INTERNAL, "release one");
    lk_loader_release(loader, b);
    assert_int_equal(lk_loader_next(loader, &c), LK_OK);
    assert_int_equal(c->number, 2);
    assert_true(batch_is_right(a)); /* untouched while held */
    assert_int_equal(a->number, 0);
    lk_loader_release(loader, a);
    lk_loader_release(loader, c);
    for (int number = 3; number < 10; number++) {
        assert_int_equal(lk_loader_next(loader, &a), LK_OK);
        assert_int_equal(a->number, number);
        lk_loader_release(loader, a);
    }
    assert_int_equal(lk_loader_next(loader, &a), LK_OK);
    assert_null(a);
    lk_loader_stop(loader);
}

/* Batches lie in memory that was taken at the start: after one turn of the ring no new address comes. */
static void memory_is_reused(void **state)
{
    (void)state;
    const lk_sampler sampler = {.count = COUNT, .seed = 4, .shuffle = true};
    lk_loader *loader = start(set, shuffled_forever, &sampler, 8, 2, 3, 0);
    const uint8_t *seen[3 + LK_LOADER_HELD];
    const lk_batch *batch;
    for (int number = 0; number < 60; number++) {
        assert_int_equal(lk_loader_next(loader, &batch), LK_OK);
        int slot = number % (3 + LK_LOADER_HELD);
        if (number < 3 + LK_LOADER_HELD)
            seen[slot] = batch->images;
        assert_ptr_equal(batch->images, seen[slot]);
        lk_loader_release(loader, batch);
    }
    lk_loader_stop(loader);
}

static void a_damaged_sample_comes_after_the_good_batches(void **state)
{
    (void)state;
    small_shard("damaged.h5", EDGE, 0, COUNT, COUNT, 0);
    lk_schema *schema = NULL;
    lk_shard shard;
    lk_shard_checker checker = LK_SHARD_CHECKER;
    assert_int_equal(lk_shard_open(&checker, "damaged.h5", &schema, "", &shard), LK_OK);
    lk_shard_checker_end(&checker);
    off_t pictures = shard.picture_at;
    lk_shard_close(&shard);
    lk_schema_free(schema);
    for (int k = 0; k < 2; k++) { /* samples 57 and 52, both in batch 5 of 10 */
        off_t at = pictures + (off_t)(57 - 5 * k) * EDGE * EDGE * 3 + 100;
        int fd = open("damaged.h5", O_RDWR);
        char byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
    const char *path = "damaged.h5";
    lk_dataset *damaged;
    assert_int_equal(lk_dataset_open(&path, 1, &damaged), LK_OK);
    for (int threads = 1; threads <= 4; threads++)
        for (int round = 0; round < 10; round++) {
            lk_loader *loader = start(damaged, in_order, NULL, 10, threads, 4, 0);
            const lk_batch *batch;
            for (int number = 0; number < 5; number++) {
                assert_int_equal(lk_loader_next(loader, &batch), LK_OK);
                assert_true(batch_is_right(batch));
                lk_loader_release(loader, batch);
            }
            for (int again = 0; again < 2; again++) {
                assert_int_equal(lk_loader_next(loader, &batch), LK_BAD_DATA);
                assert_null(batch);
                assert_non_null(strstr(lk_error_text(), "damaged.h5: sample 52 is damaged")); /* the first one, always */
            }
            lk_loader_stop(loader);
        }
    lk_dataset_close(damaged);
}

static int too_many(const void *context, int64_t number, int batch_size, int64_t *indices)
{
    (void)context;
    for (int i = 0; i < batch_size; i++)
        indices[i] = 0;
    return number < 2 ? batch_size : batch_size + 1;
}

static int outside(const void *context, int64_t number, int batch_size, int64_t *indices)
{
    (void)context;
    for (int i = 0; i < batch_size; i++)
        indices[i] = COUNT + number;
    return batch_size;
}

static void a_wrong_order_function_is_an_error(void **state)
{
    (void)state;
    const lk_batch *batch;
    lk_loader *loader = start(set, too_many, NULL, 4, 2, 2, 0);
    for (int number = 0; number < 2; number++) {
        assert_int_equal(lk_loader_next(loader, &batch), LK_OK);
        lk_loader_release(loader, batch);
    }
    assert_int_equal(lk_loader_next(loader, &batch), LK_INTERNAL);
    lk_loader_stop(loader);
    loader = start(set, outside, NULL, 4, 2, 2, 0);
    assert_int_equal(lk_loader_next(loader, &batch), LK_INTERNAL);
    lk_loader_stop(loader);
    const lk_loader_options none = {.batch_size = 0, .threads = 1, .prefetch = 1, .order = in_order};
    assert_int_equal(lk_loader_start(set, &none, &loader), LK_INTERNAL);
    assert_null(loader);
    lk_loader_stop(NULL);
}

static void stopping_never_hangs(void **state)
{
    (void)state;
    const lk_sampler sampler = {.count = COUNT, .seed = 4, .shuffle = true};
    lk_random random = lk_random_make(3, 3);
    for (int round = 0; round < 200; round++) {
        lk_loader *loader = start(set, shuffled_forever, &sampler, 1 + (int)lk_random_below(&random, 20), 1 + round % 4,
                                  1 + (int)lk_random_below(&random, 3), 0);
        int takes = (int)lk_random_below(&random, 6);
        for (int i = 0; i < takes; i++) {
            const lk_batch *batch;
            assert_int_equal(lk_loader_next(loader, &batch), LK_OK);
            if (i + 1 < takes) /* the last one is still held */
                lk_loader_release(loader, batch);
        }
        lk_loader_stop(loader);
    }
}

static volatile sig_atomic_t handled_elsewhere;
static pthread_t consumer;

static void on_signal(int number)
{
    (void)number;
    if (!pthread_equal(pthread_self(), consumer))
        handled_elsewhere = 1;
}

/* A signal to the process is handled by the thread that can act on it. */
static void threads_leave_signals_alone(void **state)
{
    (void)state;
    consumer = pthread_self();
    signal(SIGUSR1, on_signal);
    const lk_sampler sampler = {.count = COUNT, .seed = 4, .shuffle = true};
    lk_loader *loader = start(set, shuffled_forever, &sampler, 8, 4, 2, 0);
    for (int i = 0; i < 100; i++) {
        const lk_batch *batch;
        kill(getpid(), SIGUSR1);
        assert_int_equal(lk_loader_next(loader, &batch), LK_OK);
        lk_loader_release(loader, batch);
    }
    lk_loader_stop(loader);
    signal(SIGUSR1, SIG_DFL);
    assert_int_equal(handled_elsewhere, 0);
}

static void jpeg_shards_load_too(void **state)
{
    (void)state;
    small_shard("jpeg.h5", EDGE, 0, COUNT, COUNT, 95);
    const char *path = "jpeg.h5";
    lk_dataset *jpeg;
    assert_int_equal(lk_dataset_open(&path, 1, &jpeg), LK_OK);
    lk_loader *loader = start(jpeg, in_order, NULL, 30, 3, 2, 0);
    uint8_t image[EDGE * EDGE * 3], discrete[SMALL_GROUPS];
    float continuous[SMALL_NC];
    const lk_batch *batch;
    int64_t seen = 0;
    while (lk_loader_next(loader, &batch) == LK_OK && batch) {
        for (int i = 0; i < batch->count; i++, seen++) {
            assert_int_equal(lk_dataset_read(jpeg, seen, image, continuous, discrete, NULL), LK_OK);
            assert_memory_equal(batch->images + (size_t)i * sizeof image, image, sizeof image);
        }
        lk_loader_release(loader, batch);
    }
    assert_int_equal(seen, COUNT);
    lk_loader_stop(loader);
    lk_dataset_close(jpeg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pass_delivers_every_sample_in_order),
        cmocka_unit_test(a_resumed_loader_continues_the_sequence),
        cmocka_unit_test(runs_are_read_ahead_and_delivered_right),
        cmocka_unit_test(what_is_read_ahead_is_in_the_page_cache),
        cmocka_unit_test(two_batches_may_be_held_in_any_order),
        cmocka_unit_test(memory_is_reused),
        cmocka_unit_test(a_damaged_sample_comes_after_the_good_batches),
        cmocka_unit_test(a_wrong_order_function_is_an_error),
        cmocka_unit_test(stopping_never_hangs),
        cmocka_unit_test(threads_leave_signals_alone),
        cmocka_unit_test(jpeg_shards_load_too),
    };
    return cmocka_run_group_tests(tests, make_set, close_set);
}
