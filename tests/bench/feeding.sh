#!/bin/bash
# data.block where the faces do not fit into memory: one pass over them from the disk, of a process that may keep but a part.
# usage: tests/bench/feeding.sh PROGRAM [BLOCK...]     (1 4 16; root and cgroups of version 1 with memory)
# FACES (60000) of 49 KB, MEMORY (1200) MB, of which the page cache has what the program leaves; ROUNDS (2), in turns.
set -eu -o pipefail
program=$(realpath "$1"); shift
[ $# -gt 0 ] || set -- 1 4 16
group=/sys/fs/cgroup/memory/likeness-$$
work=$(mktemp -d)
trap 'rmdir "$group" 2>/dev/null; rm -rf "$work"' EXIT
"$program" bench loader --seconds 1 --faces "${FACES:-60000}" --folder "$work" >/dev/null
mkdir "$group"
echo $((${MEMORY:-1200} << 20)) >"$group/memory.limit_in_bytes"
echo "$(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg); the disk reads $(cat /sys/block/*/queue/read_ahead_kb | sort -n |
  tail -n 1) KB ahead by itself"
for round in $(seq "${ROUNDS:-2}"); do
  for block in "$@"; do
    echo "block $block, round $round:"
    (echo $BASHPID >"$group/cgroup.procs"
      exec "$program" bench loader --faces "${FACES:-60000}" --folder "$work" --block "$block" --cold) | tail -n +2
  done
done
