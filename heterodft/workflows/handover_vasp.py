"""What a VASP step takes from its parent's folder: density and wavefunctions; nothing there is changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from heterodft.errors import CalculationError, StorageError
from heterodft.workflows.calculation import finished_id

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.templates.steps import TakenOver
    from heterodft.workflows.calculation import Request

__all__ = ["hand_over"]


def hand_over(request: Request, folder: Path, taken: TakenOver) -> None:
    """Copy what a step takes from its parent: a copy, since VASP overwrites CHGCAR and WAVECAR in place.

    Wavefunctions only save time, so that their absence is no failure.

    Raises
    ------
    CalculationError
        If the parent is not finished or left no density.
    """
    if request.parent is None:
        return
    parent = folder / request.about["parent_folder"]
    if finished_id(parent) != request.parent:
        raise CalculationError(
            f"{parent} does not hold the step that this one starts from; submit the campaign again"
        )
    density = parent / "CHGCAR"
    if taken.density and not (density.is_file() and density.stat().st_size):
        raise CalculationError(f"{density} holds no charge density; submit the campaign again")
    names = ["CHGCAR"] * taken.density + ["WAVECAR"] * taken.wavefunctions
    for name in names:
        if (parent / name).is_file():
            _copy(parent / name, folder / name)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        shutil.copy2(source, temporary)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"cannot write {target}: {error.strerror or error}; free some space") from error
