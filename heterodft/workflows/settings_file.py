"""The settings of this machine, read from files and the environment.

Read in this order, the later winning: the user's ``settings.yaml`` (in ``$XDG_CONFIG_HOME/heterodft``),
``heterodft.yaml`` in the working folder (or the one file that ``HETERODFT_SETTINGS`` names instead of both), the
environment variables ``HETERODFT_HOST``, ``ESPRESSO_BIN_DIR``, ``ESPRESSO_PSEUDO``, ``VASP_CMD``,
``VASP_GAMMA_CMD`` and ``VASP_NCL_CMD``. What none of them says is looked for where other programs of the
field keep it, see `heterodft.workflows.ecosystem`.

    launchpad: {host: sqlite://runs/queue.sqlite, name: heterodft}   # or mongodb://user:password@server
    # launchpad: {file: my_launchpad.yaml}   # or FireWorks' own file of a MongoDB server
    runs: runs                       # folder of the calculations
    cores: 2                         # of this machine to use, all by default
    grace: 20                        # seconds for a program to write its checkpoint when it is stopped
    orphans: adopt                   # or end: programs that outlived their worker
    espresso:
      command: mpirun -np {cores} pw.x -nk {pools}
      bin_dir: /opt/qe/bin
      pseudo_dir: ~/pseudos
    vasp: {command: mpirun -np {cores} vasp_std}   # gamma_command, ncl_command
    disk: {budget: 500, free: 2}     # GB: of the folder of runs at most; to leave on the disk
                                     # keep: densities (also: all, results) is what stays of a finished calculation
    corrections: {physics: false, reseed: false}
    batch: {scheduler: slurm}        # for heterodft launch

A path after ``sqlite://`` is relative to the settings file (or the working folder) unless it starts with a slash:
``sqlite:///scratch/queue.sqlite``.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from heterodft.errors import SettingsError, did_you_mean
from heterodft.workflows.ecosystem import ecosystem_values
from heterodft.workflows.settings import HIDDEN, Settings

__all__ = ["SECTIONS", "VARIABLES", "Given", "absolute_command", "load_settings", "read_given"]

SECTIONS: dict[str, dict[str, str]] = {
    "launchpad": {"host": "host", "name": "name", "file": "launchpad_file"},
    "espresso": {"command": "command", "bin_dir": "bin_dir", "pseudo_dir": "pseudo_dir"},
    "vasp": {
        "command": "vasp_command",
        "gamma_command": "vasp_gamma_command",
        "ncl_command": "vasp_ncl_command",
    },
    "disk": {"budget": "disk_budget", "free": "keep_free", "keep": "keep_files"},
    "corrections": {"physics": "correct_physics", "reseed": "reseed"},
    "batch": {},
    "runs": {},
    "cores": {},
    "orphans": {},
    "grace": {},
}
"""Sections of the file and the field that each of their keys fills; those without keys fill their own."""
VARIABLES = {
    "host": "HETERODFT_HOST",
    "bin_dir": "ESPRESSO_BIN_DIR",
    "pseudo_dir": "ESPRESSO_PSEUDO",
    "vasp_command": "VASP_CMD",
    "vasp_gamma_command": "VASP_GAMMA_CMD",
    "vasp_ncl_command": "VASP_NCL_CMD",
}
_TEXTS = ("host", "name", "launchpad_file", "runs", "command", "bin_dir", "pseudo_dir", "orphans", *VARIABLES)
_COMMANDS = ("command", "vasp_command", "vasp_gamma_command", "vasp_ncl_command")


@dataclass(frozen=True)
class Given:
    """A value of the settings and where it comes from: a file, an environment variable, or ``default``."""

    value: Any
    origin: str


def read_given() -> tuple[dict[str, Given], Path]:
    """Return what is given for the fields of `Settings`, and the folder that the queue file is relative to.

    Raises
    ------
    SettingsError
        If a file cannot be read or holds an unknown key.
    """
    defaults = {"host": "sqlite://runs/queue.sqlite", "name": "heterodft", "runs": "runs"}
    given = {key: Given(value, "default") for key, value in defaults.items()}
    given |= {key: Given(value, origin) for key, (value, origin) in ecosystem_values().items()}
    if "launchpad_file" in given:
        given["host"] = Given(HIDDEN, given["launchpad_file"].origin)
    folder = Path.cwd()
    for path in _files():
        read = {key: Given(value, str(path)) for key, value in _read(path).items()}
        if "host" in read:
            folder = path.parent.resolve()
            given.pop("launchpad_file", None)
        given |= read
        if "launchpad_file" in read and isinstance(read["launchpad_file"].value, str):
            file = path.parent.resolve() / Path(read["launchpad_file"].value).expanduser()
            given["launchpad_file"] = Given(str(file), str(path))
            given["host"] = Given(HIDDEN, str(path))  # which the file knows
    for key, variable in VARIABLES.items():
        if os.environ.get(variable):
            given[key] = Given(os.environ[variable], variable)
            given.pop("launchpad_file" if key == "host" else "", None)
            folder = Path.cwd() if key == "host" else folder
    return given, folder


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
    given, folder = read_given()
    values = {key: one.value for key, one in given.items()}
    _check(values)
    plain = (
        *_COMMANDS,
        "batch",
        "disk_budget",
        "keep_free",
        "keep_files",
        "orphans",
        "grace",
        "correct_physics",
        "reseed",
    )
    known = {key: values[key] for key in plain if key in values}
    settings = Settings(
        host=values["host"],
        database=values["name"],
        runs=Path(values["runs"]).expanduser().absolute(),
        cores=values.get("cores", len(os.sched_getaffinity(0))),
        bin_dir=_path(values.get("bin_dir")),
        pseudo_dir=_path(values.get("pseudo_dir")),
        launchpad_file=_path(values.get("launchpad_file")),
        **known,
    )
    settings = replace(settings, **{key: value for key, value in changes.items() if value is not None})
    commands: Any = {key: absolute_command(getattr(settings, key)) for key in _COMMANDS}
    return replace(settings, host=_absolute_host(settings.host, folder), **commands)


def _check(values: dict[str, Any]) -> None:
    cores = values.get("cores", 1)
    if isinstance(cores, bool) or not isinstance(cores, int) or cores < 1:
        raise SettingsError(f"cores: {cores!r} is no number of cores; give an integer of at least 1")
    for key in _TEXTS:
        if not isinstance(values.get(key, ""), str):
            shown = "" if key == "host" else f"{values[key]!r}; "  # it may hold a password
            raise SettingsError(f"{key}: {shown}give a text")
    if values.get("orphans", "adopt") not in ("adopt", "end"):
        raise SettingsError(f"orphans: '{values['orphans']}'; write adopt or end")
    keep = values.get("keep_files", "densities")
    if keep not in ("densities", "all", "results"):
        raise SettingsError(f"disk: keep: '{keep}'; write densities, all or results")
    units = {
        "disk_budget": ("disk: budget", "GB"),
        "keep_free": ("disk: free", "GB"),
        "grace": ("grace", "seconds"),
    }
    for key, (name, unit) in units.items():
        number = values.get(key, 1.0)
        if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
            raise SettingsError(f"{name}: {number!r}; give a number of {unit}")
    for key, name in (("correct_physics", "physics"), ("reseed", "reseed")):
        if not isinstance(values.get(key, False), bool):
            raise SettingsError(f"corrections: {name}: {values[key]!r}; write true or false")
    if not isinstance(values.get("batch", {}), dict):
        raise SettingsError(f"batch: {values['batch']!r}; give keys such as scheduler: slurm")


def absolute_command(command: str | None) -> str | None:
    """Make the programs of a command that are given by a relative path absolute; workers run elsewhere."""
    if command is None:
        return None
    words = command.split(" ")
    return " ".join(shlex.quote(str(Path(w).absolute())) if w.startswith(("./", "../")) else w for w in words)


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
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {' '.join(str(error).split())}") from error
    except YAMLError as error:  # which would quote a line of the file, perhaps the one with a password
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark is not None else ""
        problem = str(getattr(error, "problem", None) or "this is no YAML").partition(" with value")[0]
        raise SettingsError(f"{path}{place}: {problem}") from None
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: expected keys such as {', '.join(SECTIONS)}")
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if key not in SECTIONS:
            raise SettingsError(f"{path}: unknown key '{key}'{did_you_mean(str(key), SECTIONS)}")
        if not SECTIONS[key]:
            flat[key] = value
            continue
        if not isinstance(value, dict):
            raise SettingsError(f"{path}: {key}: expected keys {', '.join(SECTIONS[key])}")
        for name in value:
            if name not in SECTIONS[key]:
                raise SettingsError(f"{path}: {key}: unknown key '{name}'{did_you_mean(str(name), SECTIONS[key])}")
        flat |= {SECTIONS[key][name]: item for name, item in value.items()}
    return flat


def _path(value: str | None) -> Path | None:
    return Path(value).expanduser().absolute() if value else None


def _absolute_host(host: str, folder: Path) -> str:
    if not host.startswith("sqlite:"):
        if not host.startswith(("mongodb://", "mongodb+srv://")):
            shown = host if "@" not in host else f"…@{host.rpartition('@')[2]}"  # what is before it is a password
            raise SettingsError(f"launchpad: host: '{shown}'; write sqlite://PATH or mongodb://SERVER")
        return host
    path = Path(host.removeprefix("sqlite:").removeprefix("//")).expanduser()
    return f"sqlite://{folder / path}"
