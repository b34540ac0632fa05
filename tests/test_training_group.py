"""Tests of runs trained together; on two devices in test_training_step."""

import contextlib
import itertools
import shutil
import signal
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from helpers import sweep_jobs
from helpers.runs import CLOCK, rows_of, state_of
from helpers.sweep_jobs import fake_config, sweep_config
from helpers.tiny import tiny_config

from caejax.files.locks import holding, sharing
from caejax.runtime import stopping
from caejax.sweep.alike import alike, program_of
from caejax.sweep.executors import vmap as together
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import SweepRun, expand
from caejax.training import group, pace, varied
from caejax.training.folder import last_step
from caejax.training.progress import Progress
from caejax.training.run import Request, create_run, new_state
from caejax.training.step import zero_sums
from caejax.training.varied import read_values, recipe_of, shared

FIELDS = ("seed", "corruption.level", "optimizer.learning_rate", "code_penalty")
POINTS = (
    (0, 0.5, 1e-3, 0.1),
    (1, 0.2, 1e-30, 0.2),  # never gets better: stops an epoch before the others
    (2, 0.1, 1e30, 0.2),  # fails
)


def varied_config(executor):
    config = tiny_config()
    config.train.early_stopping = 1
    config.optimizer.schedule = "cosine"
    config.sweep = {"runs": {"field": FIELDS, "values": POINTS}}
    config.executor.name = executor
    return config


@pytest.fixture(scope="module")
def separate(tmp_path_factory):
    """The folder and the rows of runs done one by one."""
    folder = tmp_path_factory.mktemp("separate")
    return folder, run_sweep(varied_config("serial"), folder)


@pytest.fixture(scope="module", params=[True, False], ids=["in turn", "vmap"])
def joint(tmp_path_factory, request):
    """The folder and the rows of runs done together, and in which form."""
    folder = tmp_path_factory.mktemp("joint")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "in_turn", lambda: request.param)
        return folder, run_sweep(varied_config("vmap"), folder), request.param


