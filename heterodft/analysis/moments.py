"""Magnetic moments layer by layer, in spheres and by Löwdin, beside what the whole cell has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from heterodft.analysis.equal_layers import unequal_moments
from heterodft.analysis.layers import sum_over_groups
from heterodft.analysis.layers.site_sums import (
    elements_of,
    group_columns,
    group_data,
    plain_numbers,
    site_kinds,
    sum_by_element,
    use_layering,
)
from heterodft.analysis.result import SHELLS
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from heterodft.analysis.layers import Layering, SiteGroup
    from heterodft.analysis.result import Result

__all__ = ["LayerMoments"]

_COMPONENTS = ("x", "y", "z")


@dataclass(frozen=True)
class LayerMoments:
    """Moments added over the sites of each layer or plane.

    Attributes
    ----------
    groups
        Layers or planes from the bottom up.
    by
        ``layer`` or ``plane``.
    kinds
        ``sphere`` (integrated around the nuclei) and ``Löwdin`` (projected on atomic wavefunctions), those there are.
    moments
        μB, shape (group, kind); of a noncollinear run the z components.
    absolute
        μB, shape (group, kind): sizes of the moments added, which in an antiferromagnetic layer do not cancel.
    vectors
        μB, shape (group, kind, 3), of a noncollinear run; None of others.
    shells
        μB, shape (group, kind, shell), shells as in `SHELLS`; not-a-number where the code did not tell.
    elements
        Along the last axis of `by_element`.
    by_element
        μB, shape (group, kind, element); not-a-number where a group holds none.
    total, total_absolute
        μB: of the whole cell, as the code integrates it; None when it did not tell.
    notes
        What is doubtful.
    """

    groups: tuple[SiteGroup, ...]
    by: str
    kinds: tuple[str, ...]
    moments: NDArray[np.float64]
    absolute: NDArray[np.float64]
    vectors: NDArray[np.float64] | None
    shells: NDArray[np.float64]
    elements: tuple[str, ...]
    by_element: NDArray[np.float64]
    total: float | None
    total_absolute: float | None
    notes: tuple[str, ...] = ()

    @classmethod
    def from_result(cls, result: Result, *, layering: Layering | None = None, by: str = "layer") -> Self:
        """Add the moments of a result.

        Parameters
        ----------
        result
            Spin-polarized or noncollinear.
        layering
            Of `find_layering`; by default found from the structure.
        by
            ``layer`` or ``plane``.

        Raises
        ------
        ReaderError
            If the result holds no moments of sites, or the layering is of another structure.
        """
        used = use_layering(result.structure, layering)
        groups = used.groups(by)
        kinds = {kind: values for kind, values in site_kinds(result).items() if values.moments is not None}
        if not kinds:
            raise ReaderError("the result is not spin-polarized; there are no moments")
        sites = len(result.structure)
        moments, shells = np.empty((sites, len(kinds))), np.full((sites, len(kinds), len(SHELLS)), np.nan)
        vectors = np.full((sites, len(kinds), 3), np.nan)
        for column, values in enumerate(kinds.values()):
            moments[:, column] = values.moments
            if values.shell_moments is not None:
                shells[:, column] = values.shell_moments
            if values.vectors is not None:
                vectors[:, column] = values.vectors
        directed = not np.isnan(vectors).all()
        sizes = np.where(np.isnan(vectors).any(axis=2), np.abs(moments), np.linalg.norm(vectors, axis=2))
        elements = [sum_by_element(result.structure, groups, moments[:, k]) for k in range(len(kinds))]
        return cls(
            groups=groups,
            by=by,
            kinds=tuple(kinds),
            moments=sum_over_groups(groups, moments),
            absolute=sum_over_groups(groups, sizes),
            vectors=sum_over_groups(groups, vectors) if directed else None,
            shells=sum_over_groups(groups, shells),
            elements=elements_of(result.structure),
            by_element=np.stack(elements, axis=1),
            total=result.total_moment,
            total_absolute=result.absolute_moment,
            notes=(*used.notes, *result.notes, *unequal_moments(result, groups, tuple(kinds), moments)),
        )

    @classmethod
    def read(cls, folder: Path | str, *, layering: Layering | None = None, by: str = "layer") -> Self:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder), layering=layering, by=by)

    @property
    def quantity(self) -> str:
        """What the values are."""
        return "moment"

    @property
    def unit(self) -> str:
        """Of the values."""
        return "μB"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the series: the kinds; of a noncollinear run with the component, ``sphere x``."""
        if self.vectors is None:
            return self.kinds
        return tuple(f"{kind} {component}" for kind in self.kinds for component in _COMPONENTS)

    @property
    def values(self) -> NDArray[np.float64]:
        """μB, shape (group, column)."""
        return self.moments if self.vectors is None else self.vectors.reshape(len(self.groups), -1)

    @property
    def sums(self) -> NDArray[np.float64]:
        """μB, shape (kind,): all layers together."""
        return np.asarray(self.moments.sum(axis=0))

    @property
    def missing(self) -> NDArray[np.float64] | None:
        """μB, shape (kind,): what the cell has beyond the sum of the layers.

        Of spheres what lies between them, less where they overlap; of Löwdin what the atomic wavefunctions do not
        span. None where the total is not known or the moments are vectors.
        """
        return None if self.total is None or self.vectors is not None else self.total - self.sums

    def summary(self) -> str:
        """Return one line that compares the layers with the cell."""
        missing = self.missing
        if missing is None:
            sums = zip(self.columns, self.values.sum(axis=0), strict=True)
            return "; ".join(f"{name}: {value:.3f} μB in all layers" for name, value in sums)
        parts = (
            f"{kind}: {total:z.3f} μB in all layers, {rest:z.3f} μB outside"
            for kind, total, rest in zip(self.kinds, self.sums, missing, strict=True)
        )
        return f"cell: {self.total:z.3f} μB; {'; '.join(parts)}"

    def to_frame(self) -> pd.DataFrame:
        """Return a table, one row a layer or plane from the bottom up; `summary` is in its ``attrs``."""
        import pandas as pd

        data: dict[str, Any] = group_columns(self.groups, self.by)
        data |= {f"{name} moment (μB)": self.values[:, i] for i, name in enumerate(self.columns)}
        for i, kind in enumerate(self.kinds):
            data[f"{kind} absolute moment (μB)"] = self.absolute[:, i]
            for j, element in enumerate(self.elements):
                data[f"{kind} moment of {element} (μB)"] = self.by_element[:, i, j]
            for j, shell in enumerate(SHELLS):
                if np.nan_to_num(self.shells[:, i, j]).any():
                    data[f"{kind} {shell} moment (μB)"] = self.shells[:, i, j]
        frame = pd.DataFrame(data)
        frame.attrs = {"summary": self.summary()}
        return frame

    def plot(self) -> Figure:
        """Draw the moments along the layers."""
        from heterodft.analysis.plots import draw_profile

        return draw_profile(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data, μB."""
        missing = self.missing
        return {
            "by": self.by,
            "groups": group_data(self.groups),
            "kinds": list(self.kinds),
            "columns": list(self.columns),
            "moments": plain_numbers(self.values),
            "absolute": plain_numbers(self.absolute),
            "elements": list(self.elements),
            "by_element": plain_numbers(self.by_element),
            "shells": list(SHELLS),
            "by_shell": plain_numbers(self.shells),
            "sums": plain_numbers(self.sums),
            "total": self.total,
            "total_absolute": self.total_absolute,
            "missing": None if missing is None else missing.tolist(),
            "notes": list(self.notes),
        }
