"""Small files that unfold to more than a machine has: a bound that a message names and an option raises."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars
import pytest
from corpus.test_tables_of_others import workbook
from hard.forked import Ended, Zygote

SECONDS, MEMORY = 10, 500 * 2**20
HUGE = 100 * 10**9
"""The bytes of a file without content."""
TEXT = "the old keeper of the harbour finds a letter"
DEEP = 100_000

Maker = Callable[[Path], object]


def unfolding(*pieces: str, size: int = 10**10, part: int = 2**26) -> Maker:
    """A packed file that begins with all pieces but the last, and goes on with that one until it has `size` bytes, in
    many members."""
    *first, last = (piece.encode() for piece in pieces)

    def make(path: Path) -> None:
        member = gzip.compress(last * (part // len(last)))
        path.write_bytes(gzip.compress(b"".join(first)) + member * (size // part))

    return make


def holding(content: str | bytes) -> Maker:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


def one_line(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(64):
            file.write(b"a" * 2**24)


def sparse(begins: bytes = b"") -> Maker:
    def make(path: Path) -> None:
        path.write_bytes(begins)
        os.truncate(path, HUGE)

    return make


def nothing_but_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def many_columns(path: Path) -> None:
    header = ",".join(["synopsis", *(f"c{i}" for i in range(100_000))])
    path.write_text("\n".join([header, *(f"{TEXT} {i},x,x,x" for i in range(1100))]))


def many_names(path: Path) -> None:
    rows = ("{" + ",".join(f'"k{i * 1000 + j}":1' for j in range(1000)) + "}\n" for i in range(300))
    path.write_text("".join(rows))


def sheet(old: str, new: str) -> Maker:
    """A workbook whose sheet has `new` in the place of `old`."""

    def make(path: Path) -> None:
        whole = workbook(path.with_name("whole.xlsx"), {"Tales": [["synopsis"], [TEXT]]})
        with zipfile.ZipFile(whole) as read, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name in read.namelist():
                content = read.read(name).decode()
                file.writestr(name, content.replace(old, new) if name == "xl/s1.xml" else content)

    return make


FAR = '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'

BOUNDED: dict[str, Maker] = {
    "lines.csv.gz": unfolding("title,synopsis\n", "a,b\n"),
    "blank.csv.gz": unfolding("title,synopsis\n", "\n"),
    "one-line.csv.gz": unfolding("title,synopsis\n", "a"),
    "one-line.jsonl.gz": unfolding('{"synopsis": "', "a"),
    "one-line.txt.gz": unfolding("a"),
    "one-text.txt.gz": unfolding("a\nb\nc\n"),
    "one-row.csv.gz": unfolding("title,synopsis\na,", '"x\n",', part=6 * 2**20),
    "document.json.gz": unfolding('[{"synopsis": "a"},\n', '{"synopsis":\n"a"},\n'),
    "lists.json.gz": unfolding("[", "[],", size=2**27),
    "lists.jsonl.gz": unfolding("[", "[],", size=15 * 2**20, part=2**20),
    "zeros.parquet.gz": unfolding("PAR1", "\0"),
    "zeros.xlsx.gz": unfolding("PK", "\0"),
    "line.csv": one_line,
    "line.txt": one_line,
    "line.json": one_line,
    "columns.csv": many_columns,
    "names.jsonl": many_names,
    "keys.jsonl": holding('{"synopsis": "a"' + "".join(f', "k{i}": 1' for i in range(200_000)) + "}\n"),
    "rows.parquet": lambda path: polars.DataFrame({"text": polars.repeat(True, 10**9, eager=True)}).write_parquet(path),
    "cell.parquet": lambda path: polars.DataFrame({"synopsis": ["x" * 10**8]}).write_parquet(path),
    "same.parquet": lambda path: polars.DataFrame({"synopsis": ["x" * 20_000] * 10_000}).write_parquet(path),
    "far.xlsx": sheet("</sheetData>", FAR),
    "cell.xlsx": sheet(TEXT, "x" * 10**8),
}  # fmt: skip
"""Sources that are more than they seem, within what an option could allow."""

REFUSED: dict[str, Maker] = {
    "zeros.csv.gz": unfolding("title,synopsis\n", "\0"),
    "packed-twice.csv.gz": lambda path: path.write_bytes(gzip.compress(gzip.compress(b"a" * 10**8))),
    "deep.json": holding('[{"synopsis": ' + "[" * DEEP + "]" * DEEP + "}]"),
    "deeper.json": holding("[" * DEEP),
    "deep.jsonl": holding('{"synopsis": ' + "[" * DEEP + "]" * DEEP + "}\n"),
    "objects.json": holding('{"data":' * DEEP + "1" + "}" * DEEP),
    "number.json": holding('[{"synopsis": ' + "9" * 10**7 + "}]"),
    "number.jsonl": holding('{"synopsis": ' + "9" * 10**7 + "}\n"),
    "sparse.csv": sparse(),
    "sparse-rows.csv": sparse(f"title,synopsis\na,{TEXT}\n".encode()),
    "sparse.txt": sparse(),
    "sparse.json": sparse(b"["),
    "sparse.parquet": sparse(b"PAR1"),
    "sparse.xlsx": sparse(b"PK\3\4"),
    "sparse.csv.gz": sparse(gzip.compress(b"title,synopsis\n")),
    "device.csv": nothing_but_zeros,
    "device.txt": nothing_but_zeros,
    "device.json": nothing_but_zeros,
    "device.parquet": nothing_but_zeros,
    "device.xlsx": nothing_but_zeros,
    "device.csv.gz": nothing_but_zeros,
    "pipe.csv": os.mkfifo,
    "pipe.json": os.mkfifo,
    "pipe.parquet": os.mkfifo,
    "pipe.xlsx": os.mkfifo,
}  # fmt: skip
"""Sources that are nothing."""

RULES: dict[str, Maker] = {
    "keys.toml": holding(".".join(["a"] * 20_000) + " = 1\n"),
    "more-keys.toml": holding(".".join(["a"] * 100_000) + " = 1\n"),
    "tables.toml": holding("[" + ".".join(["a"] * 50_000) + "]\n"),
    "quoted.toml": holding(".".join(['"a"'] * 20_000) + " = 1\n"),
    "lists.toml": holding("a = " + "[" * DEEP),
    "objects.toml": holding("a = " + "{a = " * DEEP),
    "number.toml": holding("a = " + "9" * 10**6),
    "large.toml": holding("# " + "a" * 10**8),
    "sparse.toml": sparse(),
    "device.toml": nothing_but_zeros,
    "pipe.toml": os.mkfifo,
}
"""Files of rules and experiments."""

PROMPTS: dict[str, Maker] = {
    "line.txt": one_line,
    "sparse.txt": sparse(b"After\n"),
    "deep.jsonl": holding("[" * DEEP),
    "number.jsonl": holding('{"year": ' + "9" * 10**7 + "}\n"),
    "device.txt": nothing_but_zeros,
    "pipe.jsonl": os.mkfifo,
}
"""Files of prompts."""


def stopped(ended: Ended, *named: str) -> str:
    """What is wrong where a bomb was not stopped by a bound that the message names."""
    if ended.memory > MEMORY:
        return f"it took {ended.memory >> 20} MB"
    if ended.seconds > SECONDS:
        return f"it took {ended.seconds:.1f} s"
    if ended.code == 2 and "memory is full" in ended.err:
        return "it was stopped by the end of memory alone"
    return ended.problem(2) or next(
        (f"{name} is not named: {ended.err}" for name in named if name not in ended.err), ""
    )


@pytest.fixture
def burst(zygote: Zygote, tmp_path: Path):
    """Make a file, give it to a verb, and say how that ended."""

    def run(name: str, make: Maker, *verb: str | Path) -> Ended:
        path = tmp_path / name
        make(path)
        given = [path if word == "FILE" else word for word in verb]
        ended = zygote.run(given, cwd=tmp_path, limits={"CPU": SECONDS}, seconds=6 * SECONDS)
        path.unlink()
        return ended

    return run


def test_a_source_that_unfolds_to_too_much_is_stopped_by_a_bound_that_an_option_raises(burst, cases):
    """A source of endless lines, rows, columns, values or cells is stopped by a bound that `--largest` raises."""
    for name in cases(sorted(BOUNDED)):
        cases.saw(name, stopped(burst(name, BOUNDED[name], "prepare", "FILE", "--out", "corpus"), name, "--largest"))


def test_a_source_without_content_is_refused_at_once(burst, cases):
    """A file of nothing but zeros, a device, a pipe that nobody writes into, JSON 100,000 deep are refused."""
    for name in cases(sorted(REFUSED)):
        cases.saw(name, stopped(burst(name, REFUSED[name], "prepare", "FILE", "--out", "corpus"), name))


def test_rules_and_experiments_that_unfold_are_refused(burst, cases, corpus, tmp_path):
    """Rules and experiments with names of 100,000 parts, numbers of a million digits or no end are refused."""
    (tmp_path / "a.csv").write_text(f"title,synopsis\na,{TEXT}\n")
    verbs = {
        "rules": ["prepare", "a.csv", "--rules", "FILE", "--out", "corpus"],
        "experiment": ["train", "FILE", "--corpus", corpus, "--out", "run"],
    }
    for what, name in cases([(what, name) for what in verbs for name in RULES]):
        cases.saw(f"{what} {name}", stopped(burst(name, RULES[name], *verbs[what]), name))


def test_prompts_that_unfold_are_refused(burst, cases, runs):
    """A file of prompts with a line without end, depth without end, or no content is refused."""
    for name in cases(sorted(PROMPTS)):
        verb = ["generate", runs / "ngram", "--prompts-file", "FILE", "--max-length", "2"]
        cases.saw(name, stopped(burst(name, PROMPTS[name], *verb), name))


def test_the_option_that_a_bound_names_raises_it(burst, cases):
    """What a bound stops is read with a higher `--largest`."""
    texts = [" ".join(f"keeper{i} harbour{i} letter{j}{i}" for j in range(9)) for i in range(40)]
    rows = "synopsis,note\n" + "".join(f"{text},\n" for text in texts)
    columns = ",".join(["synopsis", *(f"c{i}" for i in range(1000))])
    sources = {
        "row.csv": holding(f"{rows}{'x ' * 2**20},\n"),
        "columns.csv": holding("\n".join([columns, *(text + "," * 1000 for text in texts)])),
        "rows.csv.gz": unfolding(rows, f"{'x ' * 2**16},\n", size=12 * 2**20, part=2**20),
    }
    for name, make in sources.items():
        low, high = (burst(name, make, "prepare", "FILE", "--out", "out", "--largest", most) for most in ("1", "25"))
        cases.saw(f"{name}, bounded", stopped(low, name, "--largest (now 1)"))
        cases.saw(f"{name}, raised", high.problem(0))
