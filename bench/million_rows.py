"""A million short texts through `prepare`, beside the same rules in plain pandas: time, peak memory, rows a second.

    python bench/million_rows.py SOURCE [--rows 1000000] [--out FILE.json]

SOURCE is any file that `prepare` reads; its sentences are shuffled into new texts of three to six sentences. One row in
twenty nearly repeats an earlier one (a word is changed), one in fifty repeats it exactly. Each contestant runs alone,
in a process of its own, so that its peak memory is its own. The pandas way has the same rules up to the exact
duplicates; it looks for no near-duplicates, splits nothing and writes nothing but one CSV.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def build(source: Path, rows: int, out: Path) -> None:
    """Write the CSV of shuffled sentences."""
    from arasuji.corpus.read import read

    chosen = random.Random(0)
    texts = (record.text for record in read(source))
    sentences = sorted({s for text in texts for s in re.split(r"(?<=[.!?])\s+", text) if len(s.split()) > 3})
    earlier: list[str] = []
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "genres", "year", "synopsis"])
        for row in range(rows):
            kind = chosen.random()
            if earlier and kind < 0.05:
                words = chosen.choice(earlier).split(" ")
                words[chosen.randrange(len(words))] = f"word{row}"
                text = " ".join(words)
            elif earlier and kind < 0.07:
                text = chosen.choice(earlier)
            else:
                text = " ".join(chosen.choice(sentences) for _ in range(chosen.randint(3, 6)))
                if len(earlier) < 50_000:
                    earlier.append(text)
            title = f"{chosen.choice(sentences).split()[0]} {chosen.randrange(rows)}"
            writer.writerow([row, title, chosen.choice(["Action, Drama", "Comedy", "Kids"]), 1960 + row % 65, text])


def with_arasuji(table: Path, folder: Path) -> int:
    """Rows left by `prepare` with the default rules, near-duplicates and the split included."""
    from arasuji.corpus import prepare

    corpus = prepare([table], folder / "corpus")
    for count in corpus.rules:
        print(f"   {count.rule}: removed {count.removed:,}, changed {count.changed:,}", file=sys.stderr)
    return corpus.rules[-1].left


def with_pandas(table: Path, folder: Path) -> int:
    """Rows left by the default rules as one writes them with pandas."""
    import html

    import ftfy
    import pandas

    frame = pandas.read_csv(table)
    frame = frame[~frame["genres"].fillna("").str.contains("Hentai|Erotica")]
    text = frame["synopsis"].fillna("")
    text = text.map(html.unescape).str.replace(r"<[^<>]+>", "", regex=True)
    text = text.map(ftfy.fix_text)
    text = text.map(lambda t: "\n".join(line for line in (" ".join(x.split()) for x in t.splitlines()) if line))
    text = text.str.replace(r"\s*[\[(](?:source:|written by)[^\])]*[\])]", "", regex=True, case=False)
    frame = frame.assign(synopsis=text)
    frame = frame[~text.str.lower().isin(["", "n/a", "none", "tba", "unknown"])]
    words = frame["synopsis"].str.split().str.len()
    frame = frame[(words >= 10) & (words <= 400)]
    frame = frame[~frame["synopsis"].str.casefold().duplicated()]
    frame.to_csv(folder / "clean.csv", index=False)
    return len(frame)


def peak() -> int:
    """The most memory that this process has held, in bytes. (getrusage would include its parent's.)"""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


CONTESTANTS = {"arasuji": with_arasuji, "pandas": with_pandas}


def measured(name: str, table: Path, rows: int) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    command = [sys.executable, __file__, str(table), "--run", name]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(answer.stdout)
    return {**result, "rows_a_second": rows / result["seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--run", choices=CONTESTANTS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            left = CONTESTANTS[chosen.run](chosen.source, Path(folder))
            seconds = time.perf_counter() - began
        print(json.dumps({"seconds": seconds, "peak_bytes": peak(), "left": left}))
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.csv"
        build(chosen.source, chosen.rows, table)
        results = {name: measured(name, table, chosen.rows) for name in CONTESTANTS}
        report = {"rows": chosen.rows, "file_bytes": table.stat().st_size, "results": results}
    print(f"{chosen.rows:,} rows, {report['file_bytes'] / 1e6:,.0f} MB of CSV")
    print(f"{'':10} {'seconds':>9} {'rows/s':>9} {'peak GB':>9} {'left':>10}")
    for name, r in results.items():
        cells = f"{r['seconds']:9.1f} {r['rows_a_second']:9,.0f} {r['peak_bytes'] / 1e9:9.2f} {r['left']:10,.0f}"
        print(f"{name:10} {cells}")
    if chosen.out:
        chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
