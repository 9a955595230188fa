"""Rules that people own: a TOML file, a package of Python; and a line for every text that a rule removed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packages import Outcome, arasuji, install, run

from arasuji.corpus import SPLITS, Corpus, Record, prepare
from arasuji.corpus.clean import RULE_SETS, load_rules
from arasuji.corpus.language import keep_languages
from arasuji.corpus.mend import cut_phrase
from arasuji.corpus.registry import RULES, Rule
from arasuji.corpus.sieve import drop_lost_starts
from arasuji.errors import OptionError, SourceError

CsvFile = Callable[..., Path]

MODULE = '''
from typing import TYPE_CHECKING

from arasuji.corpus.registry import rule

if TYPE_CHECKING:  # a name that is not there at run time must not matter
    from collections.abc import Iterable
    from arasuji.corpus import Record


@rule("shout")
def shout(records: "Iterable[Record]", marks: int = 1):
    """Ends every text in exclamation marks."""
    return (record.text + "!" * marks for record in records)


@rule("shortest-half", compares=True)
def shortest_half(records):
    """Keeps what is not longer than the middle one: it has to see all, and then all again."""
    lengths = sorted(len(record.text) for record in records)
    middle = lengths[len(lengths) // 2]
    assert len(records) == len(lengths) and records[-1].text
    return (record.text if len(record.text) <= middle else None for record in records)


@rule("loose")
def loose(records, anything):
    return (record.text for record in records)


@rule("raises-at-once")
def raises_at_once(records):
    raise ZeroDivisionError("no lamp")


@rule("raises-later")
def raises_later(records):
    for record in records:
        yield record.text
        raise ZeroDivisionError("no lamp")


@rule("raises-at-the-end")
def raises_at_the_end(records):
    yield from (record.text for record in records)
    raise ZeroDivisionError("no lamp")


@rule("too-few")
def too_few(records):
    return [record.text for record in records][:-1]


@rule("too-many")
def too_many(records):
    return [*(record.text for record in records), "one more"]


@rule("a-number")
def a_number(records):
    return (len(record.text) for record in records)


@rule("half-a-letter")
def half_a_letter(records):
    return (record.text + chr(0xD83D) for record in records)


@rule("nothing")
def nothing(records):
    [record.text for record in records]
'''


def package(folder: Path, module: str, name: str = "my_rules") -> Path:
    """A folder of installed packages with one in it, whose entry point is its only module."""
    return install(folder / "site", name, {name: module}, f"[arasuji.rules]\nmine = {name}\n")


def toml(folder: Path, *steps: str) -> Path:
    path = folder / "my.toml"
    path.write_text("".join(f"[[rule]]\nname = {step}\n" for step in steps), "utf-8")
    return path


MANY = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
import arasuji.cli
for words in json.loads(sys.argv[1]):
    out, err, sys.argv = io.StringIO(), io.StringIO(), ["arasuji", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            arasuji.cli.main()
    except SystemExit as end:
        print(json.dumps([end.code or 0, out.getvalue(), err.getvalue()]))
"""


def many(site: Path, *commands: list[object]) -> list[Outcome]:
    """What `arasuji` does for one command after another, in one process."""
    done = run("-c", MANY, json.dumps([[str(word) for word in command] for command in commands]), site=site)
    outcomes = [Outcome(*json.loads(line)) for line in done.out.splitlines()]
    assert len(outcomes) == len(commands), done.err
    return outcomes


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(tmp_path_factory.mktemp("mine"), MODULE)


def test_a_rule_file_of_ones_own_is_applied_in_its_order(tmp_path: Path, csv_file: CsvFile) -> None:
    rules = toml(tmp_path, "'cut'\nphrase = 'lamp'", "'phrase'\nphrase = 'lamp'", "'phrase'\nphrase = 'robot'")
    done = arasuji("prepare", csv_file(120), "--out", tmp_path / "corpus", "--rules", rules, "--json")
    assert done.code == 0, done.err
    counts = json.loads(done.out)["rules"]
    assert [count["rule"] for count in counts] == ["all", "cut", "phrase: lamp", "phrase: robot"]
    corpus = Corpus.load(tmp_path / "corpus")
    texts = [record.text for name in SPLITS for record in corpus.split(name)]
    assert [count["removed"] > 0 for count in counts] == [False, False, False, True]
    assert len(texts) == counts[-1]["left"] == 120 - counts[-1]["removed"]
    assert not any(word in text for text in texts for word in ("lamp", "robot"))


