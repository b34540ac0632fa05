"""Tests of the executor on Ray clusters; on a real one where Ray is installed."""

import collections
import contextlib
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import sweep_jobs
from helpers.sweep_jobs import fake_config, sweep_config

from caejax.errors import CaejaxError
from caejax.files.locks import holding
from caejax.sweep import progress
from caejax.sweep.attempt import attempt
from caejax.sweep.executors import ray as cluster
from caejax.sweep.executors.vmap import vmap
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import expand


def test_without_ray_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    config = fake_config(1, name="ray")
    with pytest.raises(CaejaxError, match=r'pip install "caejax\[ray\]"'):
        run_sweep(config, tmp_path / "sweep", sweep_jobs.quick)


class Lost(BaseException):
    """What stands for a machine that is gone; it passes through an attempt."""


@pytest.fixture
def flight(tmp_path):
    """Tasks that are done where they are waited for, without Ray."""

    def make(do, most=4):
        folder, seen = tmp_path / "sweep" / "runs", []

        def wait(tasks):
            return tasks[:1]

        def submit(runs):
            seen.append([run.config.seed for run in runs])
            assert len(stub.flying) < most
            task = object()
            stub.flying[task] = runs
            return task

        def land(task):
            runs = stub.flying.pop(task)
            try:
                return {r.id: attempt(r, folder, do, lambda: None) for r in runs}, None
            except Lost as error:
                return {}, error

        stub = SimpleNamespace(
            submit=submit, wait=wait, land=land, stop=lambda tasks: None, flying={}
        )
        stub.news = SimpleNamespace(hear=list)
        stub.seen = seen
        return stub

    return make


def direct(tmp_path, monkeypatch, stub, count, most=4):
    monkeypatch.setattr(cluster, "_AGAIN", 0.0)
    runs, states = expand(fake_config(count)), collections.defaultdict(list)
    folder = tmp_path / "sweep" / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    parts = [[run] for run in runs]

    def report(run, state, where=""):
        states[run.config.seed].append(state)

    cluster._direct(parts, folder, stub, report, most)
    return states


def test_runs_of_machines_that_are_lost_go_on_elsewhere(tmp_path, monkeypatch, flight):
    def do(config, workdir):
        sweep_jobs.log(config, workdir, "began")
        times = sweep_jobs.logged(tmp_path, "began")[f"began {config.seed}"]
        if config.seed == 0 and times < 25:
            # It comes further each time.
            (workdir / f"checkpoints/last/{times}").mkdir(parents=True, exist_ok=True)
            raise Lost
        if config.seed == 1:
            raise Lost
        if config.seed == 2:
            raise CaejaxError("no good")
        sweep_jobs.quick(config, workdir)

    states = direct(tmp_path, monkeypatch, flight(do), 4)
    assert [states[seed][-1] for seed in range(4)] == ["done", *["failed"] * 2, "done"]
    paths = (tmp_path / "sweep").glob("runs/*/error.txt")
    first, second = sorted(path.read_text() for path in paths)
    assert first.startswith("20 tasks of Ray ended in the midst of this run, the last")
    assert second == "no good\n"


def test_runs_that_others_do_are_left_to_them(tmp_path, monkeypatch, flight):
    """Another command holds the lock of one, and gives it up when asked twice."""
    runs = expand(fake_config(2))
    lock = tmp_path / "sweep" / "runs" / runs[0].id / ".lock"
    with contextlib.ExitStack() as elsewhere:
        elsewhere.enter_context(holding(lock))
        stub = flight(sweep_jobs.quick)
        submit = stub.submit

        def give_up(part):
            if stub.seen.count([0]) == 2:
                elsewhere.close()
            return submit(part)

        stub.submit = give_up
        states = direct(tmp_path, monkeypatch, stub, 2)
    assert states[0] == ["running elsewhere"] * 2 + ["done"]
    assert states[1] == ["done"]


class Here:
    """What stands for Ray: a task is done where it is begun."""

    def __init__(self):
        self.parts, self._states = [], {}

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 1.0}}] * 2

    def remote(self, work):
        def begin(runs, *shared):
            task = object()
            self.parts.append([run.config.seed for run in runs])
            self._states[task] = work(runs, *shared)
            return task

        return SimpleNamespace(options=lambda **asked: SimpleNamespace(remote=begin))

    def wait(self, tasks, **how):
        return tasks[:1], tasks[1:]

    def get(self, task):
        return self._states[task]


