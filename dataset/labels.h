/* Statistics of a training set's labels: where the continuous head starts, and what a guess without looking would say. */
#ifndef LK_DATASET_LABELS_H
#define LK_DATASET_LABELS_H

#include "base/error.h"
#include "dataset/shard.h"

typedef struct lk_label_statistics {
    double *mean;      /* [continuous_count], in [0,1] */
    double *deviation; /* [continuous_count] */
    double *frequency; /* [choice_count]: share of each choice in its group */
} lk_label_statistics;

/* From at most 4,096 samples evenly spread over the set. */
lk_status lk_label_statistics_read(const lk_dataset *set, lk_label_statistics *out);
void lk_label_statistics_free(lk_label_statistics *statistics);

#endif
