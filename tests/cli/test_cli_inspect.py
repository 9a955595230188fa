"""`arasuji inspect`: one JSON object, 80 columns, a page where it was asked for, and a verdict on anything readable."""

from __future__ import annotations

import json
import random
import shlex
from pathlib import Path

import pytest
from rich.cells import cell_len

from arasuji import bases
from arasuji.corpus.clean import RULES


@pytest.fixture(autouse=True, scope="module")
def no_pretrained_tokenizer():
    with pytest.MonkeyPatch.context() as patch:  # opening one takes seconds
        patch.setattr(bases, "whereabouts", lambda base: None)
        yield


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def story(n: int) -> str:
    return f"Keeper {n} of the old lamp walks w{n} home x{n} through y{n} the storm z{n} and finds q{n} the open door."


@pytest.fixture
def ill(tmp_path, monkeypatch, starter_texts) -> Path:
    """A collection with every ailment, long words, and letters that are two columns wide."""
    monkeypatch.chdir(tmp_path)
    texts = [text + (" (Source: Harbour Lights Weekly)" if n % 3 else "") for n, text in enumerate(starter_texts[:60])]
    wide = "灯台守の少女は嵐の夜に一通の手紙を見つけ、海の向こうの兄を探す旅に出る。" * 3
    texts += [
        wide,
        wide,
        f"{wide}終",
        *(f"猫{n}は鳴く{'ねこ' * 20}「{'灯台通信株式会社提供番組協力' * 4}」" for n in range(12)),
    ]
    texts += [
        "x" * 300,
        "x" * 300,
        "",
        "TBA",
        "nd so it began",
        "Le gardien du phare trouve une lettre la nuit d’orage.",
    ]
    genres = [
        "日常と学園の物語と海の見える灯台",
        "Psychological Supernatural Thriller Drama",
        "ก" * 50,
        "🙂" * 30,
        "A",
        "B" * 90,
    ]
    rows = [
        {"title": f"{chr(97 + n % 26)}{n}", "text": text, "genres": [genres[n % 6]], "year": 1980 + n % 40}
        for n, text in enumerate(texts)
    ]
    return write(Path("ill.jsonl"), rows).relative_to(".")


def test_json_has_the_promised_keys(arasuji_, ill):
    found = arasuji_("inspect", ill, "--json").json
    assert {"documents", "words", "bytes", "duplicates", "languages", "boilerplate", "leakage", "findings"} <= set(
        found
    )
    assert isinstance(found["verdict"], str)
    assert {"exact", "near", "clusters"} <= set(found["duplicates"])
    assert (found["documents"], found["duplicates"]["exact"], found["duplicates"]["near"] >= 1) == (81, 2, True)
    assert found["bytes"] == sum(len(json.loads(line)["text"].encode()) for line in ill.read_text("utf-8").splitlines())
    assert sum(found["languages"].values()) <= 81
    assert found["languages"]["en"] >= 60
    phrases = [(phrase["text"], phrase["documents"]) for phrase in found["boilerplate"]]
    assert phrases[0] == ("(Source: Harbour Lights Weekly)", 40)
    assert 0 <= found["leakage"] <= 1
    assert all(
        list(finding) == ["what", "documents", "rule", "parameters", "examples"] for finding in found["findings"]
    )
    assert {finding["rule"] for finding in found["findings"]} <= set(RULES)
    assert {"placeholders", "source-notes", "lost-start", "duplicates"} <= {f["rule"] for f in found["findings"]}


def test_json_is_the_same_each_time_and_says_what_prepare_would_make(arasuji_, ill, tmp_path):
    first, again = (arasuji_("inspect", ill, "--seed", 3, "--json") for _ in range(2))
    assert first.out == again.out
    made = arasuji_("prepare", ill, "--out", tmp_path / "corpus", "--seed", 3, "--json").json
    assert (made["hash"], made["rules"]) == (first.json["hash"], first.json["removals"])


def test_no_line_on_the_terminal_is_wider_than_80_columns(arasuji_, ill):
    outcome = arasuji_("inspect", ill)
    assert outcome.code == 0, outcome.err
    assert [line for line in outcome.out.splitlines() if cell_len(line) > 80] == []
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("seed", range(3))
def test_no_line_is_wider_than_80_columns_whatever_the_letters(arasuji_, tmp_path, monkeypatch, seed):
    monkeypatch.chdir(tmp_path)
    chance = random.Random(seed)
    letters = "ab灯台ก🙂é、。「」(): \u0301"
    tails = ["".join(chance.choices(letters, k=chance.randint(5, 120))) for _ in range(3)]
    rows = [
        {
            "text": f"{''.join(chance.choices(letters, k=60))} w{n} {chance.choice(tails)}",
            "genres": chance.choice(tails),
        }
        for n in range(60)
    ]
    outcome = arasuji_("inspect", write(Path("a.jsonl"), rows).relative_to("."))
    assert outcome.code == 0, outcome.err
    assert [line for line in outcome.out.splitlines() if cell_len(line) > 80] == []


