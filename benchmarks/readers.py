"""Time and memory to read VASP's output, beside pymatgen, ASE and a loop in C over the numbers.

    python benchmarks/readers.py [--small]

A vasprun.xml of 175 MB (120 atoms, 2 spins, 9 orbitals, 3001 energies; 8 k-points, 480 bands and their projections;
--small: 8 MB) and an OUTCAR of 27 MB (6 MB) are written by the writer of the tests. Each reader is a process of its
own, run in turns with those it is compared with: the CPU time of its parse alone, that of the process with its
imports, and its peak memory; the best of five runs counts, of the slow ones the best of two. Real files made by
others are read, too, where they are beside the project.

The loops in C decode the same numbers and check nothing: one calls strtod, which takes any number; the other is
written for numbers without exponents, as they are in these rows, and takes no others.

Aims for the large file: a parse within twice the loop with strtod, the process under 1.5 s and 350 MB, moments 100
times faster than pymatgen's, in less than 0.05 s, and the same; the exit code is 1 when one is missed. The ratio to
the specialised loop is shown beside.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "vasp"
REPEATS, SLOW_REPEATS = 5, 2
LIMITS = {"process": 1.5, "memory": 350.0, "ratio": 2.0, "moments": 100.0, "moments_parse": 0.05}

C_LOOP = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
static const double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
/* Decodes the numbers of all rows <r> between two tags into an array, and checks nothing. */
static size_t rows(const char *p, const char *end, double *out, int library) {
    size_t n = 0;
    while ((p = memchr(p, '<', end - p)) && p + 3 < end) {
        if (p[1] != 'r' || p[2] != '>') { p++; continue; }
        for (p += 3; *p != '<' && library;) {
            char *stop;
            out[n] = strtod(p, &stop);
            if (stop == p) { p++; break; }
            p = stop; n++;
        }
        for (; *p != '<';) {
            while (*p == ' ') p++;
            if (*p == '<') break;
            int minus = *p == '-', decimals = 0; long value = 0;
            if (minus) p++;
            while (*p >= '0' && *p <= '9') value = value * 10 + (*p++ - '0');
            if (*p == '.') for (p++; *p >= '0' && *p <= '9'; decimals++) value = value * 10 + (*p++ - '0');
            out[n++] = (minus ? -value : value) / power[decimals];
        }
    }
    return n;
}
int main(int argc, char **argv) {
    struct stat s; int f = open(argv[1], O_RDONLY); fstat(f, &s);
    clock_t start = clock();
    const char *text = mmap(0, s.st_size, PROT_READ, MAP_PRIVATE, f, 0), *end = text + s.st_size;
    double *out = malloc(s.st_size);
    const char *dos = memmem(text, s.st_size, "<dos>", 5), *stop = memmem(dos, end - dos, "</dos>", 6);
    size_t n = rows(dos, argv[2][0] == 'a' ? end : stop, out, argc > 3);
    printf("{\"parse\": %.6f, \"numbers\": %zu}\n", (double)(clock() - start) / CLOCKS_PER_SEC, n);
    return 0;
}
"""


def read_ours(path: Path, *, projections: bool) -> Any:
    from heterodft.analysis.readers.vasp.vasprun import Vasprun

    started = time.process_time()
    run = Vasprun.open(path)
    found = [run.eigenvalues(), run.dos(), run.final_structure(), run.ionic_steps[-1].energies_zero]
    if projections:
        found.append(run.projections())
    return started, found


def read_pymatgen(path: Path, *, projections: bool) -> Any:
    from pymatgen.io.vasp.outputs import Vasprun

    warnings.simplefilter("ignore")
    started = time.process_time()
    return started, Vasprun(path, parse_dos=True, parse_projected_eigen=projections, parse_potcar_file=False)


def read_ase(path: Path) -> Any:
    from ase.io import read

    started = time.process_time()
    return started, read(path, format="vasp-xml")


def read_moments_ours(path: Path) -> Any:
    from heterodft.analysis.readers.vasp.outcar import read_outcar

    started = time.process_time()
    return started, read_outcar(path)


def read_moments_pymatgen(path: Path) -> Any:
    from pymatgen.io.vasp.outputs import Outcar

    started = time.process_time()
    return started, Outcar(path).magnetization


READERS = {
    "heterodft, DOS": lambda path: read_ours(path, projections=False),
    "pymatgen, DOS": lambda path: read_pymatgen(path, projections=False),
    "heterodft, DOS + projections": lambda path: read_ours(path, projections=True),
    "pymatgen, DOS + projections": lambda path: read_pymatgen(path, projections=True),
    "ASE, eigenvalues": read_ase,
    "heterodft, moments": read_moments_ours,
    "pymatgen, moments": read_moments_pymatgen,
}


