/* Log: one line an event, on standard error, "likeness: ...". Results that people pipe go to standard output with printf.
 *
 * In a job of several ranks only rank 0 speaks, unless the event concerns one rank: lk_log_rank() prefixes it with
 * rank and host. Safe from any thread; lines never mix. The progress bar (base/progress.h) steps aside for them.
 */
#ifndef LK_BASE_LOG_H
#define LK_BASE_LOG_H

/* Called when the launcher has said which rank this is, and again when the process group is known. Before it the process counts
 * as rank 0 of 1. */
void lk_log_set_rank(int rank, int size);
int lk_log_get_rank(void);

/* Spoken by rank 0 alone. */
void lk_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void lk_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void lk_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Spoken by whichever rank calls, as "likeness: rank R on HOST: ...". */
void lk_log_rank(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Used by the progress bar: the text redrawn below every log line; NULL takes it away. */
void lk_log_set_footer(const char *text);

#endif
