#!/bin/bash
# What srun and mpirun start as a rank: leaves a mark that programs start on this node, then becomes the program.
# usage: rank.sh MARKS-FOLDER OPTION PROGRAM ARGUMENTS...
# OPTION, if not empty, is one more argument, a path that is each node's own: the node's name is put behind it.
node=${SLURMD_NODENAME:-$(hostname -s)}
# A mark for each node, made by its first rank. It cannot be made where the disk is full, which the program will say better.
[ "${SLURM_LOCALID:-${OMPI_COMM_WORLD_LOCAL_RANK:-0}}" != 0 ] || : 2>/dev/null >"$1/$node"
own=${2:+$2.$node}
shift 2
exec "$@" ${own:+"$own"}
