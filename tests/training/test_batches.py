"""Batches: every token once, pads in no loss, the article's stream to the letter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.config import TrainConfig
from arasuji.documents import Document
from arasuji.models import IGNORED
from arasuji.training.batches import epoch_batches, truncated
from arasuji.training.documents import Documents

END, PAD = 0, 1


def plain(texts):
    """Texts as tokens, with nothing before them."""
    return Documents((Document([END, *ids, END], 1) for ids in texts), END)


documents_of_any_length = st.lists(st.lists(st.integers(2, 99), max_size=30), min_size=1, max_size=40)


def config(**values) -> TrainConfig:
    return TrainConfig.model_validate({"batch_size": 3, "max_length": 50, **values})


@settings(deadline=None, derandomize=True, max_examples=50)
@given(documents_of_any_length)
def test_every_document_is_read_once_after_an_end_token_and_before_one(documents):
    read = []
    for batch in epoch_batches(plain(documents), config(), 0, PAD):
        assert not batch.continues
        for ids, targets in zip(batch.ids.tolist(), batch.targets.tolist(), strict=True):
            wanted = [t for t in targets if t != IGNORED]
            assert ids[: len(wanted)] == [END, *wanted[:-1]]
            assert wanted[-1] == END
            assert set(ids[len(wanted) :]) <= {PAD}
            read.append(wanted[:-1])
    assert sorted(read) == sorted(documents)


def test_a_document_that_is_cut_is_not_taught_to_end_and_is_counted():
    documents = [[5] * 10, [6] * 3]
    cut = config(max_length=8)
    assert truncated(plain(documents), cut) == 1
    rows = [row for batch in epoch_batches(plain(documents), cut, 0, PAD) for row in batch.targets.tolist()]
    assert [5] * 8 in rows


def test_the_order_depends_on_the_seed_and_the_epoch_alone():
    documents = [[i] * (i % 7 + 1) for i in range(2, 60)]

    def order(seed, epoch):
        return [b.ids.tolist() for b in epoch_batches(plain(documents), config(seed=seed), epoch, PAD)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_similar_lengths_stand_together():
    generator = torch.Generator().manual_seed(0)
    documents = [[2] * int(n) for n in torch.randint(5, 200, (600,), generator=generator)]
    batches = epoch_batches(plain(documents), config(batch_size=10, max_length=300), 0, PAD)
    assert batches.counted == sum(b.counted for b in batches)
    pads = 1 - sum(b.counted for b in batches) / sum(b.ids.numel() for b in batches)
    assert pads < 0.05


@settings(deadline=None, derandomize=True, max_examples=50)
@given(documents_of_any_length, st.integers(1, 5), st.integers(2, 9))
def test_the_stream_is_all_documents_joined_and_its_targets_are_shifted_by_one(documents, rows, width):
    stream = config(layout="stream", shuffle=False, batch_size=rows, max_length=width)
    batches = epoch_batches(plain(documents), stream, 0, PAD)
    joined = [END] + [t for d in documents for t in [*d, END]]
    length = (len(joined) - 1) // rows
    if length:
        ids = torch.cat([b.ids for b in batches], dim=1)
        targets = torch.cat([b.targets for b in batches], dim=1)
        assert ids.flatten().tolist() == joined[: rows * length]
        assert targets.flatten().tolist() == joined[1 : rows * length + 1]
    assert [b.continues for b in batches] == [False] + [True] * (len(batches) - 1) if batches else True


@settings(deadline=None, derandomize=True, max_examples=50)
@given(documents_of_any_length, st.integers(2, 9))
def test_each_epoch_of_a_stream_joins_the_documents_in_another_order(documents, width):
    def read(epoch):
        stream = config(layout="stream", batch_size=1, max_length=width)
        batches = epoch_batches(plain(documents), stream, epoch, PAD)
        assert batches.counted == sum(b.counted for b in batches)
        ids, targets = ([t for b in batches for t in getattr(b, of)[0].tolist()] for of in ("ids", "targets"))
        assert ids[:1] + targets[:-1] == ids  # shifted by one
        found, text = [], []
        for token in targets:
            if token == END:
                found, text = [*found, text], []
            else:
                text.append(token)
        return found

    first, second = read(0), read(1)
    assert sorted(first) == sorted(second) == sorted(documents)
    assert first == read(0)
    if len({tuple(d) for d in documents}) > 8:
        assert first != second


@settings(deadline=None, derandomize=True, max_examples=50)
@given(documents_of_any_length, st.integers(1, 5))
def test_the_count_of_a_stream_leaves_out_fields_and_what_does_not_fill_the_rows(documents, rows):
    fields = Documents((Document([END, *ids, END], 1 + len(ids) // 2) for ids in documents), END)
    batches = epoch_batches(fields, config(layout="stream", batch_size=rows, max_length=7), 0, PAD)
    assert batches.counted == sum(b.counted for b in batches)


def test_the_articles_stream_has_batches_of_32_by_30():
    stream = config(layout="stream", batch_size=32, max_length=30)
    batches = epoch_batches(plain([[7] * 99] * 100), stream, 0, PAD)
    assert {tuple(b.ids.shape) for b in batches[:-1]} == {(32, 30)}


@pytest.mark.parametrize("layout", ["documents", "stream"])
def test_each_target_knows_its_place_in_the_documents(layout):
    made = plain([n * 10 + i for i in range(1, 3 + n % 5)] for n in range(1, 20))
    for batch in epoch_batches(made, config(layout=layout, batch_size=4, max_length=5), 1, PAD):
        for part in (batch, *batch.parts(8), batch.share(1, 2)):
            counted = part.targets != IGNORED
            assert (made.tokens[part.places[counted].numpy()] == part.targets[counted].numpy()).all()


@pytest.mark.parametrize("layout", ["documents", "stream"])
def test_an_epoch_may_read_some_of_the_documents(layout):
    made = plain([n] * 4 for n in range(2, 20))
    epoch = epoch_batches(made, config(layout=layout, batch_size=2, max_length=5), 0, PAD, np.array([3, 8, 9]))
    assert {int(token) for batch in epoch for token in batch.targets.flatten()} - {IGNORED, END} == {5, 10, 11}
    assert epoch.counted == sum(batch.counted for batch in epoch)
