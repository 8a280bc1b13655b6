"""Every setting with its value and where it comes from, for people; passwords are left out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heterodft.workflows.settings_file import SECTIONS, VARIABLES, load_settings, read_given

if TYPE_CHECKING:
    from heterodft.workflows.settings import Settings

__all__ = ["Setting", "settings_table", "without_password"]

_MEANINGS = {
    "host": "launchpad: sqlite://PATH or mongodb://SERVER",
    "name": "database on a MongoDB server",
    "launchpad_file": "FireWorks' own file of a MongoDB server",
    "command": "how to start pw.x, {cores} for the number of ranks, {pools} for those that share the k-points",
    "bin_dir": "folder of pw.x and its programs",
    "pseudo_dir": "folder of UPF files, in place of the installed family",
    "vasp_command": "how to start VASP",
    "vasp_gamma_command": "its build for Γ alone",
    "vasp_ncl_command": "its noncollinear build",
    "disk_budget": "GB that the runs may take",
    "keep_free": "GB to leave on the disk",
    "keep_files": "what stays of a finished calculation: densities, all, results",
    "correct_physics": "whether handlers may change smearing or symmetry, but for insulators filled across a gap",
    "reseed": "whether a state that lost its moments is tried once more",
    "batch": "what a batch job asks for",
    "runs": "folder of the calculations",
    "cores": "of this machine to use",
    "orphans": "programs that outlived their worker: adopt or end",
    "grace": "seconds for a program to write its checkpoint",
}
_FIELD = {"name": "database"}
"""Where the field of `Settings` has another name than in the file."""
_SECRET = re.compile(r"([?&;](?:tlsCertificateKeyFilePassword|authMechanismProperties)=)[^&;]*", re.IGNORECASE)
"""Options of a MongoDB address that hold a secret."""
_OTHERS = ("PMG_VASP_PSP_DIR", "PMG_DEFAULT_FUNCTIONAL", "VASP_PP_PATH", "VASP_PP_VERSION", "HETERODFT_SETTINGS")
"""Variables that are read, but fill no setting."""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes
    ----------
    key
        As in the settings file, ``espresso: command``.
    value
        What holds; None where nothing is set.
    origin
        A file, an environment variable, ``command line``, a campaign, or ``default``.
    variable
        The environment variable that sets it; empty where there is none.
    meaning
        In words.
    """

    key: str
    value: Any
    origin: str
    variable: str
    meaning: str


def settings_table(*, command: str | None = None, command_from: str = "", cores: int | None = None) -> list[Setting]:
    """Return every setting.

    Parameters
    ----------
    command, command_from
        What a campaign says of how to start pw.x, and its file.
    cores
        Given on the command line.

    Raises
    ------
    SettingsError
        On an unknown key or an impossible value.
    """
    settings = load_settings(command=command, cores=cores)
    origins = {key: one.origin for key, one in read_given()[0].items()}
    origins |= {"command": command_from} if command is not None else {}
    origins |= {"cores": "command line"} if cores is not None else {}
    rows = []
    for section, keys in SECTIONS.items():
        for name, field in (keys or {"": section}).items():
            key = f"{section}: {name}" if name else section
            value = _value(settings, field)
            rows.append(
                Setting(key, value, origins.get(field, "default"), VARIABLES.get(field, ""), _MEANINGS[field])
            )
    return rows + [
        Setting(name, os.environ[name], "environment", name, "") for name in _OTHERS if os.environ.get(name)
    ]


def _value(settings: Settings, field: str) -> Any:
    value = getattr(settings, _FIELD.get(field, field))
    if field == "host":
        return "that of the file" if settings.launchpad_file is not None else without_password(str(value))
    return value if value is None or isinstance(value, bool | int | float | str | dict) else str(value)


def without_password(host: str) -> str:
    """Return an address without the user and the password before its last ``@``, and without options that hold one.

    Examples
    --------
    >>> without_password("mongodb://me:s@cret@server/queue?tls=true&tlsCertificateKeyFilePassword=secret")
    'mongodb://…@server/queue?tls=true&tlsCertificateKeyFilePassword=…'
    """
    scheme, joint, rest = host.partition("://")
    rest = _SECRET.sub(r"\1…", rest)
    return f"{scheme}{joint}…@{rest.rpartition('@')[2]}" if "@" in rest else f"{scheme}{joint}{rest}"
