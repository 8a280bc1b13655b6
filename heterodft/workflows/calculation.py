"""The request of one calculation, its identity and its folder.

A request is one step of one configuration with every number that decides its result. Its canonical JSON, hashed
with SHA-256, names it: the same physics gives the same name on every machine and in every campaign. Names of
campaigns and structures, and where a number came from, are written beside it but are no part of the identity.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from heterodft.analysis.result import ARRAYS_FILE, RESULT_FILE
from heterodft.errors import CalculationError, ReaderError
from heterodft.files import make_folder, read_json, write_text
from heterodft.templates.hubbard import HubbardU
from heterodft.templates.protocols import StepSettings
from heterodft.templates.setup import Setup
from heterodft.templates.shifts import PotentialShift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pymatgen.core import Structure

    from heterodft.templates.species import Vector
    from heterodft.templates.steps import StepName

__all__ = [
    "FAILURE_FILE",
    "REQUEST_FILE",
    "Request",
    "canonical_structure",
    "finished_id",
    "read_request",
    "request_from_data",
    "write_request",
]

REQUEST_FILE, FAILURE_FILE = "request.json", "failure.json"
_SCHEMA = 1
_SITE_PROPERTIES = ("material", "block", "layer", "plane")


def canonical_structure(structure: Structure) -> dict[str, Any]:
    """Return a structure as plain data that does not depend on rounding noise.

    Lattice vectors are rounded to 1e-8 Å, fractional coordinates to 1e-10.
    """
    return {
        "lattice": [[_round(x, 8) for x in vector] for vector in structure.lattice.matrix],
        "species": [site.species_string for site in structure],
        "positions": [[_round(x, 10) for x in site.frac_coords] for site in structure],
        "site_properties": {
            key: [int(v) if isinstance(v, int) else str(v) for v in structure.site_properties[key]]
            for key in _SITE_PROPERTIES
            if key in structure.site_properties
        },
    }


def _round(value: float, digits: int) -> float:
    return round(float(value), digits) + 0.0  # + 0.0 turns -0.0 into 0.0


def _canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Request:
    """One step of one configuration.

    Attributes
    ----------
    code, step
        ``espresso`` or ``vasp``; one of `heterodft.templates.steps.STEPS`.
    structure
        Data of `canonical_structure`.
    moments
        Starting moments in μB by site, or None when not spin-polarized.
    hubbard
        U by element and layer.
    settings
        The resolved numbers.
    pseudopotentials
        By element: SHA-256 of the UPF file, or functional and symbol of the POTCAR, ``PBE_54 Ti_pv``.
    parent
        Identity of the step whose results this one starts from.
    charge
        Of the cell in elementary charges.
    directions
        Unit vector of a positive moment by site in a noncollinear run.
    spin_orbit
        Whether spin-orbit coupling acts.
    shift
        Of the potential on one site, in the steps for it.
    about
        Names for people and places: ``campaign``, ``name``, ``label``, ``order``, ``hubbard``, ``parent_folder``,
        ``origin`` of the settings, ``defect``, ``strain``, ``variant``.
    """

    code: str
    step: StepName
    structure: dict[str, Any]
    moments: tuple[float, ...] | None
    hubbard: tuple[HubbardU, ...]
    settings: StepSettings
    pseudopotentials: dict[str, str]
    parent: str | None = None
    charge: int = 0
    directions: tuple[Vector, ...] | None = None
    spin_orbit: bool = False
    shift: PotentialShift | None = None
    about: dict[str, Any] = field(default_factory=dict, compare=False)

    def identity(self) -> dict[str, Any]:
        """Return what the name is the hash of, as plain data; what is not asked for is not there."""
        more: dict[str, Any] = {"charge": self.charge} if self.charge else {}
        if self.directions is not None:
            more["directions"] = [[_round(x, 6) for x in vector] for vector in self.directions]
        if self.spin_orbit:
            more["spin_orbit"] = True
        if self.shift is not None:
            more["shift"] = self.shift.to_data()
        return more | {
            "schema": _SCHEMA,
            "code": self.code,
            "step": self.step,
            "structure": self.structure,
            "moments": None if self.moments is None else [_round(m, 6) for m in self.moments],
            "hubbard": [u.to_data() for u in self.hubbard if u.active],  # U = 0 is the same as none
            "settings": self.settings.to_dict(),
            "pseudopotentials": self.pseudopotentials,
            "parent": self.parent,
        }

    @cached_property
    def _parts(self) -> list[str]:
        """The members of the canonical JSON, each as its text."""
        return _parts_of(self.identity())

    @cached_property
    def id(self) -> str:
        """First 12 digits of the SHA-256 of the canonical JSON."""
        return _hash_of(self._parts)

    def to_text(self) -> str:
        """Return the content of ``request.json``: what is hashed as it is hashed, a line for each part."""
        request = ",\n".join(self._parts)
        return f'{{"id":"{self.id}",\n"about":{_canonical(self.about)},\n"request":{{\n{request}}}}}\n'

    @property
    def path(self) -> str:
        """Its place below the folder of all runs: ``demo/sl/FM/Ti-3d-4eV/static``.

        A variant of a configuration, as a driver computes it, has its name behind the U: ``Ti-3d-4eV.60Ry``.
        """
        places = [str(self.about[key]) for key in ("campaign", "name", "order", "hubbard")]
        places[-1] += f".{self.about['variant']}" if self.about.get("variant") else ""
        return "/".join([*places, self.step])

    def to_structure(self) -> Structure:
        """Return the cell as a pymatgen structure with its site properties."""
        from pymatgen.core import Lattice, Structure

        data = self.structure
        return Structure(
            Lattice(data["lattice"]), data["species"], data["positions"], site_properties=data["site_properties"]
        )

    def to_setup(self, structure: Structure | None = None) -> Setup:
        """Return what a DFT code is asked for, on the relaxed structure where there is one."""
        return Setup(
            code=self.code,
            structure=self.to_structure() if structure is None else structure,
            step=self.step,
            settings=replace(self.settings, origin=self.about.get("origin", {})),
            moments=self.moments,
            hubbard=self.hubbard,
            directions=self.directions,
            spin_orbit=self.spin_orbit,
            charge=self.charge,
            shift=self.shift,
            parent=None if self.parent is None else self.about["parent_folder"].rpartition("/")[2],
            same_basis=self.about.get("same_basis", True),
            same_hubbard=self.about.get("same_hubbard", True),
            title=" ".join(str(self.about.get(key, "")) for key in ("campaign", "name", "order", "hubbard")).strip(),
        )


def finished_id(folder: Path) -> str | None:
    """Return the identity of the finished result in a folder, None when there is none or it is not whole."""
    if not ((folder / RESULT_FILE).is_file() and (folder / ARRAYS_FILE).is_file()):
        return None
    with suppress(ReaderError):
        identity = read_json(folder / RESULT_FILE).get("id")
        return None if identity is None else str(identity)
    return None


def write_request(request: Request, folder: Path) -> Path:
    """Write ``request.json`` into a folder, which is made."""
    make_folder(folder)
    return write_text(folder / REQUEST_FILE, request.to_text())


def request_from_data(data: dict[str, Any]) -> Request:
    """Rebuild a request from the JSON data of `Request.to_text`.

    Raises
    ------
    KeyError, TypeError
        If something is missing.
    CalculationError
        If it was altered since it was written.
    """
    body = data["request"]
    request = Request(
        code=body["code"],
        step=body["step"],
        structure=body["structure"],
        moments=None if body["moments"] is None else tuple(body["moments"]),
        hubbard=tuple(map(HubbardU.from_data, body["hubbard"])),
        settings=StepSettings.from_dict(body["settings"]),
        pseudopotentials=body["pseudopotentials"],
        parent=body["parent"],
        charge=body.get("charge", 0),
        directions=tuple(map(tuple, body["directions"])) if "directions" in body else None,
        spin_orbit=body.get("spin_orbit", False),
        shift=PotentialShift.from_data(body["shift"]) if "shift" in body else None,
        about=data["about"],
    )
    # Of an older version, which told U = 0 from none, the file is whole and its calculation another.
    if data["id"] not in (request.id, _hash_of(_parts_of(body))):
        raise CalculationError(f"the request {data['id']} was altered after it was written; submit again")
    return request


def _parts_of(identity: Mapping[str, Any]) -> list[str]:
    return [f'"{key}":{_canonical(identity[key])}' for key in sorted(identity)]


def _hash_of(parts: Sequence[str]) -> str:
    text = "{" + ",".join(parts) + "}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_request(folder: Path) -> Request:
    """Read the request of a folder.

    Raises
    ------
    CalculationError
        If there is none, or it was altered since it was written.
    """
    try:
        return request_from_data(read_json(folder / REQUEST_FILE))
    except CalculationError as error:
        raise CalculationError(
            f"{folder / REQUEST_FILE} was altered after it was written; submit the campaign again"
        ) from error
    except (ReaderError, KeyError, TypeError) as error:
        raise CalculationError(f"{folder}: no usable {REQUEST_FILE} ({error}); submit the campaign again") from error
