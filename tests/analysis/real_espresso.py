"""Folders of pw.x and projwfc.x made of the shared data."""

from __future__ import annotations

import gzip

from heterodft.analysis.readers import read_folder


def qe_folder(source, target, *, files):
    """Unpack a folder of the shared data as a run of pw.x and projwfc.x."""
    (target / "x.save").mkdir(parents=True)
    for path in source.iterdir():
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        name = path.name.removesuffix(".gz")
        if name in files:
            (target / files[name]).write_bytes(text)
        elif ".pdos_" in name:
            (target / name).write_bytes(text)
    return target


SUPERLATTICE = {
    "scf.out": "pw.out",
    "projwfc.out": "projwfc.out",
    "data-file-schema.xml": "x.save/data-file-schema.xml",
}


def read_nio_crn(shared_data, tmp_path):
    """The NiO/CrN superlattice of the shared data with labels of layers."""
    result = read_folder(
        qe_folder(shared_data / "qe" / "nio_crn_superlattice_v67", tmp_path / "run", files=SUPERLATTICE)
    )
    layers = {"NiO": [(0, 1), (2, 3)], "CrN": [(4, 5), (6, 7)]}
    labels = [
        (m, i + 1, 2 * (m == "CrN") + i) for m, pairs in layers.items() for i, pair in enumerate(pairs) for _ in pair
    ]
    for place, name in enumerate(("material", "layer", "plane")):
        result.structure.add_site_property(name, [label[place] for label in labels])
    result.structure.add_site_property("block", [int(m == "CrN") for m, _, _ in labels])
    return result


def one_layer(structure):
    labelled = structure.copy()
    for name, value in (("material", "Fe"), ("block", 0), ("layer", 1), ("plane", 0)):
        labelled.add_site_property(name, [value] * len(structure))
    return labelled
