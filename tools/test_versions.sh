#!/bin/sh
# Install heterodft with the lowest or the newest versions of the dependencies that pyproject.toml allows, and run a part
# of the tests with them; the documentation is built with them, too. PYTHON names the interpreter, TESTS other tests.
# tools/test_versions.sh lowest|newest ENVIRONMENT, which is made anew
set -eu

which=$1
venv=$2
rm -rf "$venv"
"${PYTHON:-python3}" -m venv "$venv"
case $which in
# name>=1.2 becomes name==1.2, for pip the lowest of 1.2, 1.2.0 …; what they need in turn is pip's choice
lowest)
    "$venv/bin/python" - >"$venv/versions.txt" <<'PYTHON'
import re
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
tests = [line for line in extras["dev"] if line.startswith(("pytest>", "hypothesis", "jsonschema"))]
docs = [re.sub(r"\[.*?\]", "", line) for line in extras["docs"]]  # constraints have no extras
print("\n".join(line.replace(">=", "==") for line in [*project["dependencies"], *docs, *tests]))
PYTHON
    warnings="-o filterwarnings=default" # those of old versions are not ours
    export PYTHONWARNINGS="ignore:gcd is deprecated:FutureWarning" # older pymatgen with newer monty
    # These compare with readers of pymatgen that changed since.
    but="not are_those_of_pymatgen and not real_smeared_run and not coarse_grid_of_tetrahedra and not spin_orbit_takes_cartesian"
    ;;
newest)
    : >"$venv/versions.txt"
    warnings="" but=""
    ;;
*)
    echo "tools/test_versions.sh: '$which' is not lowest or newest" >&2
    exit 1
    ;;
esac
# Nothing is compiled for hours: the lowest versions have wheels for the lowest Python alone.
"$venv/bin/python" -m pip install -q --disable-pip-version-check -c "$venv/versions.txt" \
    --only-binary numpy,scipy,pandas,matplotlib,h5py,lxml,pymatgen,spglib,psutil,pydantic-core ".[docs]" pytest hypothesis jsonschema
"$venv/bin/python" -m pip list --disable-pip-version-check
# The package is the installed one, not the folder, which `python -m pytest` and doctests would take.
unset PYTHONPATH
"$venv/bin/python" -P -c 'import heterodft, sys; sys.exit(not heterodft.__file__.startswith(sys.prefix))'
# shellcheck disable=SC2086
"$venv/bin/pytest" -q -p no:cacheprovider $warnings -o addopts="--strict-markers --strict-config" \
    -k "$but" -m "not espresso and not slurm and not slow" ${TESTS:-tests/structures tests/templates tests/analysis/test_vasprun.py \
    tests/analysis/test_espresso_xml.py tests/analysis/test_pdos.py tests/analysis/test_plots.py tests/analysis/test_gaps.py \
    tests/analysis/test_vaspout.py tests/analysis/test_report_page.py tests/analysis/test_save_figure.py \
    tests/workflows/test_campaign.py tests/workflows/test_campaign_inputs.py tests/workflows/test_campaign_schema.py \
    tests/workflows/test_submission.py tests/workflows/test_launchpad.py tests/workflows/test_settings.py tests/cli/test_commands.py}
NO_MKDOCS_2_WARNING=1 "$venv/bin/mkdocs" build --strict --quiet --site-dir "$(realpath "$venv")/site"
