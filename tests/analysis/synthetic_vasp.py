"""A small run of VASP that never was, with known numbers: OUTCAR, OSZICAR, DOSCAR, PROCAR and CONTCAR."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from heterodft.errors import ReaderError

LM = (
    "s",
    "py",
    "pz",
    "px",
    "dxy",
    "dyz",
    "dz2",
    "dxz",
    "x2-y2",
    "fy3x2",
    "fxyz",
    "fyz2",
    "fz3",
    "fxz2",
    "fzx2",
    "fx3",
)
DASHES = "-" * 104
ZVAL = {"Ni": 16.0, "O": 6.0, "Fe": 8.0}
TIMES = (
    "\n\n General timing and accounting informations for this job:\n"
    " ========================================================\n\n"
    "                  Total CPU time used (sec):      107.037\n"
    "                         Elapsed time (sec):      109.551\n"
)


@dataclass(frozen=True)
class Run:
    """Numbers of a run; everything follows from the seed."""

    species: tuple[tuple[str, int], ...] = (("Ni", 2), ("O", 2))
    spin: int = 2
    """1, 2, or 4 of a noncollinear run."""
    steps: int = 3
    columns: int = 9
    kpoints: int = 2
    bands: int = 4
    grid: int = 11
    seed: int = 7
    version: str = "6.4.1"

    @property
    def sites(self) -> int:
        return sum(count for _, count in self.species)

    @property
    def elements(self) -> list[str]:
        return [element for element, count in self.species for _ in range(count)]

    @property
    def electrons(self) -> float:
        return sum(ZVAL[element] * count for element, count in self.species)

    @cached_property
    def random(self):
        return np.random.default_rng(self.seed)

    @cached_property
    def lattice(self):
        return np.diag([4.0, 5.0, 6.0]) + 0.125

    @cached_property
    def cartesian(self):
        """Å, shape (step, site, 3)."""
        start = np.round(self.random.random((self.sites, 3)), 3) @ self.lattice
        return np.round(start + 0.01 * np.arange(self.steps)[:, None, None], 5)

    @cached_property
    def forces(self):
        return np.round(self.random.normal(size=(self.steps, self.sites, 3)) * 0.01, 6)

    @cached_property
    def energies(self):
        """eV: free, without entropy, sigma→0; shape (step, 3)."""
        zero = np.round(-200 - 0.01 * np.arange(self.steps), 8)
        return np.round(np.stack([zero - 0.002, zero + 0.002, zero], axis=1), 8)

    @cached_property
    def charges(self):
        return np.round(self.random.random((self.steps, self.sites, 3)) * 5, 3)

    @cached_property
    def moments(self):
        """μB, shape (step, component, site, shell)."""
        return np.round(self.random.normal(size=(self.steps, self.spin // 2 + self.spin // 4, self.sites, 3)), 3)

    @cached_property
    def total_moments(self):
        return np.round(self.random.normal(size=(self.steps, self.spin // 2 + self.spin // 4)), 7)

    @property
    def fermi_level(self) -> float:
        return 3.8143

    @cached_property
    def eigenvalues(self):
        """eV, shape (spin, k, band)."""
        spins = 2 if self.spin == 2 else 1
        return np.sort(np.round(self.random.normal(size=(spins, self.kpoints, self.bands)) * 4, 4), axis=-1)

    @cached_property
    def occupations(self):
        return (self.eigenvalues < self.fermi_level).astype(float)

    @cached_property
    def points(self):
        return np.round(self.random.random((self.kpoints, 3)) - 0.5, 8)

    @cached_property
    def parts(self):
        """Shape (spin, k, band, site, column)."""
        shape = (self.spin, self.kpoints, self.bands, self.sites, self.columns)
        return np.round(
            self.random.random(shape) * 0.1 * (1 - 2 * (np.arange(self.spin)[:, None, None, None, None] > 1)), 3
        )

    @cached_property
    def density(self):
        """1/eV, shape (site, column, spin, energy)."""
        return np.round(self.random.random((self.sites, self.columns, self.spin, self.grid)), 4)

    @property
    def grid_energies(self):
        return np.round(np.linspace(-10, 10, self.grid), 3)


def shell_table(name: str, values) -> str:
    rows = [*values, values.sum(axis=0)]
    lines = [
        f"{label}{''.join(f'{x:8.3f}' for x in (*row, row.sum()))}"
        for label, row in zip([f"{i + 1:5d}     " for i in range(len(values))] + ["tot       "], rows, strict=True)
    ]
    head = "# of ion       s       p       d       tot\n" + "-" * 42
    return f"\n\n {name}\n\n{head}\n" + "\n".join(lines[:-1]) + f"\n{'-' * 50}\n{lines[-1]}\n"


def header(run: Run) -> str:
    titles = "".join(
        f"   VRHFIN ={element}: x\n   TITEL  = PAW_PBE {element} 06Sep2000\n"
        f"   POMASS =   58.690; ZVAL   = {ZVAL[element]:8.3f}    mass and valenz\n"
        for element, _ in run.species
    )
    shells = "".join(f"{-1 if element == 'O' else 2:5d}" for element, _ in run.species)
    strengths = "".join(f"{0.0 if element == 'O' else 5.0:6.1f}" for element, _ in run.species)
    points = "".join(f" {x:12.8f}{y:12.8f}{z:12.8f}{1 / run.kpoints:12.3f}\n" for x, y, z in run.points)
    return (
        f" vasp.{run.version} 05Apr23 (build May 18 2023 15:07:29) complex\n{titles}"
        f"   k-points           NKPTS = {run.kpoints:6d}   k-points in BZ     NKDIM ={run.kpoints:7d}"
        f"   number of bands    NBANDS={run.bands:7d}\n"
        f"   number of dos      NEDOS = {run.grid:6d}   number of ions     NIONS = {run.sites:6d}\n"
        "   total plane-waves  NPLWV =  16000\n   dimension x,y,z NGX =    40 NGY =   20 NGZ =   20\n"
        f"   ions per type =            {''.join(f'{count:4d}' for _, count in run.species)}\n"
        f"   ICHARG =      2    charge: 1-file 2-atom 10-const\n"
        "   IBRION =      2    ionic relax: 0-MD 1-quasi-New 2-CG\n"
        f"   ISPIN  = {2 if run.spin == 2 else 1:6d}    spin polarized calculation?\n"
        f"   LNONCOLLINEAR = {'T' if run.spin == 4 else 'F':>6s} non collinear calculations\n"
        f"   LSORBIT = {'T' if run.spin == 4 else 'F':>6s}    spin-orbit coupling\n"
        "   ENCUT  =  520.0 eV  38.22 Ry    6.18 a.u.   9.26  4.63  4.63*2*pi/ulx,y,z\n"
        "   NELM   =    100;   NELMIN=  2; NELMDL= -5     # of ELM steps\n"
        f"   NSW    = {run.steps if run.steps > 1 else 0:6d}    number of steps for IOM\n"
        f"   NELECT = {run.electrons:12.4f}    total number of electrons\n"
        "   ISMEAR =     0;   SIGMA  =   0.05  broadening in eV -4-tet -1-fermi 0-gaus\n"
        " LDA+U is selected, type is set to LDAUTYPE =  2\n"
        f"   angular momentum for each species LDAUL = {shells}\n"
        f"   U (eV)           for each species LDAUU = {strengths}\n"
        f"   J (eV)           for each species LDAUJ = {''.join(f'{0.0:6.1f}' for _ in run.species)}\n"
        "   GGA     =    --    GGA type\n   LEXCH   =     8    internal setting for exchange type\n"
        "   LHFCALC =     F    Hartree Fock is set to\n"
        f"\n k-points in reciprocal lattice and weights: mesh\n{points}\n"
    )


def ionic_step(run: Run, step: int, *, filler: str = "") -> str:
    free, without, zero = run.energies[step]
    moment = "".join(f"{m:16.7f}" for m in run.total_moments[step])
    cycle = ""
    for n in range(1, 4):
        change = 10.0 ** (3 - 3 * n) if n < 3 else 0.0
        cycle += (
            f"\n--------------------------------------- Iteration {step + 1:6d}({n:4d})  {'-' * 39}\n{filler}"
            f" number of electron {run.electrons:15.7f} magnetization {moment}\n"
            f" augmentation part  {run.electrons / 2:15.7f} magnetization {moment}\n"
            f"  free energy    TOTEN  = {free + change:18.8f} eV\n\n"
            f"  energy without entropy = {without + change:18.8f}  energy(sigma->0) = {zero + change:18.8f}\n\n"
        )
    bands = f" E-fermi :{run.fermi_level:9.4f}     XC(G=0): -12.0105     alpha+bet :-10.8507\n\n"
    filling = 2.0 if run.spin == 1 else 1.0
    for spin, values in enumerate(run.eigenvalues):
        bands += f"\n spin component {spin + 1}\n" if run.spin == 2 else ""
        for k, (energies, occupations) in enumerate(zip(values, run.occupations[spin], strict=True)):
            x, y, z = run.points[k]
            bands += (
                f"\n k-point {k + 1:5d} :    {x:10.4f}{y:10.4f}{z:10.4f}\n  band No.  band energies     occupation \n"
            )
            bands += "".join(
                f"{b + 1:7d}{e:14.4f}{filling * f:13.5f}\n"
                for b, (e, f) in enumerate(zip(energies, occupations, strict=True))
            )
    tables = shell_table("total charge", run.charges[step])
    for name, values in zip("xyz" if run.spin == 4 else "x", run.moments[step], strict=False):
        tables += shell_table(f"magnetization ({name})", values)
    pressure = "".join(f"{x:12.5f}" for x in (-10.0, -20.0, -30.0, 1.0, 2.0, 3.0))
    cell = "".join(f"   {a:13.9f}{b:13.9f}{c:13.9f}   {0:13.9f}{0:13.9f}{0:13.9f}\n" for a, b, c in run.lattice)
    rows = "".join(
        f"{x:13.5f}{y:13.5f}{z:13.5f}   {a:14.6f}{b:14.6f}{c:14.6f}\n"
        for (x, y, z), (a, b, c) in zip(run.cartesian[step], run.forces[step], strict=True)
    )
    return (
        f"{cycle}{bands}\n{DASHES}\n total charge-density along one line\n"
        f"\n------------------------ aborting loop because EDIFF is reached {'-' * 40}\n\n{tables}\n"
        f"  in kB  {pressure}\n\n VOLUME and BASIS-vectors are now :\n"
        f"      direct lattice vectors                 reciprocal lattice vectors\n{cell}\n"
        f" POSITION                                       TOTAL-FORCE (eV/Angst)\n {'-' * 83}\n{rows} {'-' * 83}\n"
        "    total drift:                               -0.000000     -0.000000      0.000000\n\n"
        "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n  ---------------------------------------------------\n"
        f"  free  energy   TOTEN  = {free:18.8f} eV\n\n"
        f"  energy  without entropy={without:18.8f}  energy(sigma->0) ={zero:18.8f}\n \n"
        "     LOOP+:  cpu time    100.6497: real time    100.9443\n"
    )


def outcar(run: Run, *, filler: str = "", table_again: bool = True) -> str:
    text = header(run) + "".join(ionic_step(run, step, filler=filler) for step in range(run.steps))
    if run.steps > 1:
        text += " reached required accuracy - stopping structural energy minimisation\n"
    if table_again:
        text += shell_table("total charge", run.charges[-1])
        for name, values in zip("xyz" if run.spin == 4 else "x", run.moments[-1], strict=False):
            text += shell_table(f"magnetization ({name})", values)
    return text + TIMES


def oszicar(run: Run) -> str:
    text = ""
    for step in range(run.steps):
        free, _, zero = run.energies[step]
        text += "       N       E                     dE             d eps       ncg     rms          rms(c)\n"
        text += "".join(
            f"DAV: {n:3d}    {free:19.12E}   {-1e-4:12.5E}   {-1e-4:12.5E}  1000   0.1E-01\n" for n in (1, 2, 3)
        )
        moment = "".join(f"{m:11.4f}" for m in run.total_moments[step])
        text += f"{step + 1:4d} F= {fortran(free)} E0= {fortran(zero)}  d E ={fortran(-0.001)}"
        text += f"  mag={moment}\n" if moment else "\n"
    return text


def fortran(value: float) -> str:
    """E15.8 as Fortran prints it, without a digit before the point."""
    mantissa, exponent = f"{value:.7E}".split("E")
    sign, digits = ("-" if value < 0 else ""), mantissa.lstrip("-").replace(".", "")
    return f"{sign}.{digits}E{int(exponent) + 1:+03d}"


def procar(run: Run, *, phase: bool = False) -> str:
    head = f"# of k-points: {run.kpoints:4d}         # of bands: {run.bands:4d}         # of ions: {run.sites:4d}\n"
    names = LM[: run.columns] if run.columns > 4 else ("s", "p", "d", "f")[: run.columns]
    text = "PROCAR lm decomposed" + (" + phase" if phase else "") + "\n"
    components = [[0, 1, 2, 3]] if run.spin == 4 else [[spin] for spin in range(len(run.eigenvalues))]
    for spin, blocks in enumerate(components):
        text += head
        for k, (x, y, z) in enumerate(run.points):
            text += f"\n k-point {k + 1:5d} :    {x:11.8f}{y:11.8f}{z:11.8f}     weight = {1 / run.kpoints:10.8f}\n\n"
            for band in range(run.bands):
                energy, occupation = run.eigenvalues[spin, k, band], run.occupations[spin, k, band]
                occupation *= 2 if run.spin == 1 else 1
                text += f"band {band + 1:5d} # energy {energy:14.8f} # occ. {occupation:11.8f}\n\n"
                text += "ion " + "".join(f"{name:>7s}" for name in names) + "    tot\n"
                for block in blocks:
                    rows = run.parts[block, k, band]
                    labels = [f"{i + 1:5d}" for i in range(run.sites)] + ["tot  "] * (run.sites > 1)
                    for label, row in zip(labels, [*rows, rows.sum(axis=0)], strict=False):
                        text += label + "".join(f"{v:7.3f}" for v in (*row, row.sum())) + "\n"
                if phase:
                    text += "ion" + "".join(f"{name:>15s}" for name in names) + "\n"
                    text += "".join(
                        f"{i + 1:5d}" + " -0.130  0.199" * run.columns + "  0.057\n" for i in range(run.sites)
                    )
                    text += "charge 0.769" + "          0.000" * run.columns + "\n"
                text += "\n"
        text += "\n"
    return text


def doscar(run: Run) -> str:
    line = f"{10.0:16.8f}{-10.0:16.8f}{run.grid:5d}{run.fermi_level:16.8f}{1.0:16.8f}\n"
    text = f"{run.sites:4d}{run.sites:4d}   1   0\n  0.1E+02  0.1E-09\n  0.1E-03\n  CAR \n unknown system\n{line}"
    total = run.density.sum(axis=(0, 1))[: 2 if run.spin == 2 else 1]
    for i, energy in enumerate(run.grid_energies):
        text += (
            f"{energy:11.3f}" + "".join(f"{v:12.4E}" for v in (*total[:, i], *total[:, : i + 1].sum(axis=1))) + "\n"
        )
    for site in run.density:
        text += line
        for i, energy in enumerate(run.grid_energies):
            text += f"{energy:11.3f}" + "".join(f"{v:12.4E}" for v in site[:, :, i].ravel()) + "\n"
    return text


def contcar(run: Run, step: int = -1) -> str:
    cell = "".join(f"  {a:21.16f}{b:21.16f}{c:21.16f}\n" for a, b, c in run.lattice)
    rows = "".join(
        f"{a:20.16f}{b:20.16f}{c:20.16f}\n" for a, b, c in run.cartesian[step] @ np.linalg.inv(run.lattice)
    )
    names, counts = zip(*run.species, strict=True)
    return (
        f"synthetic\n   1.00000000000000\n{cell}{''.join(f'{n:>5s}' for n in names)}\n"
        f"{''.join(f'{n:6d}' for n in counts)}\nDirect\n{rows}\n"
    )


def read_or_fail(read, *arguments, **options):
    """Return what is read; None where the one error is raised that says so in one line."""
    try:
        return read(*arguments, **options)
    except ReaderError as error:
        text = str(error)
    assert text
    assert "\n" not in text
    return None


def write_run(folder, run: Run, *files: str) -> None:
    """Write the files named, or all."""
    writers = {"OUTCAR": outcar, "OSZICAR": oszicar, "PROCAR": procar, "DOSCAR": doscar, "CONTCAR": contcar}
    for name in files or writers:
        (folder / name).write_text(writers[name](run))
