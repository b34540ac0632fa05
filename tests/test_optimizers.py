"""Tests of optimisers and schedules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from caejax.optimizers import (
    OPTIMIZERS,
    SCHEDULES,
    OptimizerSpec,
    create_optimizer,
    create_schedule,
)

WARM = {"warmup_steps": 10, "total_steps": 110}
HALF = 0.2 * (1 + np.cos(np.pi / 4)) / 2


@pytest.mark.parametrize(
    ("schedule", "settings", "rates"),
    [
        ("constant", {}, {0: 0.2, 1: 0.2, 1000: 0.2}),
        ("constant", WARM, {0: 0, 5: 0.1, 9: 0.18, 10: 0.2, 110: 0.2, 1000: 0.2}),
        ("cosine", {"total_steps": 100}, {0: 0.2, 25: HALF, 50: 0.1, 100: 0, 200: 0}),
        ("cosine", WARM, {0: 0, 5: 0.1, 10: 0.2, 35: HALF, 60: 0.1, 110: 0, 200: 0}),
        ("linear", {"total_steps": 100}, {0: 0.2, 25: 0.15, 50: 0.1, 100: 0, 200: 0}),
        ("linear", WARM, {0: 0, 5: 0.1, 10: 0.2, 35: 0.15, 60: 0.1, 110: 0, 200: 0}),
    ],
)
def test_schedule_by_hand(schedule, settings, rates):
    rate = create_schedule(OptimizerSpec("sgd", 0.2, schedule, **settings))
    actual = [rate(step) for step in rates]
    np.testing.assert_allclose(actual, list(rates.values()), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedule_of_a_traced_step(schedule):
    rate = create_schedule(OptimizerSpec("adam", 0.2, schedule, **WARM))
    steps = [0, 5, 10, 60, 110, 200]
    traced = jax.jit(jax.vmap(rate))(jnp.array(steps))
    np.testing.assert_allclose(traced, [rate(step) for step in steps], atol=1e-6)


def descend(spec, params, gradients):
    """The parameters after a step for each gradient."""
    tx = create_optimizer(spec)

    def step(carry, gradient):
        params, state = carry
        updates, state = tx.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), gradients)
    return params


G = 0.5  # the gradient, of the parameter 2
FIRST_STEPS = {
    "sgd": 2 - 0.1 * G,
    # The bias-corrected moments are G and G^2.
    "adam": 2 - 0.1 * G / (G + 1e-8),
    "adamw": 2 - 0.1 * (G / (G + 1e-8) + 0.01 * 2),
    # Nothing moved yet, and 1 - rho of the squared gradient is seen.
    "adadelta": 2 - 0.1 * (1e-7 / (0.05 * G**2 + 1e-7)) ** 0.5 * G,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_first_step_by_hand(name):
    spec = OptimizerSpec(name, 0.1, weight_decay=0.01)
    params = descend(spec, jnp.array([2.0]), jnp.array([[G]]))
    assert params.item() == pytest.approx(FIRST_STEPS[name], rel=1e-6)


def test_momentum_by_hand():
    spec = OptimizerSpec("sgd", 0.1, momentum=0.9)
    params = descend(spec, jnp.array([2.0]), jnp.array([[1.0], [2.0]]))
    assert params.item() == pytest.approx(2 - 0.1 * 1 - 0.1 * (0.9 * 1 + 2))


def test_larger_gradients_are_scaled_to_the_norm_by_hand():
    spec = OptimizerSpec("sgd", 0.1, clip_norm=1.0)
    gradients = jnp.array([[3.0, 4.0], [0.3, 0.4]])  # norms 5 and 0.5
    params = descend(spec, jnp.zeros(2), gradients)
    np.testing.assert_allclose(params, [-0.06 - 0.03, -0.08 - 0.04], rtol=1e-6)


# Class and options in PyTorch. Its Adadelta adds epsilon 1e-6 by default, Keras
# 1e-7; Adam's 1e-8 is that of the paper and of PyTorch, Keras has 1e-7.
TORCH = {
    "sgd": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "adam": ("Adam", {"lr": 0.1, "eps": 1e-8}),
    "adamw": ("AdamW", {"lr": 0.1, "eps": 1e-8, "weight_decay": 0.01}),
    "adadelta": ("Adadelta", {"lr": 10, "rho": 0.95, "eps": 1e-7}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_many_steps_are_those_of_pytorch(name, normal, torch):
    kind, options = TORCH[name]
    start, gradients = normal(5), normal(20, 5)
    spec = OptimizerSpec(name, options["lr"], momentum=0.9, weight_decay=0.01)
    ours = descend(spec, jnp.array(start), jnp.array(gradients))

    theirs = torch.from_numpy(start.copy()).requires_grad_()
    optimizer = getattr(torch.optim, kind)([theirs], **options)
    for gradient in torch.from_numpy(gradients):
        theirs.grad = gradient
        optimizer.step()
    moved = theirs.detach().numpy() - start
    np.testing.assert_allclose(ours - start, moved, rtol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_follows_its_schedule(name):
    spec = OptimizerSpec(name, 0.1, "linear", **WARM)
    start = jnp.array([2.0, -3.0])
    still = descend(spec, start, jnp.ones((1, 2)))
    np.testing.assert_array_equal(still, start)  # the rate at step 0 is 0
    moved = descend(spec, start, jnp.ones((2, 2)))
    assert (moved < start).all()


def test_spec_is_hashable():
    specs = {OptimizerSpec("adam", 0.1), OptimizerSpec("adam", 0.1, "constant")}
    assert len(specs) == 1


def test_schedules_reach_the_optimizer():
    spec = OptimizerSpec("sgd", 1.0, schedule="linear", total_steps=4)
    tx = create_optimizer(spec)
    params = jnp.float32(0.0)
    opt_state, steps = tx.init(params), []
    for _ in range(4):
        updates, opt_state = tx.update(jnp.float32(1.0), opt_state, params)
        steps.append(-float(updates))
    assert steps == pytest.approx([1.0, 0.75, 0.5, 0.25])
