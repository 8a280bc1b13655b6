#!/bin/sh
# Build the wheel, install it alone in a fresh environment, and use it from an empty folder.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$(pwd)
"${PYTHON:-python3}" -m build --wheel --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q "$work"/dist/*.whl
cd "$work"
"$work/venv/bin/heterodft" --help >/dev/null
"$work/venv/bin/heterodft" build "$root/examples/demo/campaign.yaml" >/dev/null
"$work/venv/bin/heterodft" plan "$root/examples/demo/campaign.yaml" >/dev/null
test "$(ls structures/demo | wc -l)" -eq 16
"$work/venv/bin/heterodft" init trial --template demo >/dev/null  # an example, which the wheel carries
"$work/venv/bin/heterodft" plan trial.yaml >/dev/null
# One import name: nothing but heterodft and its metadata is added.
names=$("${PYTHON:-python3}" -m zipfile -l dist/*.whl | awk 'NR > 1 {split($1, part, "/"); print part[1]}' | sort -u | tr '\n' ' ')
case "$names" in
"heterodft heterodft-"*.dist-info\ ) ;;
*) echo "the wheel adds: $names" >&2; exit 1 ;;
esac
echo "wheel: installs, builds and plans; adds $names"
