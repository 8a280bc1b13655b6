"""What a worker knows of its machine: launchpad, programs, cores, folders. `settings_file` reads it from files."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterodft.errors import ProgramNotFoundError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HIDDEN", "Settings"]

HIDDEN = "mongodb://"
"""Stands for the address of a server that is not to be told."""
_PATHS = ("runs", "bin_dir", "pseudo_dir", "launchpad_file")


@dataclass(frozen=True)
class Settings:
    """The settings of this machine.

    Attributes
    ----------
    host
        Launchpad: ``sqlite://PATH`` or a MongoDB address.
    database
        Name of the database on a MongoDB server.
    runs
        Folder of the calculations.
    cores
        Number of cores to use.
    command
        How to start pw.x, ``{cores}`` standing for the number of ranks, ``{pools}`` for that of the pools that
        share the k-points; None chooses.
    bin_dir, pseudo_dir
        Folders of the programs and of the pseudopotentials; None means PATH and the installed family.
    vasp_command, vasp_gamma_command, vasp_ncl_command
        How to start VASP, its build for Γ alone and its noncollinear build.
    launchpad_file
        The user's FireWorks launchpad file, which then says where the MongoDB server is, instead of `host`.
    batch
        The ``batch:`` section, for `heterodft launch`.
    disk_budget, keep_free
        GB that the folder of runs may take at most (None: no limit), and that must stay free on its disk.
    keep_files
        What stays of a finished calculation: ``densities``, ``all`` or ``results``; see `heterodft.workflows.disk`.
    orphans
        ``adopt`` a program that outlived its worker, or ``end`` it.
    grace
        Seconds that a program is given to write its checkpoint when it is stopped.
    correct_physics, reseed
        Whether handlers of pw.x may change smearing or symmetry as a last resort, which is marked, and whether a
        state that lost its moments is tried once more with larger ones.
    deadline
        When this worker's time is up, in seconds since 1970; None when it has no end. Never in a file.
    """

    host: str = field(repr=False)
    database: str
    runs: Path
    cores: int
    command: str | None = None
    bin_dir: Path | None = None
    pseudo_dir: Path | None = None
    vasp_command: str | None = None
    vasp_gamma_command: str | None = None
    vasp_ncl_command: str | None = None
    launchpad_file: Path | None = None
    batch: dict[str, Any] = field(default_factory=dict)
    disk_budget: float | None = None
    keep_free: float = 1.0
    keep_files: str = "densities"
    orphans: str = "adopt"
    grace: float = 20.0
    correct_physics: bool = False
    reseed: bool = False
    deadline: float | None = None

    @property
    def queue_file(self) -> Path | None:
        """The file of the embedded launchpad, or None on a server."""
        return Path(self.host.removeprefix("sqlite://")) if self.host.startswith("sqlite://") else None

    def stored(self, folder: Path) -> str:
        """Return a folder as the queue keeps it: relative to the queue file, so that both may move together."""
        return str(folder) if self.queue_file is None else os.path.relpath(folder, self.queue_file.parent)

    def resolved(self, stored: str) -> Path:
        """Return the folder that `stored` stands for."""
        base = Path("/") if self.queue_file is None else self.queue_file.parent
        return Path(os.path.normpath(base / stored))

    def to_dict(self, *, secret: bool = True) -> dict[str, Any]:
        """Return plain JSON data; without `secret`, the address of a server that holds a password is left out."""
        data = {key: str(value) if isinstance(value, Path) else value for key, value in vars(self).items()}
        return data if secret or self.queue_file is not None or "@" not in self.host else data | {"host": HIDDEN}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """Rebuild settings from `to_dict`; nothing is read from files."""
        values: Any = {key: Path(v) if key in _PATHS and v is not None else v for key, v in data.items()}
        return cls(**values)

    def with_command(self, command: str | None) -> Settings:
        """Return the same settings with the command that a campaign gives for its code, where it gives one."""
        if command is None:
            return self
        return replace(self, command=command, vasp_command=command, vasp_gamma_command=None)

    def program(self, name: str) -> str:
        """Return the path of a program.

        Raises
        ------
        ProgramNotFoundError
            If it is not installed.
        """
        path = str(self.bin_dir / name) if self.bin_dir else name
        found = shutil.which(path)
        if found is None:
            raise ProgramNotFoundError(
                f"{path} is not installed or not on PATH; install Quantum ESPRESSO "
                "(Debian: apt-get install quantum-espresso) or set ESPRESSO_BIN_DIR"
            )
        return found

    def command_for(self, program: str, cores: int, *, pools: int = 1) -> list[str]:
        """Return the command line that starts a program on a number of cores.

        Parameters
        ----------
        program
            ``pw.x``, or another of its suite.
        cores
            Number of ranks.
        pools
            Of these, that share the k-points; put for ``{pools}`` in a command of the user's.

        Raises
        ------
        SettingsError
            If the command names no pw.x to put the program in the place of.
        ProgramNotFoundError
            If its first word or the program is not installed.
        """
        if self.command is None:
            path = self.program(program)
            if cores == 1 or not shutil.which("mpirun"):
                return [path]
            return ["mpirun", "-np", str(cores), path, *(["-nk", str(pools)] if pools > 1 else [])]
        try:
            words = shlex.split(self.command.replace("{cores}", str(cores)).replace("{pools}", str(pools)))
        except ValueError as error:
            raise SettingsError(f"espresso: command: '{self.command}': {error}; balance its quotes") from error
        places = [i for i, word in enumerate(words) if Path(word).name == "pw.x"]
        if len(places) != 1:
            raise SettingsError(f"espresso: command: '{self.command}' must name pw.x once, as in mpirun -np 2 pw.x")
        given = Path(words[places[0]])
        words[places[0]] = self.program(program) if given.name == str(given) else str(given.with_name(program))
        for word in {words[0], words[places[0]]}:
            if shutil.which(word) is None:
                raise ProgramNotFoundError(
                    f"{word} (of the command '{self.command}') is not installed; "
                    "install it or change espresso: command:"
                )
        return words
