"""Tests of one step, and of many in one call."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import assert_same, new_state, steps_and_images
from helpers.tiny import tiny_config

from caejax.config import override
from caejax.corruptions import choose, corrupt
from caejax.ops.crops import random_crops, random_turns, some_halved
from caejax.runtime import keys
from caejax.training.images import load_images
from caejax.training.step import (
    compiled_steps,
    epoch_order,
    objective,
    train_step,
    zero_sums,
)
from caejax.training.task import task_from_config

ROOT = Path(__file__).parents[1]


def test_the_loss_falls_and_the_step_is_traced_once():
    task, images = steps_and_images()
    state, means = new_state(task), []
    compiled_steps.cache_clear()  # other tests take the same steps
    run = compiled_steps(task)
    per_epoch = len(images) // 8
    for epoch in range(1, 16):
        state, sums = run(state, zero_sums(), images, epoch * per_epoch, 0, 0.5)
        means.append(float(sums["loss"]) / per_epoch)
    assert means[-1] < 0.7 * means[0]
    assert run._cache_size() == 1


def test_parts_of_an_epoch_are_the_epoch():
    task, images = steps_and_images()
    run = compiled_steps(task)
    whole = run(new_state(task), zero_sums(), images, 4, 0, 0.5)
    state, sums = new_state(task), zero_sums()
    for stop in (0, 1, 3, 4):
        state, sums = run(state, sums, images, stop, 0, 0.5)
    assert_same((state, sums), whole)


def test_compiled_steps_are_plain_steps_in_a_row():
    task, images = steps_and_images()
    compiled, _ = compiled_steps(task)(
        new_state(task, 3), zero_sums(), images, 3, 3, 0.5
    )
    state = new_state(task, 3)
    order = jax.random.permutation(keys.stream(3, "order", 0), len(images))
    step = jax.jit(train_step, static_argnames="task")
    for i in range(3):
        batch = images[order[8 * i : 8 * i + 8]]
        key = keys.stream(3, "train_noise", i)
        state, _ = step(state, batch, key, level=0.5, task=task)
    for a, b in zip(
        jax.tree.leaves(compiled.params), jax.tree.leaves(state.params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_every_epoch_sees_every_image_once():
    _, images = steps_and_images()
    orders = [
        np.asarray(jax.random.permutation(keys.stream(0, "order", e), len(images)))
        for e in (0, 1)
    ]
    for order in orders:
        assert sorted(order) == list(range(len(images)))
    assert list(orders[0]) != list(orders[1])


@pytest.mark.parametrize("noise_map", [False, True])
def test_steps_of_crops_are_steps_on_what_is_cut(noise_map):
    config = tiny_config()
    config.model.noise_map = noise_map
    config.train.crop_size, config.train.augment = 8, True
    config.train.halved = 0.5
    config.train.steps_per_epoch = 5  # of 8 images, more than the 32 that there are
    config.corruption.train_range, config.corruption.clip = (0.1, 0.4), False
    task, images = task_from_config(config, 100), load_images(config)["train"]
    run = compiled_steps(task)
    compiled, _ = run(new_state(task, 3), zero_sums(), images, 5, 3, 0.5)
    compiled, sums = run(compiled, zero_sums(), images, 7, 3, 0.5)
    state, step = new_state(task, 3), jax.jit(train_step, static_argnames="task")
    losses = []
    for i in range(7):
        order = epoch_order(3, i // 5, len(images), 5 * 8)
        index = order[8 * (i % 5) :][:8]
        clean = random_crops(keys.stream(3, "crops", i), images, index, 8)
        key = keys.stream(3, "halved", i)
        clean = some_halved(key, clean, images, index, 0.5)
        clean = random_turns(keys.stream(3, "turns", i), clean)
        levels = jax.random.uniform(keys.stream(3, "levels", i), (8,)) * 0.3 + 0.1
        key = keys.stream(3, "train_noise", i)
        state, metrics = step(state, clean, key, level=levels, task=task)
        losses.append(float(metrics["loss"]))
    assert float(sums["loss"]) == pytest.approx(sum(losses[5:]), rel=1e-5)
    for a, b in zip(
        jax.tree.leaves(compiled.params), jax.tree.leaves(state.params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_ema_by_hand():
    task, images = steps_and_images(ema_decay=0.75)
    start = new_state(task, ema=True)
    before = jax.tree.map(np.asarray, start.params)
    step = jax.jit(train_step, static_argnames="task")
    state, _ = step(start, images[:8], jax.random.key(0), level=0.5, task=task)
    for old, new, average in zip(
        *map(jax.tree.leaves, (before, state.params, state.ema)), strict=True
    ):
        np.testing.assert_allclose(average, 0.75 * old + 0.25 * new, atol=1e-7)


def test_sgd_takes_the_gradient_s_step_of_a_summed_loss():
    config = tiny_config()
    config.optimizer = config.optimizer.copy_and_resolve_references()
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 1e-3
    config.loss = "sse"
    task = task_from_config(config, total_steps=1)
    images = load_images(config)["train"][:8]
    state, key = new_state(task), jax.random.key(5)
    noisy = corrupt(choose("gaussian"), key, images, 0.5)

    @jax.jit
    @jax.value_and_grad
    def summed(params):
        image = task.model.to_image(task.model.apply({"params": params}, noisy))
        return ((image - images) ** 2).sum()

    loss, grads = summed(state.params)
    step = jax.jit(train_step, static_argnames="task")
    after, metrics = step(state, images, key, level=0.5, task=task)
    for p, g, q in zip(
        *map(jax.tree.leaves, (state.params, grads, after.params)), strict=True
    ):
        np.testing.assert_allclose(p - 1e-3 * g, q, atol=1e-6)
    assert float(metrics["loss"]) == pytest.approx(float(loss) / 8)


def test_bfloat16_computes_in_it_and_keeps_float32_parameters():
    config = tiny_config()
    config.model.dtype = "bfloat16"
    task = task_from_config(config, total_steps=1)
    images = load_images(config)["train"]
    state, sums = compiled_steps(task)(new_state(task), zero_sums(), images, 2, 0, 0.5)
    assert {p.dtype for p in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}
    exact, _ = steps_and_images()
    _, same = compiled_steps(exact)(new_state(exact), zero_sums(), images, 2, 0, 0.5)
    assert float(sums["loss"]) != float(same["loss"])
    assert float(sums["loss"]) == pytest.approx(float(same["loss"]), rel=0.02)


@pytest.mark.parametrize("encoder", ["conv", "dense", "tied_dense", "layers"])
def test_the_penalty_is_the_mean_absolute_code(encoder):
    config = tiny_config()
    config.code_penalty = 0.25
    override(config, "model.encoder", encoder)
    if encoder == "layers":
        config.model.encoder_layers = ("conv3 2 relu", "pool")
        config.model.decoder_layers = ("deconv_k2 1",)
    task = task_from_config(config, total_steps=1)
    images = load_images(config)["train"][:3]
    params = new_state(task).params

    def both(params):
        plain = task._replace(code_penalty=None)
        return [objective(t, params, images, images)[0] for t in (task, plain)]

    penalised, plain = jax.jit(both)(params)
    code = task.model.apply({"params": params}, images, method="encode")
    by_hand = sum(0.25 * np.abs(x).mean() for x in np.asarray(code))
    assert by_hand > 0
    assert float(penalised - plain) == pytest.approx(by_hand, rel=1e-4)


TWO = "--xla_force_host_platform_device_count=2"
TWO_DEVICES = """
import jax, numpy as np
from caejax.runtime.devices import on_all_devices, on_one_device
from helpers.runs import new_state, steps_and_images
from caejax.training import group
from caejax.training.run import Request, create_run
from caejax.training.step import compiled_steps, zero_sums
from helpers.tiny import tiny_config
assert jax.device_count() == 2
task, images = steps_and_images()
carry = on_all_devices((new_state(task), zero_sums()))
state, sums = on_one_device(
    compiled_steps(task._replace(chunk=2))(*carry, images, 4, 0, 0.5)
)
leaves = jax.tree.leaves(state.params)
np.savez("two.npz", *leaves, loss=sums["loss"])
# Three runs together, of which one device has two and the other one.
run = create_run(tiny_config(), verbose=False)._replace(task=task)
answers = group._pacemaker(4)([
    Request(run._replace(seed=seed), new_state(task, seed), zero_sums(), 4)
    for seed in (1, 2, 0)
])
state, sums, _ = on_one_device(answers[2])
np.savez("three.npz", *jax.tree.leaves(state.params), loss=sums["loss"])
# What is left of a group ends with the same bits on whatever device.
(left,) = group._pacemaker(4)([
    Request(run._replace(seed=0), new_state(task, 0), zero_sums(), 4)
])
for a, b in zip(*map(jax.tree.leaves, (left[:2], answers[2][:2])), strict=True):
    np.testing.assert_array_equal(a, b)
"""


def test_two_devices_train_the_same_model(tmp_path):
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {TWO}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
    }
    command = [sys.executable, "-c", TWO_DEVICES]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    task, images = steps_and_images()
    state, sums = compiled_steps(task)(new_state(task), zero_sums(), images, 4, 0, 0.5)
    for name in ("two", "three"):
        with np.load(tmp_path / f"{name}.npz") as other:
            assert float(other["loss"]) == pytest.approx(float(sums["loss"]), rel=1e-5)
            for i, leaf in enumerate(jax.tree.leaves(state.params)):
                np.testing.assert_allclose(other[f"arr_{i}"], leaf, rtol=0, atol=1e-5)
