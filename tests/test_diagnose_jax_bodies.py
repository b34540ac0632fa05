"""What runs inside of conditions and loops of JAX functions is found and measured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.diagnose import diagnose

SIDE = 12


@pytest.fixture
def up(normal):
    """Enlarges by channels that become pixels."""
    weight = normal(3, 12)

    def enlarge(x):
        b, h, w, _ = x.shape
        y = (x @ weight).reshape(b, h, w, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5)
        return y.reshape(b, 2 * h, 2 * w, 3)

    return enlarge


def by_branch(up, x, limit):
    return jax.lax.cond(x.mean() < limit, up, lambda x: jnp.tile(x, (1, 2, 2, 1)), x)


def by_scan(up, x, _):
    """Image by image, from the last on."""
    return jax.lax.scan(lambda c, one: (c, up(one[None])[0]), 0, x, reverse=True)[1]


def by_loop(up, x, _):
    first = (0, jnp.zeros((1, 2 * SIDE, 2 * SIDE, 3)))
    go_on = lambda state: state[0] < 2  # noqa: E731
    return jax.lax.while_loop(go_on, lambda s: (s[0] + 1, s[1] + up(x)), first)[1]


@pytest.mark.parametrize("way", [by_branch, by_scan, by_loop])
def test_what_runs_inside_is_measured(way, up, normal):
    x = normal(1, SIDE, SIDE, 3)
    found = diagnose(lambda x: way(up, x, 100.0), x)
    expected = diagnose(up, x)
    places = [place for place in found["places"] if place["gain_spread_db"] is not None]
    assert len(places) == (2 if way is by_loop else 1)
    (alone,) = expected["places"]
    for place in places:
        assert place["stride"] == [2, 2]
        assert place["gain_spread_db"] == pytest.approx(alone["gain_spread_db"])
        assert place["share"] > 0.5
    assert found["ripple_db"] == pytest.approx(expected["ripple_db"], abs=1e-3)
    told = "the other branch of cond was not looked into" in found["verdict"]
    assert told == (way is by_branch)


def test_a_loop_that_is_too_long_is_told(up, normal):
    def function(x):
        return jax.lax.fori_loop(0, 100, lambda _, x: 0.5 * up(x)[:, ::2, ::2], x)

    found = diagnose(function, normal(1, SIDE, SIDE, 3))
    assert found["places"] == []
    assert "scan, of 100 rounds was not looked into" in found["verdict"]
    assert np.isfinite(function(normal(1, SIDE, SIDE, 3))).all()
