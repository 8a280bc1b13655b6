"""VASP: how it is started, and the library of POTCARs."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError
from heterodft.templates.potcars import potcar_library
from heterodft.workflows.doctor.finding import Finding, note, problem, well

if TYPE_CHECKING:
    from heterodft.workflows.settings import Settings

__all__ = ["examine_vasp"]

_PART = "VASP"
_COMMANDS = {"command": "VASP_CMD", "gamma_command": "VASP_GAMMA_CMD", "ncl_command": "VASP_NCL_CMD"}


def examine_vasp(settings: Settings) -> list[Finding]:
    """Look for the commands that are set and for the POTCARs."""
    given = {key: getattr(settings, f"vasp_{key}") for key in _COMMANDS}
    if not any(given.values()):
        remedy = "to run VASP here: vasp: {command: mpirun -np {cores} vasp_std} in the settings, or VASP_CMD"
        return [note(_PART, "command", "not set; inputs are written all the same", remedy), _potcars(needed=False)]
    found = [_command(key, text) for key, text in given.items() if text]
    return [*found, _potcars(needed=True)]


def _command(key: str, text: str) -> Finding:
    remedy = f"correct vasp: {key}: in the settings, or {_COMMANDS[key]}"
    try:
        words = shlex.split(text)
    except ValueError as error:
        return problem(_PART, key, f"'{text}': {error}", remedy)
    programs = [word for word in words[1:] if "vasp" in word.rpartition("/")[2]]
    for word in [*words[:1], *programs]:
        if shutil.which(word) is None:
            return problem(_PART, key, f"{word} (of '{text}') is not installed or not on PATH", remedy)
    return well(_PART, key, text)


def _potcars(*, needed: bool) -> Finding:
    remedy = "set PMG_VASP_PSP_DIR (or VASP_PP_PATH) to the folder of your POTCARs"
    try:
        release, folder = potcar_library()
    except HeterodftError as error:
        what, _, cure = str(error).partition("; ")
        return (problem if needed else note)(_PART, "POTCARs", what, cure or remedy)
    if folder is None:
        kind = problem if needed else note
        return kind(_PART, "POTCARs", "no library is set; POTCAR.spec is written in place of POTCAR", remedy)
    number = sum(1 for path in folder.iterdir() if path.name.startswith("POTCAR.") or path.is_dir())
    if number == 0:
        return (problem if needed else note)(_PART, "POTCARs", f"none of {release} in {folder}", remedy)
    return well(_PART, "POTCARs", f"{number} of {release} in {folder}")