def test_the_verdict_comes_first_and_the_next_command_last_and_it_works(arasuji_, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = write(Path("my stories.jsonl"), [{"told here": story(n) + story(-n)} for n in range(40)])
    options = ("--rules", "article", "--text-column", "told here", "--seed", 4)
    said = arasuji_("inspect", source, *options).out
    found = arasuji_("inspect", source, *options, "--json").json
    assert " ".join(said.split()).startswith(found["verdict"])
    words = shlex.split(said.splitlines()[-1])
    assert words[:4] == ["next", "arasuji", "prepare", "my stories.jsonl"]
    assert arasuji_(*words[2:], "--json").json["hash"] == found["hash"]


def test_after_a_corpus_comes_training(arasuji_, corpus):
    assert (
        arasuji_("inspect", corpus)
        .out.splitlines()[-1]
        .startswith(f"next       arasuji train lstm-small --corpus {corpus}")
    )


def test_prepare_keeps_to_80_columns_too(arasuji_, ill):
    said = arasuji_("prepare", ill, "--out", "corpora").out
    assert "灯台守の少女は" in said
    assert [line for line in said.splitlines() if cell_len(line) > 80] == []


def test_a_corpus_folder_can_be_inspected(arasuji_, corpus, prepared):
    found = arasuji_("inspect", corpus, "--json").json
    assert found["hash"] == prepared[1].json["hash"]
    assert found["documents"] == 430
    assert found["rules"] == ""


def test_the_page_is_written_where_it_was_asked_for_and_nothing_else(arasuji_, ill, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    outcome = arasuji_("inspect", ill, "--out", tmp_path / "reports" / "ill.html", "--json")
    assert outcome.json["documents"] == 81
    assert "ill.html" in outcome.err
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    page = after.pop(tmp_path / "reports" / "ill.html").decode()
    assert after == before
    assert page.startswith("<!")
    assert "Harbour Lights Weekly" in page


def test_without_out_nothing_is_written(arasuji_, ill, tmp_path):
    assert arasuji_("inspect", ill).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ill.jsonl"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.csv"], "nowhere.csv: there is no such file"),
        (["texts.jsonl", "--text-column", "txet"], "no column 'txet': did you mean 'text'?"),
        (["texts.jsonl", "--rules", "defualt"], "no rule set 'defualt': did you mean 'default'?"),
        (["broken.jsonl"], "broken.jsonl: line 1: not valid JSON"),
        (["."], "there is no .txt file in this folder"),
        (["texts.jsonl", "--seed", "x"], "--seed"),
        ([], "Missing argument"),
        (["texts.jsonl", "--out", "."], "cannot write"),
        (["texts.jsonl", "--out", "texts.jsonl/page.html"], "cannot write"),
    ],
)
def test_wrong_input_is_one_line(arasuji_, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    write(Path("texts.jsonl"), [{"text": story(n)} for n in range(25)])
    Path("broken.jsonl").write_text("{")
    assert said in arasuji_("inspect", *words).complaint


def test_what_was_decided_about_a_file_is_shown_and_its_options_are_passed_on(arasuji_, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"Lamp {n};{story(n)}\n" for n in range(40)) + "a;b;c\n"
    Path("words.csv").write_text("head;words\n" + rows, "utf-8")
    outcome = arasuji_("inspect", "words.csv", "--text-column", "words", "--skip-bad-rows", "--out", "page.html")
    assert outcome.code == 0, outcome.err
    shown = " ".join(outcome.out.split())
    notes = [
        "words.csv: its cells are parted by semicolons; --delimiter names something else",
        "words.csv: 1 row does not fit and is left out: line 42",
    ]
    assert all(f"note {note}" in shown and note in Path("page.html").read_text("utf-8") for note in notes)
    assert "words.csv --rules default --seed 0 --text-column words --skip-bad-rows --out" in shown
    found = arasuji_("inspect", "words.csv", "--text-column", "words", "--skip-bad-rows", "--json").json
    assert set(notes) < set(found["notes"])
    out = arasuji_("prepare", "words.csv", "--text-column", "words", "--skip-bad-rows", "--out", "made", "--json")
    assert out.json["notes"] == found["notes"]


def test_a_damaged_corpus_is_one_line(arasuji_, tmp_path):
    source = write(tmp_path / "texts.jsonl", [{"text": story(n)} for n in range(25)])
    assert arasuji_("prepare", source, "--out", tmp_path / "corpus").code == 0
    train = tmp_path / "corpus" / "train.jsonl"
    train.write_bytes(train.read_bytes()[:-5])
    assert "is damaged" in arasuji_("inspect", tmp_path / "corpus").complaint


@pytest.mark.parametrize(
    "texts", [[story(n) for n in range(5)], [""] * 30, ["one"], ["🙂"] * 25], ids=["5", "0", "1", "🙂"]
)
def test_what_makes_no_corpus_gets_a_verdict(arasuji_, tmp_path, monkeypatch, texts):
    monkeypatch.chdir(tmp_path)
    source = write(Path("few.jsonl"), [{"text": text} for text in texts])
    outcome = arasuji_("inspect", source, "--out", "few.html")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("No corpus can be made of this: ")
    assert "arasuji prepare" not in outcome.out  # it would be refused
    assert arasuji_("inspect", source, "--json").json["documents"] == len(texts)
    assert Path("few.html").exists()
