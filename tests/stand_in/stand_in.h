/* What the stand-ins for NVIDIA's libraries share. They are for tests on machines without a GPU: libraries of the same names and
 * functions, whose results are right and whose calls are recorded. libcudart has this part; libnccl uses it.
 *
 *     LD_LIBRARY_PATH=BUILD/tests/stand_in    puts them in place
 *     STAND_IN_RECORD=FOLDER                  each rank writes its calls to FOLDER/calls-RANK, one a line
 *     STAND_IN_SLOW_COPY_MS=N                 a copy to the host takes so long
 *     STAND_IN_FAIL="RANK CALL N CODE"        the Nth call of that function on that rank answers CODE and does nothing
 */
#ifndef LK_TESTS_STAND_IN_H
#define LK_TESTS_STAND_IN_H

/* Writes a line to the record. */
void stand_in_record(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Counts a call; what it is to answer, 0 where it is to work. */
int stand_in_fault(const char *call);
/* Has run(argument) done by the stream, after all that it was asked before. */
void stand_in_ask(void *stream, void (*run)(void *argument), void *argument);
/* The number of a stream, event ... in the record. */
int stand_in_number(const void *object);
/* The device of a stream; of NULL, this thread's current one. */
int stand_in_device(const void *stream);

#endif
