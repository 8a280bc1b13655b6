"""A real Slurm with two nodes of two cores each, all on this machine, in a folder of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")

CONFIGURATION = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}] CPUs=2 Sockets=1 \
CoresPerSocket=2 ThreadsPerCore=1 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=1:00:00 State=UP
"""


def find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Cluster:
    """Munge, a controller and two node daemons, ended by their own process numbers."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        for name in ("state", "spool/n1", "spool/n2"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                folder=self.folder, host=socket.gethostname(), user=getpass.getuser(), ports=_free_ports()
            )
        )
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        files = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self._start("munged", "--foreground", "--force", *files, f"--socket={self.folder}/munge.socket")
        self._wait((self.folder / "munge.socket").exists, "munged")
        self._start("slurmctld", "-D", "-c")
        for node in ("n1", "n2"):
            self._start("slurmd", "-D", "-c", "-N", node)
        self._wait(lambda: self("sinfo", "-h", "-o", "%T %D").split() == ["idle", "2"], "slurmctld")

    def _start(self, program: str, *words: str) -> None:
        command, environment = [find(program), *words], os.environ | self.environment
        with (self.folder / f"{program}-{len(self._daemons)}.out").open("wb") as out:
            daemon = subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=self.folder)
        self._daemons.append(daemon)

    def _wait(self, ready, program: str) -> None:
        end = time.monotonic() + 60
        while not ready():
            if time.monotonic() > end:
                logs = "\n".join(f"{p.name}: {p.read_text()[-600:]}" for p in self.folder.glob("*.*t"))
                raise RuntimeError(f"{program} did not start:\n{logs}")
            time.sleep(0.2)

    def __call__(self, *words: str) -> str:
        """Run a command of Slurm and return what it says."""
        done = subprocess.run(
            words, env=os.environ | self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """Return the state of each job that waits or runs."""
        return dict(line.split() for line in self("squeue", "-h", "-o", "%i %T").splitlines())

    def stop(self) -> None:
        self("scancel", f"--user={getpass.getuser()}")
        end = time.monotonic() + 20
        while self.jobs() and time.monotonic() < end:
            time.sleep(0.5)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _free_ports() -> tuple[int, int, int]:
    """Return three free ports, the last two in a row, as the line of the nodes wants them."""
    while True:
        with ExitStack() as stack:
            first, second, third = (stack.enter_context(socket.socket()) for _ in range(3))
            first.bind(("127.0.0.1", 0))
            second.bind(("127.0.0.1", 0))
            port = second.getsockname()[1]
            try:
                third.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return first.getsockname()[1], port, port + 1
