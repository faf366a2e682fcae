#!/usr/bin/env bash
# A small, real Slurm on this one machine: munge, slurmctld and four slurmd, each a node with a host name of its own.
#
#   tests/schedulers/cluster.sh install      # what it needs, from Debian's packages; as root
#   eval "$(tests/schedulers/cluster.sh start)"      # sets SLURM_CONF here: sbatch, squeue, qsub as everywhere
#   tests/schedulers/cluster.sh stop
#
# Where it runs already, `start` says so, and prints the settings again.  No systemd, no root but for `install`
# (without root all nodes have this machine's host name).  Variables:
#
#   DEEPHPO_CLUSTER            where its files are            (/tmp/deephpo-slurm-UID)
#   DEEPHPO_CLUSTER_KILL_WAIT  seconds from SIGTERM to SIGKILL            (5; Slurm: 30)
#   DEEPHPO_CLUSTER_REQUEUE    seconds until a requeued job may run again (5; Slurm: 120)
set -euo pipefail
umask 022
PATH=$PATH:/usr/sbin:/sbin

at=${DEEPHPO_CLUSTER:-/tmp/deephpo-slurm-$(id -u)}
nodes=4 cpus=8 gpus=4 port=27817

say() { echo "cluster: $*" >&2; }
die() { say "$@"; exit 1; }

# Debian's Slurm opens libpmix.so by its name without a version, which only the -dev package has.
missing() {
    local pair
    for pair in munged:munge slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client qsub:slurm-wlm-torque \
        mpirun.openmpi:openmpi-bin; do
        command -v "${pair%:*}" >/dev/null || echo "${pair#*:}"
    done
    compgen -G '/usr/lib/*/pmix2/lib/libpmix.so' >/dev/null || echo libpmix-dev
}

install() {
    local packages
    mapfile -t packages < <(missing)
    [ ${#packages[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "these packages are missing, and only root can install them: ${packages[*]}"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >&2 || {
        "${apt[@]}" update >&2
        "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >&2
    }
}

idle_nodes() { timeout 10 sinfo --noheader --Node --format='%N %T' 2>/dev/null | sort -u | grep -c ' idle$' || true; }

free_ports() {    # the first of nodes + 1 in a row
    local first=$port taken
    while :; do
        taken=
        for p in $(seq "$first" $((first + nodes))); do
            if (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then taken=$p; fi
        done
        [ -n "$taken" ] || { echo "$first"; return; }
        first=$((taken + 1))
    done
}

configure() {
    local host user
    host=$(hostname) user=$(id -un) port=$(free_ports)
    mkdir -p "$at"/{ctld,munge,log,gpu,pid,nodefile}
    chmod 1777 "$at/nodefile"
    for i in $(seq "$nodes"); do
        mkdir -p "$at/node$i"/{spool,tmp}
        chmod 1777 "$at/node$i/tmp"
    done
    (umask 077 && head -c 1024 /dev/urandom >"$at/munge/key")
    # A device must be a character device; there is no need that it does anything.
    for i in $(seq 0 $((gpus - 1))); do ln -s /dev/null "$at/gpu/fake$i"; done
    cat >"$at/gres.conf" <<END
AutoDetect=off
NodeName=node[1-$nodes] Name=gpu File=$at/gpu/fake[0-$((gpus - 1))]
END
    echo 'CgroupPlugin=autodetect' >"$at/cgroup.conf"
    echo 'optional spank_pbs.so' >"$at/plugstack.conf"
    # What a task prolog prints after "export" reaches the job: with it a job has a node file, as on PBS.
    cat >"$at/task_prolog" <<END
#!/bin/bash
file=$at/nodefile/\$SLURM_JOB_ID.\$SLURM_RESTART_COUNT
[ -s "\$file" ] || cp "\$(generate_pbs_nodefile)" "\$file"
echo "export PBS_NODEFILE=\$file"
END
    chmod +x "$at/task_prolog"
    # %n in TmpFS: otherwise the PMIx directories of the nodes are one, and only one of them can make it.
    cat >"$at/slurm.conf" <<END
ClusterName=deephpo
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$at/munge/socket,cred_expire=${DEEPHPO_CLUSTER_REQUEUE:-5}
CredType=cred/munge
StateSaveLocation=$at/ctld
SlurmdSpoolDir=$at/%n/spool
TmpFS=$at/%n/tmp
SlurmctldPidFile=$at/pid/slurmctld
SlurmdPidFile=$at/pid/%n
SlurmctldLogFile=$at/log/slurmctld
SlurmdLogFile=$at/log/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,batch_sched_delay=0,sched_interval=5
ReturnToService=2
KillWait=${DEEPHPO_CLUSTER_KILL_WAIT:-5}
JobRequeue=1
MinJobAge=86400
SlurmctldTimeout=10
SlurmdTimeout=60
MailProg=/bin/true
PlugStackConfig=$at/plugstack.conf
JobSubmitPlugins=pbs
TaskProlog=$at/task_prolog
GresTypes=gpu
NodeName=node[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + nodes))] CPUs=$cpus Boards=1 SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=65536 Gres=gpu:$gpus Feature=gpu State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES DefaultTime=10 MaxTime=INFINITE State=UP
PartitionName=batch Nodes=ALL DefaultTime=10 MaxTime=INFINITE OverSubscribe=EXCLUSIVE State=UP
END
    { cat /etc/hosts; echo; for i in $(seq "$nodes"); do echo "127.0.0.1 node$i"; done; } >"$at/hosts"
}

