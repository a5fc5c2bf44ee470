#include "launch/report/score.h"

#include <math.h>

lk_score lk_score_of(const lk_evaluation_record *evaluation)
{
    lk_score score = {NAN, NAN, NAN, NAN};
    if (!evaluation->present)
        return score;
    double wrong = 0, guessed_wrong = 0;
    for (size_t i = 0; i < evaluation->choice_count; i++) {
        wrong += 1 - evaluation->choices[i].accuracy;
        guessed_wrong += 1 - evaluation->choices[i].majority;
    }
    score.continuous = evaluation->mae_ratio_20;
    if (evaluation->baseline_f2 > 0)
        score.pixels = evaluation->f2 / evaluation->baseline_f2;
    if (guessed_wrong == 0) { /* nothing to choose */
        score.mean = (score.continuous + score.pixels) / 2;
        return score;
    }
    score.choices = wrong / guessed_wrong;
    score.mean = (score.choices + score.continuous + score.pixels) / 3;
    return score;
}
