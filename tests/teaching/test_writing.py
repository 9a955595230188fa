"""What a teacher writes is its own, whole, and no copy."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from arasuji import api
from arasuji.corpus import Corpus, Record
from arasuji.errors import RunError
from arasuji.teaching import writing

LONGEST = 50


@pytest.fixture(scope="module")
def opened(teacher):
    return api.load(teacher)


@pytest.fixture(scope="module")
def train(corpus):
    return Corpus.load(corpus).train


def written(opened, train, path, texts=20, minutes=5.0):
    list(writing.write(opened, train, LONGEST, texts, minutes, path))
    return writing.read_back(path, texts, minutes)


def test_text_number_n_is_what_the_teacher_writes_with_the_seed_n_and_nothing_left_out(opened, train, tmp_path):
    lines = written(opened, train, tmp_path / "texts.jsonl")
    whole = opened.sampling.model_validate({"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_length": LONGEST})
    samples = list(api.generate(opened, "", 20, 0, whole, wishes=api.Wishes(mended=False)))
    assert [line.text for line in lines] == [sample.text if sample.finished else "" for sample in samples]
    assert [line.dropped == "no end" for line in lines] == [not sample.finished for sample in samples]
    assert 0 < sum(sample.finished for sample in samples) < 20


def test_a_copy_of_a_training_text_is_dropped(opened, train, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "COPY_WORDS", 4)
    free = written(opened, train, tmp_path / "free.jsonl")
    text = next(line.text for line in free if len(line.text.split()) >= 6)
    known = [*train[:5], Record("", f"Before it, {text} And more.")]
    lines = written(opened, known, tmp_path / "texts.jsonl")
    assert [line.dropped for line in lines if line.dropped == "copy" or line.text == text] == ["copy"]


def test_each_text_has_the_fields_of_a_training_text_where_the_teacher_reads_them(opened, train, tmp_path):
    told = written(opened, train, tmp_path / "plain.jsonl", 3)
    assert [line.metadata for line in told] == [{}] * 3
    opened.format = "{title} | "
    try:
        told = written(opened, train, tmp_path / "told.jsonl", 3)
    finally:
        opened.format = ""
    assert [line.metadata for line in told] == [train[i].metadata for i in range(3)]


def test_fields_that_leave_no_room_are_passed_over_and_the_texts_after_them_are_the_same(opened, train, tmp_path):
    records = [replace(record, metadata={"title": "One"}) for record in train[:4]]
    opened.format = "{title} | "
    try:
        told = written(opened, records, tmp_path / "told.jsonl", 6)
        records[1] = replace(records[1], metadata={"title": "word " * opened.model.context_length})
        again = written(opened, records, tmp_path / "again.jsonl", 6)
    finally:
        opened.format = ""
    assert [line.dropped == "no room" for line in again] == [False, True, False, False, False, True]
    assert [again[i].text for i in (0, 2, 3, 4)] == [told[i].text for i in (0, 2, 3, 4)]


def test_fewer_texts_or_minutes_than_are_kept_are_the_first_of_them(opened, train, tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = written(opened, train, path, 12)
    assert writing.read_back(path, 5, 5.0) == lines[:5]
    assert writing.read_back(path, 0, 5.0) == lines
    assert writing.read_back(path, 0, 0) == []
    path.write_text("".join(f'{{"text": "{n}", "seconds": {20 * n}}}\n' for n in range(12)))
    assert [line.text for line in writing.read_back(path, 0, 1.0)] == ["0", "1", "2", "3"]


def test_time_that_was_used_up_is_used_up_for_good(opened, train, tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = written(opened, train, path, texts=0, minutes=0.001)
    assert lines
    assert writing.is_done(path, 0, 0.001)
    assert written(opened, train, path, texts=0, minutes=0.001) == lines
    assert not writing.is_done(path, 0, 5.0)


def test_what_a_kill_left_is_continued_and_what_is_damaged_is_refused(opened, train, tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = written(opened, train, path, 12)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    again = written(opened, train, path, 12)
    assert [(line.text, line.dropped) for line in again] == [(line.text, line.dropped) for line in lines]
    path.write_text(json.dumps({"text": 3}) + "\n")
    with pytest.raises(RunError, match="writes again"):
        writing.is_done(path, 12, 5.0)
