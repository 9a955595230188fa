"""The transformer against transformers itself: its architectures, ragged batches, LoRA, folders that open."""

from __future__ import annotations

import pytest
import torch
from networks import OURS, bloom, lfm2
from transformers import AutoModelForCausalLM

from arasuji.errors import BaseModelError, OptionError
from arasuji.models import IGNORED
from arasuji.models import transformer as family

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
END = 0


class Vocabulary:
    vocabulary_size, end_id, pad_id = 101, END, 1


@pytest.fixture(params=[*OURS.values(), bloom, lfm2], ids=lambda make: make.__name__)
def folder(request, tmp_path):
    """A pretrained model. transformers reads the last two: rows of Bloom together, of LFM2 each with a cache of its
    own, since a convolution would read the pads of other rows."""
    torch.manual_seed(1)
    request.param().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def reference(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def ids_of(*lengths):
    generator = torch.Generator().manual_seed(2)
    return [torch.randint(2, 101, (n,), generator=generator) for n in lengths]


@torch.no_grad()
def test_scores_equal_transformers_logits_at_every_step(folder, reference):
    model = family.load(folder)
    (ids,) = ids_of(20)
    theirs = reference(ids[None]).logits[0]
    scores, state = model.step(ids[None, :5], torch.tensor([5]))
    torch.testing.assert_close(scores[0], theirs[4], **CLOSE)
    for t in range(5, 20):
        scores, state = model.step(ids[None, t : t + 1], torch.tensor([1]), state)
        torch.testing.assert_close(scores[0], theirs[t], **CLOSE)


@torch.no_grad()
def test_rows_of_a_ragged_batch_equal_transformers_one_by_one(folder, reference):
    model = family.load(folder)
    rows = ids_of(3, 17, 9)
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=1)
    scores, state = model.step(padded, torch.tensor([3, 17, 9]))
    following, _ = model.step(torch.tensor([[5], [6], [7]]), torch.ones(3, dtype=torch.int64), state)
    for i, row in enumerate(rows):
        theirs = reference(torch.cat([row, torch.tensor([5 + i])])[None]).logits[0]
        torch.testing.assert_close(scores[i], theirs[-2], **CLOSE)
        torch.testing.assert_close(following[i], theirs[-1], **CLOSE)


@torch.no_grad()
def test_nats_equal_transformers_loss(folder, reference):
    model = family.load(folder)
    (ids,) = ids_of(30)
    nats, _ = model(ids[None, :-1], ids[None, 1:])
    loss = reference(ids[None], labels=ids[None]).loss
    assert float(nats.mean()) == pytest.approx(float(loss), abs=1e-5)
    _, state = model.step(ids[None, :12], torch.tensor([12]))
    rest, _ = model(ids[None, 12:-1], ids[None, 13:], state)
    torch.testing.assert_close(rest, nats[:, 12:], **CLOSE)


def test_a_pad_is_in_no_loss_and_gets_no_gradient(folder):
    model = family.load(folder)
    ids = torch.tensor([[END, 5, 6, 1, 1]])
    targets = torch.tensor([[5, 6, END, IGNORED, IGNORED]])
    model(ids, targets)[0].sum().backward()
    short = family.load(folder)
    short(ids[:, :3], targets[:, :3])[0].sum().backward()
    for padded, plain in zip(model.parameters(), short.parameters(), strict=True):
        torch.testing.assert_close(padded.grad, plain.grad, **CLOSE)


def test_a_head_in_chunks_gives_the_same_nats_and_gradients(folder, monkeypatch):
    ids = torch.stack(ids_of(20, 20))
    outcomes = []
    for chunk in (2**25, 7 * 101):
        monkeypatch.setattr("arasuji.models._head.CHUNK_SCORES", chunk)
        model = family.load(folder)
        nats, _ = model(ids[:, :-1], ids[:, 1:])
        nats.sum().backward()
        outcomes.append([nats.detach(), *(p.grad for p in model.parameters())])
    for whole, chunked in zip(*outcomes, strict=True):
        torch.testing.assert_close(whole, chunked, **CLOSE)


def test_lora_trains_its_updates_alone_and_saves_merged_weights_that_open_anywhere(folder, tmp_path):
    model = family.build(family.Config(lora_rank=4), Vocabulary, folder).float()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    for parameter in model.learned().values():
        torch.nn.init.normal_(parameter, std=0.1)
    model.eval()
    before = {n: t.clone() for n, t in model.learned().items()}
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    (ids,) = ids_of(12)
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    with torch.no_grad():
        ours, _ = model.step(ids[None], torch.tensor([12]))
        torch.testing.assert_close(ours[0], opened(ids[None]).logits[0, -1], atol=1e-4, rtol=1e-4)
    assert all(torch.equal(before[n], t) for n, t in model.learned().items()), "saving changes nothing"


