"""Where things are on this machine: launchpad, programs, cores, folders.

Read in this order, the later winning: the user's ``settings.yaml`` (in ``$XDG_CONFIG_HOME/heterodft``),
``heterodft.yaml`` in the working folder (or the one file that ``HETERODFT_SETTINGS`` names instead of both), the
environment variables ``HETERODFT_HOST``, ``ESPRESSO_BIN_DIR`` and ``ESPRESSO_PSEUDO``.

    launchpad: {host: sqlite://runs/queue.sqlite, name: heterodft}   # or mongodb://user:password@server
    runs: runs                       # folder of the calculations
    cores: 2                         # of this machine to use, all by default
    espresso:
      command: mpirun -np {cores} pw.x
      bin_dir: /opt/qe/bin
      pseudo_dir: ~/pseudos

A path after ``sqlite://`` is relative to the settings file (or the working folder) unless it starts with a slash:
``sqlite:///scratch/queue.sqlite``.
"""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterodft.errors import ProgramNotFoundError, SettingsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "absolute_command", "load_settings"]

_PATHS = ("runs", "bin_dir", "pseudo_dir")
_SECTIONS: dict[str, tuple[str, ...]] = {
    "launchpad": ("host", "name"),
    "espresso": ("command", "bin_dir", "pseudo_dir"),
    "runs": (),
    "cores": (),
}


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
        How to start pw.x, ``{cores}`` standing for the number of ranks; None chooses.
    bin_dir, pseudo_dir
        Folders of the programs and of the pseudopotentials; None means PATH and the installed family.
    """

    host: str
    database: str
    runs: Path
    cores: int
    command: str | None = None
    bin_dir: Path | None = None
    pseudo_dir: Path | None = None

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
        """Return plain JSON data; without `secret`, the address of a server is left out."""
        data = {key: str(value) if isinstance(value, Path) else value for key, value in vars(self).items()}
        return data if secret or self.queue_file is not None else data | {"host": "mongodb://"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """Rebuild settings from `to_dict`; nothing is read from files."""
        values: Any = {key: Path(v) if key in _PATHS and v is not None else v for key, v in data.items()}
        return cls(**values)

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

    def command_for(self, program: str, cores: int) -> list[str]:
        """Return the command line that starts a program on a number of cores.

        Raises
        ------
        SettingsError
            If the command names no pw.x to put the program in the place of.
        ProgramNotFoundError
            If its first word or the program is not installed.
        """
        if self.command is None:
            path = self.program(program)
            return ["mpirun", "-np", str(cores), path] if cores > 1 and shutil.which("mpirun") else [path]
        try:
            words = shlex.split(self.command.replace("{cores}", str(cores)))
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


def load_settings(**changes: Any) -> Settings:
    """Read the settings of this machine and working folder.

    Parameters
    ----------
    **changes
        Fields of `Settings` that win over everything else; None leaves a field alone.

    Raises
    ------
    SettingsError
        On an unknown key or an impossible value.
    """
    values: dict[str, Any] = {"host": "sqlite://runs/queue.sqlite", "name": "heterodft", "runs": "runs"}
    folder = Path.cwd()
    for path in _files():
        read = _read(path)
        values |= read
        if "host" in read:
            folder = path.parent.resolve()
    for key, variable in (
        ("host", "HETERODFT_HOST"),
        ("bin_dir", "ESPRESSO_BIN_DIR"),
        ("pseudo_dir", "ESPRESSO_PSEUDO"),
    ):
        if os.environ.get(variable):
            values[key] = os.environ[variable]
            folder = Path.cwd() if key == "host" else folder
    cores = values.get("cores", len(os.sched_getaffinity(0)))
    if isinstance(cores, bool) or not isinstance(cores, int) or cores < 1:
        raise SettingsError(f"cores: {cores!r} is no number of cores; give an integer of at least 1")
    for key in ("host", "name", "runs", "command", "bin_dir", "pseudo_dir"):
        if not isinstance(values.get(key, ""), str):
            raise SettingsError(f"{key}: {values[key]!r}; give a text")
    settings = Settings(
        host=values["host"],
        database=values["name"],
        runs=Path(values["runs"]).expanduser().absolute(),
        cores=cores,
        command=values.get("command"),
        bin_dir=_path(values.get("bin_dir")),
        pseudo_dir=_path(values.get("pseudo_dir")),
    )
    settings = replace(settings, **{key: value for key, value in changes.items() if value is not None})
    return replace(settings, host=_absolute_host(settings.host, folder), command=absolute_command(settings.command))


def absolute_command(command: str | None) -> str | None:
    """Make the programs of a command that are given by a relative path absolute; workers run elsewhere."""
    if command is None:
        return None
    words = command.split(" ")
    return " ".join(str(Path(w).absolute()) if w.startswith(("./", "../")) else w for w in words)


def _files() -> list[Path]:
    chosen = os.environ.get("HETERODFT_SETTINGS")
    if chosen:
        path = Path(chosen).expanduser()
        if not path.is_file():
            raise SettingsError(f"HETERODFT_SETTINGS names {path}, which does not exist; correct or unset it")
        return [path]
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return [path for path in (config / "heterodft" / "settings.yaml", Path("heterodft.yaml")) if path.is_file()]


def _read(path: Path) -> dict[str, Any]:
    """Read one settings file into a flat dictionary."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise SettingsError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: expected keys such as {', '.join(_SECTIONS)}")
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if key not in _SECTIONS:
            raise SettingsError(f"{path}: unknown key '{key}'{did_you_mean(str(key), _SECTIONS)}")
        if not _SECTIONS[key]:
            flat[key] = value
            continue
        if not isinstance(value, dict):
            raise SettingsError(f"{path}: {key}: expected keys {', '.join(_SECTIONS[key])}")
        for name in value:
            if name not in _SECTIONS[key]:
                raise SettingsError(f"{path}: {key}: unknown key '{name}'{did_you_mean(str(name), _SECTIONS[key])}")
        flat |= value
    return flat


def _path(value: str | None) -> Path | None:
    return Path(value).expanduser().absolute() if value else None


def _absolute_host(host: str, folder: Path) -> str:
    if not host.startswith("sqlite:"):
        if not host.startswith(("mongodb://", "mongodb+srv://")):
            raise SettingsError(f"launchpad: host: '{host}'; write sqlite://PATH or mongodb://SERVER")
        return host
    path = Path(host.removeprefix("sqlite:").removeprefix("//")).expanduser()
    return f"sqlite://{folder / path}"
