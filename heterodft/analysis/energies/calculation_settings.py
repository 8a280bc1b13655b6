"""What decides the energy of a calculation: from our request, else from what the outputs say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from heterodft.analysis.result import Result

__all__ = ["ESSENTIAL", "is_without_width", "physical_raw", "settings_of"]

ESSENTIAL = {
    "xc": "functional",
    "cutoff": "cutoff",
    "kpoints": "k-points",
    "smearing": "smearing",
    "smearing_width": "smearing width",
    "hubbard": "U",
    "pseudopotentials": "pseudopotentials",
}
"""Settings without which no energy may be subtracted, in words."""

_NO_PHYSICS_BY_PURPOSE = {
    "parallel": "ncore npar kpar nsim lplane lscalapack lscalu nblk lmonofft ncshmem npool nband ntg ndiag nimage",
    "written, not computed": "system lwave lcharg lorbit lelf lvtot lvhar laechg lh5 nwrite nedos emin emax rwigs "
    "title prefix outdir wfcdir verbosity disk_io wf_collect iprint tprnfor tstress lorbm restart_mode max_seconds",
    "the way to convergence": "algo ialgo nelm nelmin nelmdl amix bmix amix_mag bmix_mag amin maxmix imix wc lsubrot "
    "istart icharg time nbands nelecth magmom "
    "electron_maxstep mixing_mode mixing_beta mixing_ndim mixing_fixed_ns diagonalization diago_thr_init "
    "diago_cg_maxiter diago_david_ndim diago_full_acc startingpot startingwfc scf_must_converge nbnd "
    "starting_magnetization starting_ns_eigenvalue",
    "the way to the relaxed structure": "nsw ibrion potim nstep ion_dynamics upscale bfgs_ndim trust_radius_max "
    "trust_radius_min trust_radius_ini",
}
_NO_PHYSICS = frozenset(word for words in _NO_PHYSICS_BY_PURPOSE.values() for word in words.split())
_ELEMENT = re.compile(r"[A-Z][a-z]?")
_ROUNDED = 1e-5
_CHOICES = ("xc", "cutoff", "density_cutoff", "kpoints", "shift", "smearing", "smearing_width")


def is_without_width(smearing: object) -> bool:
    """Whether occupations are fixed or integrated with tetrahedra, so that the width of a smearing does nothing."""
    name = str(smearing).lower()
    return name.startswith(("fixed", "tetrahedr")) and "fermi" not in name


def physical_raw(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the raw settings that decide an energy, in lower case.

    Examples
    --------
    >>> physical_raw({"NCORE": 4, "KPAR": 2, "LMAXMIX": 4, "mixing_ndim": 12})
    {'lmaxmix': 4}
    """
    return {key.lower(): value for key, value in raw.items() if key.lower().split("(")[0] not in _NO_PHYSICS}


def settings_of(result: Result, *, ours: bool | None = None) -> dict[str, Any]:
    """Return what decides the energy of a result; None is what is not known.

    Parameters
    ----------
    result
        Any result.
    ours
        Whether to take the settings of the request; by default where there is one, else what the outputs say.

    Returns
    -------
    dict
        ``code``, ``version``, ``xc``, ``cutoff`` and ``density_cutoff`` (eV), ``kpoints`` (a list of three, or the
        number of points), ``shift``, ``smearing``, ``smearing_width`` (eV), ``hubbard`` and ``pseudopotentials`` (in
        words, by element), ``precision``, ``support_grid``, ``projectors``, ``aspherical``, ``dipole``,
        ``gamma`` (whether the mesh holds Γ), ``raw`` (what in it decides an energy),
        ``charge``, ``noncollinear``, ``spin_orbit``, ``dispersion``, ``relaxed``, ``elements``, ``cell`` (Å,
        shape (3, 3), from which the run started where that is known) and ``ours``.
    """
    body = result.request.get("request") or {}
    about = result.request.get("about", {})
    told = _of_request(body, about) if (bool(body) if ours is None else ours) else _of_outputs(result)
    lattice = result.structure.lattice.matrix
    if told["ours"]:
        lattice = body.get("structure", {}).get("lattice", lattice)
    return told | {
        "code": result.code,
        "version": result.version,
        "elements": sorted({site.specie.symbol for site in result.structure}),
        "cell": np.array(lattice, dtype=np.float64),
    }