def test_runs_end_together_as_they_do_alone(separate, joint):
    for run, alone, row in zip(
        expand(varied_config("vmap")), separate[1], joint[1], strict=True
    ):
        assert row.keys() == alone.keys()
        for name in row.keys() - CLOCK:
            x, y = row[name], alone[name]
            if isinstance(x, float):
                # What is below -100 dB is rounding itself.
                x, y = max(x, -100), pytest.approx(max(y, -100), rel=1e-3, abs=0.01)
            assert x == y, name
        mine, theirs = (folder / "runs" / run.id for folder, *_ in (joint, separate))
        states = [state_of(x, run.config) for x in (mine, theirs)]
        for a, b in zip(*map(jax.tree.leaves, states), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        names = [{x.name for x in folder.iterdir()} for folder in (mine, theirs)]
        assert names[0] == names[1]
        places = [
            [(r["step"], r["split"], r.keys()) for r in rows_of(folder)]
            for folder in (mine, theirs)
        ]
        assert places[0] == places[1]
    assert [row["status"] for row in joint[1]] == ["done", "done", "failed"]
    assert [row.get("steps") for row in joint[1]] == [8, 4, None]


def test_the_penalty_is_no_part_of_the_loss_that_is_compared(separate):
    for row in separate[1]:
        if row["status"] == "done":
            assert row["test/loss"] == pytest.approx(row["test/bce"], rel=1e-4)


def test_a_group_that_was_stopped_ends_like_an_undisturbed_one(
    tmp_path, joint, monkeypatch
):
    monkeypatch.setattr(group, "in_turn", lambda: joint[2])
    config, calls = varied_config("vmap"), []
    advance = Progress.after_epoch

    def stop(*args):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return advance(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "after_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(config, tmp_path)
    folders = [tmp_path / "runs" / run.id for run in expand(config)]
    assert [last_step(folder) for folder in folders] == [4, 0, 0]
    for folder in folders:
        with holding(folder / ".lock", wait=False) as free:
            assert free
    run_sweep(config, tmp_path)
    tables = [(x / "results.csv").read_bytes() for x in (tmp_path, joint[0])]
    assert tables[0] == tables[1]


def test_a_group_that_hears_ctrl_c_saves_every_run(tmp_path, joint, monkeypatch):
    monkeypatch.setattr(group, "in_turn", lambda: joint[2])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    config = varied_config("vmap")
    folders = [tmp_path / "runs" / run.id for run in expand(config)]
    create = group.compiled_group

    def compiled_group(*args):
        def steps(images, states, sums, stop, varied):
            if np.any(stop > states.step):  # else it is compiled
                signal.raise_signal(signal.SIGINT)
            return create(*args)(images, states, sums, stop, varied)

        return steps

    with monkeypatch.context() as patch:
        patch.setattr(group, "compiled_group", compiled_group)
        patch.setattr(pace, "_SECONDS", 0.0)
        for step in (1, 2, 3):
            with pytest.raises(KeyboardInterrupt):
                run_sweep(config, tmp_path)
            # The second stops early, after its first epoch.
            steps = [last_step(folder) for folder in folders[:2]]
            assert steps == [step, min(step, 4)]
    for folder in folders:
        with holding(folder / ".lock", wait=False) as free:
            assert free
    run_sweep(config, tmp_path)
    signal.signal(signal.SIGINT, before)
    tables = [(x / "results.csv").read_bytes() for x in (tmp_path, joint[0])]
    assert tables[0] == tables[1]


def test_a_run_that_cannot_be_saved_keeps_no_other_from_it(monkeypatch):
    saved, said = [], []

    def course(name):
        yield Request(None, None, None, 0)
        if name == "full":  # is the disk, and that of a run that has failed
            return "failed"
        saved.append(name)
        stopping.check()

    def take(requests):
        monkeypatch.setattr(stopping._Notes, "asked", signal.SIGTERM)
        return [(None, None, 0.0) for _ in requests]

    monkeypatch.setattr(stopping._Notes, "eased_at", 0.0)  # and set back
    monkeypatch.setattr(group, "_pacemaker", lambda lanes: take)
    courses = {name: course(name) for name in ("first", "full", "last")}
    requests = {name: next(x) for name, x in courses.items()}
    with pytest.raises(stopping.Stopped):
        group.train_together(courses, requests, 1, lambda *what: said.append(what))
    assert saved == ["first", "last"]
    assert said == [("full", "failed")]


@pytest.mark.parametrize(
    "error", [MemoryError(), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no")]
)
def test_memory_of_the_host_or_a_device_may_not_do_for_a_group(error, monkeypatch):
    taken, said = [], []

    def course():
        yield Request(None, None, None, 0)
        return "done"

    def take(requests):
        taken.append(len(requests))
        if len(requests) > 1:
            raise error
        return [(None, None, 0.0)]

    monkeypatch.setattr(group, "_pacemaker", lambda lanes: take)
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    courses = {name: course() for name in "abc"}
    requests = {name: next(x) for name, x in courses.items()}
    group.train_together(courses, requests, 3, lambda *what: said.append(what))
    assert taken == [3, 1, 1, 1]
    assert said == [(name, "done") for name in "abc"]


@pytest.fixture
def lanes(monkeypatch):
    """How many runs the programs of groups have taken at a time."""
    seen, create = set(), group.compiled_group

    def compiled_group(*args):
        def steps(images, states, *rest):
            seen.add(len(states.step))
            return create(*args)(images, states, *rest)

        return steps

    monkeypatch.setattr(group, "compiled_group", compiled_group)
    return seen


def test_a_run_that_is_left_over_ends_as_in_its_group(
    tmp_path, joint, monkeypatch, lanes
):
    monkeypatch.setattr(group, "in_turn", lambda: joint[2])
    folder, config = tmp_path / "sweep", varied_config("vmap")
    shutil.copytree(joint[0], folder)
    shutil.rmtree(folder / "runs" / expand(config)[1].id)
    with sharing(folder / ".commands.lock"):  # so that what failed is not tried again
        run_sweep(config, folder)
    assert lanes == {3}
    tables = [(x / "results.csv").read_bytes() for x in (folder, joint[0])]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("fits", [1, 0])
def test_a_group_that_does_not_fit_is_halved(tmp_path, monkeypatch, lanes, fits):
    compiled = group.compiled_group

    def compiled_group(*args):
        def steps(images, states, *rest):
            result = compiled(*args)(images, states, *rest)
            if len(states.step) > fits:  # found out when these states are gone
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: too much")
            return result

        return steps

    monkeypatch.setattr(group, "compiled_group", compiled_group)
    rows = run_sweep(varied_config("vmap"), tmp_path)
    assert lanes == {1, 3}
    if fits:
        assert [row.get("steps") for row in rows] == [8, 4, None]
    else:
        error = _ran_out("RESOURCE_EXHAUSTED: too much")
        assert [row["error"] for row in rows] == [error] * 3


def test_an_error_of_the_group_is_that_of_each_run(tmp_path, monkeypatch):
    def fail(task, in_turn):
        raise OverflowError("too much")

    monkeypatch.setattr(group, "compiled_group", fail)
    config = varied_config("vmap")
    rows = run_sweep(config, tmp_path)
    assert [row["error"] for row in rows] == ["OverflowError: too much"] * 3


def _ran_out(why):
    return f"memory ran out ({why}); config.data.image_size is 16: make it smaller"


def test_groups_are_of_runs_that_differ_little():
    values = {
        "model.upsampling": ("deconv_k3", "nearest_k3"),
        "code_penalty": (0.0, 0.1, 0.2),
        "corruption.level": (0.1, 0.2),
        "optimizer.learning_rate": (1e-3, 1e-2),
        "seed": (0, 1),
    }
    config = sweep_config(
        **{
            str(i): {"field": name, "values": axis}
            for i, (name, axis) in enumerate(values.items())
        }
    )
    runs = expand(config)
    groups = alike(runs)
    assert [len(x) for x in groups] == [8, 16, 8, 16]
    assert list(itertools.chain(*groups)) == runs


def test_runs_that_start_from_others_share_a_group_but_not_with_these():
    first = expand(sweep_config(seed={"field": "seed", "values": (0, 1)}))
    runs = list(first)
    for ending in ("second", "third"):
        for before in runs[-2:]:
            config = before.config.copy_and_resolve_references()
            config.train.start_from = before.id
            runs.append(SweepRun(f"{before.id}-{ending}", {}, config, before.id))
    assert alike(runs) == [runs[:2], runs[2:4], runs[4:]]
    assert len({program_of(run.config) for run in runs}) == 1


def first_request(config):
    run = create_run(config, verbose=False)
    return Request(run, new_state(run), zero_sums(), 0)


@pytest.mark.parametrize(
    ("count", "workers", "size"),
    [(5, 2, 2), (4, 3, 2), (1, 0, 1), (64, 0, 64), (65, 0, 33), (3, 1, 1)],
)
def test_a_group_is_an_equal_share_of_what_there_is(count, workers, size):
    request = first_request(tiny_config())
    assert together.group_size(request, 2.0**30, count, workers) == size


def test_runs_whose_images_are_streamed_are_done_alone():
    config = tiny_config()
    config.data.budget_mib = 0.001
    request = first_request(config)
    assert together.group_size(request, 2.0**30, 5, 0) == 1


def test_a_group_fits_its_budget(monkeypatch):
    """By what the compiler says that the program of three needs."""
    run, state, sums, _ = first_request(varied_config("serial"))
    run = run._replace(task=run.task._replace(chunk=0))
    runs = [(state, sums, np.int32(4), read_values(recipe_of(run)))] * 3
    program = group.compiled_group(shared(recipe_of(run)), in_turn=False)
    lowered = program.lower(run.images["train"], *group._stack(runs))
    memory = lowered.compile().memory_analysis()
    needed = memory.temp_size_in_bytes + memory.output_size_in_bytes
    monkeypatch.setattr(group, "in_turn", lambda: False)
    assert group.capacity(run, state, needed) <= 3
    assert group.capacity(run, state, 3 * needed) >= 3  # nor is it idle
    # One after another, steps need their memory once.
    monkeypatch.setattr(group, "in_turn", lambda: True)
    more = 4 * group._STATES * sum(x.nbytes for x in jax.tree.leaves(state))
    once = group._STEP * group._kept_bytes(run, state)
    assert group.capacity(run, state, once + more) == 4
    assert group.capacity(run, state, once) == 1


def test_a_run_in_other_hands_is_left_out_of_the_group(tmp_path):
    config = fake_config(3, name="vmap")
    _, second, _ = expand(config)
    with contextlib.ExitStack() as elsewhere:
        lock = tmp_path / "sweep" / "runs" / second.id / ".lock"
        elsewhere.enter_context(holding(lock))

        def course(config, workdir):
            sweep_jobs.log(config, workdir, "began")
            sweep_jobs.quick(config, workdir)
            if config.seed == 2:
                elsewhere.close()  # as if the other command had died
            yield from ()

        rows = run_sweep(config, tmp_path / "sweep", course)
    assert [row["status"] for row in rows] == ["done"] * 3
    assert (tmp_path / "log").read_text().split() == "began 0 began 2 began 1".split()


def test_a_group_has_the_same_images(tmp_path, monkeypatch):
    """Images came into the folder while the second run was begun."""
    groups, found = [], {0: "old", 1: "new", 2: "old"}

    def course(config, workdir):
        data = SimpleNamespace(origins=found[config.seed])
        yield Request(SimpleNamespace(data=data), None, None, 0)

    def train_together(courses, requests, size, ended):
        groups.append([requests[name].run.data.origins for name in requests])
        for name in list(requests):
            sweep_jobs.quick(config, tmp_path / "runs" / name)
            del courses[name], requests[name]
            ended(name, "done")

    monkeypatch.setattr(group, "train_together", train_together)
    monkeypatch.setattr(together, "group_size", lambda *_: 3)
    config = fake_config(3, name="vmap")
    rows = run_sweep(config, tmp_path, course)
    assert [row["status"] for row in rows] == ["done"] * 3
    assert groups == [["old", "old"], ["new"]]


def test_a_field_may_vary_by_one_entry(tmp_path, monkeypatch):
    config = tiny_config()
    config.train.epochs = 1
    config.optimizer.name = "adamw"
    config.sweep = {"decay": {"field": "optimizer.weight_decay", "values": (0.0, 10.0)}}
    entries = {vary.field: vary for vary in varied.VARIED}
    decay = entries.pop("optimizer.weight_decay")
    monkeypatch.setattr(varied, "VARIED", tuple(entries.values()))
    assert [len(runs) for runs in alike(expand(config))] == [1, 1]
    monkeypatch.setattr(varied, "VARIED", (*varied.VARIED, decay))
    assert [len(runs) for runs in alike(expand(config))] == [2]
    alone = run_sweep(config, tmp_path / "serial")
    config.executor.name = "vmap"
    taken, create = [], group.compiled_group

    def compiled_group(recipe, in_turn):
        taken.append(recipe)
        return create(recipe, in_turn)

    monkeypatch.setattr(group, "compiled_group", compiled_group)
    together = run_sweep(config, tmp_path / "vmap")
    assert len(set(taken)) == 1
    for row, other in zip(together, alone, strict=True):
        assert row["test/psnr"] == pytest.approx(other["test/psnr"], rel=1e-4)
    assert abs(alone[0]["test/psnr"] - alone[1]["test/psnr"]) > 0.001
