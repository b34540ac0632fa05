"""A Slurm of two nodes on this machine, for one test."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")

_CONFIG = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
ReturnToService=2
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/d-%n.pid
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/d-%n.log
SlurmUser=root
SwitchType=switch/none
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SlurmctldPort=16817
SlurmdTimeout=5
SlurmctldTimeout=15
InactiveLimit=0
KillWait=5
MinJobAge=300
JobRequeue=1
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=100000,batch_sched_delay=0
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
NodeName=n[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=1 \
RealMemory=1000 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no such cluster here, "" if there can."""
    if os.geteuid() != 0:
        return "it takes root to start a Slurm"
    lacks = [name for name in PROGRAMS if not _found(name)]
    return f"no {lacks[0]}: apt-get install slurmctld slurmd munge" if lacks else ""


def _found(name):
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")


class Slurm:
    """The cluster while it runs."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._daemons: dict[str, subprocess.Popen] = {}
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self, name: str, *command: str) -> None:
        """Starts a daemon in the foreground."""
        program, *words = command
        with (self._folder / f"{name}.out").open("wb") as out:
            self._daemons[name] = subprocess.Popen(
                [_found(program), *words],
                env=self.environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def node(self, name: str) -> None:
        """Starts a node, also one that was lost."""
        self.start(name, "slurmd", "-D", "-N", name)

    def lose(self, name: str) -> None:
        """A node is gone, with all that runs on it."""
        self._daemons[name].kill()
        self._daemons.pop(name).wait()
        for pid in self._steps(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _steps(self, node):
        """What runs on a node for its jobs, parents first: those of a step's shell."""
        marks = {f"SLURMD_NODENAME={node}", f"SLURM_CONF={self._folder}/slurm.conf"}
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environment = (folder / "environ").read_bytes().decode(errors="replace")
                if marks <= set(environment.split("\0")):
                    stat = (folder / "stat").read_text()
                    found[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
        above = set(found.values()) - set(found) - {0, 1, os.getpid()}
        return [*above, *found]

    def ask(self, *command: str) -> str:
        """What a program of Slurm says."""
        program, *words = command
        done = subprocess.run(
            [_found(program), *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return (done.stdout + done.stderr).strip()

    def stop(self) -> None:
        """Ends all that has been started."""
        for name in [x for x in self._daemons if x not in ("munge", "ctld")]:
            self.lose(name)
        for daemon in self._daemons.values():
            daemon.kill()
            daemon.wait()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Slurm]:
    """Starts two nodes, n1 and n2, whose names must resolve; ends all at the end."""
    (folder / "state").mkdir(parents=True)
    os.chmod(folder, 0o755)
    (folder / "slurm.conf").write_text(_CONFIG.format(folder=folder))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    slurm = Slurm(folder)
    try:
        slurm.start(
            "munge",
            "munged",
            "--foreground",
            "--force",
            f"--socket={folder}/munge.socket",
            f"--key-file={key}",
            f"--pid-file={folder}/munge.pid",
            f"--log-file={folder}/munge.log",
            f"--seed-file={folder}/munge.seed",
        )
        _wait(lambda: (folder / "munge.socket").exists())
        slurm.start("ctld", "slurmctld", "-D", "-c")
        slurm.node("n1")
        slurm.node("n2")
        _wait(lambda: slurm.ask("sinfo", "-h", "-o", "%t %D") == "idle 2")
        yield slurm
    finally:
        slurm.stop()


def _wait(happened, seconds=30):
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            raise TimeoutError("the cluster does not come up")
        time.sleep(0.1)