def _of_request(body: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    settings = body.get("settings", {})
    names = ("precision", "projectors", "dipole")
    handed_on = about.get("relaxed")  # told where a step starts from another configuration
    return {
        "ours": True,
        **{name: settings.get(name) for name in (*_CHOICES, *names)},
        "support_grid": None,  # these two of ours are in raw
        "aspherical": None,
        "gamma": None,
        "dispersion": None,
        "kpoints": None if settings.get("kpoints") is None else [int(n) for n in settings["kpoints"]],
        "hubbard": _hubbard_of_request(body.get("hubbard") or []),
        "pseudopotentials": body.get("pseudopotentials"),
        "raw": physical_raw(settings.get("raw") or {}) | physical_raw(settings.get("forced") or {}),
        "charge": body.get("charge", 0),
        "noncollinear": "directions" in body or bool(body.get("spin_orbit")),
        "spin_orbit": bool(body.get("spin_orbit")),
        "relaxed": str(body.get("step", "")).startswith("relax")
        or (body.get("parent") is not None if handed_on is None else bool(handed_on)),
    }


def _hubbard_of_request(entries: Iterable[Any]) -> dict[str, str]:
    """Return U in words by element; starting occupations are the way to a state, not a setting."""
    words: dict[str, list[str]] = {}
    for element, shell, value, *rest in entries:
        more = rest[0] if rest else {}
        layers = [f"{layer} {float(u):g} eV" for layer, u in sorted(more.get("layers", ()))]
        if value or more.get("j") or any(float(u) for _, u in more.get("layers", ())):
            hund = [f"J {float(more['j']):g} eV"] if "j" in more else []
            words.setdefault(element, []).append(f"{shell}: " + ", ".join([f"{float(value):g} eV", *hund, *layers]))
    return {
        element: told[0].partition(": ")[2] if len(told) == 1 else "; ".join(sorted(told))
        for element, told in words.items()
    }


def _of_outputs(result: Result) -> dict[str, Any]:
    method = result.method
    names = (
        "precision",
        "support_grid",
        "projectors",
        "aspherical",
        "dipole",
        "charge",
        "noncollinear",
        "spin_orbit",
    )
    hubbard = method.get("hubbard")
    if hubbard is None and result.code == "espresso" and "cutoff" in method:
        hubbard = {}  # pw.x writes U wherever there is one
    return {
        "ours": False,
        **{name: method.get(name) for name in (*_CHOICES, *names)},
        "kpoints": _points(method.get("kpoints")),
        "shift": method.get("kpoints_shift"),
        "dispersion": method.get("dispersion", "none"),
        "smearing_width": None if is_without_width(method.get("smearing")) else method.get("smearing_width"),
        "hubbard": None if hubbard is None else _hubbard_of_outputs(hubbard, result),
        "pseudopotentials": _pseudopotentials(method.get("pseudopotentials"), result),
        "raw": physical_raw(method.get("raw") or {}),
        "gamma": _holds_gamma(result),
        "relaxed": True if result.step.startswith("relax") else None,
    }


def _holds_gamma(result: Result) -> bool | None:
    """Whether Γ is among the k-points: of even meshes, that of Monkhorst and Pack leaves it out."""
    if result.bands is None or result.on_path:
        return None
    points = np.asarray(result.bands.kpoints)
    return bool((np.abs(points - np.round(points)).max(axis=1, initial=0.0) < _ROUNDED).any())


def _points(told: Any) -> Any:
    if told is None:
        return None
    values = [int(n) for n in np.atleast_1d(np.asarray(told)).ravel()]
    return values if len(values) == 3 else values[0]


def _hubbard_of_outputs(told: Any, result: Result) -> dict[str, str]:
    """Return U in words by element, from values by kind (``Fe``, ``Fe1``, ``Ni-3d``) or by site.

    A value is U in eV, or holds ``U``, ``J``, and where told ``shell`` and ``type`` (LDAUTYPE of VASP).
    """
    if isinstance(told, dict):
        pairs = [(match[0], value) for kind, value in told.items() if (match := _ELEMENT.match(str(kind)))]
    else:
        pairs = [(site.specie.symbol, value) for site, value in zip(result.structure, told, strict=False)]
    values: dict[str, set[str]] = {}
    for element, value in pairs:
        values.setdefault(element, set()).add(_u_in_words(value))
    return {element: " and ".join(sorted(found)) for element, found in values.items() if found != {"0 eV"}}


def _u_in_words(value: Any) -> str:
    if isinstance(value, dict):
        u, j = float(value.get("U") or 0.0), float(value.get("J") or 0.0)
        shell = f" on {value['shell']}" if value.get("shell") else ""
        if value.get("type", 2) == 2 and "type" in value:  # Dudarev: only the difference counts
            return f"{u - j:.4g} eV{shell}"
        way = f" (LDAUTYPE {value['type']})" if "type" in value else ""
        return f"{u:.4g} eV" + (f", J {j:.4g} eV" if j else "") + shell + way
    return f"{float(value):.4g} eV" if isinstance(value, int | float) else str(value)


def _pseudopotentials(told: Any, result: Result) -> dict[str, str] | None:
    """Return names by element, from names by kind, or listed in the order in which elements come."""
    if not told:
        return None
    if isinstance(told, dict):
        pairs = [(match[0], str(name)) for kind, name in told.items() if (match := _ELEMENT.match(str(kind)))]
    else:
        elements = list(dict.fromkeys(site.specie.symbol for site in result.structure))
        pairs = list(zip(elements, map(str, told), strict=False))
    names: dict[str, set[str]] = {}
    for element, name in pairs:
        names.setdefault(element, set()).add(name)
    return {element: " and ".join(sorted(found)) for element, found in names.items()}
