"""Formation energies of defects against chemical potentials and the Fermi level.

    E_f(q) = E(defect, q) - E(host) - Σ n_i (E_i + Δμ_i) + q (E_VBM + E_F) + E_corr

with n_i the atoms of element i that came in (negative: went out), E_i the energy of its element, E_F the Fermi level
from the valence band maximum of the host, and E_corr the correction for the periodic images of the charge (Freysoldt
et al., Rev. Mod. Phys. 86, 253 (2014), equation 3). What is not corrected is called so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.charge_corrections import correct_charge
from heterodft.analysis.energies.comparability import compare
from heterodft.analysis.energies.defect_levels import DefectRow, TransitionLevel, crossing, stable_charges
from heterodft.analysis.energies.defect_names import name_defects
from heterodft.analysis.energies.states import state_note
from heterodft.analysis.gaps import find_gap
from heterodft.errors import ReaderError
from heterodft.structures.vacuum import has_vacuum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike
    from pandas import DataFrame

    from heterodft.analysis.energies.charge_corrections import Alignment, Scheme
    from heterodft.analysis.energies.chemical_potentials import ChemicalPotentials, Limit
    from heterodft.analysis.result import Result

__all__ = ["UNCORRECTED", "DefectFormation", "DefectRow", "TransitionLevel", "name_defects"]

UNCORRECTED = "uncorrected"
_NEUTRAL = "none needed"
_WHOLE = 1e-3


@dataclass(frozen=True)
class DefectFormation:
    """Formation energies of defects in one host.

    Attributes
    ----------
    rows
        One a defect, charge and limit.
    valence_maximum
        eV on the host's scale; None of a metal, or where it is not known.
    gap
        eV of the host; None where it is not known.
    statement
        What limits the chemical potentials, in words.
    """

    rows: tuple[DefectRow, ...]
    valence_maximum: float | None
    gap: float | None
    statement: str

    @classmethod
    def from_results(
        cls,
        defects: Mapping[str, Result],
        host: Result,
        potentials: ChemicalPotentials,
        *,
        dielectric: ArrayLike | None = None,
        scheme: Scheme = "lany-zunger",
        alignments: Mapping[str, float | Alignment] | None = None,
        charges: Mapping[str, int] | None = None,
        valence_maximum: float | None = None,
        trust: bool = False,
    ) -> DefectFormation:
        """Compute formation energies.

        Parameters
        ----------
        defects
            By name, see `name_defects`; charge states of one defect share the name before the charge, ``V_O: +2``.
        host
            The same cell without the defect, neutral.
        potentials
            References and limits.
        dielectric
            Constant or tensor of shape (3, 3) of the host; without one, charged defects stay uncorrected.
        scheme
            See `heterodft.analysis.energies.charge_corrections`.
        alignments
            By name: potential energy of an electron in the defect's cell above that in the host's, far away, eV.
        charges
            By name, where the files do not tell them, e.
        valence_maximum
            eV on the host's scale, by default from its bands.
        trust
            Subtract where the files do not tell some setting; the notes then say which.

        Raises
        ------
        ReaderError
            If the chemical potentials have no limit, as the host is not stable, an element has none, or a charge is
            not whole.
        """
        if not potentials.limits:
            raise ReaderError(
                f"{potentials.statement}; no chemical potentials make it, so that no defect in it forms"
            )
        top, gap = _edges(host, valence_maximum)
        rows: list[DefectRow] = []
        for name, result in defects.items():
            charge = _charge(name, result, (charges or {}).get(name))
            corrected = _corrected(result, charge, dielectric, scheme, (alignments or {}).get(name))
            reason, notes = _hindered(name, result, host, charge=charge, top=top, trust=trust)
            for limit in potentials.limits:
                energy = None if reason else _energy(result, host, potentials, limit)
                rows.append(
                    DefectRow(
                        defect=name,
                        charge=charge or 0,
                        limit=limit.name,
                        energy=None if energy is None else energy + (charge or 0) * (top or 0.0) + corrected[0],
                        exchanged=_exchanged(result, host),
                        correction=corrected[0],
                        corrected=corrected[1],
                        reason=reason,
                        notes=(*notes, *corrected[2]),
                    )
                )
        return cls(tuple(rows), top, gap, potentials.statement)

    @classmethod
    def read(
        cls,
        folders: Sequence[Path],
        host: Path,
        potentials: ChemicalPotentials,
        *,
        dielectric: ArrayLike | None = None,
        scheme: Scheme = "lany-zunger",
        trust: bool = False,
    ) -> DefectFormation:
        """Compute formation energies from folders, the defects named by their requests; see `from_results`.

        Raises
        ------
        ReaderError
            If a folder cannot be read, or the chemical potentials have no limit.
        """
        from heterodft.analysis.readers import read_folder

        defects = name_defects([read_folder(folder) for folder in folders])
        return cls.from_results(
            defects, read_folder(host), potentials, dielectric=dielectric, scheme=scheme, trust=trust
        )

    def transition_levels(self) -> tuple[TransitionLevel, ...]:
        """Return where the stable charge of each defect changes: ε(q/q') = (E_f(q) - E_f(q')) / (q' - q), E_F = 0."""
        limits = list(dict.fromkeys(row.limit for row in self.rows))[:1]
        states: dict[str, list[DefectRow]] = {}
        for row in self.rows:
            if row.limit in limits and row.energy is not None:
                states.setdefault(row.family, []).append(row)
        return tuple(level for defect, rows in states.items() for level in self._levels(defect, rows))

    def _levels(self, defect: str, rows: Sequence[DefectRow]) -> list[TransitionLevel]:
        levels = []
        for upper, lower in pairwise(stable_charges(rows)):
            level = crossing(upper, lower)
            inside = None if self.gap is None else bool(0 <= level <= self.gap)
            words = sorted({row.corrected for row in (upper, lower)} - {_NEUTRAL})
            levels.append(TransitionLevel(defect, upper.charge, lower.charge, level, ", ".join(words), inside))
        return levels

    def to_frame(self) -> DataFrame:
        """Return a table, one row a defect, charge and limit."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "defect": row.defect,
                    "charge (e)": row.charge,
                    "limit": row.limit,
                    "formation energy at the valence band maximum (eV)": row.energy,
                    "correction (eV)": row.correction,
                    "corrected": row.corrected,
                    "exchanged": " ".join(f"{n:+d} {element}" for element, n in row.exchanged.items()),
                    "no number because": row.reason,
                    "notes": "; ".join(row.notes),
                }
                for row in self.rows
            ]
        )

    def levels_frame(self) -> DataFrame:
        """Return a table of the transition levels."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "defect": level.defect,
                    "transition": f"{level.upper:+d}/{level.lower:+d}".replace("+0", "0"),
                    "level above the valence band maximum (eV)": level.level,
                    "in the gap": level.in_gap,
                    "corrected": level.corrected,
                }
                for level in self.transition_levels()
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "rows": [asdict(row) | {"notes": list(row.notes)} for row in self.rows],
            "transition_levels": [asdict(level) for level in self.transition_levels()],
            "valence_maximum": self.valence_maximum,
            "gap": self.gap,
            "statement": self.statement,
        }

    def plot(self, limit: str | None = None) -> Figure:
        """Draw formation energies against the Fermi level, in one limit, by default the first."""
        from heterodft.analysis.energies.defect_figure import draw_defect_formation

        return draw_defect_formation(self, limit=limit)


