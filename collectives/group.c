#include "collectives/group.h"

#include "base/log.h"
#include "collectives/backend.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Who started this process; known only before MPI_Init, which adds variables of its own. */
typedef enum launcher { LAUNCHED_ALONE, LAUNCHED_BY_MPIRUN, LAUNCHED_BY_SRUN } launcher;

static int number_in_environment(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

static launcher find_launcher(void)
{
    if (getenv("OMPI_COMM_WORLD_SIZE"))
        return LAUNCHED_BY_MPIRUN;
    if (getenv("SLURM_STEP_ID") && getenv("SLURM_PROCID"))
        return LAUNCHED_BY_SRUN;
    return LAUNCHED_ALONE;
}

static bool has_process_manager(void)
{
    return getenv("PMIX_RANK") || getenv("PMI_RANK");
}

static lk_status open_under_srun(lk_process_group *group)
{
    int tasks = number_in_environment("SLURM_STEP_NUM_TASKS");
    /* If the tasks cannot find each other, this still lets one of them alone print why. */
    lk_log_set_rank(number_in_environment("SLURM_PROCID"), tasks);
    if (!has_process_manager()) {
        if (tasks > 1)
            return lk_fail(LK_BAD_CONFIG,
                           "srun started %d tasks that cannot find each other; start them with srun --mpi=pmix "
                           "(srun --mpi=list shows what this site has), or with mpirun inside the allocation",
                           tasks);
        lk_solo_open(group);
        return LK_OK;
    }
    LK_TRY(lk_mpi_open(group));
    if (tasks == 0 || group->size == tasks)
        return LK_OK;
    int size = group->size;
    lk_group_close(group);
    return lk_fail(LK_BAD_CONFIG,
                   "srun started %d tasks, but MPI sees %d: this MPI does not understand srun's --mpi; use srun "
                   "--mpi=pmix (srun --mpi=list shows what this site has), or mpirun inside the allocation",
                   tasks, size);
}

lk_status lk_group_open(lk_process_group *group)
{
    launcher by = find_launcher();
    int allocated = number_in_environment("SLURM_NTASKS");
    if (by == LAUNCHED_BY_MPIRUN) /* for what is said before MPI has started */
        lk_log_set_rank(number_in_environment("OMPI_COMM_WORLD_RANK"), number_in_environment("OMPI_COMM_WORLD_SIZE"));
    if (by == LAUNCHED_BY_SRUN)
        LK_TRY(open_under_srun(group));
    else if (by == LAUNCHED_BY_MPIRUN || has_process_manager())
        LK_TRY(lk_mpi_open(group));
    else
        lk_solo_open(group);
    lk_log_set_rank(group->rank, group->size);
    if (by != LAUNCHED_BY_SRUN && allocated > 1 && allocated != group->size)
        lk_warn("%d of the %d tasks of this SLURM allocation are used%s", group->size, allocated,
                by == LAUNCHED_ALONE ? "; start the program with srun --mpi=pmix or mpirun to use all" : "");
    return LK_OK;
}

void lk_group_close(lk_process_group *group)
{
    group->backend->close(group);
}

void lk_group_abort(lk_process_group *group, int exit_code)
{
    group->backend->abort(group, exit_code);
    _exit(exit_code);
}

lk_status lk_group_duplicate(const lk_process_group *group, lk_process_group *out)
{
    return group->backend->duplicate(group, out);
}

void lk_group_release(lk_process_group *duplicate)
{
    duplicate->backend->release(duplicate);
}

void lk_group_barrier(lk_process_group *group)
{
    group->backend->barrier(group);
}

void lk_group_max_i64(lk_process_group *group, int64_t *buffer, size_t count)
{
    group->backend->max_i64(group, buffer, count);
}

void lk_group_broadcast(lk_process_group *group, void *data, size_t size, int root)
{
    group->backend->broadcast(group, data, size, root);
}

void lk_group_gather(lk_process_group *group, const void *data, size_t size, void *out)
{
    group->backend->gather(group, data, size, out);
}

lk_status lk_group_agree(lk_process_group *group, lk_status mine)
{
    /* The first maximum finds the lowest failed rank, the second whether any rank is fine. */
    int64_t found[2] = {mine == LK_OK ? 0 : group->size - group->rank, mine == LK_OK};
    lk_group_max_i64(group, found, 2);
    if (found[0] == 0)
        return LK_OK;
    int failed = group->size - (int)found[0];
    if (group->rank == failed && found[1]) {
        char host[64] = "?";
        gethostname(host, sizeof host - 1);
        lk_fail_in(mine, "rank %d on %s", group->rank, host);
    }
    lk_error error = {.status = LK_OK};
    lk_error_take(&error, mine);
    lk_group_broadcast(group, &error, sizeof error, failed);
    return lk_error_put(&error);
}
