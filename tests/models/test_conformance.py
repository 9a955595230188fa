"""What every model family promises. A family is held to all of this by being in the folder."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import SMALL, small_model

from arasuji import models
from arasuji.config import TrainConfig
from arasuji.errors import OptionError
from arasuji.models import IGNORED

CLOSE = {"atol": 2e-4, "rtol": 2e-4}


@pytest.fixture(params=models.families())
def family(request) -> str:
    return request.param


@pytest.fixture
def model(family, bpe, starter_texts):
    """A small model that has learnt a little, so that its scores are not all alike."""
    made = small_model(family, bpe)
    learn(made, learnt_from(starter_texts, bpe), bpe, steps=10)
    return made.eval()


def learnt_from(starter_texts, bpe):
    return [bpe.encode(text)[:40] for text in starter_texts[:8]]


def rows(documents, tokenizer):
    """(ids, targets), each document after an end token and before one, padded on the right."""
    width = max(len(d) for d in documents) + 1
    ids = torch.full((len(documents), width), tokenizer.pad_id)
    targets = torch.full((len(documents), width), IGNORED)
    for i, document in enumerate(documents):
        ids[i, : len(document) + 1] = torch.tensor([tokenizer.end_id, *document])
        targets[i, : len(document) + 1] = torch.tensor([*document, tokenizer.end_id])
    return ids, targets


class Texts:
    """Documents as a model sees them before its training begins."""

    def __init__(self, documents, tokenizer):
        self.documents = [
            (np.array([tokenizer.end_id, *document]), np.array([*document, tokenizer.end_id])) for document in documents
        ]

    def __len__(self):
        return len(self.documents)

    def read(self, place, limit):
        ids, targets = self.documents[place]
        return ids[:limit], targets[:limit]

    def counts(self, vocabulary_size):
        return sum(np.bincount(targets, minlength=vocabulary_size) for _, targets in self.documents)


def learn(model, documents, tokenizer, steps):
    """Train by heart; returns the last loss in nats a token."""
    model.begin(Texts(documents, tokenizer))
    groups = model.parameter_groups(TrainConfig.model_validate({}))
    optimizer = torch.optim.AdamW(groups, lr=1e-2) if groups else None
    ids, targets = rows(documents, tokenizer)
    model.train()
    for _ in range(steps):
        nats, _ = model(ids, targets)
        loss = nats.sum() / (targets != IGNORED).sum()
        if optimizer:
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        return float(model(ids, targets)[0].sum() / (targets != IGNORED).sum())


def step_whole(model, ids):
    """Scores after each token of one row, read one at a time: (T, V)."""
    state, scores = None, []
    for token in ids:
        given, state = model.step(token.view(1, 1), torch.tensor([1]), state)
        scores.append(given[0])
    return torch.stack(scores)


@torch.no_grad()
def test_step_by_step_equals_the_whole(model, bpe, starter_texts):
    ids, targets = rows([bpe.encode(starter_texts[0])[:30]], bpe)
    nats, _ = model(ids, targets)
    scores = step_whole(model, ids[0]).log_softmax(-1)
    stepped = -scores.gather(1, targets[0][:, None])[:, 0]
    torch.testing.assert_close(stepped, nats[0], **CLOSE)


@torch.no_grad()
def test_a_prompt_read_at_once_equals_one_read_token_by_token(model, bpe, starter_texts):
    ids, _ = rows([bpe.encode(starter_texts[1])[:20]], bpe)
    at_once, _ = model.step(ids, torch.tensor([ids.shape[1]]))
    torch.testing.assert_close(at_once[0], step_whole(model, ids[0])[-1], **CLOSE)


@torch.no_grad()
def test_losses_after_a_state_equal_those_of_the_whole(model, bpe, starter_texts):
    ids, targets = rows([bpe.encode(text)[:30] for text in starter_texts[:2]], bpe)
    _, state = model.step(ids[:, :9], torch.tensor([9, 9]))
    after = model(ids[:, 9:], targets[:, 9:], state)[0]
    torch.testing.assert_close(after, model(ids, targets)[0][:, 9:], **CLOSE)


@torch.no_grad()
def test_a_future_token_changes_nothing_earlier(model, bpe, starter_texts):
    ids, targets = rows([bpe.encode(starter_texts[2])[:24]], bpe)
    other = ids.clone()
    other[0, 15:] = bpe.encode("x")[0]
    torch.testing.assert_close(model(ids, targets)[0][:, :15], model(other, targets)[0][:, :15], **CLOSE)


@torch.no_grad()
def test_ignored_targets_cost_nothing_and_change_nothing(model, bpe, starter_texts):
    ids, targets = rows([bpe.encode(starter_texts[3])[:24]], bpe)
    some = targets.clone()
    some[0, ::2] = IGNORED
    nats = model(ids, some)[0]
    assert nats[0, ::2].abs().sum() == 0
    torch.testing.assert_close(nats[0, 1::2], model(ids, targets)[0][0, 1::2], **CLOSE)


@torch.no_grad()
def test_all_targets_ignored_is_zero(model, bpe):
    ids = torch.tensor([[bpe.end_id, 5, 6]])
    assert model(ids, torch.full_like(ids, IGNORED))[0].tolist() == [[0, 0, 0]]


@torch.no_grad()
def test_a_row_alone_equals_the_row_in_a_ragged_batch(model, bpe, starter_texts):
    documents = [bpe.encode(t)[:n] for t, n in zip(starter_texts, (3, 30, 12), strict=False)]
    ids, targets = rows(documents, bpe)
    together, _ = model(ids, targets)
    lengths = torch.tensor([len(d) + 1 for d in documents])
    scores, state = model.step(ids, lengths)
    following, _ = model.step(torch.tensor([[7], [8], [9]]), torch.ones(3, dtype=torch.int64), state)
    for i, document in enumerate(documents):
        alone_ids, alone_targets = rows([document], bpe)
        torch.testing.assert_close(model(alone_ids, alone_targets)[0][0], together[i, : len(document) + 1], **CLOSE)
        alone, alone_state = model.step(alone_ids, torch.tensor([len(document) + 1]))
        torch.testing.assert_close(alone[0], scores[i], **CLOSE)
        after, _ = model.step(torch.tensor([[7 + i]]), torch.tensor([1]), alone_state)
        torch.testing.assert_close(after[0], following[i], **CLOSE)


@torch.no_grad()
def test_rows_that_leave_and_join_change_no_other(model, bpe, starter_texts):
    documents = [bpe.encode(t)[:n] for t, n in zip(starter_texts, (4, 20, 9), strict=False)]
    ids, _ = rows(documents[:2], bpe)
    _, state = model.step(ids, torch.tensor([len(d) + 1 for d in documents[:2]]))
    late, _ = rows(documents[2:], bpe)
    _, joining = model.step(late, torch.tensor([len(documents[2]) + 1]))
    mixed = state.select(torch.tensor([1, 1])).join(joining)  # the first row leaves, the second doubles
    scores, _ = model.step(torch.tensor([[5], [6], [5]]), torch.ones(3, dtype=torch.int64), mixed)
    for row, (document, token) in enumerate([(documents[1], 5), (documents[1], 6), (documents[2], 5)]):
        whole = torch.tensor([[bpe.end_id, *document, token]])
        alone, _ = model.step(whole, torch.tensor([whole.shape[1]]))
        torch.testing.assert_close(scores[row], alone[0], **CLOSE)


@torch.no_grad()
def test_copies_of_a_row_go_their_own_ways(model, bpe, starter_texts):
    ids, _ = rows([bpe.encode(starter_texts[7])[:12]], bpe)
    _, state = model.step(ids, torch.tensor([ids.shape[1]]))
    state = state.select(torch.tensor([0, 0, 0]))
    ways = torch.arange(5, 5 + 3 * 40).view(3, 40)  # more tokens than a cache has free places for
    for tokens in ways.unbind(1):
        scores, state = model.step(tokens[:, None], torch.ones(3, dtype=torch.int64), state)
    for row, way in enumerate(ways):
        whole = torch.cat([ids[0], way])[None]
        torch.testing.assert_close(scores[row], model.step(whole, torch.tensor([whole.shape[1]]))[0][0], **CLOSE)


@torch.no_grad()
def test_a_state_that_is_looked_at_is_not_used_up(model, bpe, starter_texts):
    ids, _ = rows([bpe.encode(starter_texts[7])[:12]], bpe)
    expected = step_whole(model, torch.cat([ids[0], torch.tensor([9])]))[-1]
    _, state = model.step(ids, torch.tensor([ids.shape[1]]))
    state.tensors()
    state.detach()
    torch.testing.assert_close(model.step(torch.tensor([[9]]), torch.tensor([1]), state)[0][0], expected, **CLOSE)


@torch.no_grad()
def test_a_states_tensors_bring_it_back(model, bpe, starter_texts):
    ids, targets = rows([bpe.encode(starter_texts[4])[:16]], bpe)
    _, carried = model(ids, targets)
    if carried is None:  # a family without a carried state: every batch of a stream stands alone
        assert model.state_from({}) is None
        return
    again = model.state_from({n: t.clone() for n, t in carried.tensors().items()})
    assert again is not None
    torch.testing.assert_close(model(ids, targets, carried.detach())[0], model(ids, targets, again)[0])


@torch.no_grad()
def test_save_then_load_gives_the_same_logits(model, family, bpe, starter_texts, tmp_path):
    model.save(tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix not in {".json", ".safetensors"}]
    again = models.family(family).load(tmp_path, torch.float32)
    ids = torch.tensor([[bpe.end_id, *bpe.encode(starter_texts[5])[:20]]])
    lengths = torch.tensor([ids.shape[1]])
    # Weights that are mapped from a file lie otherwise in memory, which can move the last bit of a product.
    torch.testing.assert_close(model.step(ids, lengths)[0], again.step(ids, lengths)[0], atol=1e-6, rtol=1e-6)
    assert again.context_length == model.context_length


def test_learned_tensors_restore_an_equal_model_that_has_begun(model, family, bpe, starter_texts):
    fresh = small_model(family, bpe).eval()
    fresh.begin(Texts(learnt_from(starter_texts, bpe), bpe))
    fresh.restore({n: t.clone() for n, t in model.learned().items()})
    ids, targets = rows([bpe.encode(starter_texts[6])[:20]], bpe)
    with torch.no_grad():
        assert torch.equal(model(ids, targets)[0], fresh(ids, targets)[0])


def test_four_texts_can_be_learnt_by_heart(family, bpe, starter_texts):
    documents = [bpe.encode(t)[:20] for t in starter_texts[:4]]
    model = small_model(family, bpe, **({"discount": 0.01} if family == "ngram" else {}))
    assert learn(model, documents, bpe, steps=250 if family != "ngram" else 1) < 0.35


def test_unknown_options_are_errors(family):
    with pytest.raises(ValueError, match="no_such_option"):
        models.family(family).Config(no_such_option=1)


@pytest.mark.parametrize("name", ["lstm", "ngram"])
def test_a_family_without_pretrained_weights_refuses_a_base(name, bpe, tmp_path):
    module = models.family(name)
    with pytest.raises(OptionError, match="drop the option base"):
        module.build(module.Config(), bpe, tmp_path)


def test_every_family_is_held_to_the_suite():
    assert set(models.families()) == set(SMALL)


def test_an_unknown_family_names_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'lstm'"):
        models.family("lsmt")


def test_what_trains_in_floats_neither_imports_nor_compiles_8_bit_loops():
    program = (
        "import sys, arasuji.models.lstm, arasuji.models.transformer, arasuji.training.session; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("numba", "llvmlite", "arasuji.models.int8"))]


def test_a_loss_that_is_handed_in_gets_the_scores_the_targets_and_their_places(model, bpe, starter_texts):
    ids, targets = rows([bpe.encode(starter_texts[3])[:20], bpe.encode(starter_texts[4])[:9]], bpe)
    seen = []

    def cross_entropy(scores, wanted, places):
        seen.append((wanted, places))
        return -scores.log_softmax(-1).gather(1, wanted[:, None])[:, 0]

    usual, _ = model(ids, targets)
    ours, _ = model(ids, targets, None, cross_entropy)
    torch.testing.assert_close(ours, usual, **CLOSE)
    wanted, places = (torch.cat(part) for part in zip(*seen, strict=True))
    assert torch.equal(wanted, targets.flatten()[places])
    assert torch.equal(places, (targets.flatten() != IGNORED).nonzero()[:, 0])


def test_a_teachers_distribution_can_stand_beside_the_targets(family, bpe, starter_texts):
    """The gradient of a cross-entropy with another model's probabilities: nothing is left to learn where both agree."""
    student = small_model(family, bpe)
    ids, targets = rows([bpe.encode(starter_texts[3])[:20]], bpe)
    groups = student.parameter_groups(TrainConfig.model_validate({}))
    if not groups:
        return  # it counts, and has no gradient
    kept = []
    student.eval()
    with torch.no_grad():
        student(ids, targets, None, lambda scores, wanted, places: kept.append(scores.softmax(-1)) or scores[:, 0])
    teacher = torch.cat(kept)

    def taught(scores, wanted, places):
        return -(teacher * scores.log_softmax(-1)).sum(-1)

    for loss, learns in ((taught, False), (None, True)):
        student.zero_grad()
        student(ids, targets, None, loss)[0].sum().backward()
        most = max(float(p.grad.abs().max()) for group in groups for p in group["params"] if p.grad is not None)
        assert (most > 1e-3) == learns


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@torch.no_grad()
def test_a_gpu_gives_the_numbers_of_the_cpu(model, bpe, starter_texts):
    ids, targets = rows([bpe.encode(starter_texts[3])[:20], bpe.encode(starter_texts[4])[:20]], bpe)
    lengths = torch.tensor([12, 12])

    def by_all_ways(ids, targets, lengths):
        def cross_entropy(scores, wanted, places):
            assert scores.device == wanted.device == places.device == ids.device
            return -scores.log_softmax(-1).gather(1, wanted[:, None])[:, 0]

        scores, state = model.step(ids[:, :12], lengths)
        swapped = state.select(torch.tensor([1, 0], device=ids.device))
        nats, after = model(ids[:, 12:], targets[:, 12:], swapped)
        carried = model.state_from({n: t.to(ids.device) for n, t in after.tensors().items()}) if after else None
        following = model.step(ids[:, :1], torch.ones_like(lengths), carried)[0]
        return scores, nats, model(ids, targets, None, cross_entropy)[0], following

    expected = by_all_ways(ids, targets, lengths)
    model.cuda()
    found = by_all_ways(ids.cuda(), targets.cuda(), lengths.cuda())
    torch.testing.assert_close([part.cpu() for part in found], list(expected), **CLOSE)
