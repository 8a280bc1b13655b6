#!/bin/sh
# Build the source distribution and of it the wheel, install that alone in a fresh environment, and use it from an empty folder.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$(command -v "${PYTHON:-python3}")
"$python" -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
if git ls-files >"$work/kept.txt" 2>/dev/null; then
    # All that git keeps is in the source distribution, but what only serves git.
    tar tzf "$work"/dist/*.tar.gz | cut -d/ -f2- >"$work/sdist.txt"
    missing=$(grep -v -e '^\.' "$work/kept.txt" | grep -vxF -f "$work/sdist.txt" || true)
    [ -z "$missing" ] || { echo "the source distribution lacks: $missing" >&2; exit 1; }
fi
# One import name: nothing but heterodft and its metadata is added.
names=$("$python" -m zipfile -l "$work"/dist/*.whl | awk 'NR > 1 {split($1, part, "/"); print part[1]}' | sort -u | tr '\n' ' ')
case "$names" in
"heterodft heterodft-"*.dist-info\ ) ;;
*) echo "the wheel adds: $names" >&2; exit 1 ;;
esac

"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check "$work"/dist/*.whl
"$work/venv/bin/python" tools/check_licences.py
# No settings, pseudopotentials or variables of whoever runs this.
unset PYTHONPATH HETERODFT_SETTINGS HETERODFT_HOST XDG_CONFIG_HOME XDG_DATA_HOME
export HOME="$work"
mkdir "$work/empty"
cd "$work/empty"
PATH="$work/venv/bin:$PATH"
heterodft --version >/dev/null
heterodft --help >/dev/null
heterodft init trial --template demo >/dev/null # an example, which the wheel carries
heterodft build trial.yaml >/dev/null
test "$(ls structures/trial | wc -l)" -eq 16
heterodft plan trial.yaml --code vasp >/dev/null # which needs no pseudopotentials
heterodft inputs trial.yaml --code vasp >/dev/null
test "$(find inputs -name INCAR | wc -l)" -gt 0
heterodft init >/dev/null
heterodft plan campaign.yaml --code vasp >/dev/null
echo "wheel of the source distribution: installs, builds, plans and writes inputs; adds $names"