def test_a_larger_vocabulary_gets_rows_and_keeps_the_scores_of_the_others(folder, reference):
    class WithPad(Vocabulary):
        vocabulary_size = 102

    model = family.build(family.Config(), WithPad, folder).eval()
    (ids,) = ids_of(12)
    with torch.no_grad():
        ours, _ = model.step(ids[None], torch.tensor([12]))
        assert ours.shape == (1, 102)
        torch.testing.assert_close(ours[0, :101], reference(ids[None]).logits[0, -1], **CLOSE)


@pytest.mark.parametrize("folder", OURS.values(), ids=OURS, indirect=True)
def test_a_model_whose_blocks_are_ours_needs_no_proof(folder, monkeypatch):
    monkeypatch.setattr("arasuji.models._foreign.prove", None)
    assert isinstance(family.load(folder), family.Transformer)


@pytest.mark.parametrize("folder", [bloom, lfm2], indirect=True)
def test_a_model_that_fails_its_proof_is_refused_in_words(folder, monkeypatch):
    """Here it fails since the scores are scaled behind its back, as an architecture that nobody has tried might."""
    monkeypatch.setattr(family.Transformer, "_scaled", lambda _, hidden: hidden * 1.1)
    with pytest.raises(BaseModelError, match="is not served"):
        family.load(folder)


@torch.no_grad()
@pytest.mark.parametrize("stray", [{"sliding_window": 4}, {"logit_scale": 0.5}], ids=str)
def test_an_option_that_transformers_ignores_is_ignored_or_refused(tmp_path, stray):
    """As checkpoints have it that were turned from one architecture into another."""
    OURS["llama"](**stray).save_pretrained(tmp_path)
    (ids,) = ids_of(20)
    try:
        scores, _ = family.load(tmp_path).step(ids[None], torch.tensor([20]))
    except BaseModelError:
        return
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)(ids[None]).logits[0, -1]
    torch.testing.assert_close(scores[0], theirs, **CLOSE)


def test_weights_that_do_not_fit_are_one_line(folder):
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(BaseModelError) as caught:
        family.load(folder)
    assert "\n" not in str(caught.value)


def test_heads_must_divide_the_width():
    with pytest.raises(OptionError, match="heads"):
        family.build(family.Config(heads=5, width=32), Vocabulary, None)


@pytest.mark.parametrize("folder", OURS.values(), ids=OURS, indirect=True)
@torch.no_grad()
def test_the_cache_does_not_grow_with_the_rows_that_come_and_go(folder):
    model = family.load(folder)
    _, state = model.step(torch.stack(ids_of(30, 30)), torch.tensor([30, 4]))
    columns = state.keys[0].shape[1]
    for _ in range(20):
        _, fresh = model.step(torch.stack(ids_of(10)), torch.tensor([10]))
        state = state.select(torch.tensor([0])).join(fresh)
        state = state.select(torch.tensor([1, 1, 1]))
        assert state.places <= 4
        assert state.keys[0].shape[1] == columns


@torch.no_grad()
def test_branches_of_a_row_go_on_each_for_itself(folder):
    """As beams do: rows are copied, dropped and reordered; each reads on as if it had been alone."""
    model = family.load(folder)
    generator = torch.Generator().manual_seed(0)
    texts = [ids.tolist() for ids in ids_of(3, 5)]
    _, state = model.step(
        torch.tensor([texts[0] + [1] * (len(texts[1]) - len(texts[0])), texts[1]]),
        torch.tensor([len(t) for t in texts]),
    )
    for rows in ([0, 1, 1], [2, 0, 0, 2, 1], [4, 1, 3], [0, 0, 2, 2, 1, 1], [5], [0, 0]):
        tokens = torch.randint(3, 20, (len(rows), 1), generator=generator)
        texts = [[*texts[row], int(token)] for row, token in zip(rows, tokens, strict=True)]
        scores, state = model.step(tokens, torch.ones(len(rows), dtype=torch.int64), state.select(torch.tensor(rows)))
        for score, text in zip(scores, texts, strict=True):
            alone, _ = model.step(torch.tensor([text]), torch.tensor([len(text)]))
            torch.testing.assert_close(score, alone[0], atol=1e-5, rtol=1e-5)


def test_a_saved_folder_ends_its_texts_where_we_do(folder, tmp_path):
    model = family.build(family.Config(), Vocabulary, folder)
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert opened.config.eos_token_id == opened.generation_config.eos_token_id == END
    assert opened.config.use_cache


@torch.no_grad()
def test_attention_is_transformers_own_and_never_looks_ahead(folder, reference):
    model = family.load(folder)
    (row,) = ids_of(9)
    found = model.attention(row)
    reference.set_attn_implementation("eager")
    read = reference(input_ids=row[None], output_attentions=True).attentions
    wanted = torch.cat([weights for weights in read if weights is not None])  # a convolution has none
    torch.testing.assert_close(found, wanted)
    assert found.shape[1:] == (4, 9, 9)
    assert (found.triu(1) == 0).all()
    torch.testing.assert_close(found.sum(-1), torch.ones(len(found), 4, 9))
    before = model.step(row[None], torch.tensor([9]))[0]
    model.attention(row)
    assert torch.equal(model.step(row[None], torch.tensor([9]))[0], before)
