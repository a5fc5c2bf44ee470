/* The report: what was taken, what was not and why. Nothing that came in is dropped without a line here.
 *
 * Every refusal goes to OUT/rejected.jsonl as it comes ({"reason", "name", "detail"}); pack.json and the terminal have counts,
 * and the first names of each reason. One thread.
 */
#ifndef LK_DATASET_PACK_TALLY_H
#define LK_DATASET_PACK_TALLY_H

#include "base/error.h"
#include "dataset/schema.h"

#include <jansson.h>
#include <stdint.h>

enum { LK_REPORT_NAMES = 1000, LK_MAX_PARTS = 3 };

typedef struct lk_pack_report lk_pack_report;
/* `schema` must outlive it. */
lk_status lk_pack_report_create(const lk_schema *schema, lk_pack_report **out);
/* Begins rejected.jsonl in `folder`; before the first refusal. */
lk_status lk_pack_report_begin(lk_pack_report *report, const char *folder);
/* Without lk_pack_report_finish rejected.jsonl does not appear. */
void lk_pack_report_free(lk_pack_report *report);

/* `detail` may be NULL. Reasons are few and constant. */
lk_status lk_pack_report_refuse(lk_pack_report *report, const char *reason, const char *name, const char *detail);
void lk_pack_report_take(lk_pack_report *report, int part, const float *continuous, const uint8_t *discrete);
int64_t lk_pack_report_taken(const lk_pack_report *report);
int64_t lk_pack_report_refused(const lk_pack_report *report);

/* Statistics and refusals as JSON: taken, refused {reason: {count, names}}, continuous (mean, standard deviation, range in client
 * units), discrete (how often each choice). */
lk_status lk_pack_report_json(const lk_pack_report *report, json_t **out);
/* For people, on standard output. */
void lk_pack_report_print(const lk_pack_report *report, const char *const *part_names, int part_count);
/* Commits rejected.jsonl. */
lk_status lk_pack_report_finish(lk_pack_report *report);

#endif
