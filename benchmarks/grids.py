"""Reading a spin-polarized CHGCAR of 48 × 48 × 200 points beside pymatgen and ASE: time and peak memory.

    python benchmarks/grids.py [REPEATS]

Each reader runs in a process of its own: CPU seconds of the reading alone, then CPU seconds and peak memory of the
whole process with its imports; medians. pymatgen's reader is compiled since 2026. Exit code 1 where our whole process
takes more time or memory than pymatgen's, or the numbers are not the same.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (48, 48, 200)
_BODY = """
import json, sys, time
{imports}
def peak():
    # Not of getrusage, which begins with that of the process that started this one.
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))

start = time.process_time()
{read}
took = time.process_time() - start
most = peak()
print(json.dumps({{"parse": took, "memory": most / 1024, "whole": time.process_time(), "sums": [{sums}]}}))
"""
READERS = {
    "heterodft": (
        "from pathlib import Path\nfrom pymatgen.core import Structure\n"
        "from heterodft.analysis.readers.vasp.grids import read_vasp_grids as read",
        "grids = read(Path(sys.argv[1]))",
        "*(float((g.values * g.values).mean() * g.structure.volume ** 2) for g in grids)",
    ),
    "pymatgen": (
        "from pymatgen.io.vasp.outputs import Chgcar",
        "chgcar = Chgcar.from_file(sys.argv[1])",
        "*(float((chgcar.data[k] ** 2).mean()) for k in ('total', 'diff'))",
    ),
    "ase": (
        "from ase.calculators.vasp import VaspChargeDensity",
        "density = VaspChargeDensity(sys.argv[1])",
        "*(float(((g[0] * density.atoms[0].get_volume()) ** 2).mean()) for g in (density.chg, density.chgdiff))",
    ),
}


def write_chgcar(path: Path) -> None:
    """A file as VASP writes it, of numbers of every size and sign."""
    head = "made up\n 1.0\n 8.0 0.0 0.0\n 0.0 8.0 0.0\n 1.0 2.0 33.0\n Ni O\n 2 2\nDirect\n"
    head += " 0 0 0\n 0.5 0.5 0.5\n 0 0 0.5\n 0.5 0.5 0\n\n"
    random = np.random.default_rng(1)
    with path.open("w") as stream:
        stream.write(head)
        for number in range(2):
            stream.write(("  1.0 1.0 1.0 1.0\n" if number else "") + "  ".join(map(str, SHAPE)) + "\n")
            values = random.normal(size=int(np.prod(SHAPE))) * 10.0 ** random.uniform(-5, 3, int(np.prod(SHAPE)))
            exponents = np.floor(np.log10(np.abs(values))).astype(int) + 1
            words = []
            for value, exponent in zip(values.tolist(), exponents.tolist(), strict=True):
                digits = round(abs(value) / 10.0**exponent * 1e11) % 10**11
                words.append(f"{'-' if value < 0 else '0'}.{digits:011d}E{exponent:+03d}")
            stream.writelines(" " + " ".join(words[i : i + 5]) + "\n" for i in range(0, len(words), 5))
            for atom in range(1, 5):
                stream.write(f"augmentation occupancies {atom:3d}  10\n" + (" 0.1000000E+00" * 5 + "\n") * 2)


def measure(name: str, path: Path, repeats: int) -> dict[str, Any]:
    imports, read, sums = READERS[name]
    code = _BODY.format(imports=imports, read=read, sums=sums)
    runs = []
    for _ in range(repeats):
        done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout))
    medians = {key: statistics.median(run[key] for run in runs) for key in ("parse", "memory", "whole")}
    return medians | {"sums": runs[0]["sums"]}


def main() -> int:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "CHGCAR"
        write_chgcar(path)
        points = " × ".join(map(str, SHAPE))
        print(f"CHGCAR, 2 × {points} points, {path.stat().st_size / 1e6:.1f} MB, median of {repeats}")
        found = {name: measure(name, path, repeats) for name in READERS}
    for name, row in found.items():
        print(
            f"{name:10} {row['parse']:6.3f} s to read, {row['whole']:6.2f} s and {row['memory']:6.0f} MB with imports"
        )
    ours, theirs = found["heterodft"], found["pymatgen"]
    parse, whole = theirs["parse"] / ours["parse"], theirs["whole"] / ours["whole"]
    memory = theirs["memory"] / ours["memory"]
    print(
        f"pymatgen takes {parse:.2f} times as long to read, {whole:.2f} as a whole, and {memory:.2f} times the memory"
    )
    same = all(np.allclose(row["sums"], ours["sums"], rtol=1e-12) for row in (theirs, found["ase"]))
    return 0 if same and whole > 1 and memory > 1 else 1


if __name__ == "__main__":
    sys.exit(main())
