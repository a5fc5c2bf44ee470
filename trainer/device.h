/* Where a process computes: on the CPU, or on a GPU of its own among the ranks of its host. */
#ifndef LK_TRAINER_DEVICE_H
#define LK_TRAINER_DEVICE_H

#include "base/error.h"
#include "collectives/group.h"
#include "trainer/tensor/tensor.h"

enum { LK_DEVICE_TOLD = 256 };

/* Chooses for all tensors of the process, once, before lk_tensor_start. cuda: the GPU of this rank, number local_rank of those
 * that CUDA_VISIBLE_DEVICES and the scheduler's binding leave to it, counted in a circle where they are fewer. auto: cuda if
 * every rank has a GPU of its own, else the CPU for all. `told`: what was taken, and with auto why it is not a GPU:
 * "cuda:0 NVIDIA H100", "cpu", "cpu (there is no NVIDIA driver on this machine)".
 *
 * With cuda LK_BAD_CONFIG names what is missing, or the ranks that would share a GPU. `group`: NULL for a process by itself,
 * whose errors are its own; otherwise every rank must call, and errors are everyone's. */
lk_status lk_choose_device(lk_device_choice choice, lk_process_group *group, const lk_cuda_settings *settings,
                           char told[LK_DEVICE_TOLD]);

/* The same for a process by itself that uses a trained model, whose results should depend on nothing but model and photo:
 * products in full float32, the same convolutions each time. Says in the log what it took, unless the CPU was asked for. Nothing
 * is done where the process is on a GPU already. */
lk_status lk_choose_device_alone(lk_device_choice choice);

#endif
