"""How a MongoDB server is reached: an address in the settings, or the user's own FireWorks launchpad file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    import pymongo

    from heterodft.workflows.settings import Settings

__all__ = ["connect", "launchpad_data"]

_TIMEOUT = {"serverSelectionTimeoutMS": 5000}
_KEYS = ("host", "port", "name", "username", "password", "authsource", "uri_mode", "mongoclient_kwargs")


def launchpad_data(settings: Settings) -> dict[str, Any]:
    """Return what FireWorks' ``LaunchPad.from_dict`` takes, passwords included.

    Raises
    ------
    SettingsError
        If the launchpad file cannot be read, or the address of the server is none.
    """
    if settings.launchpad_file is None:
        data: dict[str, Any] = {"host": settings.host, "name": settings.database, "uri_mode": True}
    else:
        data = _read(settings.launchpad_file)
    if data.get("uri_mode"):
        _check_address(str(data["host"]))
    return data | {"strm_lvl": "ERROR", "mongoclient_kwargs": _TIMEOUT | (data.get("mongoclient_kwargs") or {})}


def connect(settings: Settings) -> tuple[pymongo.MongoClient[dict[str, Any]], str]:
    """Connect as FireWorks would, without starting it; return the client and the name of the database."""
    import pymongo

    data = launchpad_data(settings)
    if data.get("uri_mode"):
        return pymongo.MongoClient(data["host"], **data["mongoclient_kwargs"]), data["name"]
    name = data.get("name") or "fireworks"
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
        data.get("host") or "localhost",
        data.get("port") or 27017,
        username=data.get("username"),
        password=data.get("password"),
        authSource=data.get("authsource") or name,
        **data["mongoclient_kwargs"],
    )
    return client, name


def _check_address(host: str) -> None:
    """Refuse an address that pymongo would refuse, whose words may quote a part of the password."""
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    try:
        parse_uri(host.replace("mongodb+srv://", "mongodb://", 1))
    except (PyMongoError, ValueError):
        raise SettingsError(
            "launchpad: host: this is no address of a MongoDB server; write mongodb://user:password@server with "
            "signs such as @ : / % in the user or the password percent-encoded (%40 %3A %2F %25)"
        ) from None


def _read(path: Path) -> dict[str, Any]:
    """Read a launchpad file, YAML or JSON."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"launchpad: file: cannot read {path}: {error}") from error
    except YAMLError as error:  # which would quote a line of the file, perhaps the one with the password
        raise SettingsError(f"launchpad: file: {path} is no YAML; see lpad init") from error
    if not isinstance(data, dict) or "host" not in data or (data.get("uri_mode") and "name" not in data):
        raise SettingsError(f"launchpad: file: {path} needs the keys host and name; see lpad init")
    return {key: data[key] for key in _KEYS if key in data}
