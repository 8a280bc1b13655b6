"""The campaign: which structures, orders, U, method and steps; the schema of its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from heterodft.errors import CampaignError
from heterodft.workflows.converge_spec import ConvergeSpec
from heterodft.workflows.fields import Name, Spec, or_nothing, or_text
from heterodft.workflows.hubbard_spec import Scan
from heterodft.workflows.magnetism_spec import MagnetismSpec
from heterodft.workflows.method_spec import MethodSpec, Step
from heterodft.workflows.published_spec import PublishedSpec
from heterodft.workflows.structure_spec import MaterialSpec, StackSpec

if TYPE_CHECKING:
    from heterodft.workflows.campaign_results import CampaignResults

__all__ = ["Campaign", "RunSpec", "StructureSpec", "place_in_file"]


class StructureSpec(StackSpec):
    """A stack, its defects, and what differs from the campaign for it."""

    magnetism: MagnetismSpec | None = Field(
        default=None,
        description="Magnetism of this structure, in place of the campaign's",
        examples=[{"orders": ["NM"]}],
    )
    hubbard: dict[str, Scan] | None = Field(
        default=None, description="Hubbard U of this structure, in place of the campaign's", examples=[{}]
    )
    method: MethodSpec | None = Field(
        default=None,
        description="Numbers of this structure, which win over the campaign's",
        examples=[{"protocol": "fast"}],
    )
    steps: Annotated[list[Step], Field(min_length=1)] | None = Field(
        default=None, description="Steps of this structure, in place of the campaign's", examples=[["static"]]
    )


class RunSpec(Spec):
    """How to run, usually kept in the settings file instead."""

    command: str | None = Field(
        default=None,
        description="How to start the DFT code, {cores} for the number of ranks; that of the settings by default",
        examples=["mpirun -np {cores} pw.x"],
    )


def _not_of_a_driver(name: str) -> str:
    campaign, _, kind = name.rpartition(".")
    if campaign and kind in ConvergeSpec.model_fields:
        raise ValueError(
            f"'{name}' is where heterodft converge keeps {kind} of a campaign {campaign}; choose another, "
            f"{campaign}-{kind}"
        )
    return name


class Campaign(Spec):
    """A campaign file."""

    name: Annotated[Name, AfterValidator(_not_of_a_driver)] = Field(
        description="Name of the campaign and of its folder below runs", examples=["sto-lao"]
    )
    code: Literal["espresso", "vasp"] = Field(default="espresso", description="DFT code")
    materials: Annotated[dict[str, Annotated[MaterialSpec, or_nothing]], Field(min_length=1)] = Field(
        description="Bulk end members by formula or name",
        examples=[{"SrTiO3": {"prototype": "perovskite", "a": 3.905}}],
    )
    structures: Annotated[dict[Name, StructureSpec], Field(min_length=1)] = Field(
        description="Stacks by name, each with its defects",
        examples=[{"sl": {"stack": [{"material": "SrTiO3", "layers": 2}]}}],
    )
    magnetism: MagnetismSpec = Field(default=MagnetismSpec(), description="Magnetic orders and starting moments")
    hubbard: dict[str, Scan] = Field(
        default={},
        description="Effective Hubbard U by element and shell, eV; a list is scanned; none by default",
        examples=[{"Ti-3d": 4.0}],
    )
    method: MethodSpec = Field(
        default=MethodSpec(), description="Functional, protocol and what overrides its numbers"
    )
    steps: Annotated[list[Step], Field(min_length=1)] = Field(
        description="Steps of every configuration, in the order they run", examples=[["static", "dos"]]
    )
    converge: ConvergeSpec = Field(
        default=ConvergeSpec(),
        description="Questions for heterodft converge; none by default",
        examples=[{"cutoff": {}}],
    )
    run: RunSpec = Field(default=RunSpec(), description="How to run, usually kept in the settings of the machine")
    published: Annotated[PublishedSpec, or_text] | None = Field(
        default=None,
        description="What a paper published, put beside what comes out by heterodft report; or a file with it",
        examples=["published.yaml"],
    )

    _path: Path = PrivateAttr(default=Path("campaign.yaml"))
    _lines: Any = PrivateAttr(default=None)

    @classmethod
    def from_file(cls, path: str | Path) -> Campaign:
        """Read and check a campaign file.

        Raises
        ------
        CampaignError
            One line with the file, the line, the key and the remedy.
        """
        from heterodft.workflows.campaign_file import load_campaign

        return load_campaign(Path(path))

    def results(self, *, runs: str | Path | None = None, reference: str = "FM") -> CampaignResults:
        """Read what its calculations found so far, see `heterodft.workflows.campaign_results`.

        Parameters
        ----------
        runs
            Folder of all runs; by default that of the settings.
        reference
            The order whose energy is zero.

        Raises
        ------
        ReaderError
            If nothing was submitted.
        """
        from heterodft.workflows.campaign_results import read_results

        return read_results(self, runs=None if runs is None else Path(runs), reference=reference)

    @property
    def folder(self) -> Path:
        """Folder of the file, which relative paths in it are relative to."""
        return self._path.parent

    def for_code(self, code: str) -> Campaign:
        """Return the same campaign for another DFT code."""
        other = self.model_copy(update={"code": code})
        other._path, other._lines = self._path, self._lines
        return other

    def with_converge(self, converge: ConvergeSpec) -> Campaign:
        """Return the same campaign with other questions to drive."""
        other = self.model_copy(update={"converge": converge})
        other._path, other._lines = self._path, self._lines
        return other

    def place_of(self, key: str, message: str) -> tuple[str, ...]:
        """Return the keys that a mistake in a structure is most likely under, by the first word of what is told."""
        own = self.structures[key]
        for part in ("method", "hubbard", "magnetism"):
            if message.startswith(f"{part}:"):
                return ("structures", key, part) if getattr(own, part) is not None else (part,)
        name = message.removeprefix("material ").partition(":")[0]
        is_material = message.startswith("material ") and name in self.materials
        return ("materials", name) if is_material else ("structures", key)

    def error_of(self, key: str, name: str, error: Exception) -> CampaignError:
        """Return an error in a structure, or in one made of it, with the place that it is most likely about."""
        message = str(error)
        where = self.place_of(key, message)
        if where[0] == "structures" and len(where) == 2:
            return self.error(where, f"{name}: {message}")
        return self.error(where, f"{message.removeprefix(f'{where[-1]}: ')} [{name}]")

    def error(self, where: tuple[str | int, ...], message: str) -> CampaignError:
        """Return an error that names the file, the line and the key."""
        return CampaignError(f"{place_in_file(self._path, self._lines, where)}: {message}".replace("\n", "\\n"))


def place_in_file(path: Path, document: Any, where: tuple[str | int, ...]) -> str:
    """Return ``file:line: key.key``, following the keys as far as the document has them."""
    node: Any = document
    line = None
    for part in where:
        if isinstance(node, CommentedMap) and part in node:
            line = node.lc.key(part)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
        else:
            break
        node = node[part]
    keys = ".".join(str(part) for part in where)
    return f"{path}{f':{line}' if line else ''}{f': {keys}' if keys else ''}"
