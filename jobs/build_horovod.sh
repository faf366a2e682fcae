#!/usr/bin/env bash
# Build Horovod's wheel against the TensorFlow of a Python environment, keep it, and install it there.
#
#   jobs/build_horovod.sh [PYTHON]      PYTHON: the environment's python (default: python3)
#
# The wheel is kept in ~/.cache/deephpo/wheels (or $XDG_CACHE_HOME/deephpo/wheels), once for each version of
# TensorFlow and Python; with it the second call takes a second.  Gloo only: the processes of a trial are no
# MPI ranks.  Without GPU code: with it Horovod 0.28.1 needs headers of XLA that TensorFlow does not ship.
# Needs g++; cmake is taken from PyPI if there is none.
set -euo pipefail

PYTHON=$(command -v "${1:-python3}")
VERSION=0.28.1
JOBS=${JOBS:-$(nproc)}

if "$PYTHON" -c 'import horovod.tensorflow' 2>/dev/null; then
    echo "Horovod is installed already."
    exit 0
fi
tensorflow=$("$PYTHON" - <<'END'
from importlib.metadata import PackageNotFoundError, version

for name in ("tensorflow", "tensorflow-cpu"):
    try:
        print(version(name))
        break
    except PackageNotFoundError:
        pass
END
)
if [ -z "$tensorflow" ]; then
    echo "build_horovod: $PYTHON has no TensorFlow, against which Horovod is built: pip install '.[tensorflow]'" >&2
    exit 1
fi
if ! command -v g++ >/dev/null; then
    echo "build_horovod: there is no g++, with which Horovod is built: install it (Debian: apt install g++)" >&2
    exit 1
fi

tag=$("$PYTHON" -c 'import sys; print(f"cp{sys.version_info.major}{sys.version_info.minor}")')
kept=${XDG_CACHE_HOME:-$HOME/.cache}/deephpo/wheels/horovod-$VERSION-$tag-tensorflow-$tensorflow
if ! ls "$kept"/horovod-*.whl >/dev/null 2>&1; then
    echo "Building Horovod $VERSION against TensorFlow $tensorflow with $JOBS jobs; this takes some minutes ..."
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # Horovod 0.28.1 includes headers of XLA that TensorFlow does not ship any more; without GPU code nothing
    # in them is used, so empty ones do.
    xla=$work/include/tensorflow/compiler
    mkdir -p "$xla"/{tf2xla,xla/client,xla/service}
    touch "$xla"/tf2xla/xla_op_{kernel,registry}.h "$xla"/xla/client/xla_builder.h \
        "$xla"/xla/service/{custom_call_target_registry.h,hlo.pb.h} "$xla"/xla/{shape.h,xla_data.pb.h}
    "$PYTHON" -m pip install --quiet setuptools wheel packaging
    if ! command -v cmake >/dev/null; then
        "$PYTHON" -m pip install --quiet 'cmake<4'
        PATH=$(dirname "$PYTHON"):$PATH
    fi
    export CPATH=$work/include${CPATH:+:$CPATH} MAKEFLAGS=-j$JOBS PATH=$(dirname "$PYTHON"):$PATH
    unset HOROVOD_GPU_OPERATIONS HOROVOD_GPU
    export HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1
    export HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1
    if ! "$PYTHON" -m pip wheel --quiet --no-cache-dir --no-build-isolation --no-deps -w "$work/dist" "horovod==$VERSION" \
        >"$work/log" 2>&1; then
        tail -n 40 "$work/log" >&2
        echo "build_horovod: Horovod could not be built; its own guide: https://horovod.readthedocs.io" >&2
        exit 1
    fi
    mkdir -p "$(dirname "$kept")"
    rm -rf "$kept"
    mv "$work/dist" "$kept"
fi
"$PYTHON" -m pip install --quiet "$kept"/horovod-*.whl
"$PYTHON" -c 'import horovod.tensorflow'
echo "Horovod $VERSION is installed; its wheel is kept in $kept"
