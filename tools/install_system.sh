#!/bin/sh
# Install what the system lacks to run Quantum ESPRESSO: pw.x, an MPI, a fast serial BLAS, python3's venv module.
# With --tests also Slurm and munge, which the tests start for themselves, Chromium, which looks at the report, and
# fish, whose completion is tried.
# Does nothing where all is there; uses sudo only when not root.
set -eu

missing=""
need() { missing="$missing $1"; }

command -v pw.x >/dev/null 2>&1 && command -v projwfc.x >/dev/null 2>&1 || need quantum-espresso
command -v mpirun >/dev/null 2>&1 || need openmpi-bin
# Debian's pw.x takes the BLAS that update-alternatives names; OpenBLAS is about 1.3 times faster than the reference.
ls -d /usr/lib/*/openblas-serial >/dev/null 2>&1 || ldconfig -p 2>/dev/null | grep -q openblas || need libopenblas0-serial
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
if [ "${1:-}" = "--tests" ]; then
    PATH="$PATH:/usr/sbin:/sbin"
    { command -v slurmctld && command -v slurmd && command -v sbatch; } >/dev/null 2>&1 || need slurm-wlm
    command -v munged >/dev/null 2>&1 || need munge
    { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1 || need chromium
    command -v fish >/dev/null 2>&1 || need fish
fi

[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing on this system:$missing (names of Debian packages). Install Quantum ESPRESSO (pw.x, projwfc.x)," >&2
    echo "an MPI with mpirun, OpenBLAS and Python's venv with your package manager, for the tests also Slurm, munge, Chromium and fish," >&2
    echo "then run make again." >&2
    exit 1
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "Missing:$missing. Run as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    }
    as_root="sudo"
fi
echo "Installing:$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