def write_synthetic(path: Path, small: str) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from synthetic_vasprun import make_run, write_vasprun

    size = {"atoms": 30, "kpoints": 4, "bands": 160, "grid": 601} if small else {
        "atoms": 120, "kpoints": 8, "bands": 480, "grid": 3001}  # fmt: skip
    write_vasprun(make_run(**size), path)


def write_outcar(path: Path, small: str) -> None:
    """An OUTCAR of a relaxation: most of it is eigenvalues; tables of charges and moments at the end of each step."""
    atoms, steps, kpoints, bands = 120, 3 if small else 14, 60, 480
    states = "".join(f"  {i:6d} {-30 + i * 0.1:10.4f} {i < 240:12.5f}\n" for i in range(1, bands + 1))
    point = " k-point {:5d} :       0.0000    0.0000    0.0000\n  band No.  band energies     occupation \n"
    points = "".join(f"\n{point.format(k)}{states}" for k in range(1, kpoints + 1))
    rule = "-" * 50 + "\n"

    def table(scale: float) -> tuple[str, float]:
        """Return a table of numbers that differ from site to site, and the sum of all."""
        rows = [[0.011, -0.02, scale * (1.5 - 0.003 * i)] for i in range(atoms)]
        rows = [[*row, sum(row)] for row in rows]
        sums = [sum(column) for column in zip(*rows, strict=True)]
        text = "".join(f"{i:5d}     {''.join(f'{x:9.3f}' for x in row)}\n" for i, row in enumerate(rows, start=1))
        last = f"tot       {''.join(f'{x:9.3f}' for x in sums)}\n \n"
        return f" \n# of ion       s       p       d       tot\n{rule}{text}{rule}{last}", sums[-1]

    ended = "-" * 24 + " aborting loop because EDIFF is reached " + "-" * 40
    with path.open("w") as out:
        out.write(
            " vasp.6.4.1 05Apr23 (build Jan 01 2024) complex\n   ISPIN  =      2    spin polarized calculation?\n"
        )
        out.write(f"   k-points           NKPTS = {kpoints:6d}   k-points in BZ     NKDIM = {kpoints:6d}")
        out.write(f"   number of bands    NBANDS= {bands:6d}\n")
        out.write(f"   number of dos      NEDOS =    301   number of ions     NIONS = {atoms:6d}\n")
        out.write("   dimension x,y,z NGX =    48 NGY =   48 NGZ =   48\n")
        out.write("   IBRION =      2    ionic relax: 0-MD 1-quasi-New 2-CG\n")
        out.write("   total plane-waves  NPLWV = 110592\n   NELECT =     960.0000    total number of electrons\n")
        for step in range(1, steps + 1):
            out.write(f"{'-' * 39} Iteration {step:6d}(   1)  {'-' * 39}\n\n{ended}\n\n")
            out.write(" E-fermi :   1.2345     XC(G=0):  -9.0000     alpha+bet : -8.0000\n")
            out.write(f"\n spin component 1\n{points}\n spin component 2\n{points}{rule}")
            moments, moment = table(1 + 0.01 * step)
            out.write(f"\n total charge     \n{table(5)[0]}\n magnetization (x)\n{moments}\n")
            out.write(
                "  free  energy   TOTEN  =      -900.12345678 eV\n\n  energy  without entropy=     -900.12345678"
            )
            out.write("  energy(sigma->0) =     -900.12345678\n")
            out.write(f" number of electron     960.0000000 magnetization {moment:15.7f}\n")
        out.write(" reached required accuracy - stopping structural energy minimisation\n\n")
        out.write(" General timing and accounting informations for this job:\n")
        out.write("                  Total CPU time used (sec):      100.000\n")


CHILDREN = {"write vasprun": write_synthetic, "write outcar": write_outcar}


def as_child(name: str, path: Path, small: str) -> None:
    if name in CHILDREN:
        CHILDREN[name](path, small)
        return
    started, found = READERS[name](path)
    told: dict[str, Any] = {"parse": time.process_time() - started}
    if name == "heterodft, moments":
        told["moments"] = [round(float(value), 3) for value in found.moments[-1].total]
    if name == "pymatgen, moments":
        told["moments"] = [round(float(row["tot"]), 3) for row in found]
    print(json.dumps(told))


def measure(command: list[str]) -> dict[str, Any]:
    """Run a process; CPU seconds of what it says its parse took and of all of it, and its peak memory in MB."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    told: dict[str, Any] = json.loads(said.splitlines()[-1]) if said else {"parse": 0.0}
    return told | {"process": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024}


def best_of(commands: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """Run the commands in turns, so that a noisy moment meets all of them, and keep the best of each."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for turn in range(REPEATS):
        for name, command in commands.items():
            if turn < SLOW_REPEATS or name.startswith(("C ", "heterodft")):
                runs[name].append(measure(command))
    numbers = ("parse", "process", "memory")
    return {name: each[0] | {key: min(run[key] for run in each) for key in numbers} for name, each in runs.items()}