def _edges(host: Result, given: float | None) -> tuple[float | None, float | None]:
    """Return valence band maximum and gap of the host in eV, None where they are not known or it is a metal."""
    gap = find_gap(host) if host.bands is not None else None
    if gap is None or gap.metal:
        return given, None
    tops = [spin.valence_maximum for spin in gap.spins if spin.valence_maximum is not None]
    return (max(tops, default=None) if given is None else given), gap.value


def _charge(name: str, result: Result, given: int | None) -> int | None:
    told = settings_of(result)["charge"] if given is None else given
    if told is not None and abs(told - round(told)) > _WHOLE:
        raise ReaderError(f"{name}: a charge of {told:+g} e is not a whole number; give it as charges")
    return None if told is None else round(told)


def _corrected(
    result: Result,
    charge: int | None,
    dielectric: ArrayLike | None,
    scheme: Scheme,
    alignment: float | Alignment | None,
) -> tuple[float, str, tuple[str, ...]]:
    if not charge:
        return 0.0, _NEUTRAL, ()
    if dielectric is None:
        return 0.0, UNCORRECTED, ("no dielectric constant was given: the charge's periodic images are in the energy",)
    found = correct_charge(result.structure, charge, dielectric=dielectric, scheme=scheme, alignment=alignment)
    return found.energy, found.label, found.notes


def _hindered(
    name: str, result: Result, host: Result, *, charge: int | None, top: float | None, trust: bool
) -> tuple[str, tuple[str, ...]]:
    """Return why no formation energy may be computed, and what to say beside it."""
    found = compare(result, host, "defect", names=(name, "the host"))
    reasons = [found.reason(trust=trust)] if not found.may_subtract(trust=trust) else []
    notes = (*found.caveats(trust=trust), *state_note(result), *result.notes)
    if settings_of(host)["charge"]:
        reasons.append("the host is charged")
    if charge is None and not trust:
        reasons.append(f"unknown: charge of {name}; give it as charges")
    if charge and any(has_vacuum(result.structure, axis) for axis in range(3)):
        reasons.append(
            "a charged cell with vacuum: the neutralizing background fills the vacuum too, and the energy has no "
            "limit as the vacuum grows"
        )
    if charge and top is None:
        reasons.append("the valence band maximum of the host is not known; give valence_maximum")
    return "; ".join(reasons), notes


def _energy(result: Result, host: Result, potentials: ChemicalPotentials, limit: Limit) -> float | None:
    """Return what the atoms of a defect cost in eV, without the terms of the charge."""
    if result.energy is None or host.energy is None:
        return None
    exchanged = _exchanged(result, host)
    return result.energy - host.energy - sum(n * potentials.potential(e, limit) for e, n in exchanged.items())


def _exchanged(result: Result, host: Result) -> dict[str, int]:
    here, there = (one.structure.composition.get_el_amt_dict() for one in (result, host))
    changes = {element: round(here.get(element, 0) - there.get(element, 0)) for element in sorted({*here, *there})}
    return {element: n for element, n in changes.items() if n}