# A node with a host name and an /etc/hosts of its own, where this kernel lets us.
slurmd_of() {
    if unshare --uts --mount --propagation slave sh -c 'hostname node1' 2>/dev/null; then
        unshare --uts --mount --propagation slave sh -c '
            mount --bind "$1/hosts" /etc/hosts && hostname "$2" && exec slurmd -N "$2" -f "$1/slurm.conf"' \
            sh "$at" "$1"
    else
        slurmd -N "$1" -f "$at/slurm.conf"
    fi
}

start() {
    [ ${#at} -le 50 ] || die "DEEPHPO_CLUSTER is too long for the paths of sockets, 50 characters: $at"
    mkdir -p "$(dirname "$at")"
    exec 9>"$at.lock"
    flock 9    # one start at a time; the daemons do not inherit it
    export SLURM_CONF=$at/slurm.conf
    if [ ! -f "$SLURM_CONF" ] || ! timeout 5 scontrol ping >/dev/null 2>&1; then
        [ -z "$(missing)" ] || die "these packages are missing: $(missing | xargs); $0 install brings them"
        stop
        [ ! -e "$at" ] || die "$at is there, and was not made by this script"
        configure
        # By this variable `stop` knows the daemons, and what they start, from any others.
        export DEEPHPO_CLUSTER_OF=$at
        munged --socket="$at/munge/socket" --key-file="$at/munge/key" --pid-file="$at/pid/munged" \
            --log-file="$at/log/munged" --seed-file="$at/munge/seed" >&2 9>&-
        slurmctld -f "$SLURM_CONF" >&2 9>&-
        for i in $(seq "$nodes"); do slurmd_of "node$i" >&2 9>&-; done
        for _ in $(seq 100); do [ "$(idle_nodes)" -lt "$nodes" ] || break; sleep 0.2; done
        [ "$(idle_nodes)" -ge "$nodes" ] || { tail -n 5 "$at"/log/* >&2; stop; die "its nodes did not come up"; }
        say "$nodes nodes in $at"
    else
        say "runs already in $at"
    fi
    printf 'export SLURM_CONF=%q\n' "$SLURM_CONF"
}

ours() { grep -qzxF "DEEPHPO_CLUSTER_OF=$at" "/proc/$1/environ" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$1/status"; }

steps() {    # what runs the jobs' processes
    local p
    for p in /proc/[0-9]*; do
        if [ "$(cat "$p/comm" 2>/dev/null)" = slurmstepd ] && ours "${p#/proc/}"; then echo "${p#/proc/}"; fi
    done
}

gone() {    # wait up to ten seconds until none of these is there any more
    local p
    for _ in $(seq 100); do
        for p in "$@"; do if ours "$p"; then sleep 0.1; continue 2; fi; done
        return 0
    done
    return 1
}

tree() {
    local child
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do tree "$child"; done
    echo "$1"
}

stop() {
    [ -f "$at/slurm.conf" ] || return 0
    export SLURM_CONF=$at/slurm.conf
    local jobs p daemons=()
    jobs=$(timeout 10 squeue --noheader --format=%A 2>/dev/null | sort -u | xargs) || true
    # shellcheck disable=SC2086  (several words)
    if [ -n "$jobs" ]; then timeout 20 scancel $jobs || true; gone $(steps) || true; fi
    for p in $(cat "$at"/pid/* 2>/dev/null); do if ours "$p"; then daemons+=("$p"); fi; done
    if [ ${#daemons[@]} -gt 0 ]; then
        kill "${daemons[@]}" 2>/dev/null || true
        gone "${daemons[@]}" || kill -KILL "${daemons[@]}" 2>/dev/null || true
    fi
    # shellcheck disable=SC2046
    for p in $(steps); do kill -KILL $(tree "$p") 2>/dev/null || true; done
    rm -rf "$at"
    say "stopped"
}

case ${1:-} in
install | start) "$1" ;;
stop) stop; rm -f "$at.lock" ;;
*) die "what is it to do: install, start or stop?" ;;
esac
