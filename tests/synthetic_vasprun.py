"""A writer of vasprun.xml with numbers that are known: for the tests of the reader and for its benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

COLUMNS = {
    "lm": ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2"),
    "lmf": ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2",
            "fy3x2", "fxyz", "fyz2", "fz3", "fxz2", "fzx2", "fx3"),
    "l": ("s", "p", "d", "f"),
}  # fmt: skip


@dataclass(frozen=True)
class SyntheticRun:
    """Numbers as they are printed: rounded to the digits of VASP's formats."""

    version: str
    spins: int
    columns: tuple[str, ...]
    lattice: NDArray[np.float64]
    positions: NDArray[np.float64]
    kpoints: NDArray[np.float64]
    weights: NDArray[np.float64]
    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    fermi_level: float
    grid: NDArray[np.float64]
    total: NDArray[np.float64]
    integrated: NDArray[np.float64]
    partial: NDArray[np.float64]
    projections: NDArray[np.float64]
    scf: NDArray[np.float64]
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]

    @property
    def electrons(self) -> float:
        both = 2 if self.spins == 1 else 1
        return both * float(np.einsum("skb,k->", self.occupations, self.weights))


def make_run(
    *,
    atoms: int = 2,
    spins: int = 2,
    kpoints: int = 3,
    bands: int = 8,
    grid: int = 21,
    columns: str = "lm",
    steps: int = 1,
    cycle: int = 3,
    seed: int = 0,
) -> SyntheticRun:
    """Make numbers of a run: ``spins`` 1, 2, or 4 (noncollinear); ``steps`` ionic ones of ``cycle`` SCF steps."""
    random = np.random.default_rng(seed)
    names, channels = COLUMNS[columns], 1 if spins == 4 else spins
    energies = np.sort(np.round(random.uniform(-60, 30, (channels, kpoints, bands)), 4), axis=2)
    part = random.standard_normal if spins == 4 else random.random
    rounded = {
        "total": part((spins, grid)) * 30,
        "partial": part((atoms, len(names), spins, grid)),
        "projections": part((spins, kpoints, bands, atoms, len(names))) * 0.2,
    }
    return SyntheticRun(
        version="6.4.1",
        spins=spins,
        columns=names,
        lattice=np.round(np.eye(3) * 4 + random.standard_normal((3, 3)) / 10, 8),
        positions=np.round(random.random((atoms, 3)), 8),
        kpoints=np.round(random.uniform(-0.5, 0.5, (kpoints, 3)), 8),
        weights=np.full(kpoints, round(1 / kpoints, 8)),
        energies=energies,
        occupations=np.where(energies < 0, 1.0, 0.0),
        fermi_level=1.2345,
        grid=np.round(np.linspace(-65, 35, grid), 4),
        integrated=np.round(np.cumsum(random.random((spins, grid)), axis=1), 4),
        scf=np.round(random.uniform(-300, -200, (steps, cycle, 3)), 8),
        forces=np.round(random.standard_normal((steps, atoms, 3)), 8),
        stress=np.round(random.standard_normal((steps, 3, 3)) * 10, 8),
        **{name: np.round(values, 4) for name, values in rounded.items()},
    )


def write_vasprun(run: SyntheticRun, path: Path, *, width: int = 11) -> Path:
    """Write it as VASP does; ``width`` of the densities of states is 9 in old versions."""
    with path.open("w", encoding="ascii") as out:
        _write_header(run, out)
        for step in range(len(run.scf)):
            last = step == len(run.scf) - 1
            out.write(" <calculation>\n")
            _write_ionic_step(run, step, out)
            if last:
                _write_eigenvalues(run, out, "  ")
                _write_dos(run, out, width)
                _write_projections(run, out)
            out.write(" </calculation>\n")
        _write_structure(run, out, "finalpos", " ")
        out.write("</modeling>\n")
    return path


def _rows(values: NDArray[np.float64], fields: str, indent: str, tag: str = "r", end: str = " ") -> str:
    line = f"{indent}<{tag}>{fields}{end}</{tag}>\n"
    return "".join([line % tuple(row) for row in values.tolist()])