def test_a_rule_of_an_installed_package_is_a_rule_like_any_other(tmp_path: Path, csv_file: CsvFile, site: Path) -> None:
    rules = toml(tmp_path, "'shortest-half'", "'shout'\nmarks = 3", "'loose'\nanything = [1, 2]")
    done = arasuji("prepare", csv_file(60), "--out", tmp_path / "corpus", "--rules", rules, "--json", site=site)
    assert done.code == 0, done.err
    by_rule = {count["rule"]: count for count in json.loads(done.out)["rules"]}
    assert 0 < by_rule["shortest-half"]["removed"] < 31
    assert by_rule["shout"]["changed"] == by_rule["shout"]["left"] == 60 - by_rule["shortest-half"]["removed"]
    corpus = Corpus.load(tmp_path / "corpus")
    assert all(record.text.endswith(".!!!") for name in SPLITS for record in corpus.split(name))


def test_a_package_changes_nothing_for_those_who_do_not_use_its_rules(
    tmp_path: Path, csv_file: CsvFile, site: Path
) -> None:
    done = arasuji("prepare", csv_file(), "--out", tmp_path / "corpus", "--json", site=site)
    assert json.loads(done.out)["hash"] == prepare([csv_file()], tmp_path / "without").hash


WRONG = {
    "raises-at-once": "failed: ZeroDivisionError: no lamp",
    "raises-later": "failed at record 1: ZeroDivisionError: no lamp",
    "raises-at-the-end": "failed: ZeroDivisionError: no lamp",
    "too-few": "gave no answer for record 39",
    "too-many": "gave more answers than there are records",
    "a-number": "for record 0: a text or None is wanted",
    "half-a-letter": r"\ud83d' for record 0",
    "nothing": "failed: TypeError",
}


def test_a_rule_that_goes_wrong_is_named_in_one_line_and_leaves_nothing(
    tmp_path: Path, csv_file: CsvFile, site: Path
) -> None:
    explain = tmp_path / "removed.jsonl"
    explain.write_text("an older one")
    for rule in WRONG:
        (tmp_path / f"{rule}.toml").write_text(f"[[rule]]\nname = '{rule}'\n")
    source, out = csv_file(), tmp_path / "corpus"
    before = sorted(tmp_path.iterdir())
    commands = (
        ["prepare", source, "--out", out, "--explain", explain, "--rules", tmp_path / f"{rule}.toml"] for rule in WRONG
    )
    for outcome, (rule, why) in zip(many(site, *commands), WRONG.items(), strict=True):
        assert f"rule '{rule}'" in outcome.complaint
        assert why in outcome.complaint
    assert sorted(tmp_path.iterdir()) == before
    assert explain.read_text() == "an older one"


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (
            "import no_such_module_anywhere",
            "the package 'my_rules' cannot be loaded: 'my_rules', its entry point in arasuji.rules, fails with Module",
        ),
        ("def broken(:\n    pass", "fails with SyntaxError: invalid syntax"),
        (
            MODULE.replace('"shout"', '"words"'),
            "the package 'my_rules': two rules are called 'words': in arasuji.corpus.sieve and my_rules",
        ),
    ],
    ids=["an import that fails", "no Python", "a name that is taken"],
)
def test_a_package_that_cannot_be_loaded_is_named_in_one_line(
    tmp_path: Path, csv_file: CsvFile, module: str, named: str
) -> None:
    site = package(tmp_path, module)
    assert named in arasuji("prepare", csv_file(), "--out", tmp_path / "corpus", site=site).complaint
    assert not (tmp_path / "corpus").exists()


def test_a_parameter_of_an_own_rule_is_checked_like_any_other(tmp_path: Path, csv_file: CsvFile, site: Path) -> None:
    steps = {
        "'shout'\nmark = 3": "rule 'shout' has no parameter 'mark': did you mean 'marks'?",
        "'loose'": "rule 'loose' needs a parameter 'anything'",
        "'shuot'": "no rule 'shuot': did you mean 'shout'?",
    }
    commands = []
    for number, step in enumerate(steps):
        (tmp_path / str(number)).mkdir()
        rules = toml(tmp_path / str(number), step)
        commands.append(["prepare", csv_file(), "--out", tmp_path / "corpus", "--rules", rules])
    for outcome, said in zip(many(site, *commands), steps.values(), strict=True):
        assert said in outcome.complaint


