"""Tests of sharing batches; training on two devices is in test_training_step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.runtime import devices


@pytest.mark.parametrize(
    ("batch_size", "cores", "expected"),
    [(200, 2, 2), (32, 6, 4), (7, 4, 1), (9, 3, 3), (4, 16, 4)],
)
def test_cores_divide_the_batch(batch_size, cores, expected):
    assert devices.core_count(batch_size, cores) == expected


def test_a_number_of_the_user_s_own_is_left_alone(monkeypatch):
    before = jax.config.jax_num_cpu_devices
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    devices.use_cores(8, 4)
    assert jax.config.jax_num_cpu_devices == before
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES")
    # JAX is running already: nothing to be done, and nothing said.
    jax.devices()
    devices.use_cores(8, 4)
    assert jax.device_count() == 1


def test_one_device_takes_it_all():
    assert devices.share(10) == 10
    # Told from an array that was put nowhere, for which a program is compiled apart.
    for array in (np.ones(3), jnp.ones(3)):
        for put in (devices.on_all_devices, devices.on_one_device):
            tree = put({"x": array})
            np.testing.assert_array_equal(tree["x"], array)
            assert tree["x"].committed
            assert tree["x"].devices() == {jax.devices()[0]}
