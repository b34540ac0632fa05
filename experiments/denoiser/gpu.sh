#!/bin/sh
# On a CUDA machine: trains both denoisers further than a CPU can, from those that ship,
# and measures them. The aim is CBSD68 within 0.1 dB of DnCNN-B, in grey and in colour:
# results.md says how far they are from what was published.
#     pip install "jax[cuda12]" -e .
#     DATA=DIR sh experiments/denoiser/gpu.sh
# DATA has BSDS500 in folders train, val and test. Given again, it goes on where it was
# stopped. EPOCHS are of 2,000 steps of 32 crops of 128 pixels, about 11 s of an H200 each;
# with others, choose another OUT.
# TINY=1 goes through the same commands in sizes of which no number means anything; with
# JAX_PLATFORMS=cpu wherever there is no GPU.
cd "$(dirname "$0")/../.." || exit
data=${DATA:?is missing: the folder of BSDS500 with train, val and test}
out=${OUT:-runs/denoiser_gpu}
python=${PYTHON:-python3}
train="--config.train.epochs=${EPOCHS:-40} --config.train.batch_size=32"
train="$train --config.train.crop_size=128 --config.loss=log_mse"
train="$train --config.loss_params.epsilon=0.0002 --config.optimizer.clip_norm=100"
train="$train --config.optimizer.learning_rate=8e-4 --config.optimizer.warmup_steps=300"
train="$train --config.train.halved=0.25"
color="--config.train.recolored=0.4"
measure=
if [ "$TINY" ]; then
    train="--config.train.epochs=1 --config.train.batch_size=2 --config.loss=log_mse"
    train="$train --config.train.steps_per_epoch=2 --config.optimizer.warmup_steps=1"
    train="$train --config.data.limit=4"
    measure="--limit=1"
fi
for kind in gray color; do
    [ $kind = gray ] && more= || more=$color
    "$python" -m caejax.main --config=configs/denoiser_$kind.py \
        --config.data.dir="$data" --config.train.start_from=denoiser_$kind \
        $train $more --workdir="$out/$kind" || exit
done
"$python" -m experiments.denoiser.measure --data="$data" --nobm3d --out="$out" \
    --gray="$out/gray" --color="$out/color" $measure