def test_a_rule_that_compares_gets_what_it_can_read_twice(
    tmp_path: Path, csv_file: CsvFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def twice(records):
        seen.extend([record.id for record in records] for _ in range(2))
        assert records[len(records) - 1].id == seen[0][-1]
        return [record.text for record in records]

    monkeypatch.setitem(RULES, "twice", Rule("twice", twice, quotable=True, compares=True))
    prepare([csv_file()], tmp_path / "corpus", str(toml(tmp_path, "'twice'")))
    assert seen == [[str(n) for n in range(40)]] * 2


def test_language_keeps_what_it_knows_and_what_is_too_short_to_tell() -> None:
    texts = [
        "The keeper of the lighthouse finds a letter on the night of the great storm and leaves to find her brother.",
        "Le gardien du phare trouve une lettre la nuit de la grande tempête et part à la recherche de son frère.",
        "灯台守の少女は嵐の夜に一通の手紙を見つけ、海の向こうの兄を探す旅に出る。",
        "Lamp",
    ]
    records = [Record(str(n), text) for n, text in enumerate(texts)]
    assert list(keep_languages(records, keep=["en"])) == [texts[0], None, None, "Lamp"]
    assert list(keep_languages(records, keep=["fr", "ja"])) == [None, *texts[1:]]


def test_cut_takes_a_phrase_out_in_any_case_and_across_line_ends() -> None:
    texts = ["Told.  CLICK\nhere NOW ", "click here now Told. Click  Here Now", "click here", ""]
    records = [Record(str(n), text) for n, text in enumerate(texts)]
    assert list(cut_phrase(records, phrase=" click here  now")) == ["Told.", "Told.", "click here", ""]
    assert list(cut_phrase([Record("0", "1+1 (one)")], phrase="1+1 (")) == ["one)"]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=st.text(max_size=30), phrase=st.text(max_size=8))
def test_cut_never_adds_a_letter_and_never_fails(text: str, phrase: str) -> None:
    (cut,) = cut_phrase([Record("0", text)], phrase=phrase)
    assert cut is not None
    assert not Counter(cut) - Counter(text)


def test_lost_start_is_a_small_letter_behind_whatever_quotes() -> None:
    lost = ["and then she left.", "“and then", " 'ère", "émile"]
    whole = ["And then", "“And", "86 ways", "灯台守の少女", "…and then", "", "iPhone".upper(), "(and", "Ère"]
    records = [Record(str(n), text) for n, text in enumerate(lost + whole)]
    assert list(drop_lost_starts(records)) == [None] * len(lost) + whole


STORY = "Keeper {n} of the old lamp walks w{n} home x{n} through y{n} the storm z{n} and finds q{n} the door r{n} open."
PLANTED = {
    "genres": [{"genres": "Hentai, Action", "synopsis": STORY.format(n=900)}],
    "placeholders": [{"synopsis": ""}, {"synopsis": " TBA. "}, {"synopsis": "No synopsis yet."}],
    "words": [{"synopsis": "Far too short."}],
    "duplicates": [{"synopsis": STORY.format(n=1).upper()}],
    "near-duplicates": [{"synopsis": "A storm. " + STORY.format(n=2)}],
    "language": [
        {"synopsis": "Le gardien du phare trouve une lettre la nuit de la tempête et part chercher son frère."}
    ],
    "lost-start": [
        {"synopsis": "nd so keeper 901 of the old lamp w901 walks x901 home y901 again z901 at night q901."}
    ],
    "phrase: music video": [{"synopsis": "Music video about " + STORY.format(n=902)}],
}


@pytest.fixture
def planted(tmp_path: Path, csv_file: CsvFile) -> Path:
    """Good stories, and one or more texts for every rule that removes."""
    rows = [
        {"id": str(n), "title": f"{chr(97 + n)}zu", "genres": "Action", "synopsis": STORY.format(n=n)}
        for n in range(26)
    ]
    for place, row in enumerate(row for bad in PLANTED.values() for row in bad):
        rows.append({"id": f"bad{place}", "title": f"Böse {place}", "genres": "", **row})
    return csv_file(rows=rows)


def test_explain_writes_every_removed_text_with_the_rule_that_removed_it(tmp_path: Path, planted: Path) -> None:
    rules = tmp_path / "my.toml"
    more = "[[rule]]\nname = 'language'\nkeep = ['en']\n[[rule]]\nname = 'lost-start'\n"
    more += "[[rule]]\nname = 'phrase'\nphrase = 'music video'\n[[rule]]\nname = 'phrase'\nphrase = 'unheard of'\n"
    rules.write_text((RULE_SETS / "default.toml").read_text("utf-8") + more, "utf-8")
    words = ("--rules", rules, "--explain", tmp_path / "why" / "removed.jsonl", "--json")
    done = arasuji("prepare", planted, "--out", tmp_path / "corpus", *words)
    assert done.code == 0, done.err
    lines = (tmp_path / "why" / "removed.jsonl").read_text("utf-8").splitlines()
    removed = [json.loads(line) for line in lines]
    assert all(list(row) == ["rule", "id", "title", "text"] for row in removed)
    counted = {count["rule"]: count["removed"] for count in json.loads(done.out)["rules"] if count["removed"]}
    assert Counter(row["rule"] for row in removed) == counted
    assert set(counted) == set(PLANTED)
    assert counted["placeholders"] == 3
    for row in removed:
        if row["rule"] in ("near-duplicates", "duplicates"):
            assert row["id"] in ("1", "2", *(f"bad{n}" for n in range(9)))
        else:
            assert row["title"] == f"Böse {row['id'].removeprefix('bad')}"
    assert any(row["text"] == PLANTED["lost-start"][0]["synopsis"] for row in removed)
    left = sum(json.loads(done.out)["documents"].values())
    assert left + len(removed) == 26 + sum(map(len, PLANTED.values()))


