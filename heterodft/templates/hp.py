"""The input of hp.x, which computes Hubbard U by density-functional perturbation theory.

I. Timrov, N. Marzari, M. Cococcioni, Phys. Rev. B 98, 085127 (2018): a change α of the potential on the shell of one
site changes the occupations of all, χ = dn/dα; U = (χ0⁻¹ - χ⁻¹) of the site itself, χ0 being the response before the
electrons screen it. Responses to monochromatic perturbations on a mesh of q points stand for a supercell.

What hp.x takes and refuses (6.7, tried; 7.x by its source): sites with U must be the first ones; smearing only for
metals, since with a gap the density of states at the Fermi level is zero and it stops; no tetrahedra, no U and J
apart; up to 7.2 no noncollinear spin. It reads wavefunctions, which pw.x therefore computes in the same folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.errors import InputError
from heterodft.templates.espresso_namelists import PREFIX
from heterodft.templates.setup import Section, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.templates.pseudopotentials import Pseudopotential
    from heterodft.templates.setup import Setup

__all__ = ["MOST_ITERATIONS", "SITE_ORDER_FILE", "check_response", "hubbard_first", "response_namelist"]

SITE_ORDER_FILE = "site_order.json"
"""Which site of the structure each site of the input is."""
MOST_ITERATIONS = 100
"""hp.x refuses more."""
_NORM_CONSERVING = ("NC", "SL")


def hubbard_first(setup: Setup) -> list[int]:
    """Return the sites in the order that hp.x wants: those with U first, each kind in the order of the structure."""
    return sorted(range(len(setup.structure)), key=lambda site: setup.site_hubbard[site] is None)


def check_response(setup: Setup, pseudopotentials: Mapping[str, Pseudopotential], version: tuple[int, int]) -> None:
    """Refuse what hp.x would refuse after pw.x has run.

    Raises
    ------
    InputError
        In one line, with what to do instead.
    """
    if not any(setup.site_hubbard):
        raise InputError("hubbard: a response step computes U where there is one to start from; give the shell a U")
    if setup.noncollinear:
        raise InputError(
            f"magnetism: noncollinear moments and spin-orbit coupling are not written for hp.x "
            f"{version[0]}.{version[1]}; compute U for a collinear order"
        )
    if setup.settings.smearing == "tetrahedra":
        raise InputError("method: hp.x takes no tetrahedra; give the response step a smearing")
    soft = sorted(e for e, p in pseudopotentials.items() if p.kind not in _NORM_CONSERVING and e in setup.elements)
    if soft:
        first = pseudopotentials[soft[0]]
        raise InputError(
            f"method: {first.path} is {first.kind}; response steps were tried with norm-conserving pseudopotentials "
            "only, such as PseudoDojo's"
        )
    if setup.settings.dipole:
        raise InputError("method: hp.x knows no dipole correction; give the response step method: {dipole: false}")


def response_namelist(setup: Setup) -> Section:
    """Return the namelist of hp.x, each value with its origin.

    Sites whose occupations are equal are perturbed once (``find_atpert = 1``): of an antiferromagnet that is one for
    both spins, where symmetry would find two.
    """
    settings = setup.settings
    mesh = settings.qpoints or (1, 1, 1)
    section = {"prefix": Value(PREFIX, "runner"), "outdir": Value("./", "runner"), "iverbosity": Value(2, "runner")}
    section |= {f"nq{n}": setup.value(q, "qpoints", "qpoints") for n, q in enumerate(mesh, start=1)}
    section["find_atpert"] = Value(1, "step")
    tolerance = settings.response_tolerance or 1e-5
    section["conv_thr_chi"] = setup.value(tolerance, "response_tolerance", "response_tolerance")
    most = min(settings.max_scf_steps, MOST_ITERATIONS)
    section["niter_max"] = setup.value(most, "max_scf_steps", "max_scf_steps")
    section["alpha_mix(1)"] = setup.value(settings.mixing, "mixing", "mixing")
    return section
