"""Batch systems: scripts, submission and questions, with small programs in the place of the schedulers' own."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from heterodft.errors import ProgramNotFoundError, QueueError, SettingsError
from heterodft.workflows.queue.batch import render, submit_script
from heterodft.workflows.queue.batch_settings import read_batch_settings
from heterodft.workflows.queue.identity import current_job, is_alive, job_of, worker_name
from heterodft.workflows.queue.schedulers import job_is_gone, jobs_there
from heterodft.workflows.settings import Settings

FULL = {
    "walltime": "26 h",
    "nodes": 2,
    "cores": 32,
    "memory": "64 GB",
    "queue": "long",
    "account": "abc-123",
    "modules": ["gcc/12", "qe/7.2"],
    "setup": ["ulimit -s unlimited"],
}
COMMAND = ["/opt/my python/bin/python", "-m", "worker", "job.json"]


def settings(**batch):
    return Settings(host="sqlite:///q/queue.sqlite", database="heterodft", runs=Path("/q"), cores=2, batch=batch)


def script(scheduler: str, folder: str = "/runs/job-1", **more: object) -> list[str]:
    batch = read_batch_settings(settings(**{**FULL, "scheduler": scheduler, **more}))
    return render(batch, name="job-1", folder=Path(folder), command=COMMAND, lead=120).splitlines()


DIRECTIVES = {
    "slurm": ["--job-name=job-1", "--time=26:00:00", "--nodes=2", "--ntasks=32", "--cpus-per-task=1", "--mem=65536M",
              "--partition=long", "--account=abc-123", "--qos=high", "--output=job.out", "--open-mode=append",
              "--no-requeue", "--signal=B:TERM@120", "--exclusive"],
    "pbs": ["-N job-1", "-l walltime=26:00:00", "-l select=2:ncpus=16:mpiprocs=16:mem=65536mb", "-q long",
            "-A abc-123", "-o job.out", "-j oe", "-r n", "-V", "--exclusive"],
    "torque": ["-N job-1", "-l walltime=26:00:00", "-l nodes=2:ppn=16", "-l mem=131072mb", "-q long", "-A abc-123",
               "-W x=QOS:high", "-o job.out", "-j oe", "-r n", "-V", "--exclusive"],
    "sge": ["-S /bin/bash", "-N job-1", "-l h_rt=26:00:00", "-pe mpi 32", "-l h_vmem=4096M", "-q long",
            "-P abc-123", "-cwd", "-o job.out", "-j y", "-r n", "-V", "--exclusive"],
    "lsf": ["-J job-1", "-W 26:00", "-n 32", '-R "span[ptile=16]"', '-R "rusage[mem=65536MB]"', "-q long",
            "-P abc-123", "-o job.out", "-rn", "--exclusive"],
}  # fmt: skip
WORD = {"slurm": "#SBATCH", "pbs": "#PBS", "torque": "#PBS", "sge": "#$", "lsf": "#BSUB"}


@pytest.mark.parametrize("scheduler", DIRECTIVES)
def test_a_script_asks_for_everything_that_the_settings_give(scheduler):
    more = {"qos": "high"} if scheduler in ("slurm", "torque") else {}
    more |= {"parallel_environment": "mpi"} if scheduler == "sge" else {}
    lines = script(scheduler, options=["--exclusive"], **more)
    assert lines[0] == "#!/bin/bash"
    assert [line for line in lines if line.startswith(WORD[scheduler] + " ")] == [
        f"{WORD[scheduler]} {directive}" for directive in DIRECTIVES[scheduler]
    ]
    assert lines[-6:-2] == [
        "type module >/dev/null 2>&1 || . /etc/profile",
        "module load gcc/12",
        "module load qe/7.2",
        "ulimit -s unlimited",
    ]
    assert lines[-2:] == ["cd /runs/job-1 || exit 1", "exec '/opt/my python/bin/python' -m worker job.json"]


@pytest.mark.parametrize("scheduler", ["slurm", "pbs", "torque", "sge", "lsf"])
def test_what_is_not_given_leaves_no_line_and_the_script_runs(scheduler, tmp_path):
    folder = tmp_path / 'it\'s $HOME; `exit 7` "here" *'
    folder.mkdir()
    batch = read_batch_settings(settings(scheduler=scheduler, walltime="90 min", cores=1))
    command = ["python3", "-c", "import os; print(os.getcwd())"]
    text = render(batch, name="job-1", folder=folder, command=command)
    assert "$$" not in text
    assert "mem=" not in text
    done = subprocess.run(["bash"], input=text, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(folder)


def test_nothing_from_the_settings_but_setup_lines_reaches_the_shell_unquoted():
    for key in ("queue", "account", "qos"):
        for value in ("a b", "x\nrm -rf ~", "$(id)", "a;b", "-x"):
            with pytest.raises(SettingsError, match=f"batch: {key}"):
                script("slurm", **{key: value})
    with pytest.raises(SettingsError, match="batch: modules"):
        script("slurm", modules=["qe; id"])
    with pytest.raises(SettingsError, match=r"batch: options: .* one line each"):
        script("slurm", options=["--a\nid"])
    with pytest.raises(SettingsError, match=r"holds \$\$"):
        script("slurm", folder="/runs/$$/job-1")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"walltime": "4 h"}, "batch: scheduler: is missing; give it in the settings file .* scheduler: slurm"),
        ({"scheduler": "slurm"}, "batch: walltime: is missing; .* walltime: 4 h"),
        ({"scheduler": "slrum", "walltime": "4 h"}, "batch: scheduler: 'slrum'; known: 'slurm', 'pbs'"),
        ({"scheduler": "slurm", "waltime": "4 h"}, "batch: unknown key 'waltime'; did you mean 'walltime'"),
        ({"scheduler": "slurm", "walltime": "4 eV"}, "batch: walltime: unknown unit 'eV' of time"),
        ({"scheduler": "slurm", "walltime": "10 s"}, "at least one minute"),
        ({"scheduler": "slurm", "walltime": "4 h", "memory": "lots"}, "'lots' is no amount of memory"),
        ({"scheduler": "slurm", "walltime": "4 h", "per_job": 3}, "3 calculations on 2 cores"),
        ({"scheduler": "slurm", "walltime": "4 h", "nodes": 3, "cores": 4}, "4 cores on 3 nodes"),
        ({"scheduler": "slurm", "walltime": "4 h", "cores": "4"}, "batch: cores: '4'; give a whole number"),
        ({"scheduler": "slurm", "walltime": "4 h", "queue": "a", "partition": "b"}, "queue: or partition:, not both"),
        ({"scheduler": "sge", "walltime": "4 h"}, "parallel_environment: SGE needs one"),
    ],
)
def test_a_wrong_section_is_told_in_one_line(section, message):
    with pytest.raises(SettingsError, match=message) as told:
        read_batch_settings(settings(**section))
    assert "\n" not in str(told.value)


def test_a_template_of_the_users_own_is_filled(tmp_path):
    template = tmp_path / "mine.sh"
    template.write_text("#SBATCH -t $${walltime}\n#SBATCH -n $${ntasks}\n#SBATCH -q $${qos}\n$${rocket_launch}\n")
    batch = read_batch_settings(settings(scheduler="slurm", walltime="1 h", template=str(template)))
    text = render(batch, name="job-1", folder=Path("/runs/job-1"), command=["run", "it now"])
    assert text == "#SBATCH -t 01:00:00\n#SBATCH -n 2\nrun 'it now'\n"
    batch = read_batch_settings(settings(scheduler="slurm", walltime="1 h", template=str(template), memory="1 GB"))
    with pytest.raises(SettingsError, match=r"batch: memory: .*mine.sh has no place \$\$\{memory\}"):
        render(batch, name="job-1", folder=Path("/runs/job-1"), command=["run"])
    template.write_text("#SBATCH -t $${walltime}\n")
    batch = read_batch_settings(settings(scheduler="slurm", walltime="1 h", template=str(template)))
    with pytest.raises(SettingsError, match="does not run"):
        render(batch, name="job-1", folder=Path("/runs/job-1"), command=["run"])


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that comes first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize(
    ("scheduler", "command", "answer", "name"),
    [
        ("pbs", "qsub", "1234.head.cluster", "pbs.1234"),
        ("torque", "qsub", "77.torque", "pbs.77"),
        ("sge", "qsub", 'Your job 4427 ("job-1") has been submitted', "sge.4427"),
        ("lsf", "bsub", "Job <311> is submitted to queue <normal>.", "lsf.311"),
        ("slurm", "sbatch", "Submitted batch job 9", "slurm.9"),
    ],
)
def test_a_submission_returns_the_name_of_the_job(scheduler, command, answer, name, programs):
    more = {"cores": 1} if scheduler == "sge" else {}
    batch = read_batch_settings(settings(scheduler=scheduler, walltime="1 h", **more))
    job = programs / "a job" / "job.sh"
    job.parent.mkdir()
    job.write_text("echo hello\n")
    program(programs, command, f'cat "$@" > "{programs}/given"; pwd > "{programs}/where"; echo {shlex.quote(answer)}')
    assert submit_script(batch, job) == name
    assert (programs / "given").read_text() == "echo hello\n"
    assert (programs / "where").read_text().strip() == str(job.parent)


def test_a_refusal_is_told_in_the_schedulers_words(programs, tmp_path, monkeypatch):
    batch = read_batch_settings(settings(scheduler="pbs", walltime="1 h"))
    job = tmp_path / "job.sh"
    job.write_text("")
    program(programs, "qsub", "echo 'qsub: Unknown queue' >&2; echo 'try again' >&2; exit 170")
    with pytest.raises(QueueError, match=r"^qsub refused the job: qsub: Unknown queue try again \["):
        submit_script(batch, job)
    program(programs, "qsub", "echo all is well")
    with pytest.raises(QueueError, match="qsub named no job: all is well"):
        submit_script(batch, job)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramNotFoundError, match="qsub is not installed or not on PATH"):
        submit_script(batch, job)


QSTAT = """\
Job id            Name             User              Time Use S Queue
----------------  ---------------- ----------------  -------- - -----
11.head           job-1            me                00:00:01 R long
12.head           job-2            me                       0 Q long
13.head           job-3            me                00:10:01 C long"""


def say(text: str, *, error: str = "", code: int = 0) -> str:
    return f"cat <<'END'\n{text}\nEND\necho {shlex.quote(error)} >&2\nexit {code}"


@pytest.mark.parametrize(
    ("kind", "command", "answer", "expected"),
    [
        ("pbs", "qstat", say(QSTAT, error="qstat: Unknown Job Id 14.head", code=153), [True, True, False, False]),
        ("pbs", "qstat", say("", error="qstat: cannot connect to server", code=1), [None] * 4),
        (
            "sge",
            "qstat",
            say(
                "job-ID  prior   name  user  state submit/start at     queue  slots\n------\n"
                "     11 0.555 job-1 me   r     11/21/2026 10:00:00 all.q  1\n"
                "     12 0.000 job-2 me   qw    11/21/2026 10:00:00        1"
            ),
            [True, True, False, False],
        ),
        ("sge", "qstat", say("", error="error: commlib error", code=1), [None] * 4),
        (
            "lsf",
            "bjobs",
            say("11 RUN\n12 PEND\n13 DONE", error="Job <14> is not found", code=255),
            [True, True, False, False],
        ),
        ("lsf", "bjobs", say("", error="LSF is down. Please wait ...", code=255), [None] * 4),
        ("slurm", "squeue", say("11 RUNNING\n12 PENDING\n13 CANCELLED"), [True, True, False, False]),
        ("slurm", "squeue", say("", error="slurm_load_jobs error: Unable to contact", code=1), [None] * 4),
    ],
)
def test_jobs_that_are_gone_are_told_from_those_nobody_answers_for(kind, command, answer, expected, programs):
    program(programs, command, answer)
    jobs = [f"{kind}.{number}" for number in (11, 12, 13, 14)]
    assert [jobs_there(jobs)[job] for job in jobs] == expected
    whole = f"elsewhere:12:34.5:{kind}.12"
    assert job_is_gone(whole) is (None if expected[1] is None else False)
    assert is_alive(whole) is expected[1]


def test_one_unknown_job_of_slurm_is_gone(programs):
    program(programs, "squeue", say("", error="slurm_load_jobs error: Invalid job id specified", code=1))
    assert job_is_gone("slurm.5") is True
    assert job_is_gone("elsewhere:1:2.0:slurm.5") is True


def test_without_the_scheduler_nothing_is_said_of_a_job(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert job_is_gone("slurm.5") is None
    assert job_is_gone("elsewhere:1:2.0") is None
    assert is_alive("elsewhere:1:2.0:slurm.5") is None


@pytest.mark.parametrize(
    ("variables", "job"),
    [
        ({"SLURM_JOB_ID": "12"}, "slurm.12"),
        ({"PBS_JOBID": "34.head.cluster"}, "pbs.34"),
        ({"LSB_JOBID": "56"}, "lsf.56"),
        ({"JOB_ID": "78", "SGE_TASK_ID": "undefined"}, "sge.78"),
        ({"JOB_ID": "78"}, None),
    ],
)
def test_a_worker_in_a_batch_job_carries_its_name(variables, job, monkeypatch):
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    assert current_job() == job
    assert job_of(worker_name()) == job
    assert is_alive(worker_name()) is True
