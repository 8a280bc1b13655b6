#!/bin/sh
# Install the lowest versions of the dependencies that pyproject.toml allows, and run a part of the tests with them.
# tools/test_lowest.sh ENVIRONMENT, which is made anew
set -eu

venv=$1
rm -rf "$venv"
"${PYTHON:-python3}" -m venv "$venv"
# name>=1.2 becomes name==1.2, for pip the lowest of 1.2, 1.2.0 …; what they need in turn is pip's choice
"$venv/bin/python" - >"$venv/lowest.txt" <<'PYTHON'
import tomllib

with open("pyproject.toml", "rb") as file:
    dependencies = tomllib.load(file)["project"]["dependencies"]
print("\n".join(line.replace(">=", "==") for line in dependencies))
PYTHON
"$venv/bin/python" -m pip install -q --disable-pip-version-check -c "$venv/lowest.txt" . pytest hypothesis jsonschema
"$venv/bin/python" -m pip list --disable-pip-version-check
# warnings of old versions are not ours; the package is the installed one, not the folder
"$venv/bin/python" -m pytest -q -p no:cacheprovider -o filterwarnings=default -o addopts="--strict-markers" -m "not espresso and not slurm and not slow" \
    tests/structures tests/templates tests/workflows/test_campaign.py tests/workflows/test_campaign_inputs.py \
    tests/workflows/test_submission.py tests/workflows/test_launchpad.py tests/analysis/test_vasprun.py tests/analysis/test_espresso_xml.py \
    tests/analysis/test_pdos.py tests/analysis/test_plots.py tests/analysis/test_gaps.py tests/cli/test_commands.py
