"""What several folders say together: energies of configurations, of a defect by layer, moment and gap against U."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from heterodft.analysis.energies.states import asked_order
from heterodft.errors import HeterodftError, ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.analysis.result import Result

__all__ = ["compare_results"]

_WITHOUT_ENERGY = ("dos", "bands", "potential", "charge")
_OF_U = ("response", "shift", "shift-bare")
"""Steps of linear response: their energies are of a shifted potential, or those of the static step once more."""


def compare_results(
    results: Mapping[str, Result], *, reference: str | None = None, gaps: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Compare several results as far as that makes sense.

    Parameters
    ----------
    results
        By the name of their folder. Those of steps that compute no energy of their own (dos, bands, shifts) are
        left out.
    reference
        The configuration whose energy is zero; by default FM or the lowest.
    gaps
        By the same names, where a gap is known from a denser mesh than that of the result.

    Returns
    -------
    dict
        By name: ``energies`` (`ConfigurationEnergies`), ``segregation`` (`SegregationEnergies`) and ``against_u``
        (`AgainstHubbard`), as far as there are any.

    Raises
    ------
    ReaderError
        If none of them is the reference.
    """
    from heterodft.analysis.against_u import AgainstHubbard
    from heterodft.analysis.energies.configurations import ConfigurationEnergies
    from heterodft.analysis.energies.segregation import SegregationEnergies

    with_energy = {
        name: result
        for name, result in results.items()
        if result.step not in _OF_U and (result.energy is not None or result.step not in _WITHOUT_ENERGY)
    }
    names = _short_names(with_energy)
    if reference is not None and len(names) > 1 and reference not in names:
        raise ReaderError(f"reference: there is no '{reference}' among what was read{did_you_mean(reference, names)}")
    found: dict[str, Any] = {}
    if len(with_energy) > 1:
        found["energies"] = ConfigurationEnergies.from_results(
            list(with_energy.values()), names=names, reference=reference or "FM"
        )
    sites = [result for result in with_energy.values() if result.request.get("about", {}).get("defect")]
    if len({_defect_label(result) for result in sites}) > 1:
        with suppress(HeterodftError):  # no layer is told
            found["segregation"] = SegregationEnergies.from_results(sites)
    against = AgainstHubbard.from_results(
        list(with_energy.values()), names=list(with_energy), gaps=[(gaps or {}).get(name) for name in with_energy]
    )
    if against.scans:
        found["against_u"] = against
    return found


def _defect_label(result: Result) -> str:
    defect = result.request["about"]["defect"]
    return f"{defect.get('label', '')} {defect.get('plane', '')}"


def _short_names(results: Mapping[str, Result]) -> list[str]:
    """Return the order asked for, which the structure and U beside it make clear, else the name of the folder."""
    about = {name: result.request.get("about", {}) for name, result in results.items()}
    keys = [(about[name].get("name"), about[name].get("hubbard"), asked_order(results[name])) for name in results]
    clear = len(set(keys)) == len(keys) and all(key[0] and key[2] for key in keys)
    return [key[2] if clear else name for key, name in zip(keys, results, strict=True)]
