"""The input files of a request, with the pseudopotentials and programs of this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from heterodft.errors import InputError
from heterodft.templates.espresso import program_version, write_espresso
from heterodft.templates.potcars import find_potcars
from heterodft.templates.pseudopotentials import find_pseudopotentials
from heterodft.templates.vasp import write_vasp
from heterodft.workflows.method_spec import RawSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymatgen.core import Structure

    from heterodft.templates.potcars import Potcar
    from heterodft.templates.pseudopotentials import Pseudopotential
    from heterodft.templates.setup import Deck
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.settings import Settings

__all__ = ["find_files", "prepare_all", "prepare_inputs"]


def find_files(request: Request, settings: Settings) -> dict[str, Pseudopotential] | dict[str, Potcar]:
    """Return the pseudopotentials of a request.

    Raises
    ------
    HeterodftError
        If one is missing or differs from the request's.
    """
    if request.code == "vasp":
        functional = next(iter(request.pseudopotentials.values())).split(" ")[0]
        symbols = {element: name.split(" ")[1] for element, name in request.pseudopotentials.items()}
        return find_potcars(symbols, symbols=symbols, functional=functional)
    kind = "full" if request.spin_orbit else "scalar"
    files = find_pseudopotentials(
        request.pseudopotentials, xc=request.settings.xc, folder=settings.pseudo_dir, relativistic=kind
    )
    for element, file in files.items():
        if file.sha256 != request.pseudopotentials[element]:
            raise InputError(f"{file.path} is not the pseudopotential this was submitted with; submit again")
    return files


def prepare_all(
    campaign: Campaign,
    requests: Sequence[Request],
    settings: Settings,
    *,
    version: tuple[int, int] | None = None,
    on_each: Callable[[str], None] | None = None,
) -> list[Deck]:
    """Return the input files of every request of a campaign.

    Parameters
    ----------
    campaign
        Where a mistake is to be corrected.
    requests, settings, version
        As in `prepare_inputs`.
    on_each
        Called with the path of each, to show progress.

    Raises
    ------
    CampaignError
        Of the first that cannot be written, with its place in the file.
    ProgramNotFoundError
        If the version is not given and pw.x is not here to be asked.
    """
    if version is None and campaign.code == "espresso":
        version = program_version(settings.program("pw.x"))
    decks = []
    for request in requests:
        if on_each is not None:
            on_each(request.path)
        try:
            decks.append(prepare_inputs(request, settings, version=version))
        except InputError as error:
            raise campaign.error(_place(campaign, request, str(error)), f"{request.path}: {error}") from error
    return decks


def _place(campaign: Campaign, request: Request, message: str) -> tuple[str, ...]:
    """Return the keys of the file that a mistake is most likely under."""
    key = request.about["key"]
    if message.startswith(f"method: {campaign.code}:"):
        return _place_of_raw(campaign, key)
    return campaign.place_of(key, message)


def _place_of_raw(campaign: Campaign, key: str) -> tuple[str, ...]:
    """Return where raw settings of the code are given: by the structure, by the campaign, or else by a step."""
    own = campaign.structures[key]
    for method, place in ((own.method, ("structures", key, "method")), (campaign.method, ("method",))):
        if method is not None and getattr(method, campaign.code) != RawSettings():
            return (*place, campaign.code)
    return ("structures", key, "steps") if own.steps else ("steps",)


def prepare_inputs(
    request: Request,
    settings: Settings,
    *,
    version: tuple[int, int] | None = None,
    structure: Structure | None = None,
    filled_moment: float | None = None,
) -> Deck:
    """Return every input file of a request, with the origin of each setting.

    Parameters
    ----------
    request
        What to compute.
    settings
        Where the programs and pseudopotentials are.
    version
        Of the DFT code; by default the installed pw.x is asked.
    structure
        What a relaxation before ended with; by default the structure of the request.
    filled_moment
        Total moment in μB where the step before found a gap, see `heterodft.templates.setup.Setup`.

    Raises
    ------
    HeterodftError
        If pw.x or a pseudopotential is missing or differs from the request's.
    """
    files = find_files(request, settings)
    setup = replace(request.to_setup(structure), filled_moment=filled_moment)
    if request.code == "vasp":
        return write_vasp(setup, files, version=version)  # type: ignore[arg-type]
    known = version or program_version(settings.program("pw.x"))
    return write_espresso(setup, files, version=known)  # type: ignore[arg-type]