def test_explain_writes_nothing_where_no_corpus_comes_of_it(tmp_path: Path, csv_file: CsvFile) -> None:
    explain = tmp_path / "removed.jsonl"
    done = arasuji("prepare", csv_file(19), "--out", tmp_path / "corpus", "--explain", explain)
    assert "19 of 19 documents are left" in done.complaint
    assert [path.name for path in tmp_path.iterdir()] == ["stories.csv"]


def test_kept_columns_travel_with_each_text_and_numbers_stay_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {
            "title": f"{chr(97 + n)}zu",
            "text": STORY.format(n=n),
            "Score": 7.5 + n,
            "votes": n,
            "studio": None,
            "type": 7,
        }
        for n in range(25)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    corpus = prepare([path], tmp_path / "corpus", keep=["score", "votes", "studio"])
    for name in SPLITS:
        for record in corpus.split(name):
            n = ord(record.metadata["title"][0]) - 97
            expected = {"title": f"{chr(97 + n)}zu", "Score": 7.5 + n, "votes": n, "studio": "", "type": "7"}
            assert record.metadata == expected
            assert isinstance(record.metadata["votes"], int)
    assert prepare([path], tmp_path / "without").hash != corpus.hash


def test_keep_may_be_said_several_times_and_an_unknown_column_is_one_line(tmp_path: Path, csv_file: CsvFile) -> None:
    rows = [
        {"title": f"{chr(97 + n)}zu", "synopsis": STORY.format(n=n), "score": str(n), "studio": f"Haus {n}"}
        for n in range(25)
    ]
    source = csv_file(rows=rows)
    done = arasuji("prepare", source, "--out", tmp_path / "corpus", "--keep", "score", "--keep", "STUDIO")
    assert done.code == 0, done.err
    metadata = Corpus.load(tmp_path / "corpus").train[0].metadata
    assert (int(metadata["score"]), metadata["studio"]) == (ord(metadata["title"][0]) - 97, f"Haus {metadata['score']}")
    with pytest.raises(SourceError, match=r"stories\.csv: no column 'scor': did you mean 'score'\?") as caught:
        prepare([source], tmp_path / "corpus", keep=["scor"])
    assert "\n" not in str(caught.value)


def test_a_kept_column_does_not_take_the_place_of_what_the_rules_read(tmp_path: Path, csv_file: CsvFile) -> None:
    rows = [
        {
            "title": f" {chr(97 + n)}zu",
            "synopsis": STORY.format(n=n),
            "genres": "Action, Drama",
            "year": f"May {1990 + n}",
        }
        for n in range(26)
    ]
    rows[0]["genres"] = "Drama, Hentai"
    rows[1]["year"] = "soon"
    corpus = prepare([csv_file(rows=rows)], tmp_path / "corpus", keep=["genres", "year", "title"])
    records = [record for name in SPLITS for record in corpus.split(name)]
    assert len(records) == 25
    assert all(record.metadata["genres"] == ["Action", "Drama"] for record in records)
    assert sorted(record.metadata.get("year", 0) for record in records) == [0, *range(1992, 2016)]
    assert all(record.metadata["title"].endswith("zu") and len(record.metadata["title"]) == 3 for record in records)


def test_a_column_whose_name_is_half_a_letter_is_a_genre_that_utf8_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": STORY.format(n=n), "\ud800": 1, "Drama": n % 2} for n in range(25)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = prepare([path], tmp_path / "corpus")
    assert {genre for record in corpus.train for genre in record.metadata["genres"]} == {"?", "Drama"}


def test_a_shipped_rule_set_is_never_shadowed_by_a_file_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("default").write_text("[[rule]]\nname = 'html'\n")
    assert len(load_rules("default").steps) > 1
    assert len(load_rules("./default").steps) == 1
    with pytest.raises(OptionError, match="no rule set 'defualt': did you mean 'default'"):
        load_rules("defualt")
