"""A model can be told some fields of a text, all of them or none; what it cannot be told is refused in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arasuji import api
from arasuji.config import DocumentConfig, checked
from arasuji.corpus import Corpus, Record
from arasuji.documents import read_as, values_of
from arasuji.errors import OptionError
from arasuji.runs import told
from arasuji.training.work import Work

FORMAT = "{title} | {genres} | {year}\n"
KNOWN = {"title": {}, "genres": {"Comedy": 9, "Drama": 5, "Slice of Life": 2}, "year": {"1999": 3, "2001": 2}}


def with_fields_left_out(some, format, left_out, all_left_out, seed):
    options = {"format": format, "left_out": left_out, "all_left_out": all_left_out}
    return read_as(some, checked(DocumentConfig, options, "document"), seed)


def records(count: int) -> list[Record]:
    fields = {"title": "The Keeper", "genres": ["Drama", "Sea"], "year": 1999, "studio": "Lamp"}
    return [Record(str(i), f"Text {i}.", metadata=fields) for i in range(count)]


def test_fields_are_left_out_as_often_as_is_said_each_alone_and_all_together():
    found = [set(r.metadata) - {"studio"} for r in with_fields_left_out(records(20_000), FORMAT, 0.3, 0.2, seed=0)]
    for name in ("title", "genres", "year"):
        assert sum(name in fields for fields in found) / 20_000 == pytest.approx(0.8 * 0.7, abs=0.02)
    assert sum(not fields for fields in found) / 20_000 == pytest.approx(0.2 + 0.8 * 0.3**3, abs=0.02)
    assert sum(len(fields) == 3 for fields in found) / 20_000 == pytest.approx(0.8 * 0.7**3, abs=0.02)


@given(st.integers(0, 2**64), st.floats(0, 1), st.floats(0, 1))
def test_one_seed_leaves_out_the_same_fields_and_changes_no_text(seed, one, all):
    first = list(with_fields_left_out(records(20), FORMAT, one, all, seed))
    assert first == list(with_fields_left_out(records(20), FORMAT, one, all, seed))
    assert [replace(r, metadata={}) for r in first] == [replace(r, metadata={}) for r in records(20)]
    assert all_of(first, {"title": "The Keeper", "genres": ["Drama", "Sea"], "year": 1999, "studio": "Lamp"})


def all_of(some: list[Record], fields: dict) -> bool:
    return all(record.metadata.items() <= fields.items() for record in some)


def test_a_field_with_a_few_values_has_them_with_the_number_of_texts_and_a_title_has_none():
    some = [replace(r, metadata={**r.metadata, "title": f"Title {i}"}) for i, r in enumerate(records(40))]
    some[0].metadata["genres"] = ["Drama", "Drama"]
    assert values_of(some, FORMAT) == {"title": {}, "genres": {"Drama": 40, "Sea": 39}, "year": {"1999": 40}}


def test_every_epoch_has_other_fields_and_the_same_epoch_the_same(bpe, corpus):
    chosen = api.experiment("lstm-control", ["embedding=16", "hidden=16", "batch_size=4"])
    work = Work.build(chosen, Corpus.load(corpus), bpe, None)
    tokens, batches = [], []
    for epoch in (0, 1, 2, 0):
        batches.append([batch.ids.tolist() for batch in work.batches_of(epoch)])
        tokens.append(work.documents.tokens.tolist())
    assert (tokens[0], batches[0]) == (tokens[3], batches[3])
    assert tokens[0] != tokens[1] != tokens[2] != tokens[0]
    predicted = [[token for token in some if token >= 0] for some in tokens]
    assert predicted[0] == predicted[1] == predicted[2]  # the same texts, in the same order


def test_another_seed_leaves_out_other_fields():
    first, other = (list(with_fields_left_out(records(50), FORMAT, 0.3, 0.2, seed)) for seed in (0, 1))
    assert first != other


def test_a_teacher_that_reads_each_text_once_is_refused_fields_that_change(corpus, tmp_path):
    settings = ["teaching.teacher=smollm2-135m", "teaching.embeddings=false"]
    with pytest.raises(OptionError, match=r"document\.left_out=0"):
        api.train("lstm-control", corpus, tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()


def test_values_are_spelled_as_the_training_texts_spell_them():
    fields = {"title": "  Any Title ", "genres": ["comedy", "SLICE OF LIFE"], "year": 1999}
    assert told("run", KNOWN, fields) == {
        "title": "Any Title", "genres": ["Comedy", "Slice of Life"], "year": "1999"
    }  # fmt: skip
    assert told("run", KNOWN, {"genres": ["Noir"]}, any_genre=True) == {"genres": ["Noir"]}
    assert told("run", {}, {}) == {}
    assert told("run", KNOWN, {"title": None, "genres": ("Drama",)}) == {"genres": ["Drama"]}
    assert told("run", {"genres": {"Sci-Fi": 9, "sci-fi": 1}}, {"genres": ["Sci-Fi"]}) == {"genres": ["Sci-Fi"]}
    assert told("run", {"genres": {"Sci-Fi": 9, "sci-fi": 1}}, {"genres": ["SCI-FI"]}) == {"genres": ["Sci-Fi"]}


@pytest.mark.parametrize(
    ("known", "fields", "said"),
    [
        ({}, {"title": "A"}, "run was trained without fields"),
        (KNOWN, {"titel": "A"}, "run cannot be told 'titel'; did you mean 'title'?"),
        (KNOWN, {"title": " "}, "title is empty"),
        (KNOWN, {"genres": ["Drama", "drama"]}, "the genre 'Drama' is given twice"),
        (KNOWN, {"genres": ["Commedy"]}, r"no training text has the genre 'Commedy'; did you mean Comedy\?"),
        (KNOWN, {"genres": "Comedy, drama"}, "for several, say each genre apart"),
        (KNOWN, {"genres": ["Xyzzy"]}, "'Xyzzy'; known are Comedy, Drama, Slice of Life"),
        (KNOWN, {"title": {"a": 1}}, "title is a text or a number"),
        (KNOWN, {"year": 2000}, "no training text has the year '2000'; known are 1999, 2001"),
    ],
)
def test_what_a_run_cannot_be_told_is_refused_in_one_line(known, fields, said):
    with pytest.raises(OptionError, match=said) as refused:
        told("run", known, fields)
    assert "\n" not in str(refused.value)