def _varray(name: str, values: NDArray[np.float64], indent: str) -> str:
    rows = _rows(values, "%17.8f" * values.shape[1], f"{indent} ", "v")
    return f'{indent}<varray name="{name}" >\n{rows}{indent}</varray>\n'


def _write_header(run: SyntheticRun, out: IO[str]) -> None:
    atoms = len(run.positions)
    settings = {
        "ISPIN": 2 if run.spins == 2 else 1,
        "NBANDS": run.energies.shape[2],
        "NEDOS": len(run.grid),
        "NELM": 60,
    }
    numbers = "".join(f'  <i type="int" name="{name}">{value:6d}</i>\n' for name, value in settings.items())
    moments = "".join(f"{1.0:16.8f}" for _ in range(atoms))
    sites = "".join("    <rc><c>Ti</c><c>   1</c></rc>\n" for _ in range(atoms))
    out.write(
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n <generator>\n'
        '  <i name="program" type="string">vasp </i>\n'
        f'  <i name="version" type="string">{run.version}  </i>\n </generator>\n'
        ' <incar>\n  <i type="string" name="SYSTEM">a run that never was</i>\n'
        '  <i type="string" name="PREC">accurate</i>\n  <i name="ENCUT">    500.00000000</i>\n'
        f'  <v name="MAGMOM">{moments}</v>\n </incar>\n'
        ' <kpoints>\n  <generation param="Gamma">\n'
        f'   <v type="int" name="divisions">{run.kpoints.shape[0]:8d}{1:8d}{1:8d} </v>\n  </generation>\n'
    )
    out.write(_varray("kpointlist", run.kpoints, "  ") + _varray("weights", run.weights[:, None], "  "))
    out.write(
        f' </kpoints>\n <parameters>\n  <separator name="electronic" >\n{numbers}'
        f'   <i name="NELECT">{run.electrons:16.8f}</i>\n'
        f'   <i type="logical" name="LNONCOLLINEAR"> {"T" if run.spins == 4 else "F"}  </i>\n  </separator>\n'
        '  <separator name="response functions" >\n   <i type="int" name="NELM">     1</i>\n  </separator>\n'
        f" </parameters>\n <atominfo>\n  <atoms> {atoms:7d} </atoms>\n  <types>       1 </types>\n"
        '  <array name="atoms" >\n   <dimension dim="1">ion</dimension>\n   <field type="string">element</field>\n'
        f'   <field type="int">atomtype</field>\n   <set>\n{sites}   </set>\n  </array>\n'
        '  <array name="atomtypes" >\n   <dimension dim="1">type</dimension>\n'
        '   <field type="int">atomspertype</field>\n   <field type="string">element</field>\n'
        "   <field>mass</field>\n   <field>valence</field>\n"
        '   <field type="string">pseudopotential</field>\n   <set>\n'
        f"    <rc><c>{atoms:4d}</c><c>Ti</c><c>     47.88000000</c><c>     12.00000000</c>"
        "<c>  PAW_PBE Ti_sv 26Sep2005                 </c></rc>\n   </set>\n  </array>\n </atominfo>\n"
    )
    _write_structure(run, out, "initialpos", " ")


def _write_structure(run: SyntheticRun, out: IO[str], name: str, indent: str) -> None:
    named = f' name="{name}" ' if name else ""
    out.write(f"{indent}<structure{named}>\n{indent} <crystal>\n" + _varray("basis", run.lattice, f"{indent}  "))
    out.write(f'{indent}  <i name="volume">{abs(np.linalg.det(run.lattice)):16.8f} </i>\n')
    out.write(_varray("rec_basis", np.linalg.inv(run.lattice).T, f"{indent}  ") + f"{indent} </crystal>\n")
    out.write(_varray("positions", run.positions, f"{indent} ") + f"{indent}</structure>\n")


def _energy(values: NDArray[np.float64], indent: str) -> str:
    names = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    entries = (f'{indent} <i name="{n}">{v:16.8f} </i>\n' for n, v in zip(names, values, strict=True))
    return f"{indent}<energy>\n{''.join(entries)}{indent}</energy>\n"


