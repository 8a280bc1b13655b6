"""Settings that other programs of the field have for themselves already, taken where none of ours says otherwise.

- FireWorks: the ``LAUNCHPAD_LOC`` of the file that ``FW_CONFIG_FILE`` names, or ``my_launchpad.yaml`` in its
  ``CONFIG_FILE_DIR``.
- ASE: ``command`` and ``pseudo_dir`` of ``[espresso]`` and ``command`` of ``[vasp]`` in the files that
  ``ASE_CONFIG_PATH`` names (or ``~/.config/ase/config.ini``), ``ASE_VASP_COMMAND`` and ``VASP_COMMAND``.

Those of pymatgen and ASE for POTCARs are read by `heterodft.templates.potcars`.
"""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import Any

from heterodft.errors import SettingsError

__all__ = ["ecosystem_values"]

_OF_ASE = {
    ("espresso", "command"): "command",
    ("espresso", "pseudo_dir"): "pseudo_dir",
    ("vasp", "command"): "vasp_command",
}
"""Section and key of a file of ASE, and the field of our settings."""


def ecosystem_values() -> dict[str, tuple[Any, str]]:
    """Return value and origin by field of the settings.

    Raises
    ------
    SettingsError
        If a file cannot be read.
    """
    return _of_ase_files() | _of_variables() | _of_fireworks()


def _of_variables() -> dict[str, tuple[Any, str]]:
    found = [name for name in ("ASE_VASP_COMMAND", "VASP_COMMAND") if os.environ.get(name)]
    return {"vasp_command": (os.environ[found[0]], found[0])} if found else {}


def _of_ase_files() -> dict[str, tuple[Any, str]]:
    named = os.environ.get("ASE_CONFIG_PATH")
    paths = [Path(one) for one in named.split(":")] if named else [Path.home() / ".config" / "ase" / "config.ini"]
    parser = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation())
    found: dict[str, tuple[Any, str]] = {}
    for path in paths:
        try:
            if not parser.read(path, encoding="utf-8"):
                continue
            for (section, key), field in _OF_ASE.items():
                if parser.has_option(section, key):
                    found[field] = (os.path.expandvars(parser.get(section, key)), str(path))
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            raise SettingsError(f"{path}: {' '.join(str(error).split())}; correct this file of ASE") from error
    return found


def _of_fireworks() -> dict[str, tuple[Any, str]]:
    named = os.environ.get("FW_CONFIG_FILE")
    if not named or not Path(named).expanduser().is_file():
        return {}
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = Path(named).expanduser()
    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise SettingsError(f"FW_CONFIG_FILE: {path} is no YAML; correct it or unset FW_CONFIG_FILE") from error
    place = data.get("LAUNCHPAD_LOC") if isinstance(data, dict) else None
    if place is None and isinstance(data, dict) and data.get("CONFIG_FILE_DIR"):
        default = Path(str(data["CONFIG_FILE_DIR"])).expanduser() / "my_launchpad.yaml"
        place = default if default.is_file() else None
    if place is None:
        return {}
    file = Path(os.path.expandvars(str(place))).expanduser()
    return {"launchpad_file": (str(path.parent.resolve() / file), f"FW_CONFIG_FILE: {path}")}
