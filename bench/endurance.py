"""What writing takes over time: memory and speed of a long text, thousands of prompts, a kill in the middle, the start.

    python bench/endurance.py [--prompts N] [--out FILE.json]

GPT-2 small (its shape, random weights) writes a text of 1,000 tokens; SmolLM2-135M continues N prompts of a file by
the command line, first as they come, then killed and started again, and is started by somebody at a terminal, as is an
LSTM. Memory is this process's, as Linux tells it; "above the imports" is the most it ever held, less what it held with
everything imported. The steady rate is that of 32 texts between their 50th and their 150th token: no prompt is read, no
text ends.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from turns import QUIET, peak_bytes

HERE = Path(__file__).resolve().parent
ARASUJI = Path(sys.executable).with_name("arasuji")
TOKENS = 40
"""Most tokens of a text of the stream."""
STARTS = 5


def held_bytes(process: int | str = "self") -> int:
    """Memory that a process holds now; 0 of one that has just ended."""
    held = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(held[1]) * 1024 if held else 0


def long_text(folder: str) -> dict[str, Any]:
    """In a process of its own: one text of GPT-2 in 8 bits up to its context."""
    import accelerate  # noqa: F401 (imports are not counted)
    import tokenizers  # noqa: F401

    from arasuji import api
    from arasuji.models.int8 import decoder  # noqa: F401

    imports = held_bytes()
    trained = api.load(folder, "int8")
    sampling = trained.sampling.model_copy(update={"top_k": 50, "top_p": 1.0, "min_length": 1000, "max_length": 1000})
    times = [time.perf_counter()]
    for _ in api.write(trained, ["After years"], 1, 0, sampling, pieces=True):
        times.append(time.perf_counter())
    tokens = [later - earlier for earlier, later in pairwise(times[1:])]
    quarter = len(tokens) // 4
    first, *_, last = (statistics.median(tokens[i * quarter : (i + 1) * quarter]) for i in range(4))
    return {"bytes_above_imports": peak_bytes() - imports, "first_quarter_s": first, "last_quarter_s": last}


def steady(model: str) -> dict[str, Any]:
    """In a process of its own: tokens a second of a batch that is full and stays so."""
    from arasuji import api

    trained = api.load(model, "int8")

    def seconds(tokens: int) -> float:
        sampling = trained.sampling.model_copy(update={"min_length": tokens, "max_length": tokens})
        began = time.perf_counter()
        for _ in api.generate(trained, ["The"] * 32, sampling=sampling):
            pass
        return time.perf_counter() - began

    seconds(10)
    return {"tokens_a_second": statistics.median(32 * 100 / (seconds(150) - seconds(50)) for _ in range(3))}


def alone(part: str, *given: str) -> dict[str, Any]:
    """What a part of this file says, run as a process."""
    command = [sys.executable, HERE / "endurance.py", "--part", part, *given]
    done = subprocess.run(command, env=os.environ | QUIET, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def stream(model: str, prompts: Path, out: Path, kill_at: int | None = None) -> dict[str, Any]:
    """Continue all prompts of a file, going on where `out` ends, and look at the process as it writes; end it by force
    after so many texts."""
    command = [ARASUJI, "generate", model, "--prompts-file", prompts, "--max-length", str(TOKENS), "--out", out]
    with subprocess.Popen([*map(str, command), "--resume"], stdout=subprocess.DEVNULL) as process:
        held: list[tuple[int, int, float]] = []
        while process.poll() is None:
            time.sleep(0.2)
            count = out.read_bytes().count(b"\n") if out.exists() else 0
            if count and (now := held_bytes(process.pid)):
                held.append((count, now, time.perf_counter()))
            if kill_at and count >= kill_at:
                process.send_signal(signal.SIGKILL)
                break
    if not kill_at and process.returncode:
        raise SystemExit(f"{command} failed")
    return {"held": held}


def streamed(model: str, count: int, work: Path) -> dict[str, Any]:
    """The stream's rate against the steady one, its memory at the beginning and at the end, and the kill."""
    prompts = work / "prompts.txt"
    texts = [json.loads(line)["synopsis"] for line in starter().read_bytes().splitlines()]
    beginnings = [" ".join(texts[i % len(texts)].split()[: 2 + i % 7]) for i in range(count)]
    prompts.write_text("\n".join(beginnings), "utf-8")
    held = stream(model, prompts, work / "whole.jsonl")["held"]
    lines = [json.loads(line) for line in (work / "whole.jsonl").read_bytes().splitlines()]
    if [line["prompt"] for line in lines] != beginnings:
        raise SystemExit("the texts do not come in the order of their prompts")
    (begun, early, start), (ended, late, end) = held[len(held) // 10], held[-1]
    rate = sum(line["tokens"] for line in lines[begun:ended]) / (end - start)
    few = beginnings[: count // 10]
    prompts.write_text("\n".join(few), "utf-8")
    stream(model, prompts, work / "killed.jsonl", kill_at=len(few) // 2)
    kept = (work / "killed.jsonl").read_bytes().count(b"\n")
    stream(model, prompts, work / "killed.jsonl")
    whole = (work / "whole.jsonl").read_bytes().splitlines()[: len(few)]
    return {
        "prompts": count,
        "tokens_a_second": rate,
        "steady_tokens_a_second": alone("steady", model)["tokens_a_second"],
        "early_bytes": early,
        "late_bytes": late,
        "killed_after": kept,
        "same_after_the_kill": (work / "killed.jsonl").read_bytes().splitlines() == whole,
    }


def first_word(model: str) -> float:
    """Seconds from the start of the command to the first word after the prompt, at a terminal."""
    ours, theirs = pty.openpty()
    began = time.perf_counter()
    command = [ARASUJI, "generate", model, "The girl", "-n", "1"]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        while not re.search(rb"girl\s*\S", shown):
            shown += os.read(ours, 100)
        taken = time.perf_counter() - began
        process.kill()
    os.close(ours)
    return taken


def starter() -> Path:
    return HERE.parent / "src/arasuji/data/starter.jsonl"


def lstm(work: Path) -> Path:
    """A run of the small LSTM; how long it was trained does not change how it starts."""
    from arasuji import api

    api.prepare([starter()], work / "corpus")
    for _ in api.train_events(api.experiment("lstm-small"), work / "corpus", work / "lstm-small", max_steps=1):
        pass
    return work / "lstm-small"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", choices=["long_text", "steady"], help=argparse.SUPPRESS)
    parser.add_argument("model", nargs="?", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        print(json.dumps({"long_text": long_text, "steady": steady}[chosen.part](chosen.model)))
        return
    smollm2, report = "smollm2-135m", {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        small = lstm(work)
        report["start"] = {}
        for model in (str(small), smollm2):
            first_word(model)  # makes the 8-bit weights, and brings the disk's pages into memory
            report["start"][Path(model).name] = [first_word(model) for _ in range(STARTS)]
        subprocess.run([sys.executable, HERE.parent / "tests/gpt2_shaped.py", work / "gpt2", "--small"], check=True)
        alone("long_text", str(work / "gpt2"))  # makes the 8-bit weights
        report["long_text"] = alone("long_text", str(work / "gpt2"))
        report["stream"] = streamed(smollm2, chosen.prompts, work)
    show(report)
    if chosen.out:
        chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def show(report: dict[str, Any]) -> None:
    """For a terminal."""
    for name, seconds in report["start"].items():
        print(f"{name}: {statistics.median(seconds):.2f} s to the first word")
    text, flow = report["long_text"], report["stream"]
    print(f"GPT-2 small, a text of 1,000 tokens: {text['bytes_above_imports'] / 1e9:.3f} GB above the imports;")
    share = text["last_quarter_s"] / text["first_quarter_s"]
    print(f"  a token of the last quarter takes {share:.2f} times one of the first")
    share = flow["tokens_a_second"] / flow["steady_tokens_a_second"]
    print(f"{flow['prompts']:,} prompts: {flow['tokens_a_second']:.0f} tokens/s, {share:.0%} of the steady rate;")
    print(f"  memory {flow['early_bytes'] / 1e9:.3f} GB after a tenth, {flow['late_bytes'] / 1e9:.3f} GB at the end;")
    same = "the same texts" if flow["same_after_the_kill"] else "OTHER TEXTS"
    print(f"  killed after {flow['killed_after']} and started again: {same}")


if __name__ == "__main__":
    main()
