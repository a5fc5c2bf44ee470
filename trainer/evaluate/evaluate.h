/* Evaluation: how well a trained run does on its validation set, against what a guess without looking would reach.
 *
 * Encoder: F1 (baseline: the class frequencies of the training set), F2 (baseline: the true discrete parameters with the mean
 * continuous ones), accuracy of each group, error of each continuous parameter relative to predicting its mean, in the order of
 * their strength: how much the decoder's picture changes over +-1 deviation. Decoder: L1 (baseline: the mean picture).
 */
#ifndef LK_TRAINER_EVALUATE_EVALUATE_H
#define LK_TRAINER_EVALUATE_EVALUATE_H

#include "base/error.h"
#include "configs/config.h"
#include "dataset/client/any_client.h"
#include "dataset/image.h"
#include "dataset/schema.h"
#include "dataset/shard.h"
#include "trainer/evaluate/calibration.h"

typedef struct lk_parameter_score {
    int index;          /* in the schema */
    double strength;    /* mean ||D(p + sd) - D(p - sd)|| / 2 */
    double mae;         /* mean |pc - pc'| */
    double mae_ratio;   /* over that of predicting the mean; NAN where all faces have the same value */
    double correlation; /* between pc and pc' */
} lk_parameter_score;

typedef struct lk_evaluation {
    int64_t samples;
    bool has_parts;
    double f, f1, f2;                /* the decoder's L1 is f */
    double baseline_f;               /* decoder: mean picture */
    double baseline_f1, baseline_f2; /* encoder */
    int group_count, continuous_count;
    double *accuracy;               /* [groups] */
    double *majority;               /* [groups]: accuracy of always saying the commonest choice */
    double *temperature;            /* [groups]: that certainties were computed with, 1 where not calibrated */
    lk_reliability *reliability;    /* [groups + 1]: of each group's certainties, and of all together */
    lk_parameter_score *parameters; /* [continuous_count], strongest first */
} lk_evaluation;

typedef struct lk_evaluator lk_evaluator;

/* Opens a finished run: its config.yaml, weights and data. `data` (NULL: the run's validation set) is a folder of shards. */
lk_status lk_evaluator_open(const char *run, const char *data, lk_device_choice device, lk_evaluator **out);
void lk_evaluator_close(lk_evaluator *evaluator);
const lk_schema *lk_evaluator_schema(const lk_evaluator *evaluator);

/* Fits the temperatures of an encoder run (calibration.h) on the set's faces, at most LK_CALIBRATION_FACES, and notes them in the
 * run's model.safetensors, whose tensors stay as they are. lk_evaluate uses them from then on. LK_USAGE of a decoder run. */
enum { LK_CALIBRATION_FACES = 20000 };
lk_status lk_evaluator_calibrate(lk_evaluator *evaluator);

lk_status lk_evaluate(lk_evaluator *evaluator, lk_evaluation *out);
void lk_evaluation_free(lk_evaluation *evaluation);

/* The first faces of the set and what the run makes of them. */
typedef struct lk_faces {
    int count, size;
    uint8_t *inputs;   /* [count,S,S,3]: what the encoder saw; a decoder run: the client's picture */
    float *continuous; /* the encoder's parameters; a decoder run: the labels */
    uint8_t *discrete;
    uint8_t *decoded; /* [count,S,S,3]: D(p) */
} lk_faces;
/* `count` is cut to the size of the set. */
lk_status lk_predict_faces(lk_evaluator *evaluator, int count, lk_faces *out);
void lk_faces_free(lk_faces *faces);

/* The patent's triptych (figure 7) of faces: input | D(p) | the client's picture of p, in `columns` columns of triples. `client`
 * NULL: without the last. Between triples, across and down, lie LK_TRIPTYCH_GAP white pixels; likeness evaluate writes
 * LK_TRIPTYCH_COLUMNS. */
enum { LK_TRIPTYCH_GAP = 8, LK_TRIPTYCH_COLUMNS = 4 };
lk_status lk_draw_triptych(const lk_schema *schema, const lk_faces *faces, lk_any_client *client, int columns, const char *path);
/* The page alone: picture i of part k is the i-th of pictures[k] [count,S,S,3]; `parts` of them lie side by side. */
lk_status lk_lay_triptychs(int size, int count, int parts, const uint8_t *const *pictures, int columns, lk_image *out);

#endif
