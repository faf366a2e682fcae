#!/usr/bin/env bash
# A Python environment on each node's own disk: a shared file system that a thousand ranks ask for the same ten
# thousand files is slow for all.
#
#   jobs/stage_env.sh pack ENVIRONMENT ARCHIVE      # once, on a login node: a venv into one file
#   jobs/stage_env.sh unpack ARCHIVE DIRECTORY      # in the job, once on each node, before the search is started:
#       srun --ntasks-per-node=1 -n "$SLURM_NNODES" jobs/stage_env.sh unpack env.tar.gz /tmp/deephpo-env
#
# What runs deephpo is then /tmp/deephpo-env/bin/python -m deephpo.cli.main; the programs in bin/ still name the
# place that they were packed from.  What is installed there as editable stays where it is.
set -euo pipefail

fail() { echo "stage_env: $*" >&2; exit 2; }

pack() {
    [ -x "$1/bin/python" ] || fail "$1 is no Python environment: there is no bin/python in it"
    # Whole, or not at all: a job may be looking.
    tar -C "$1" -czf "$2.part" .
    mv "$2.part" "$2"
    echo "packed $(du -h "$2" | cut -f1) into $2"
}

unpack() {
    [ -f "$1" ] || fail "there is no $1; pack it first"
    mkdir -p "$(dirname "$2")"
    exec 9>"$2.lock"
    flock 9    # ranks of the same node: one unpacks, the others wait
    if [ ! -e "$2" ]; then
        rm -rf "$2.part"
        mkdir "$2.part"
        tar -C "$2.part" -xzf "$1"
        mv "$2.part" "$2"
    fi
}

case "${1:-} $#" in
"pack 3" | "unpack 3") "$@" ;;
*) fail "it is called as: $0 pack ENVIRONMENT ARCHIVE, or $0 unpack ARCHIVE DIRECTORY" ;;
esac
