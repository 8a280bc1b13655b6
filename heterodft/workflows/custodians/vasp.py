"""VASP under Custodian: custodian's own handlers and validators, one handler of ours, and what corrections touch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from custodian.custodian import ErrorHandler
from custodian.vasp import handlers as custodians
from custodian.vasp.interpreter import VaspModder
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator

from heterodft.workflows.custodians.vasp_inputs import changes_kept, end_of_file, incar_tags
from heterodft.workflows.custodians.watch import attempts_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from custodian.custodian import Validator

__all__ = ["FirstDavidsonHandler", "vasp_corrections", "vasp_handlers", "vasp_touches", "vasp_validators"]

_UNWANTED = {"triple_product"}
"""Custodian swaps two lattice vectors of the POSCAR then, but not of the mesh; our cells are right-handed."""


def vasp_handlers() -> list[ErrorHandler]:
    """Return custodian's own handlers, in the order of priority that its authors run them, and one of ours."""
    caught = sorted(set(custodians.VaspErrorHandler.error_msgs) - _UNWANTED)
    return [
        custodians.VaspErrorHandler(errors_subset_to_catch=caught),
        custodians.MeshSymmetryErrorHandler(),
        custodians.UnconvergedErrorHandler(),
        custodians.NonConvergingErrorHandler(),
        custodians.PotimErrorHandler(),
        custodians.PositiveEnergyErrorHandler(),
        custodians.FrozenJobErrorHandler(),
        custodians.StdErrHandler(),
        custodians.LargeSigmaHandler(),
        custodians.IncorrectSmearingHandler(),
        FirstDavidsonHandler(),
    ]


class FirstDavidsonHandler(ErrorHandler):
    """Cure EDDDAV in the first iteration, where custodian's own handler raises.

    It compares the number of electrons in OUTCAR with the cores, and OUTCAR has none yet.
    """

    def check(self, directory: str = "./") -> bool:
        """Tell whether VASP stopped with EDDDAV before its first iteration was done."""
        folder = Path(directory)
        failed = "Error EDDDAV: Call to ZHEGV failed" in end_of_file(folder / "vasp.out")
        return failed and "number of electron " not in end_of_file(folder / "OUTCAR")

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Take the other algorithm, as custodian does."""
        tags = incar_tags((Path(directory) / "INCAR").read_text(encoding="utf-8"))
        if tags.get("ALGO", "Normal")[0].upper() == "A":
            return {"errors": ["edddav"], "actions": None}
        actions = [{"dict": "INCAR", "action": {"_set": {"ALGO": "All", "ISEARCH": 1}}}]
        VaspModder(directory=directory).apply_actions(actions)
        return {"errors": ["edddav"], "actions": actions}


def vasp_validators() -> list[Validator]:
    """Return custodian's own validators."""
    return [VasprunXMLValidator(), VaspFilesValidator()]


_TOUCHED_BY = (
    dict.fromkeys(("ISMEAR", "SIGMA"), "smearing")
    | dict.fromkeys(("KPOINTS", "KSPACING", "KGAMMA"), "k-points")
    | dict.fromkeys(("ENCUT", "PREC", "ENAUG", "NGX", "NGY", "NGZ", "NGXF", "NGYF", "NGZF"), "cutoff")
    | dict.fromkeys(("LREAL", "ADDGRID"), "projectors")
    | dict.fromkeys(("ISYM", "SYMPREC"), "symmetry")
)


def vasp_touches(action: Mapping[str, Any]) -> set[str]:
    """Return what an action of a correction changes of what makes energies comparable.

    Parameters
    ----------
    action
        One of the ``actions`` of a correction in ``custodian.json``: ``{"dict": "INCAR", "action": {"_set": …}}``.

    Returns
    -------
    set of str
        Of ``smearing``, ``k-points``, ``cutoff``, ``projectors``, ``symmetry`` and ``cell``; empty for a way of
        computing (ALGO, mixing, POTIM, EDIFF, NBANDS …) and for what `restore_request` puts back.

    Examples
    --------
    >>> sorted(vasp_touches({"dict": "INCAR", "action": {"_set": {"ISMEAR": 0, "ALGO": "All"}}}))
    ['smearing']
    """
    changed = {key.upper() for tags in action.get("action", {}).values() for key in tags}
    file = action.get("dict")
    if file == "KPOINTS":
        return {"k-points"}
    if file == "POSCAR":
        return {"cell"}
    return {_TOUCHED_BY[key] for key in changed if key in _TOUCHED_BY} if file == "INCAR" else set()


def vasp_corrections(folder: Path) -> list[dict[str, Any]]:
    """Return what the run that ended well had otherwise than asked, as one correction for its result; often none.

    What an attempt changed that failed all the same and was begun anew is left out.
    """
    kept = changes_kept(folder)
    attempts = attempts_in(folder)
    errors = [str(e) for entry in (attempts[-1:]) for c in entry.get("corrections", ()) for e in c.get("errors", ())]
    if not kept and not errors:
        return []
    incar = {key: pair for key, pair in kept.items() if key != "KPOINTS"}
    touches = vasp_touches({"dict": "INCAR", "action": {"_set": incar}})
    touches |= {"k-points"} if "KPOINTS" in kept else set()
    changes = {f"INCAR->{key}": list(pair) for key, pair in incar.items()}
    if "KPOINTS" in kept:
        changes["KPOINTS"] = ["as asked", "changed by a handler"]
    names = {"program": "VASP", "errors": list(dict.fromkeys(errors))}
    return [names | {"changes": changes, "touches": sorted(touches)}]
