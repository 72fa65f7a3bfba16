#!/bin/sh
# Resolve pyproject.toml to requirements.lock (everything) and requirements-serve.lock (what a served model needs).
# The CUDA packages that torch brings on Linux are left out: torch's own metadata pins them, and where a CPU build of
# torch is installed they are not wanted.
set -eu
skip="cuda-bindings cuda-pathfinder cuda-toolkit triton"
for part in cublas cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 \
    nccl-cu13 nvjitlink nvshmem-cu13 nvtx; do
    skip="$skip nvidia-$part"
done
flags="--quiet --universal --fork-strategy fewest --python-version 3.11 --no-header --annotation-style line"
for name in $skip; do
    flags="$flags --no-emit-package $name"
done
# shellcheck disable=SC2086 # the flags are words
uv pip compile $flags --all-extras pyproject.toml --output-file requirements.lock
# shellcheck disable=SC2086
uv pip compile $flags --constraint requirements.lock pyproject.toml --output-file requirements-serve.lock