@pytest.mark.parametrize(
    ("group", "parts"),
    [(True, [[0, 1, 2], [3, 4]]), (False, [[0], [1], [2], [3], [4]])],
)
def test_with_groups_a_task_trains_its_part_as_vmap_does(
    tmp_path, monkeypatch, group, parts
):
    engine, together = Here(), []

    def seen(runs, *rest):
        together.append([run.config.seed for run in runs])
        vmap(runs, *rest)

    lines = SimpleNamespace(add=SimpleNamespace(remote=lambda *line: None))
    news = SimpleNamespace(hear=list, actor=lines)
    monkeypatch.setattr(cluster, "_cluster", lambda: contextlib.nullcontext(engine))
    monkeypatch.setattr(cluster, "_News", lambda engine: news)
    monkeypatch.setattr(cluster, "_begin", lambda there: "here")
    monkeypatch.setattr(cluster, "_check_reach", lambda *place: None)
    monkeypatch.setattr(cluster, "vmap", seen)
    config = fake_config(5, name="ray", group=group)
    rows = run_sweep(config, tmp_path / "sweep", sweep_jobs.quick)
    assert [row["status"] for row in rows] == ["done"] * 5
    assert engine.parts == parts
    assert together == (parts if group else [])


def test_parts_are_of_runs_that_are_alike_and_of_equal_size():
    axes = {"field": "model.upsampling", "values": ("nearest_k3", "deconv_k3")}
    seeds = {"field": "seed", "values": tuple(range(6))}
    runs = expand(sweep_config(decoder=axes, seed=seeds))
    parts = list(cluster._parts(runs, 4))
    assert [len(part) for part in parts] == [3, 3, 3, 3]
    assert sorted(x.id for part in parts for x in part) == sorted(x.id for x in runs)
    for part in parts:
        assert len({run.config.model.upsampling for run in part}) == 1
    assert [len(part) for part in cluster._parts(runs, 1)] == [6, 6]
    assert len(list(cluster._parts(runs, 100))) == 12


def test_who_does_what_is_shown():
    axes = {"field": "model.upsampling", "values": ("nearest_k3",)}
    (run,) = expand(sweep_config(decoder=axes))
    there = progress.running_line(run, {}, 80, where="node-two")
    assert there == f"on node-two  {progress.running_line(run, {}, 68)}"
    assert "done on node-two" in progress.line_of(run, "done", {}, "node-two")


@pytest.fixture
def nodes(monkeypatch):
    """A cluster of two nodes of one CPU each, on 127.0.0.1 alone."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # beside other tests
    tests = Path(__file__).parent  # nodes' processes import what the driver does
    monkeypatch.setenv("PYTHONPATH", f"{tests.parent}:{tests}")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with cluster._keeping_signals():
        import ray
        from ray._private import ray_constants
        from ray.cluster_utils import Cluster

        # Else Ray looks for 127.0.0.1 under this machine's address in its network.
        monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        own = {"object_store_memory": 80 * 2**20, "node_ip_address": "127.0.0.1"}
        head = {"num_cpus": 1, "include_dashboard": False, **own}
        found = Cluster(initialize_head=True, head_node_args=head)
        second = found.add_node(num_cpus=1, **own)
        found.wait_for_nodes()
        ray.init(address=found.address, log_to_driver=False)
        try:
            yield found, second
        finally:
            ray.shutdown()
            found.shutdown()


@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_a_node_is_killed_and_its_run_goes_on(nodes, tmp_path, capsys):
    found, second = nodes
    config = sweep_config(seed={"field": "seed", "values": (0, 1)})
    config.model.encoder, config.model.widths = "dense", ()
    config.train.epochs = 2
    config.executor.name = "ray"
    hold = tmp_path / "hold"
    hold.touch()

    def kill():
        last = "sweep/runs/*/checkpoints/last/4"
        while hold.exists() and len(list(tmp_path.glob(last))) < 2:
            threading.Event().wait(0.1)
        found.remove_node(second, allow_graceful=False)
        hold.unlink()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        rows = run_sweep(config, tmp_path / "sweep", sweep_jobs.hold_at_an_epoch)
    finally:
        hold.unlink(missing_ok=True)
        thread.join()
    assert [row["status"] for row in rows] == ["done", "done"]
    assert " running on " in capsys.readouterr().out
    config.executor.name, config.executor.workers = "processes", 1
    run_sweep(config, tmp_path / "processes")
    sweeps = tmp_path / "sweep", tmp_path / "processes"
    tables = [(sweep / "results.csv").read_bytes() for sweep in sweeps]
    assert tables[0] == tables[1]
