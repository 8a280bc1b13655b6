"""Finished calculations that never ran, for tests of what is computed from energies."""

from __future__ import annotations

from heterodft.analysis.result import Result, SiteValues

SETTINGS = {
    "xc": "PBE", "cutoff": 520.0, "kpoints": [4, 4, 4], "shift": [0, 0, 0], "smearing": "gaussian",
    "smearing_width": 0.05, "raw": {}, "mixing": 0.3,
}  # fmt: skip
METHOD = {
    "xc": "PBE", "cutoff": 520.0, "kpoints": [4, 4, 4], "smearing": "gaussian", "smearing_width": 0.05,
    "hubbard": {}, "pseudopotentials": {},
}  # fmt: skip


def make_result(
    structure,
    energy,
    *,
    moments=None,
    asked=None,
    about=None,
    state=None,
    ours=True,
    method=None,
    converged=True,
    code="vasp",
    version="6.4.1",
    bands=None,
    electrons=10.0,
    corrections=(),
    ended="finished",
    **changes,
):
    """Return a result with the settings above, changed as told; keys of a request that are no settings go there."""
    of_request = ("hubbard", "charge", "parent", "step", "spin_orbit")
    body = {key: changes.pop(key) for key in of_request if key in changes}
    elements = sorted({site.specie.symbol for site in structure})
    body = (
        {
            "code": code,
            "structure": {"lattice": structure.lattice.matrix.tolist()},
            "pseudopotentials": changes.pop("pseudopotentials", {e: f"PBE_54 {e}" for e in elements}),
            "moments": None if asked is None else list(asked),
            "settings": SETTINGS | changes,
        }
        | {"hubbard": []}
        | body
    )
    request = {"request": body, "about": about or {}, "state": {} if state is None else {"verdict": state}}
    told = METHOD | {"pseudopotentials": {e: e for e in elements}} | (method or {})
    sites = {}
    if moments is not None:
        sites["sphere"] = SiteValues("sphere", tuple(1.0 for _ in structure), tuple(map(float, moments)))
    return Result(
        code, version, "static", structure, electrons, energy, (0.0,),
        None if moments is None else float(sum(moments)), None,
        sites, converged, 5, 0.0, 1.0, 1.0, bands=bands, request=request if ours else {},
        corrections=list(corrections), method={k: v for k, v in told.items() if v is not None} if not ours else {},
        ended=ended,
    )  # fmt: skip
