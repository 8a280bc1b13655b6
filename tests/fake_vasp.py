# ruff: noqa: T201, SIM115, a program that prints and keeps its files open
"""A stand-in for VASP, which nobody may install without a licence: it computes nothing, but behaves as VASP does.

It reads and checks INCAR, POSCAR, KPOINTS and POTCAR of its folder, prints in the formats of VASP 6 step by step,
obeys STOPCAR, starts from CHGCAR, WAVECAR or MAGMOM as ISTART and ICHARG say, and fails with VASP's messages until
its INCAR was cured. Atoms relax towards a place that only depends on where they are roughly.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from pathlib import Path

SPRING = 5.0  # eV/Å²
MESSAGES = {
    "edddav": " Error EDDDAV: Call to ZHEGV failed. Returncode =   7   1   8",
    "brmix": " BRMIX: very serious problems\n the old and the new charge density differ",
    "rhosyg": " RHOSYG internal error: stars are not distinct, try to increase SYMPREC to e.g. 1E-4",
    "bands": " TOO FEW BANDS!!  increase NBANDS",
    "zbrent": " ZBRENT: fatal error in bracketing\n     please rerun with smaller EDIFF, or copy CONTCAR to POSCAR",
    "hermitian": " WARNING: Sub-Space-Matrix is not hermitian in DAV            1  -1.05",
    "always": " internal error in GENERATE_KPOINTS_NEVER_HEARD_OF",
}
LINE = "-" * 24


def fail(text: str) -> None:
    print(text, flush=True)
    sys.exit(1)


def number(word: str) -> float:
    return float(word.lower().replace("d", "e"))


def read_incar() -> dict[str, str]:
    pairs = (line.split("=", 1) for line in Path("INCAR").read_text().splitlines() if "=" in line)
    return {key.strip().upper(): value.split("!")[0].split("#")[0].strip() for key, value in pairs}


def numbers(text: str) -> list[float]:
    found: list[float] = []
    for word in text.split():
        count, star, value = word.partition("*")
        found += [number(value)] * int(count) if star else [number(word)]
    return found


class Run:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.incar = read_incar()
        self._read_poscar()
        self._read_potcar()
        self._read_kpoints()
        self._check()
        self._start()
        Path("CONTCAR").write_text("")  # as VASP does, until the first ionic step is done
        self.xml = Path("vasprun.xml").open("w")
        self.out = Path("OUTCAR").open("w")
        self.osz = Path("OSZICAR").open("w")
        self.stop: str | None = None

    def tag(self, key: str, default: float) -> float:
        return number(self.incar.get(key, str(default)).split()[0])

    def _read_poscar(self) -> None:
        lines = Path("POSCAR").read_text().splitlines()
        self.title, self.cell = lines[0], [[float(x) for x in line.split()] for line in lines[2:5]]
        self.elements, self.counts = lines[5].split(), [int(word) for word in lines[6].split()]
        if lines[7].strip().lower()[0] != "d" or lines[1].strip() not in ("1.0", "1.00000000000000"):
            fail("this stand-in reads fractional coordinates only")
        rows = [line.split()[:3] for line in lines[8 : 8 + sum(self.counts)]]
        self.positions = [[float(x) for x in row] for row in rows]
        if len(rows) != sum(self.counts) or any(len(row) != 3 for row in rows):
            fail(" ERROR: there must be 1 or 3 items on line 2 of POSCAR")
        self.species = [e for e, count in zip(self.elements, self.counts, strict=True) for _ in range(count)]

    def _read_potcar(self) -> None:
        text = Path("POTCAR").read_text()
        inside = [name.strip() for name in re.findall(r"VRHFIN =\s*(\w+)\s*:", text)]
        if len(inside) != len(self.elements):
            fail(" ERROR: number of potentials on File POTCAR incompatible with number of species")
        if inside != self.elements:
            fail(f" WARNING: type information on POSCAR and POTCAR are incompatible {inside} {self.elements}")
        self.titles = [title.strip() for title in re.findall(r"TITEL\s*=\s*(.*)", text)]
        valence = [float(z) for z in re.findall(r"ZVAL\s*=\s*([\d.]+)", text)]
        self.valence = valence
        self.electrons = sum(z * count for z, count in zip(valence, self.counts, strict=True))
        self.electrons = self.tag("NELECT", self.electrons)

    def _read_kpoints(self) -> None:
        lines = Path("KPOINTS").read_text().splitlines()
        if int(lines[1]):
            rows = [line.split() for line in lines[3 : 3 + int(lines[1])]]
            self.kpoints = [tuple(map(float, row[:3])) for row in rows]
            return
        n = [int(word) for word in lines[3].split()]
        shift = [float(word) for word in lines[4].split()] if len(lines) > 4 else [0.0] * 3
        self.kpoints = [
            tuple((i + s) / m for i, s, m in zip(point, shift, n, strict=True))
            for point in ((i, j, k) for k in range(n[2]) for j in range(n[1]) for i in range(n[0]))
        ]

    def _check(self) -> None:
        self.polarized = self.tag("ISPIN", 1) == 2
        if self.polarized and len(numbers(self.incar.get("MAGMOM", ""))) not in (0, len(self.species)):
            fail(" Error reading item 'MAGMOM' from file INCAR.")
        for key in ("LDAUL", "LDAUU", "LDAUJ"):
            if key in self.incar and len(self.incar[key].split()) != len(self.elements):
                fail(f" Error reading item '{key}' from file INCAR.")
        self.bands = int(self.tag("NBANDS", math.ceil(self.electrons / 2) + 4))
        cured = {
            "edddav": self.incar.get("ALGO", "N")[0].upper() == "A",
            "brmix": self.tag("IMIX", 4) == 1,
            "rhosyg": self.tag("SYMPREC", 1e-5) >= 1e-4,
            "bands": self.bands >= self.options.bands,
            "zbrent": self.tag("EDIFF", 1e-4) <= 1e-6,
            "hermitian": self.incar.get("LREAL", ".FALSE.").strip(".")[0].upper() == "F",
        }
        self.failing = self.options.fail if self.options.fail and not cured.get(self.options.fail, False) else None

    def _start(self) -> None:
        istart, icharg = int(self.tag("ISTART", 0)), int(self.tag("ICHARG", 2))
        self.fixed = icharg >= 10
        if self.fixed and not Path("CHGCAR").is_file():
            fail(" ERROR: charge density could not be read from file CHGCAR for ICHARG>10")
        magmom = numbers(self.incar.get("MAGMOM", "")) or [1.0] * len(self.species)
        source = "MAGMOM"
        if icharg in (1, 11) and Path("CHGCAR").is_file():
            source = "CHGCAR"
        elif istart == 1 and Path("WAVECAR").is_file():
            source = "WAVECAR"
        self.moments = magmom if source == "MAGMOM" else json.loads(Path(source).read_text())["moments"]
        self.moments = [m if abs(m) < 0.3 else math.copysign(0.9 * abs(magmom[i]) or 0.9, m) for i, m in
                        enumerate(self.moments)]  # fmt: skip
        if self.options.collapse or (source == "MAGMOM" and max(map(abs, magmom)) < self.options.needs):
            self.moments = [0.01 * m for m in self.moments]
        self.source = source
        started = {"incar": self.incar, "blocks": [self.elements, self.counts], "positions": self.positions,
                   "source": source, "kpoints": len(self.kpoints), "words": sys.argv[1:]}  # fmt: skip
        with Path("started.jsonl").open("a") as log:
            log.write(json.dumps(started) + "\n")

    # the physics of it

    def targets(self) -> list[float]:
        return [round(8 * p[2]) / 8 + 0.002 * (i + 1) / len(self.positions) for i, p in enumerate(self.positions)]

    def energy(self) -> float:
        height = self.cell[2][2]
        strain = sum((p[2] - t) ** 2 for p, t in zip(self.positions, self.targets(), strict=True))
        return -7.0 * len(self.species) + SPRING / 2 * height**2 * strain - 0.01 * sum(map(abs, self.moments))

    def forces(self) -> list[float]:
        height = self.cell[2][2]
        return [-SPRING * height * (p[2] - t) for p, t in zip(self.positions, self.targets(), strict=True)]

    def run(self) -> None:
        print(" running on    1 total cores\n vasp.6.4.1 05Apr23 (a stand-in for tests)", flush=True)
        self._header()
        if self.failing == "hermitian":
            print(MESSAGES["hermitian"], flush=True)  # and it goes on
        elif self.failing and self.failing != "zbrent":
            time.sleep(self.options.seconds)
            fail(MESSAGES[self.failing])
        steps = max(1, int(self.tag("NSW", 0)))
        for step in range(1, steps + 1):
            self._ionic_step(step)
            relaxed = steps > 1 and max(map(abs, self.forces())) < abs(self.tag("EDIFFG", -0.01))
            if relaxed:
                text = " reached required accuracy - stopping structural energy minimisation"
                print(text, flush=True)
                self.out.write(f"\n{text}\n")
            self.out.write(f"     LOOP+:  cpu time{self.took:12.4f}: real time{self.took:12.4f}\n")
            if self.stop == "LSTOP" or (self.stop is None and self._asked("LSTOP")):
                self.stop = "LSTOP"
                self.out.write("\n soft stop encountered!  aborting job ...\n")
                print(" soft stop encountered!  aborting job ...", flush=True)
            if not relaxed and not self.stop and step < steps:
                self._move()
            self._contcar()
            self.out.flush()
            if self.failing == "zbrent" and step == 2:
                fail(MESSAGES["zbrent"])
            if relaxed or self.stop:
                break
        self._footer()

    def _move(self) -> None:
        for position, target in zip(self.positions, self.targets(), strict=True):
            position[2] += 0.5 * (target - position[2])
        if self.options.strain:
            self.cell = [[1.001 * x for x in vector] for vector in self.cell]

    def _asked(self, word: str) -> bool:
        stopcar = Path("STOPCAR")
        return stopcar.is_file() and word in stopcar.read_text()

    def _ionic_step(self, step: int) -> None:
        begun, energy = time.monotonic(), self.energy()
        most = int(self.tag("NELM", 60))
        needed = 4 if step > 1 or self.source != "MAGMOM" else 7
        if self.options.unconverged and self.incar.get("ALGO", "N")[0].upper() != "A":
            needed = most + 1
        self.xml.write(" <calculation>\n")
        self.osz.write(
            "       N       E                     dE             d eps       ncg     rms          rms(c)\n"
        )
        before = 0.0
        for n in range(1, most + 1):
            time.sleep(self.options.seconds)
            now = energy + 10.0 ** (2 - 2 * n) if needed <= most else energy + (-1) ** n
            self._scf_step(step, n, now, now - before)
            before = now
            if self._asked("LABORT"):
                self.stop = "LABORT"
                print(" hard stop encountered!  aborting job ...", flush=True)
            if self.stop or n == needed:
                break
        self.took = time.monotonic() - begun
        word = "because hard stop was set -" if self.stop else "because EDIFF is reached --"
        if not self.stop and n == most and needed > most:
            word = "EDIFF was not reached (unconverged)"
        self._end_of_step(step, now, f"\n{LINE} aborting loop {word}{'-' * 38}\n")

    # the files of it

    def _header(self) -> None:
        tags = {"NELM": 60, "NSW": 0, "IBRION": -1, "ISPIN": 1, "ISTART": 0, "ICHARG": 2, "ISMEAR": 1, "NBANDS": 0,
                "LORBIT": 0}  # fmt: skip

        def ints(keys):
            return "".join(f'  <i type="int" name="{k}">{int(self.tag(k, tags[k])):6d}</i>\n' for k in keys)

        floats = {"EDIFFG": -0.01, "EDIFF": 1e-4, "SIGMA": 0.2, "ENCUT": 400.0}
        given = "".join(f'  <i name="{k}">{self.tag(k, v):16.8f}</i>\n' for k, v in floats.items() if k in self.incar)
        algo = f'  <i type="string" name="ALGO">{self.incar.get("ALGO", "Normal")}</i>\n'
        self.xml.write(
            '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n <generator>\n'
            '  <i name="program" type="string">vasp </i>\n  <i name="version" type="string">6.4.1  </i>\n'
            f" </generator>\n <incar>\n{ints([k for k in tags if k in self.incar])}{given}{algo} </incar>\n"
        )
        mesh = ' <kpoints>\n  <generation param="Gamma">\n   <v type="int" name="divisions"> 1 1 1 </v>\n'
        mesh += "  </generation>\n"
        rows = "".join(f"   <v>{a:17.8f}{b:17.8f}{c:17.8f} </v>\n" for a, b, c in self.kpoints)
        weights = f"   <v>{1 / len(self.kpoints):17.8f} </v>\n" * len(self.kpoints)
        self.xml.write(
            f'{mesh}  <varray name="kpointlist" >\n{rows}  </varray>\n  <varray name="weights" >\n{weights}'
            f"  </varray>\n </kpoints>\n <parameters>\n{ints([k for k in tags if k != 'NBANDS'])}"
            f'  <i type="int" name="NBANDS">{self.bands:6d}</i>\n  <i name="NELECT">{self.electrons:16.8f}</i>\n'
            f'  <i name="EDIFFG">{self.tag("EDIFFG", -0.01):16.8f}</i>\n'
            '  <i type="logical" name="LNONCOLLINEAR"> F  </i>\n  <i type="logical" name="LSORBIT"> F  </i>\n'
            " </parameters>\n"
        )
        types = [i + 1 for i, count in enumerate(self.counts) for _ in range(count)]
        atoms = "".join(
            f"    <rc><c>{e:2s}</c><c>{t:4d}</c></rc>\n" for e, t in zip(self.species, types, strict=True)
        )
        kinds = "".join(
            f"    <rc><c>{n:4d}</c><c>{e:2s}</c><c>{1:17.8f}</c><c>{z:17.8f}</c><c>  {title} </c></rc>\n"
            for n, e, z, title in zip(self.counts, self.elements, self.valence, self.titles, strict=True)
        )
        self.xml.write(
            f" <atominfo>\n  <atoms> {len(types):7d} </atoms>\n  <types> {len(self.counts):7d} </types>\n"
            f'  <array name="atoms" >\n   <set>\n{atoms}   </set>\n  </array>\n'
            f'  <array name="atomtypes" >\n   <set>\n{kinds}   </set>\n  </array>\n </atominfo>\n'
        )
        self.xml.write(self._structure(' name="initialpos"'))
        self.xml.flush()
        self.out.write(
            " vasp.6.4.1 05Apr23 (a stand-in for tests)\n"
            " running    1 mpi-ranks, with    1 threads/rank, on    1 nodes\n"
            f"   k-points           NKPTS ={len(self.kpoints):7d}   k-points in BZ     NKDIM ={len(self.kpoints):7d}"
            f"   number of bands    NBANDS={self.bands:7d}\n"
            "   dimension x,y,z NGX =    24 NGY =   24 NGZ =   24\n   total plane-waves  NPLWV =  13824\n"
            f"   ISPIN  = {int(self.tag('ISPIN', 1)):6d}    spin polarized calculation?\n"
            f"   IBRION = {int(self.tag('IBRION', -1)):6d}    ionic relax: 0-MD 1-quasi-New 2-CG\n"
        )
        self.out.flush()

    def _structure(self, name: str = "") -> str:
        cell = "".join(f"    <v>{a:17.8f}{b:17.8f}{c:17.8f} </v>\n" for a, b, c in self.cell)
        rows = "".join(f"   <v>{a:17.8f}{b:17.8f}{c:17.8f} </v>\n" for a, b, c in self.positions)
        return (
            f' <structure{name} >\n  <crystal>\n   <varray name="basis" >\n{cell}   </varray>\n  </crystal>\n'
            f'  <varray name="positions" >\n{rows}  </varray>\n </structure>\n'
        )

    @staticmethod
    def _energies(energy: float) -> str:
        values = {"e_fr_energy": energy - 0.002, "e_wo_entrp": energy + 0.002, "e_0_energy": energy}
        return (
            "   <energy>\n"
            + "".join(f'    <i name="{k}">{v:16.8f} </i>\n' for k, v in values.items())
            + ("   </energy>\n")
        )

    def _scf_step(self, step: int, n: int, energy: float, change: float) -> None:
        self.xml.write(f"  <scstep>\n{self._energies(energy)}  </scstep>\n")
        self.xml.flush()
        self.osz.write(
            f"DAV: {n:3d}   {energy - 0.002:20.12E}   {change:12.5E}   {change / 2:12.5E}{960:6d}   0.1E-01\n"
        )
        self.osz.flush()
        text = f"{LINE} Iteration {step:6d}({n:4d})  {'-' * 39}"
        took = f"      LOOP:  cpu time{self.options.seconds:12.4f}: real time{self.options.seconds:12.4f}"
        total = sum(self.moments) if self.polarized else None
        moment = f"{total:16.7f}" if total is not None else ""
        self.out.write(
            f"\n{text}\n\n{took}\n\n number of electron {self.electrons:15.7f} magnetization {moment}\n"
            f"  energy without entropy = {energy + 0.002:18.8f}  energy(sigma->0) = {energy:18.8f}\n"
        )
        self.out.flush()

    def _end_of_step(self, step: int, energy: float, ending: str) -> None:
        forces = "".join(f"   <v>{0.0:17.8f}{0.0:17.8f}{f:17.8f} </v>\n" for f in self.forces())
        self.xml.write(f'{self._structure()}  <varray name="forces" >\n{forces}  </varray>\n{self._energies(energy)}')
        self.xml.write(self._eigenvalues() + self._dos() + " </calculation>\n")
        self.xml.flush()
        mag = f"  mag= {sum(self.moments):10.4f}" if self.polarized else ""
        self.osz.write(f"{step:4d} F= {energy - 0.002:.8E} E0= {energy:.8E}  d E ={-0.004:.6E}{mag}\n")
        self.osz.flush()
        self.out.write(f" E-fermi :{self._fermi():9.4f}     XC(G=0): -11.6599     alpha+bet :-12.9175\n{ending}\n\n")
        self._table("total charge", self._charges())
        if self.polarized:
            self._table("magnetization (x)", self.moments)
        self.out.write(
            f"\n  free  energy   TOTEN  = {energy - 0.002:18.8f} eV\n\n"
            f"  energy  without entropy={energy + 0.002:18.8f}  energy(sigma->0) ={energy:18.8f}\n"
        )
        self.out.flush()

    def _charges(self) -> list[float]:
        """The d electrons; a shifted site (LDAUTYPE 3) answers, more so in a density that is held."""
        shifted = self.incar.get("LDAUTYPE") == "3"
        blocks = numbers(self.incar["LDAUU"]) if shifted else [0.0] * len(self.counts)
        shifts = [shift for shift, count in zip(blocks, self.counts, strict=True) for _ in range(count)]
        own, others = (-0.30, 0.04) if self.fixed else (-0.12, 0.01)
        return [4.0 + 0.001 * i + own * a + others * (sum(shifts) - a) for i, a in enumerate(shifts)]

    def _table(self, name: str, values: list[float]) -> None:
        rows = "".join(f"{i:5d}      {0.0:8.3f}{0.0:8.3f}{v:8.3f}{v:8.3f}\n" for i, v in enumerate(values, start=1))
        tail = f"{'-' * 50}\ntot {0.0:15.3f}{0.0:8.3f}{sum(values):8.3f}{sum(values):8.3f}\n"
        self.out.write(f"\n {name}\n\n# of ion       s       p       d       tot\n{'-' * 42}\n{rows}{tail}\n")

    def _fermi(self) -> float:
        return -5.0 + 0.1 * self.electrons / 2 + 1.0

    def _eigenvalues(self) -> str:
        filled = round(self.electrons / 2)
        rows = "".join(
            f"       <r>{-5.0 + 0.1 * n + (2.0 if n >= filled else 0.0):10.4f}{float(n < filled):10.4f} </r>\n"
            for n in range(self.bands)
        )
        spins = "".join(
            f'     <set comment="spin {spin}">\n'
            + "".join(f'      <set comment="kpoint {k + 1}">\n{rows}      </set>\n' for k in range(len(self.kpoints)))
            + "     </set>\n"
            for spin in ((1, 2) if self.polarized else (1,))
        )
        return f"  <eigenvalues>\n   <array>\n    <set>\n{spins}    </set>\n   </array>\n  </eigenvalues>\n"

    def _dos(self) -> str:
        rows = "".join(f"      <r>{e:12.4f}{1.0:12.4f}{e + 6:12.4f} </r>\n" for e in (-5.0, 0.0, 5.0))
        spins = "".join(
            f'     <set comment="spin {s}">\n{rows}     </set>\n' for s in ((1, 2) if self.polarized else (1,))
        )
        return (
            f'  <dos>\n   <i name="efermi">{self._fermi():16.8f} </i>\n   <total>\n    <array>\n     <set>\n{spins}'
            "     </set>\n    </array>\n   </total>\n  </dos>\n"
        )

    def _contcar(self) -> None:
        cell = "".join(f"  {a:21.16f}{b:21.16f}{c:21.16f}\n" for a, b, c in self.cell)
        rows = "".join(f"  {a % 1:19.16f} {b % 1:19.16f} {c % 1:19.16f}\n" for a, b, c in self.positions)
        names = "".join(f"   {e}/0123456789ab" for e in self.elements)
        counts = "".join(f"{count:6d}" for count in self.counts)
        velocities = "  0.00000000E+00  0.00000000E+00  0.00000000E+00\n" * len(self.positions)
        text = f"{self.title}\n   1.00000000000000\n{cell}{names}\n{counts}\nDirect\n{rows}\n{velocities}"
        Path("CONTCAR").write_text(text)
        if self.incar.get("LCHARG", ".TRUE.").strip(".")[0].upper() == "T":
            Path("CHGCAR").write_text(json.dumps({"moments": self.moments}))

    def _footer(self) -> None:
        if self.incar.get("LWAVE", ".TRUE.").strip(".")[0].upper() == "T":
            Path("WAVECAR").write_text(json.dumps({"moments": self.moments}))
        final = self._structure(' name="finalpos"')
        self.xml.write(f"{final}</modeling>\n")
        self.out.write(
            "\n General timing and accounting informations for this job:\n"
            " ========================================================\n\n"
            f"                  Total CPU time used (sec): {1.5:12.3f}\n"
            f"                         Elapsed time (sec): {2.5:12.3f}\n"
        )
        Path("STOPCAR").unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.0, help="of an iteration")
    parser.add_argument("--fail", choices=sorted(MESSAGES))
    parser.add_argument("--bands", type=int, default=0, help="that are enough")
    parser.add_argument("--unconverged", action="store_true", help="until ALGO = All")
    parser.add_argument("--strain", action="store_true", help="the cell, whatever was asked")
    parser.add_argument("--collapse", action="store_true", help="the moments")
    parser.add_argument("--needs", type=float, default=0.0, help="starting moments, else they collapse")
    Run(parser.parse_args()).run()


if __name__ == "__main__":
    main()
