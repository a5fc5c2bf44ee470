/* Steps of a training in which something of one rank goes wrong. tests/run/train_faults.sh starts it under mpirun:
 *
 *     mpi_training CONFIG RANK HOW    opens the training of CONFIG and takes steps. In the third, that rank meets its fate:
 *                                     backward   hangs when half of its gradients are handed in
 *                                     update     its optimizer fails, when backward was well
 *                                     end        is stopped (SIGSTOP) when all steps are taken and the watchdog has ended
 *
 * It ends as main() would: one line of error, and its exit code.
 */
#include "base/log.h"
#include "trainer/step.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FATAL_STEP = 2, STEPS = 5 };

static lk_training training;
static lk_status (*learn)(lk_task *task, const lk_batch *batch, double share, double *sums);

/* Half of backward's gradients, and then nothing more. */
static lk_status hang_in_backward(lk_task *task, const lk_batch *batch, double share, double *sums)
{
    if (training.state.step < FATAL_STEP)
        return learn(task, batch, share, sums);
    for (int place = 0; place < task->weights->count / 2; place++)
        lk_weights_give_gradient(task->weights, lk_weights_place(task->weights, place), NULL);
    for (;;)
        pause();
}

/* What is kept behind the last check of learn is found by that of the optimizer. */
static lk_status fail_after_backward(lk_task *task, const lk_batch *batch, double share, double *sums)
{
    lk_status status = learn(task, batch, share, sums);
    if (training.state.step == FATAL_STEP)
        lk_tensor_fail(LK_INTERNAL, "a planted failure");
    return status;
}

static lk_status take_steps(bool mine, const char *how)
{
    learn = training.task->learn;
    if (mine && strcmp(how, "backward") == 0)
        training.task->learn = hang_in_backward;
    else if (mine && strcmp(how, "update") == 0)
        training.task->learn = fail_after_backward;
    for (int step = 0; step < STEPS; step++) {
        lk_step_report report;
        LK_TRY(lk_training_step(&training, &report));
        lk_log_rank("took step %d", step);
    }
    return LK_OK;
}

int main(int argc, char **argv)
{
    lk_process_group group;
    lk_config *config = NULL;
    bool finished;
    lk_error error;
    if (argc != 4)
        return lk_exit_code(LK_USAGE);
    lk_status status = lk_group_open(&group);
    if (status == LK_OK)
        status = lk_group_agree(&group, lk_config_load(argv[1], NULL, 0, &config));
    if (status != LK_OK) {
        lk_log_error("%s", lk_error_text());
        return lk_exit_code(status);
    }
    bool mine = group.rank == atoi(argv[2]);
    status = lk_training_open(&training, config, &group, "never", &finished);
    if (status == LK_OK)
        status = take_steps(mine, argv[3]);
    lk_error_take(&error, status);
    lk_training_close(&training);
    if (mine && strcmp(argv[3], "end") == 0)
        raise(SIGSTOP);
    lk_config_free(config);
    lk_group_close(&group);
    if (error.status != LK_OK)
        lk_log_error("%s", error.text);
    return lk_exit_code(error.status);
}
