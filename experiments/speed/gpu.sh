#!/bin/sh
# The systems on a CUDA machine with all of caejax's paths, then an epoch of system A,
# and 32 seeds in one program against one run.
# JAX and PyTorch must both see the GPU: pip install "jax[cuda12]" caejax[bench]
set -e
cd "$(dirname "$0")/../.."
here=experiments/speed
for dtype in float32 bfloat16; do
    python -m experiments.speed.study --kinds= --implementations=all --dtype=$dtype \
        --out="$here/gpu_$dtype"
done
python -m experiments.speed.epoch | tee "$here/gpu_epoch.txt"
python -m experiments.speed.seeds --paths=stock,matmul,polyphase \
    --out="$here/gpu_seeds"
