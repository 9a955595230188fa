"""What is kept of a teacher's expectations: of every token once, the same however it was interrupted."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from conftest import small_model

from arasuji.corpus import Record
from arasuji.documents import documents_of
from arasuji.errors import RunError
from arasuji.teaching import reading
from arasuji.training.documents import Documents

COUNT = 16


@pytest.fixture
def texts(bpe, starter_texts):
    records = [Record("", text, metadata={"title": "One"}) for text in starter_texts[:7]]
    return Documents(documents_of(records, bpe, "{title} | "), bpe.end_id)


@pytest.fixture
def base_ids(bpe):
    """The student's ids are the teacher's in reverse order, and the teacher knows nothing of three of them."""
    found = np.arange(bpe.vocabulary_size)[::-1].copy()
    found[[5, 50, 300]] = -1
    return found


@pytest.fixture
def teacher(bpe):
    """Its context is shorter than the documents."""
    return small_model("transformer", bpe).eval()


def test_the_draws_are_those_of_the_teacher_for_the_same_tokens(bpe, texts, base_ids, teacher, tmp_path):
    *_, read = reading.read(teacher, base_ids, texts, COUNT, tmp_path / "draws")
    assert read == len(texts)
    found = reading.draws_in(tmp_path / "draws", texts, COUNT, base_ids)
    start = int(texts.starts[2]) - 1
    ids, targets = texts.read(2, 40)
    with torch.no_grad():
        asked = torch.from_numpy(base_ids[ids].clip(min=0))[None]
        last = [teacher.step(asked[:, :n], torch.tensor([n]))[0][0] for n in range(1, 41)]
    likely = torch.stack(last)[:, base_ids.clip(min=0)]
    likely[:, base_ids < 0] = -torch.inf
    for place, expected in enumerate(likely.softmax(-1).numpy()):
        counts = np.bincount(found[start + place], minlength=bpe.vocabulary_size)
        if targets[place] >= 0:
            assert (abs(counts - COUNT * expected) < 1.01).all()
        else:
            assert not found[start + place].any()


def test_a_document_beyond_the_context_is_read_to_its_end(texts, base_ids, teacher, tmp_path):
    assert max(texts.lengths) > teacher.context_length
    list(reading.read(teacher, base_ids, texts, COUNT, tmp_path / "draws"))
    found = reading.draws_in(tmp_path / "draws", texts, COUNT, base_ids)
    assert (found.any(1) == (texts.tokens[1:] >= 0)).all()


@pytest.mark.parametrize("cut", [0, 1, 30_001])
def test_a_file_that_was_cut_off_is_continued_to_the_same_bytes(cut, texts, base_ids, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "AT_ONCE", 2)
    list(reading.read(teacher, base_ids, texts, COUNT, tmp_path / "whole"))
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "draws").write_bytes(whole[:cut])
    shutil.copyfile(tmp_path / "whole.sums", tmp_path / "draws.sums")
    first, *_ = reading.read(teacher, base_ids, texts, COUNT, tmp_path / "draws")
    assert (first > 0) == (cut > 1)
    assert (tmp_path / "draws").read_bytes() == whole


def test_what_was_read_is_not_read_again(texts, base_ids, teacher, tmp_path):
    list(reading.read(teacher, base_ids, texts, COUNT, tmp_path / "draws"))
    assert list(reading.read(None, base_ids, texts, COUNT, tmp_path / "draws")) == [len(texts)]


def test_documents_that_have_changed_are_read_again_and_those_before_them_are_not(
    bpe, starter_texts, base_ids, teacher, tmp_path, monkeypatch
):
    monkeypatch.setattr(reading, "AT_ONCE", 2)

    def of(*texts):
        return Documents(documents_of([Record("", text) for text in texts], bpe, ""), bpe.end_id)

    first, changed = of(*starter_texts[:6]), of(*starter_texts[:3], starter_texts[3][::-1], *starter_texts[4:8])
    list(reading.read(teacher, base_ids, first, COUNT, tmp_path / "draws"))
    assert list(reading.read(teacher, base_ids, changed, COUNT, tmp_path / "draws")) == [2, 4, 6, 8]
    list(reading.read(teacher, base_ids, changed, COUNT, tmp_path / "fresh"))
    assert (tmp_path / "draws").read_bytes() == (tmp_path / "fresh").read_bytes()


def test_a_damaged_file_is_refused_in_words(texts, base_ids, tmp_path):
    (tmp_path / "draws").write_bytes(b"\xff" * 100)
    with pytest.raises(RunError, match="reads again"):
        reading.draws_in(tmp_path / "draws", texts, COUNT, base_ids)
    (tmp_path / "draws").write_bytes(b"\xff" * 2 * COUNT * int(texts.lengths.sum()))
    with pytest.raises(RunError, match="reads again"):
        reading.draws_in(tmp_path / "draws", texts, COUNT, base_ids)
