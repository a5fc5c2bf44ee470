/* Devices (base/device/device.h): the CPU's memory, copies and marks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/device/device.h"
#include "tests/unit/check.h"

#include <time.h>

static void memory_is_aligned_and_zero(void **state)
{
    (void)state;
    lk_device *cpu;
    assert_ok(lk_device_open(LK_DEVICE_CPU, 0, &cpu));
    assert_string_equal(lk_device_name(cpu), "cpu");
    assert_int_equal(lk_device_kind_of(cpu), LK_DEVICE_CPU);
    assert_null(lk_device_stream(cpu));
    for (size_t bytes = 0; bytes < 5000; bytes = bytes * 3 + 1)
        for (int host = 0; host < 2; host++) {
            unsigned char *memory = host ? lk_device_alloc_host(cpu, bytes) : lk_device_alloc(cpu, bytes);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % LK_DEVICE_ALIGNMENT, 0);
            for (size_t i = 0; i < bytes; i++)
                assert_int_equal(memory[i], 0);
            memset(memory, 255, bytes); /* what comes next may get the same memory */
            if (host)
                lk_device_free_host(cpu, memory);
            else
                lk_device_free(cpu, memory);
        }
    lk_device_free(cpu, NULL);
    lk_device_close(cpu);
    lk_device_close(NULL);
    assert_string_equal(lk_device_name(lk_device_host()), "cpu");
}

static void too_much_memory_is_one_line(void **state)
{
    (void)state;
    lk_device *cpu;
    assert_ok(lk_device_open(LK_DEVICE_CPU, 0, &cpu));
    assert_null(lk_device_alloc(cpu, SIZE_MAX - 3));
    assert_told("out of memory for 18446744073709551612 bytes");
    lk_device_close(cpu);
}

static void copies_go_there_and_back(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    lk_device *cpu;
    uint32_t numbers[COUNT], back[COUNT];
    assert_ok(lk_device_open(LK_DEVICE_CPU, 0, &cpu));
    for (uint32_t i = 0; i < COUNT; i++)
        numbers[i] = i * 2654435761u;
    uint32_t *first = lk_device_alloc(cpu, sizeof numbers);
    uint32_t *second = lk_device_alloc(cpu, sizeof numbers);
    assert_ok(lk_device_from_host(cpu, first, numbers, sizeof numbers));
    assert_ok(lk_device_copy(cpu, second, first, sizeof numbers));
    assert_ok(lk_device_zero(cpu, first, sizeof numbers / 2));
    assert_ok(lk_device_to_host(cpu, back, second, sizeof numbers));
    assert_memory_equal(back, numbers, sizeof numbers);
    assert_ok(lk_device_send_to_host(cpu, lk_device_stream(cpu), back, first, sizeof numbers));
    assert_ok(lk_device_wait(cpu));
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(back[i], i < COUNT / 2 ? 0 : numbers[i]);
    assert_ok(lk_device_send_from_host(cpu, lk_device_stream(cpu), first, numbers, 0));
    assert_int_equal(first[0], 0);
    lk_device_free(cpu, first);
    lk_device_free(cpu, second);
    lk_device_close(cpu);
}

static void marks_are_past_and_tell_the_time_between_them(void **state)
{
    (void)state;
    lk_device *cpu;
    lk_mark *from, *to;
    void *side = &cpu;
    bool past = false;
    double seconds = 0;
    assert_ok(lk_device_open(LK_DEVICE_CPU, 0, &cpu));
    assert_ok(lk_device_stream_open(cpu, &side));
    assert_null(side);
    assert_ok(lk_mark_create(cpu, &from));
    assert_ok(lk_mark_create(cpu, &to));
    assert_ok(lk_mark_wait(to)); /* never recorded */
    assert_ok(lk_mark_record(from, lk_device_stream(cpu)));
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    assert_ok(lk_mark_follow(from, side));
    assert_ok(lk_mark_record(to, side));
    assert_ok(lk_mark_past(to, &past));
    assert_true(past);
    assert_ok(lk_mark_seconds(from, to, &seconds));
    assert_true(seconds >= 0.002);
    lk_mark_free(from);
    lk_mark_free(to);
    lk_mark_free(NULL);
    lk_device_stream_close(cpu, side);
    lk_device_close(cpu);
}

static void a_device_that_is_not_there_is_refused(void **state)
{
    (void)state;
    int count = 0;
    lk_device *device = (lk_device *)&count;
    assert_ok(lk_device_count(LK_DEVICE_CPU, &count));
    assert_int_equal(count, 1);
    assert_fails(lk_device_open(LK_DEVICE_CPU, 1, &device), LK_BAD_CONFIG, "no device 1");
    assert_null(device);
}

/* On a machine without a GPU each of these is one line of what is missing; with one they work. */
static void a_gpu_is_there_or_the_reason_why_not(void **state)
{
    (void)state;
    int count = 7;
    lk_device *gpu = (lk_device *)&count;
    if (lk_device_count(LK_DEVICE_CUDA, &count) != LK_OK) {
        assert_int_equal(count, 0);
        assert_told("");
        print_message("no GPU: %s\n", lk_error_text());
        assert_int_equal(lk_device_open(LK_DEVICE_CUDA, 0, &gpu), LK_BAD_CONFIG);
        assert_null(gpu);
        return;
    }
    uint32_t there[100], back[100] = {0};
    for (uint32_t i = 0; i < 100; i++)
        there[i] = i * i;
    assert_fails(lk_device_open(LK_DEVICE_CUDA, count, &gpu), LK_BAD_CONFIG, "there is no device");
    assert_ok(lk_device_open(LK_DEVICE_CUDA, 0, &gpu));
    void *memory = lk_device_alloc(gpu, sizeof there);
    assert_ok(lk_device_from_host(gpu, memory, there, sizeof there));
    assert_ok(lk_device_to_host(gpu, back, memory, sizeof back));
    assert_memory_equal(there, back, sizeof there);
    assert_ok(lk_device_state(gpu));
    lk_device_free(gpu, memory);
    lk_device_close(gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_zero),
        cmocka_unit_test(too_much_memory_is_one_line),
        cmocka_unit_test(copies_go_there_and_back),
        cmocka_unit_test(marks_are_past_and_tell_the_time_between_them),
        cmocka_unit_test(a_device_that_is_not_there_is_refused),
        cmocka_unit_test(a_gpu_is_there_or_the_reason_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