def child(name: str, path: Path, small: str = "") -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), "--child", name, str(path), small]


def show(name: str, found: dict[str, Any], loops: Sequence[dict[str, Any]] = ()) -> None:
    ratios = "".join(f"{found['parse'] / loop['parse']:10.2f}" for loop in loops)
    numbers = f"{found['parse']:8.3f} s {found['process']:8.3f} s {found['memory']:7.0f} MB"
    print(f"{name:33} {numbers}{ratios}", flush=True)


def compile_c(folder: Path) -> Path | None:
    compiler = shutil.which("cc")
    if compiler is None:
        print("no C compiler (cc): the loop in C is left out")
        return None
    (folder / "loop.c").write_text(C_LOOP)
    subprocess.run([compiler, "-O2", "-D_GNU_SOURCE", "-o", folder / "loop", folder / "loop.c"], check=True)
    return folder / "loop"


def compare_vasprun(path: Path, loop: Path | None) -> dict[str, dict[str, Any]]:
    print(f"\n{path.name}: {path.stat().st_size / 1e6:.0f} MB")
    heads = f"{'/ strtod':>13}{'/ special':>10}" if loop else ""
    print(f"{'':33} {'parse':>8}   {'process':>8}   {'peak':>7}{heads}")
    found: dict[str, dict[str, Any]] = {}
    for what, part in (("DOS", "dos"), ("DOS + projections", "all")):
        commands = {}
        if loop is not None:
            commands[f"C with strtod, {what}"] = [str(loop), str(path), part, "strtod"]
            commands[f"C specialised, {what}"] = [str(loop), str(path), part]
        commands |= {name: child(name, path) for name in (f"heterodft, {what}", f"pymatgen, {what}")}
        best = best_of(commands)
        loops = [best[name] for name in best if name.startswith("C ")]
        for name, row in best.items():
            show(name, row, loops)
        found |= best
    found |= best_of({"ASE, eigenvalues": child("ASE, eigenvalues", path)})
    show("ASE, eigenvalues", found["ASE, eigenvalues"])
    return found


def compare_moments(path: Path) -> dict[str, dict[str, Any]]:
    print(f"\n{path.name}: {path.stat().st_size / 1e6:.0f} MB")
    found = best_of({name: child(name, path) for name in ("heterodft, moments", "pymatgen, moments")})
    for name, row in found.items():
        show(name, row)
    return found


def read_real_files(folder: Path) -> None:
    if not REAL.is_dir():
        return
    for packed in sorted(REAL.glob("*/vasprun.xml.gz")):
        path = folder / f"{packed.parent.name}.xml"
        path.write_bytes(gzip.decompress(packed.read_bytes()))
        print(f"\n{path.stem}: {path.stat().st_size / 1e6:.2f} MB")
        names = ("heterodft, DOS + projections", "pymatgen, DOS + projections")
        for name, row in best_of({name: child(name, path) for name in names}).items():
            show(name, row)


def judge(found: dict[str, dict[str, Any]]) -> int:
    missed = []
    for what in ("DOS", "DOS + projections"):
        ours = found[f"heterodft, {what}"]
        missed += [f"{what}: {key} {ours[key]:.2f}" for key in ("process", "memory") if ours[key] > LIMITS[key]]
        loop = found.get(f"C with strtod, {what}")
        if loop is not None and ours["parse"] > LIMITS["ratio"] * loop["parse"]:
            missed.append(f"{what}: {ours['parse'] / loop['parse']:.2f} of the loop with strtod")
    ours, theirs = found["heterodft, moments"], found["pymatgen, moments"]
    faster = theirs["parse"] / ours["parse"]
    if faster < LIMITS["moments"] or ours["parse"] > LIMITS["moments_parse"]:
        missed.append(f"moments: {ours['parse']:.3f} s, {faster:.0f} times faster")
    print(f"\nmoments: {faster:.0f} times faster than pymatgen")
    print("missed: " + "; ".join(missed) if missed else "all aims are met")
    return 1 if missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="10 MB only, to try it")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        as_child(given.child[0], Path(given.child[1]), given.child[2])
        return 0
    small = "small" if given.small else ""
    print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vasprun, outcar = folder / "vasprun.xml", folder / "OUTCAR"
        measure(child("write vasprun", vasprun, small))
        measure(child("write outcar", outcar, small))
        found = compare_vasprun(vasprun, compile_c(folder)) | compare_moments(outcar)
        if not small:
            read_real_files(folder)
    print(f"\nload of the last minute: {os.getloadavg()[0]:.1f}")
    if found["heterodft, moments"]["moments"] != found["pymatgen, moments"]["moments"]:
        print("the moments are not the same")
        return 1
    return 0 if small else judge(found)


if __name__ == "__main__":
    sys.exit(main())
