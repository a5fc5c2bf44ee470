#include "dataset/label/people.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POPULATION = 20000, SEED = 54 };
/* No parameter is known better than this. */
static const double least_deviation = 0.03;
/* So many persons at least must count (Kish's effective size). */
static const double least_persons = 30;

struct lk_people {
    const lk_schema *schema;
    float *continuous; /* [POPULATION, continuous_count] */
    uint8_t *discrete; /* [POPULATION, group_count] */
};

lk_status lk_people_draw(const lk_schema *schema, const lk_prior *prior, lk_people **out)
{
    *out = NULL;
    lk_people *people = calloc(1, sizeof *people);
    size_t nc = (size_t)schema->continuous_count, groups = (size_t)schema->group_count;
    if (people) {
        people->schema = schema;
        people->continuous = malloc(POPULATION * nc * sizeof *people->continuous);
        people->discrete = malloc(POPULATION * groups);
    }
    if (!people || !people->continuous || !people->discrete) {
        lk_people_free(people);
        return lk_fail(LK_INTERNAL, "out of memory for a population of faces");
    }
    for (size_t i = 0; i < POPULATION; i++)
        lk_prior_draw(prior, SEED, i, people->continuous + i * nc, people->discrete + i * groups);
    *out = people;
    return LK_OK;
}

void lk_people_free(lk_people *people)
{
    if (!people)
        return;
    free(people->continuous);
    free(people->discrete);
    free(people);
}

void lk_people_member(const lk_people *people, int i, const float **continuous, const uint8_t **discrete)
{
    *continuous = people->continuous + (size_t)i * (size_t)people->schema->continuous_count;
    *discrete = people->discrete + (size_t)i * (size_t)people->schema->group_count;
}

/* The log of how well person i fits. */
static double fit_of(const lk_people *people, const double *logs, size_t i)
{
    const lk_schema *schema = people->schema;
    const uint8_t *discrete = people->discrete + i * (size_t)schema->group_count;
    double sum = 0;
    for (int g = 0, first = 0; g < schema->group_count; first += schema->groups[g++].count)
        sum += logs[first + discrete[g]];
    return sum;
}

/* Weights of the population: exp(trust * fit), with as much trust as leaves enough persons. */
static void weigh(const double *fits, double *weights)
{
    double best = fits[0];
    for (int i = 1; i < POPULATION; i++)
        best = fmax(best, fits[i]);
    for (double trust = 1;; trust *= 0.7) {
        double sum = 0, squares = 0;
        for (int i = 0; i < POPULATION; i++) {
            weights[i] = exp(trust * (fits[i] - best));
            sum += weights[i];
            squares += weights[i] * weights[i];
        }
        if (sum * sum / squares >= least_persons || trust < 1e-3)
            return;
    }
}

static void find_moments(const lk_people *people, const double *weights, lk_expectation *expectation)
{
    int nc = people->schema->continuous_count;
    for (int k = 0; k < nc; k++) {
        double sum = 0, total = 0, squares = 0;
        for (int i = 0; i < POPULATION; i++) {
            double v = people->continuous[(size_t)i * (size_t)nc + (size_t)k];
            total += weights[i];
            sum += weights[i] * v;
            squares += weights[i] * v * v;
        }
        double middle = sum / total, variance = fmax(squares / total - middle * middle, 0);
        expectation->middle[k] = (float)middle;
        expectation->deviation[k] = (float)fmax(sqrt(variance), least_deviation);
    }
}

static void find_probabilities(const lk_people *people, const double *weights, float *probability)
{
    const lk_schema *schema = people->schema;
    for (int g = 0, first = 0; g < schema->group_count; first += schema->groups[g++].count) {
        double sums[LK_MAX_CHOICES] = {0}, total = 0;
        for (int i = 0; i < POPULATION; i++) {
            sums[people->discrete[(size_t)i * (size_t)schema->group_count + (size_t)g]] += weights[i];
            total += weights[i];
        }
        for (int c = 0; c < schema->groups[g].count; c++)
            probability[first + c] = (float)(sums[c] / total);
    }
}

lk_status lk_people_expect(const lk_people *people, const float *likelihood, lk_expectation *expectation, float *probability)
{
    size_t choices = (size_t)people->schema->choice_count;
    double *weights = malloc((2 * POPULATION + choices) * sizeof *weights), *fits = weights + POPULATION,
           *logs = fits + POPULATION;
    if (!weights)
        return lk_fail(LK_INTERNAL, "out of memory for a population of faces");
    for (size_t c = 0; c < choices; c++)
        logs[c] = likelihood ? log(fmax(likelihood[c], 1e-6)) : 0;
    for (size_t i = 0; i < POPULATION; i++)
        fits[i] = fit_of(people, logs, i);
    weigh(fits, weights);
    find_moments(people, weights, expectation);
    if (probability)
        find_probabilities(people, weights, probability);
    free(weights);
    return LK_OK;
}
