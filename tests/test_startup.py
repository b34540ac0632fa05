"""Numbers are computed in a state that caejax sets, not the user's environment."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import pytest

from caejax.errors import CaejaxError
from caejax.runtime import compilation, devices, startup

ROOT = Path(__file__).parents[1]

HOSTILE = {
    "JAX_ENABLE_X64": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_ENABLE_CUSTOM_PRNG": "1",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_DISABLE_JIT": "1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_DEBUG_NANS": "1",
    "JAX_DEBUG_INFS": "1",
    "JAX_TRANSFER_GUARD": "disallow",
    "JAX_CHECK_TRACER_LEAKS": "1",
    "JAX_RAISE_PERSISTENT_CACHE_ERRORS": "1",
}
OF_FLAX = {"FLAX_FIX_RNG_SEPARATOR": "1", "FLAX_RETURN_FROZENDICT": "1"}


def test_no_variable_of_jax_reaches_into_the_numbers():
    program = """
import flax, json, jax
from caejax.runtime.startup import SETTINGS, start
before = {k: jax.config.values[k] for k in SETTINGS if k in jax.config.values}
start(cores=1, cache=False)
after = {k: jax.config.values[k] for k in before}
y = jax.jit(lambda key: (jax.random.normal(key, (3,)) / 0).sum())(jax.random.key(0))
flags = [flax.config.flax_fix_rng_separator, flax.config.flax_return_frozendict]
print(json.dumps([flags, before, after, str(y.dtype), float(jax.random.uniform(
    jax.random.key(3)))]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ
        | HOSTILE
        | OF_FLAX
        | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    flags, before, after, dtype, number = json.loads(done.stdout)
    assert flags == [False, False]
    changed = {name.upper() for name in before if before[name] != after[name]}
    # All others are what JAX has by default. One of these sets three more.
    assert {n for n in changed if "GUARD_" not in n} == {*HOSTILE}
    assert dtype == "float32"
    assert number == float(jax.random.uniform(jax.random.key(3)))


def test_a_working_directory_that_is_gone_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    with pytest.raises(CaejaxError, match="working directory has been deleted; cd to"):
        startup.start()


def test_flags_that_xla_does_not_know_are_named_beforehand(monkeypatch):
    compilation.check_flags()  # those of the tests are known
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/x --xla_gpu_autotune_level=2")
    compilation.check_flags()
    for bad in ("--xla_no_such_flag=1", "--xla_dump_to=/x --tf_typo"):
        monkeypatch.setenv("XLA_FLAGS", bad)
        with pytest.raises(CaejaxError, match="XLA does not know; leave it out"):
            compilation.check_flags()


def test_flags_that_may_change_numbers_are_said(monkeypatch, capsys):
    for flags, said in (
        ("--xla_dump_to=/x", ""),
        ("--xla_dump_to=/x --xla_cpu_enable_fast_math=true", "is --xla_cpu_enable_"),
        ("--xla_force_host_platform_device_count=4", "device_count=4; without it"),
    ):
        monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
        monkeypatch.setenv("XLA_FLAGS", flags)
        compilation.tell_of_flags.__wrapped__()
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == bool(said)
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "4")
    compilation.tell_of_flags.__wrapped__()
    assert "JAX_NUM_CPU_DEVICES is 4; without it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nonsense", "cuda", "tpu,cpu"])
def test_platforms_that_are_not_there_are_named(name, monkeypatch):
    def devices_of_none():
        raise RuntimeError(f"Unable to initialize backend\n{name!r}: not known")

    monkeypatch.setattr(jax, "devices", devices_of_none)
    devices.check_platforms()  # nothing is asked for
    before = jax.config.jax_platforms
    jax.config.update("jax_platforms", name)
    try:
        with pytest.raises(CaejaxError, match="unset it, or set it to cpu") as caught:
            devices.check_platforms()
    finally:
        jax.config.update("jax_platforms", before)
    assert f"JAX_PLATFORMS is {name!r}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variable", ["JAX_PLATFORMS", "JAX_PLATFORM_NAME"])
def test_platforms_that_are_known_but_do_not_start_are_named(variable, monkeypatch):
    def devices_of_none():
        raise AssertionError  # as JAX does where there is no CUDA

    monkeypatch.setattr(jax, "devices", devices_of_none)
    field = variable.lower()
    before = jax.config.values[field]
    jax.config.update(field, "cuda")
    try:
        with pytest.raises(CaejaxError, match=rf"{variable} is 'cuda', .* to cpu"):
            devices.check_platforms()
    finally:
        jax.config.update(field, before)


@pytest.fixture
def cache():
    """The folder that programs are kept in; as before after the test."""
    before = jax.config.jax_compilation_cache_dir
    yield lambda: jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.parametrize("home", ["/dev/null", "/proc/none", "no home", "no passwd"])
def test_caches_are_optional(home, cache, monkeypatch, tmp_path, capsys):
    def usual(name):
        if home == "no passwd":
            raise RuntimeError("Could not determine home directory.")
        return Path("~/.cache" if home == "no home" else home, name)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compilation.pooch, "os_cache", usual)
    jax.config.update("jax_compilation_cache_dir", None)
    compilation.use_cache()
    assert cache() is None
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err == ""


def test_programs_that_are_kept_damaged_are_kept_anew(tmp_path):
    program = """
import sys; from pathlib import Path
import jax, jax.numpy as jnp; from caejax.runtime.compilation import use_cache
use_cache(Path(sys.argv[1]))
def triple(x): return 3 * x
print(jax.jit(triple)(jnp.float32(2)))
"""

    def run():
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("6.0\n", "")
        (kept,) = tmp_path.glob("jit_triple-*-cache")
        return kept, kept.stat().st_size

    kept, size = run()
    kept.write_bytes(kept.read_bytes()[:50])
    assert run() == (kept, size)


def test_a_full_cache_is_said_once(cache, tmp_path, capsys):
    (tmp_path / "jit_f-1-cache").touch()
    compilation.use_cache(tmp_path)
    for name in ("f", "f", "g"):
        warnings.warn(
            f"Error writing persistent compilation cache entry for 'jit_{name}': "
            "OSError: No space left on device",
            stacklevel=1,
        )
    assert capsys.readouterr().err == (
        "note: No space left on device: "
        f"{tmp_path} takes no further compiled programs\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_cache_of_the_user_s_that_cannot_be_written_is_said(cache, capsys):
    compilation.use_cache(Path("/dev/null/programs"))
    assert cache() is None
    assert capsys.readouterr().err.startswith("note: /dev/null/programs takes no files")
