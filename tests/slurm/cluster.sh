#!/bin/bash
# A real SLURM cluster of several isolated nodes on this machine, for tests. Root only.
#
#   cluster.sh up DIR NODES CPUS      start it; everything it writes is in DIR
#   cluster.sh down DIR               stop it, whatever state it is in
#   cluster.sh exec DIR HOST CMD...   run a command on ctl (the login node), n1, n2 ...
#   cluster.sh kill DIR NODE          a power loss: every process of the node is gone at once
#   cluster.sh boot DIR NODE          switch it on again
#   cluster.sh cut|heal DIR NODE      pull its network cable, put it back
#
# Every node is a network, uts, mount, ipc and pid namespace with a cable (veth) to a switch (bridge) in the namespace of ctl.
# Nothing is shared with a SLURM of this machine. The files are the machine's own: a shared file system.
set -u
command=$1
dir=$(realpath -m "$2")
shift 2
[ ! -f "$dir/variables" ] || . "$dir/variables"
export SLURM_CONF=$dir/slurm.conf

# Runs CMD under a small init in new namespaces around the network namespace NETNS; when the init dies everything in there does.
spawn() { # NAME NETNS CMD
  local name=$1 netns=$2 start=$3
  setsid nsenter --net=/run/netns/"$netns" unshare --uts --mount --ipc --pid --fork --mount-proc --kill-child bash -c "
    hostname $name; mount --bind '$dir/hosts' /etc/hosts; mount -t tmpfs tmpfs /dev/shm
    $start & trap \"kill \$!\" TERM; wait \$!; wait" >>"$dir/log/$name.out" 2>&1 </dev/null &
  echo $! >"$dir/run/$name.pid"
}

init_of() { # NAME: its init, seen from outside: the child of unshare
  local parent
  parent=$(cat "$dir/run/$1.pid" 2>/dev/null) || return
  awk '{ print $1 }' "/proc/$parent/task/$parent/children" 2>/dev/null
}

boot() { # NODE
  mkdir -p "$dir/tmp/$1" "$dir/spool/$1"
  spawn "$1" "$prefix${1#n}" "slurmd -D -N $1 -f '$dir/slurm.conf'"
}

lay_cables() {
  local i
  ip netns add "${prefix}0"
  ip -n "${prefix}0" link set lo up
  ip -n "${prefix}0" link add br0 type bridge
  ip -n "${prefix}0" addr add "$net.254/24" dev br0
  ip -n "${prefix}0" link set br0 up
  printf '127.0.0.1 localhost\n%s.254 ctl\n' "$net" >"$dir/hosts"
  for i in $(seq 1 "$nodes"); do
    ip netns add "$prefix$i"
    ip -n "$prefix$i" link set lo up
    ip -n "${prefix}0" link add "p$i" type veth peer name eth0 netns "$prefix$i"
    ip -n "${prefix}0" link set "p$i" master br0 up
    ip -n "$prefix$i" addr add "$net.$i/24" dev eth0
    ip -n "$prefix$i" link set eth0 up
    echo "$net.$i n$i" >>"$dir/hosts"
  done
}

# Short times, so that a lost node is noticed and a requeued job starts within seconds (cred_expire is the delay of a requeue).
# No cgroups, no accounting: containers have neither. RequeueExit is left out: the scripts must not depend on it.
write_configuration() { # CPUS
  # Two of each node that SLURM takes for GPUs: it gives them to ranks, but nothing can be computed on them.
  printf 'Name=gpu File=/dev/%s\n' null zero >"$dir/gres.conf"
  echo CgroupPlugin=cgroup/v1 >"$dir/cgroup.conf" # finding out by itself ends slurmd where no cgroup is mounted
  cat >"$dir/slurm.conf" <<END
ClusterName=likeness
SlurmctldHost=ctl($net.254)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
TmpFS=$dir/tmp/%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
PriorityType=priority/basic
SlurmctldParameters=node_reg_mem_percent=1
SlurmdParameters=config_overrides
MpiDefault=pmix
JobRequeue=1
KillWait=5
SlurmdTimeout=8
SlurmctldTimeout=5
TCPTimeout=5
MessageTimeout=10
InactiveLimit=0
WaitTime=0
MinJobAge=3600
ReturnToService=2
UnkillableStepTimeout=60
BatchStartTimeout=30
CompleteWait=0
GresTypes=gpu
NodeName=DEFAULT CPUs=$1 RealMemory=2000 Gres=gpu:2 State=UNKNOWN
$(for i in $(seq 1 "$nodes"); do echo "NodeName=n$i NodeAddr=$net.$i"; done)
PartitionName=all Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE DefaultTime=30 State=UP
END
}

up() { # NODES CPUS
  local number=$(($$ % 60000)) i idle
  nodes=$1 prefix=lk$number- net=10.$((100 + number / 250 % 100)).$((number % 250))
  mkdir -p "$dir"/{state,log,run,spool,tmp}
  printf '%s=%q\n' nodes "$nodes" prefix "$prefix" net "$net" >"$dir/variables"
  lay_cables || return 1
  write_configuration "$2"
  (umask 077; head -c 128 /dev/urandom >"$dir/munge.key")
  munged --force -S "$dir/run/munge.socket" --key-file="$dir/munge.key" --pid-file="$dir/run/munged.pid" \
    --log-file="$dir/log/munged.log" --seed-file="$dir/run/munged.seed" || return 1
  spawn ctl "${prefix}0" "slurmctld -D -c -f '$dir/slurm.conf'"
  for i in $(seq 1 "$nodes"); do boot "n$i"; done
  for i in $(seq 1 300); do
    idle=$("$0" exec "$dir" ctl sinfo -h -N -o %T 2>/dev/null | grep -c '^idle$')
    [ "$idle" != "$nodes" ] || return 0
    sleep 0.1
  done
  echo "the cluster did not come up:" >&2
  tail -n 5 "$dir"/log/*.log "$dir"/log/*.out >&2
  return 1
}

down() {
  local i
  for i in $(seq 1 "$nodes" | sed s/^/n/) ctl; do kill -9 $(init_of "$i") 2>/dev/null; done
  kill "$(cat "$dir/run/munged.pid" 2>/dev/null)" 2>/dev/null
  for i in $(seq 0 "$nodes"); do ip netns del "$prefix$i" 2>/dev/null; done
  return 0
}

case $command in
  up) up "$@" ;;
  down) down ;;
  exec)
    init=$(init_of "$1")
    shift
    exec nsenter -t "$init" -n -u -m -i -p -w"$PWD" "$@"
    ;;
  kill) kill -9 "$(init_of "$1")" ;;
  boot) boot "$1" ;;
  cut) ip -n "${prefix}0" link set "p${1#n}" down ;;
  heal) ip -n "${prefix}0" link set "p${1#n}" up ;;
  *) echo "cluster.sh: there is no command $command" >&2; exit 64 ;;
esac
