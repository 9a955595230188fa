"""The scripts of `launch` are sound, hand on what they were given, and go on where they were stopped.

Small programs stand where a cluster has srun, scancel and scontrol.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are for bash")
HOSTILE = '/shared/it\'s $(touch hacked) `id` "x" ; & | * ~ é #'
KNOWN_TO_SKYPILOT = {"name", "num_nodes", "resources", "setup", "run"}
SLURM = {"SLURM_JOB_ID": "17", "SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "8", "SLURM_JOB_NODELIST": "n[1-2]"}
SKYPILOT = {
    "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2",
    "SKYPILOT_NODE_RANK": "1",
    "SKYPILOT_NUM_NODES": "2",
    "SKYPILOT_NUM_GPUS_PER_NODE": "4",
}


def training(out="runs/lora", *more):
    return ["train", "pretrained-lora", "--corpus", HOSTILE, "--out", out, *more]


@pytest.fixture
def printed(arasuji_):
    def script(kind, *options, words=None):
        outcome = arasuji_("launch", "--print", kind, *options, "--", *(words or training()))
        assert outcome.code == 0, outcome.err
        return outcome.out

    return script


@pytest.fixture
def cluster(tmp_path):
    """Runs a script where small programs, given as bash, stand in the place of a cluster's."""

    def start(script, variables, **programs):
        for name, body in programs.items():
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/bash\n{body}\n")
            program.chmod(0o755)
        (tmp_path / "job.sh").write_text(script)
        found = {**os.environ, **variables, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
        return subprocess.Popen(["bash", "job.sh"], cwd=tmp_path, env=found)

    return start


def shellcheck(script, tmp_path):
    path = tmp_path / "checked.sh"
    path.write_text(script)
    program = Path(sys.executable).with_name("shellcheck")
    return subprocess.run([program, path], capture_output=True, text=True, check=False).stdout


def test_the_scripts_pass_shellcheck(printed, tmp_path):
    plain = ["train", "gpt2-article", "--corpus", "/shared/C", "--out", "/shared/RUN", "--set", "shard=true"]
    many = ("--nodes", "4", "--gpus", "8", "--gpu", "H100", "--hours", "6")
    assert shellcheck(printed("slurm", words=plain), tmp_path) == ""
    assert shellcheck(printed("slurm", *many, words=plain), tmp_path) == ""
    run = yaml.safe_load(printed("skypilot", *many, words=plain))["run"]
    assert shellcheck(f"#!/bin/bash\n{run}", tmp_path) == ""


def test_slurm_is_asked_for_machines_gpus_and_hours_and_gives_the_job_a_turn_again(printed):
    script = printed("slurm", "--nodes", 4, "--gpus", 8, "--gpu", "H100", "--hours", 6)
    asked = [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]
    assert {"--nodes=4", "--gpus-per-node=H100:8", "--time=6:00:00", "--requeue", "--job-name=lora"} <= set(asked)
    assert "never run on a real cluster" in script.splitlines()[1]


def test_slurm_hands_on_every_word_as_it_is_and_resumes(printed, cluster, tmp_path):
    more = ("--set", "description=a  b", "--max-steps", "9")
    given = {"srun": "printf '%s\\0' \"$@\" > given", "scontrol": "printf 'n1\\nn2\\n'"}
    assert cluster(printed("slurm", words=training(HOSTILE, *more)), SLURM, **given).wait(20) == 0
    words = (tmp_path / "given").read_text().split("\0")[:-1]
    assert words[words.index("train") :] == [*training(HOSTILE, *more), "--resume"]
    assert words[words.index("--rdzv-endpoint") + 1] == "n1:20017"
    assert not (tmp_path / "hacked").exists()


def test_skypilot_hands_on_every_word_as_it_is_and_resumes(printed, cluster, tmp_path):
    task = yaml.safe_load(printed("skypilot", "--nodes", 2, "--gpus", 4, "--gpu", "H100", words=training(HOSTILE)))
    assert set(task) == KNOWN_TO_SKYPILOT
    assert (task["num_nodes"], task["resources"]) == (2, {"accelerators": "H100:4"})
    given = {"python": "printf '%s\\0' \"$@\" > given"}
    assert cluster(task["run"], SKYPILOT, **given).wait(20) == 0
    words = (tmp_path / "given").read_text().split("\0")[:-1]
    assert words[words.index("train") :] == [*training(HOSTILE), "--resume"]
    assert words[words.index("--node-rank") + 1] == "1"
    assert words[words.index("--master-addr") + 1] == "10.0.0.1"


def test_before_the_time_limit_the_run_is_told_to_stop_and_the_job_is_queued_again(printed, cluster, tmp_path):
    job = cluster(
        printed("slurm"),
        SLURM,
        srun="trap 'echo saved > saved; exit 1' TERM; echo $$ > running; while :; do sleep 0.05; done",
        scancel='echo "$@" > cancelled; kill -TERM "$(cat running)"',
        scontrol='case $1 in show) echo n1 ;; requeue) cat saved && echo "$2" > queued ;; esac',
    )
    while not (tmp_path / "running").exists():
        assert job.poll() is None
        time.sleep(0.01)
    job.send_signal(signal.SIGUSR1)
    job.wait(20)
    assert (tmp_path / "cancelled").read_text() == "--signal=TERM 17.0\n"
    assert (tmp_path / "queued").read_text() == "17\n"


def test_a_training_that_fails_by_itself_is_not_queued_again(printed, cluster, tmp_path):
    programs = {"srun": "exit 3", "scontrol": "case $1 in show) echo n1 ;; requeue) echo > queued ;; esac"}
    assert cluster(printed("slurm"), SLURM, **programs).wait(20) == 3
    assert not (tmp_path / "queued").exists()


@pytest.mark.slow
def test_what_a_job_starts_is_a_training(printed, cluster, corpus, tiny_settings, tmp_path):
    words = ["train", "lstm-small", "--corpus", corpus, "--out", tmp_path / "a run", "--max-steps", 2, *tiny_settings()]
    started = {"srun": 'shift; exec "$@"', "scontrol": "echo localhost"}
    assert cluster(printed("slurm", words=words), {**SLURM, "SLURM_NNODES": "1"}, **started).wait(120) == 0
    assert (tmp_path / "a run/best/manifest.json").exists()


@pytest.mark.parametrize(
    ("options", "words", "complaint"),
    [
        (("slurm",), ["generate", "x"], "launch starts a training, and not 'generate'"),
        (("slurm",), ["train", "x", "--corpus", "c", "--ouf", "o"], "No such option: --ouf"),
        (("slurm",), ["train", "x", "--corpus", "c"], "Missing option '--out'"),
        (("slurm",), training("a\nb"), "'a\\nb' has characters that no script should hold"),
        (("slurm",), training("o", "--dry-run"), "--dry-run needs no cluster"),
        (("slurm", "--gpu", "a b"), training(), "--gpu 'a b' is no name of a GPU"),
        (("skypilot",), training(), "say --gpu H100"),
    ],
)
def test_what_cannot_be_launched_is_said_in_a_line_and_nothing_is_printed(arasuji_, options, words, complaint):
    outcome = arasuji_("launch", "--print", *options, "--", *words)
    assert outcome.code == 2
    assert complaint in outcome.complaint
    assert outcome.out == ""
