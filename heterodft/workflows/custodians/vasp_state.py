"""A cycle of VASP that ended in a state that was not asked for is started again in other ways, a few times.

`restore_request` puts back the MAGMOM asked for before every start. Those of another start are kept in ``seed.json``,
which it obeys; without CHGCAR and WAVECAR the cycle then starts from them.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from custodian.custodian import ErrorHandler

from heterodft.errors import ReaderError
from heterodft.files import read_json, write_json, write_text
from heterodft.workflows.calculation import REQUEST_FILE
from heterodft.workflows.custodians.vasp_inputs import (
    ORIGINAL,
    SEED_FILE,
    continued_poscar,
    incar_tags,
    restore_request,
    tag_words,
)
from heterodft.workflows.custodians.watch import attempts_in, note_correction
from heterodft.workflows.state.asked import AskedState, asked_state
from heterodft.workflows.state.choice import unreached_of
from heterodft.workflows.state.seeds import ladder

if TYPE_CHECKING:
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.state.asked import Judgement
    from heterodft.workflows.state.seeds import Seed

__all__ = ["VaspStateHandler", "vasp_state_handler"]

_MIXING = ("AMIX", "AMIX_MAG")


class VaspStateHandler(ErrorHandler):
    """The state reached is not the one asked for: again from scratch with the next other start.

    Parameters
    ----------
    asked
        Data of the `AskedState`.
    reseeds
        How many other starts may be tried.
    """

    def __init__(self, asked: dict[str, Any], reseeds: int = 1):
        self.asked = asked
        self.reseeds = reseeds

    def check(self, directory: str = "./") -> bool:
        """Return whether a cycle that ended well is in another state and another start is left."""
        folder = Path(directory)
        if self._next(folder) is None:
            return False
        found = self._judge(folder)
        return found is not None and found.verdict != "kept"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Write the next other start; where atoms have moved, they stay where they are."""
        folder = Path(directory)
        found, seed = self._judge(folder), self._next(folder)
        if found is None or seed is None:
            return {"errors": ["state"], "actions": None}
        tags = self._tags(folder, seed)
        write_json(folder / SEED_FILE, tags)
        self._forget_density(folder)
        self._keep_structure(folder)
        restore_request(folder)
        words = f"not in the state asked for: {found.words}; again {seed.words}"
        return {"errors": [words], "actions": [{"dict": "INCAR", "action": {"_set": tags}}]}

    def is_chosen(self, folder: Path) -> bool:
        """Return whether another start was chosen and VASP not started with it: a worker died in between."""
        try:
            return (folder / SEED_FILE).stat().st_mtime_ns > (folder / "OUTCAR").stat().st_mtime_ns
        except OSError:
            return False

    def take_up(self, folder: Path) -> bool:
        """Prepare the start that was chosen and not run, or else the next one; return whether there is one."""
        if self.is_chosen(folder):
            self._forget_density(folder)
            return True
        if not self.check(str(folder)):
            return False
        note_correction(folder, self, self.correct(str(folder)))
        return True

    def _forget_density(self, folder: Path) -> None:
        for name in ("CHGCAR", "WAVECAR"):
            (folder / name).unlink(missing_ok=True)

    def _judge(self, folder: Path) -> Judgement | None:
        """Return what became of the state of a cycle that ended well; None of others."""
        from heterodft.analysis.readers.vasp.assembly import how_it_ended, read_vasp

        try:
            stopped, cycle, _ = how_it_ended(folder)
            result = read_vasp(folder, read_json(folder / REQUEST_FILE))
        except ReaderError:
            return None
        values = result.sites.get("sphere")
        if stopped or not cycle or not result.converged or result.ended != "finished" or values is None:
            return None
        total = None if values.vectors is not None else result.total_moment
        return AskedState.from_data(self.asked).judge_sites(values, total)

    def _next(self, folder: Path) -> Seed | None:
        """Return the next other start, None where none is left."""
        entries = [entry for attempt in attempts_in(folder) for entry in attempt.get("corrections", ())]
        ours = [entry for entry in entries if entry.get("handler", {}).get("@class") == type(self).__name__]
        taken = sum(bool(entry.get("actions")) for entry in ours)
        asked = incar_tags((folder / f"INCAR{ORIGINAL}").read_text(encoding="utf-8"))
        seeds = ladder(from_density=asked.get("ICHARG") == "1", occupations=False)[: self.reseeds]
        return seeds[taken] if taken < len(seeds) and "MAGMOM" in asked else None

    def _tags(self, folder: Path, seed: Seed) -> dict[str, str]:
        asked = incar_tags((folder / f"INCAR{ORIGINAL}").read_text(encoding="utf-8"))
        moments = [float(word) * seed.moments for word in tag_words(asked["MAGMOM"])]
        groups = [(value, len(list(group))) for value, group in groupby(moments)]
        tags = {"MAGMOM": " ".join(f"{value:g}" if n == 1 else f"{n}*{value:g}" for value, n in groups)}
        return tags | {key: f"{float(asked[key]) * seed.mixing:g}" for key in _MIXING if key in asked}

    def _keep_structure(self, folder: Path) -> None:
        try:
            original, reached = ((folder / f).read_text(encoding="utf-8") for f in (f"POSCAR{ORIGINAL}", "CONTCAR"))
        except OSError:
            return
        text = continued_poscar(original, reached)
        if text is not None and incar_tags((folder / "INCAR").read_text(encoding="utf-8")).get("NSW", "0") != "0":
            write_text(folder / "POSCAR", text)


def vasp_state_handler(request: Request) -> VaspStateHandler | None:
    """Return the handler of a request; None where its user wants no other starts, or its density is kept."""
    chosen = unreached_of(request)
    if not chosen.reseeds or request.moments is None or request.step not in ("relax-coarse", "relax", "static"):
        return None
    return VaspStateHandler(asked_state(request).to_data(), chosen.reseeds)
