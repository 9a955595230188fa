"""`arasuji launch`: the script by which a cluster starts a training on several machines."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Context, Option

from arasuji.errors import OptionError

CORES = 8
"""Processor cores that are asked for with each GPU."""
WARNING = 300
"""Seconds before the time limit at which a run is told to save and stop."""


def launch(
    context: Context,
    words: Annotated[
        list[str], Argument(metavar="train", help="A training, after --: -- train PRESET --corpus DIR --out DIR ...")
    ],
    print_: Annotated[
        Literal["slurm", "skypilot"], Option("--print", help="Whose script is printed; nothing is started")
    ],
    nodes: Annotated[int, Option(min=1, max=100_000, help="Machines")] = 1,
    gpus: Annotated[int, Option(min=1, max=1024, help="GPUs of each machine; each has a process of its own")] = 1,
    gpu: Annotated[str, Option(metavar="NAME", help="The GPU, as the cluster names it, such as H100")] = "",
    hours: Annotated[
        int, Option(min=1, max=8784, help="The time limit of a Slurm job, before which it saves and is queued again")
    ] = 24,
) -> None:
    """Print a script that trains on a cluster, and goes on from the last checkpoint wherever it was stopped."""
    asked = _checked(context, words)
    if gpu and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", gpu):
        raise OptionError(f"--gpu {gpu!r} is no name of a GPU, such as H100")
    name = "-".join(re.findall("[A-Za-z0-9]+", Path(asked["out"]).name)) or "arasuji"
    command = shlex.join([*words, *([] if asked["resume"] else ["--resume"])])
    if print_ == "slurm":
        print(_slurm(command, name, nodes, gpus, f"{gpu}:{gpus}" if gpu else str(gpus), hours), end="")
    elif gpu:
        print(_skypilot(command, name, nodes, f"{gpu}:{gpus}"), end="")
    else:
        raise OptionError("SkyPilot looks for machines by their GPUs: say --gpu H100, or another one's name")


def _checked(context: Context, words: list[str]) -> dict[str, Any]:
    """The options of a training. Raises what `arasuji train` would say of them."""
    if words[0] != "train":
        raise OptionError(f"launch starts a training, and not {words[0]!r}: write -- train PRESET ... at the end")
    if unprintable := [word for word in words if not word.isprintable()]:
        raise OptionError(f"{unprintable[0]!r} has characters that no script should hold: say another name")
    parent: Any = context.parent
    asked: dict[str, Any] = parent.command.commands["train"].make_context("train", words[1:], parent=parent).params
    if asked["dry_run"]:
        raise OptionError("--dry-run needs no cluster: start it on this machine")
    return asked


def _slurm(command: str, name: str, nodes: int, gpus: int, kind: str, hours: int) -> str:
    return rf"""#!/bin/bash
# Made by `arasuji launch --print slurm`, checked by shellcheck, and never run on a real cluster: read it before you
# submit it with `sbatch FILE`. The corpus and the run must be on a disk that all machines see.
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={kind}
#SBATCH --cpus-per-task={gpus * CORES}
#SBATCH --time={hours}:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@{WARNING}
#SBATCH --open-mode=append
set -euo pipefail

# {WARNING} seconds before the time limit the run is told to save and stop, and then the job is queued again.
again=
trap 'again=yes; scancel --signal=TERM "$SLURM_JOB_ID.0" || true' USR1

mapfile -t machines < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
export OMP_NUM_THREADS={CORES}
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    {shlex.quote(sys.executable)} -m torch.distributed.run \
    --nnodes "$SLURM_NNODES" --nproc-per-node {gpus} --max-restarts 3 --shutdown-timeout {WARNING - 60} \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d \
    --rdzv-endpoint "${{machines[0]}}:$((20000 + SLURM_JOB_ID % 20000))" \
    -m arasuji {command} &
training=$!
code=0
wait "$training" || code=$?
if [[ $again ]]; then # the signal has ended the wait, and not the training
    wait "$training" || true
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


def _skypilot(command: str, name: str, nodes: int, kind: str) -> str:
    return rf"""# Made by `arasuji launch --print skypilot`, checked by shellcheck, and never run on a real cloud: read
# it before you start it with `sky jobs launch FILE`. A machine that is taken away is replaced, and the run goes on.
# Add a disk that all machines see and that outlives them (`volumes`, or `file_mounts`), with the corpus and the run.
name: "{name}"
num_nodes: {nodes}
resources:
  accelerators: "{kind}"
setup: |
  pip install arasuji
run: |
  set -euo pipefail
  mapfile -t machines <<< "$SKYPILOT_NODE_IPS"
  export OMP_NUM_THREADS={CORES}
  python -m torch.distributed.run \
      --nnodes "$SKYPILOT_NUM_NODES" --node-rank "$SKYPILOT_NODE_RANK" \
      --nproc-per-node "$SKYPILOT_NUM_GPUS_PER_NODE" --max-restarts 3 \
      --master-addr "${{machines[0]}}" --master-port 29500 \
      -m arasuji {command}
"""
