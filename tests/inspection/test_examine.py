"""The whole examination: of a good collection, of a corpus folder, and of what can hardly be called either."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus import Corpus, prepare
from arasuji.corpus.clean import RULES
from arasuji.errors import OptionError, SourceError
from arasuji.inspection import Inspection
from arasuji.inspection.examine import examine

Jsonl = Callable[..., Path]


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "starter.jsonl"
    path.write_bytes((resources.files("arasuji.data") / "starter.jsonl").read_bytes())
    return path


@pytest.fixture(scope="module")
def examined(starter: Path, no_pretrained_tokenizer: None) -> Inspection:
    return examine([starter])


def story(n: int) -> str:
    return f"Keeper {n} of the old lamp walks w{n} home x{n} through y{n} the storm z{n} and finds q{n} the open door."


def checked(found: Inspection) -> Inspection:
    """What holds for every inspection."""
    for stage in (found.found, found.prepared):
        assert sum(count for _, count in stage.lengths) == stage.documents
        assert sum(stage.languages.values()) <= stage.documents
        assert 0 <= stage.empty <= stage.documents
    assert found.prepared.documents <= found.found.documents
    assert found.duplicates.exact >= 0
    assert found.duplicates.near >= 0
    assert 0 <= found.leakage <= 1
    assert 0 <= found.vocabulary.unknown_rate <= 1
    assert all(0 < finding.documents <= found.found.documents for finding in found.findings)
    assert all(finding.rule in {"", *RULES} for finding in found.findings)
    assert found.verdict
    assert all(sentence for sentence in found.verdict)
    json.dumps(found.to_json(), ensure_ascii=False, allow_nan=False).encode()
    return found


def test_the_starter_corpus_is_well(examined: Inspection) -> None:
    found = checked(examined)
    assert (found.found.documents, found.prepared.documents) == (430, 430)
    assert found.found.words > 430 * 20
    assert found.duplicates.exact == found.duplicates.near == found.found.empty == 0
    assert found.boilerplate == []
    assert found.leakage == 0
    assert set(found.found.languages) <= {"en", "?"}
    assert found.found.genres
    assert found.found.years
    assert [removal["rule"] for removal in found.removals][:2] == ["all", "genres"]
    assert {row.tokenizer for row in found.tokenizers} == {"bpe", "word"}


def test_a_corpus_folder_is_examined_as_it_is(starter: Path, examined: Inspection, tmp_path: Path) -> None:
    corpus = prepare([starter], tmp_path / "corpus")
    found = checked(examine([tmp_path / "corpus"]))
    assert found.rules == ""
    assert found.found == found.prepared
    assert (found.hash, found.vocabulary, found.leakage) == (corpus.hash, examined.vocabulary, examined.leakage)
    assert Corpus.load(tmp_path / "corpus") == corpus
    assert found.found.words == examined.prepared.words


def test_the_seed_and_the_rules_are_those_of_prepare(jsonl: Jsonl, tmp_path: Path) -> None:
    source = jsonl([f"{story(n)} {story(-n)}" for n in range(40)])
    found = checked(examine([source], rules="article", seed=3))
    assert (
        found.hash
        == prepare([source], tmp_path / "corpus", "article", 3).hash
        != prepare([source], tmp_path / "a").hash
    )
    assert found.rules == "article"


def test_several_sources_are_one_collection(jsonl: Jsonl) -> None:
    one, two = jsonl([story(n) for n in range(30)], "a.jsonl"), jsonl([story(n) for n in range(20, 50)], "b.jsonl")
    found = checked(examine([one, two]))
    assert (found.found.documents, found.duplicates.exact, found.prepared.documents) == (60, 10, 50)
    assert found.sources == [str(one), str(two)]


def test_five_texts_are_examined_and_the_verdict_says_what_is_missing(jsonl: Jsonl) -> None:
    found = checked(examine([jsonl([story(n) for n in range(4)] + [f"{story(1)} (Source: Pier)"])]))
    assert found.found.documents == 5
    assert found.duplicates.near == 1
    assert ("source-notes", 1) in {(finding.rule, finding.documents) for finding in found.findings}
    assert found.prepared.documents == 0
    assert (found.hash, found.outlook, found.tokenizers) == ("", [], [])
    assert len(found.verdict) == 1
    assert found.verdict[0].startswith("No corpus can be made of this: 4 of 5 documents are left")


def test_a_file_without_a_single_text_is_a_verdict(jsonl: Jsonl) -> None:
    found = checked(examine([jsonl([{"title": f"Lamp {n}", "text": ""} for n in range(30)])]))
    assert (found.found.documents, found.found.empty, found.found.words) == (30, 30, 0)
    assert [(finding.rule, finding.documents) for finding in found.findings] == [("placeholders", 30)]
    assert "No corpus can be made of this: all 30 documents are gone" in found.verdict[0]


def test_what_the_rules_leave_standing_is_found_and_what_they_mend_is_not(
    jsonl: Jsonl, starter_texts: list[str]
) -> None:
    begins, ends = ["", "", "Short film. ", ""], [" (Source: Harbour Weekly)", " Read the Lantern Gazette.", "", ""]
    texts = [begins[n % 4] + text + ends[n % 4] for n, text in enumerate(starter_texts[:200])]
    found = checked(examine([jsonl(texts)]))
    assert {(phrase.text, phrase.documents, phrase.opens) for phrase in found.boilerplate} == {
        ("(Source: Harbour Weekly)", 50, False),
        ("Lantern Gazette.", 50, False),
        ("Short film.", 50, True),
    }
    left = {finding.rule: finding for finding in found.findings if "share the words" in finding.what}
    assert {rule: finding.what for rule, finding in left.items()} == {
        "cut": "share the words “Lantern Gazette.”",
        "phrase": "share the words “Short film.”",  # a kind of text, and not a note that could be cut out
    }
    assert [finding.documents for finding in left.values()] == [50, 50]
    assert "share the words" in " ".join(found.verdict)


def test_progress_is_told_by_what_is_done(jsonl: Jsonl) -> None:
    told: list[tuple[str, int, int]] = []
    examine([jsonl([story(n) for n in range(30)])], progress=lambda *step: told.append(step))
    assert {"reading texts.jsonl", "splitting", "measuring"} <= {what for what, _, _ in told}
    assert all(0 <= done <= total for _, done, total in told)


def test_nothing_is_left_on_the_disk(jsonl: Jsonl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = jsonl([story(n) for n in range(30)])
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    examine([source])
    assert list((tmp_path / "tmp").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.name != "tmp"] == ["texts.jsonl"]


def test_what_prepare_refuses_is_refused_but_for_too_few_texts(jsonl: Jsonl, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no such file"):
        examine([tmp_path / "nowhere.csv"])
    with pytest.raises(SourceError, match=r"no \.txt file"):
        examine([tmp_path])
    with pytest.raises(OptionError, match="no rule set 'defualt'"):
        examine([jsonl([story(1)])], rules="defualt")
    with pytest.raises(SourceError, match="no column 'txet': did you mean 'text'"):
        examine([jsonl([story(1)])], text_column="txet")


words = st.sampled_from(
    ["lamp", "storm", "(Source: X)", "<b>", "灯台守", "ทะเล", "🙂", "&amp;", "\u2028", "…", "N/A", "Ã©"]
)
weird = st.lists(words | st.text(max_size=6), max_size=25).map(" ".join)
row = st.fixed_dictionaries(
    {"text": weird | st.none() | st.integers()},
    optional={
        "title": weird,
        "genres": st.none() | st.lists(st.sampled_from(["Action", "Hentai", "🙂"]), max_size=2) | weird,
        "year": st.none() | st.integers() | weird,
        "type": weird,
    },
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(table=st.lists(row, min_size=1, max_size=40), copies=st.integers(1, 3))
def test_the_weirdest_table_gets_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, table: list[dict[str, Any]], copies: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "weird.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in table * copies))
    found = checked(examine([path]))
    assert found.found.documents == len(table) * copies
