#!/bin/sh
# On a CUDA machine: the aims first (gpu/targets.md says which are reached), then, with
# "all", every system on every path. JAX and PyTorch must both see the GPU:
#     pip install "jax[cuda12]" -e ".[bench]"
#     sh experiments/speed/gpu.sh [all]
# TINY=1 goes through the same commands in sizes of which no number means anything; with
# JAX_PLATFORMS=cpu wherever there is no GPU. OUT is the folder of results (gpu, here),
# DATA one with MNIST's IDX files; digits are drawn without.
cd "$(dirname "$0")/../.." || exit
out=${OUT:-experiments/speed/gpu}
python=${PYTHON:-python3}
if [ "$TINY" ]; then
    epoch="--images=400 --count=1"
    seeds="--seeds=2 --epochs=1 --limit=300 --rounds=1"
    study="--rounds=1 --seconds=0.1"
else
    epoch="--count=5"
    seeds="--seeds=32 --rounds=2"
    study="--rounds=5 --seconds=0.5"
fi
[ "$DATA" ] && seeds="$seeds --data=$DATA"
step() {
    echo "== $*"
    "$python" -m "experiments.speed.$@" || echo "!! failed: $*"
}
# A step that fails leaves its aim unmeasured, and the others theirs.
step epoch --paths=auto $epoch --out="$out"
step study --systems="A batch 200" --kinds= --dtype=bfloat16 $study --out="$out" \
    --implementations=caejax,torch_nhwc,torch_compile
step kernels --out="$out"
step seeds --paths=auto $seeds --out="$out"
if [ "$1" = all ]; then
    step epoch $epoch --out="$out/paths"
    step seeds --paths=stock,matmul,polyphase $seeds --out="$out/paths"
    for dtype in float32 bfloat16; do
        step study --kinds= --implementations=all --dtype=$dtype $study \
            --out="$out/$dtype"
    done
fi
"$python" -m experiments.speed.targets --out="$out"