def _write_ionic_step(run: SyntheticRun, step: int, out: IO[str]) -> None:
    for values in run.scf[step]:
        out.write(
            '  <scstep>\n   <time name="dav">    0.11    0.11</time>\n   <time name="total">    0.13    0.13</time>\n'
        )
        out.write(_energy(values, "   ") + "  </scstep>\n")
    _write_structure(run, out, "", "  ")
    out.write(_varray("forces", run.forces[step], "  ") + _varray("stress", run.stress[step], "  "))
    out.write(_energy(run.scf[step, -1], "  ") + '  <time name="totalsc">    3.00    3.13</time>\n')


def _array(dimensions: tuple[str, ...], fields: tuple[str, ...], indent: str) -> str:
    dims = "".join(f'{indent} <dimension dim="{i}">{name}</dimension>\n' for i, name in enumerate(dimensions, 1))
    names = "".join(f"{indent} <field>{name:>5}</field>\n" for name in fields)
    return f"{indent}<array>\n{dims}{names}{indent} <set>\n"


def _write_eigenvalues(run: SyntheticRun, out: IO[str], indent: str) -> None:
    out.write(f"{indent}<eigenvalues>\n" + _array(("band", "kpoint", "spin"), ("eigene", "occ"), f"{indent} "))
    for spin, (energies, occupations) in enumerate(zip(run.energies, run.occupations, strict=True), 1):
        out.write(f'{indent}   <set comment="spin {spin}">\n')
        for k, both in enumerate(np.stack([energies, occupations], axis=2), 1):
            rows = _rows(both, "%10.4f%10.4f", f"{indent}     ")
            out.write(f'{indent}    <set comment="kpoint {k}">\n{rows}{indent}    </set>\n')
        out.write(f"{indent}   </set>\n")
    out.write(f"{indent}  </set>\n{indent} </array>\n{indent}</eigenvalues>\n")


def _write_dos(run: SyntheticRun, out: IO[str], width: int) -> None:
    field = f"%{width}.4f"
    out.write(f'  <dos>\n   <i name="efermi">{run.fermi_level:16.8f} </i>\n   <total>\n')
    out.write(_array(("gridpoints", "spin"), ("energy", "total", "integrated"), "    "))
    for spin, (total, integrated) in enumerate(zip(run.total, run.integrated, strict=True), 1):
        rows = _rows(np.stack([run.grid, total, integrated], axis=1), field * 3, "       ")
        out.write(f'      <set comment="spin {spin}">\n{rows}      </set>\n')
    out.write("     </set>\n    </array>\n   </total>\n   <partial>\n")
    out.write(_array(("gridpoints", "spin", "ion"), ("energy", *run.columns), "    "))
    for site, of_site in enumerate(run.partial, 1):
        out.write(f'      <set comment="ion {site}">\n')
        for spin in range(run.spins):
            rows = _rows(np.vstack([run.grid, of_site[:, spin]]).T, field * (len(run.columns) + 1), "        ")
            out.write(f'       <set comment="spin {spin + 1}">\n{rows}       </set>\n')
        out.write("      </set>\n")
    out.write("     </set>\n    </array>\n   </partial>\n  </dos>\n")


def _write_projections(run: SyntheticRun, out: IO[str]) -> None:
    out.write("  <projected>\n")
    _write_eigenvalues(run, out, "   ")
    out.write(_array(("ion", "band", "kpoint", "spin"), run.columns, "   "))
    for spin, of_spin in enumerate(run.projections, 1):
        out.write(f'     <set comment="spin{spin}">\n')
        for k, of_point in enumerate(of_spin, 1):
            out.write(f'      <set comment="kpoint {k}">\n')
            for band, of_band in enumerate(of_point, 1):
                rows = _rows(of_band, "%8.4f" * len(run.columns), "        ")
                out.write(f'       <set comment="band {band}">\n{rows}       </set>\n')
            out.write("      </set>\n")
        out.write("     </set>\n")
    out.write("    </set>\n   </array>\n  </projected>\n")
