"""What the tokenizer of a pretrained model promises, on GPT-2's real vocabulary."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing

from arasuji.corpus import Record
from arasuji.documents import document_of, drawn_shots
from arasuji.errors import BaseModelError, OptionError
from arasuji.tokenizers import pretrained
from arasuji.training.documents import Documents

END = "<|endoftext|>"
ANYTHING = st.text(max_size=60) | st.lists(st.sampled_from([END, "<|pad|>", " ", "👩‍🚀", "é", "海", " n't ,"])).map(
    "".join
)


def test_gpt2_has_50257_tokens_and_ends_with_the_last(gpt2):
    assert gpt2.vocabulary_size == 50257
    assert gpt2.end_id == gpt2.pad_id == 50256
    assert gpt2.never_written == []


def test_gpt2_cuts_texts_as_openai_does(gpt2):
    assert gpt2.encode("Hello world") == [15496, 995]  # the first example of every GPT-2 tutorial


def test_a_pad_of_its_own_comes_after_the_vocabulary_and_is_never_written(padded):
    assert padded.vocabulary_size == 50258
    assert padded.end_id == 50256
    assert padded.pad_id == 50257
    assert padded.never_written == [50257]


@pytest.mark.parametrize("name", ["gpt2", "padded", "saved"])
@settings(deadline=None, max_examples=100, derandomize=True)
@given(text=ANYTHING)
def test_any_text_survives_and_none_holds_the_end_or_the_pad(request, name, text):
    tokenizer = request.getfixturevalue(name)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert max(ids, default=0) < 50256


@settings(deadline=None, max_examples=100, derandomize=True)
@given(prompt=ANYTHING, more=ANYTHING)
def test_a_continuation_is_what_was_added(gpt2, prompt, more):
    assert gpt2.continuation(gpt2.encode(prompt), gpt2.encode(more)) == more


def test_the_end_is_no_part_of_the_text(padded):
    assert padded.decode([padded.end_id, *padded.encode("The sea"), padded.pad_id]) == "The sea"


def test_what_is_saved_loads_as_it_was(padded, tmp_path, starter_texts):
    padded.save(tmp_path / "once")
    loaded = pretrained.load(tmp_path / "once")
    loaded.save(tmp_path / "twice")
    for again in (loaded, pretrained.load(tmp_path / "twice")):
        for one in ("end_id", "pad_id", "vocabulary_size", "never_written"):
            assert getattr(again, one) == getattr(padded, one)
        for text in [*starter_texts[:10], END, "<|pad|>"]:
            assert again.encode(text) == padded.encode(text)
    assert {path.suffix for path in (tmp_path / "twice").iterdir()} <= {".json", ".txt"}


@settings(deadline=None, max_examples=200, derandomize=True)
@given(ids=st.lists(st.integers(0, 50257), max_size=12))
def test_what_is_saved_reads_tokens_as_transformers_does(padded, saved, ids):
    theirs = padded.inner.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert saved.decode(ids) == padded.decode(ids) == theirs


@settings(deadline=None, max_examples=100, derandomize=True)
@given(text=ANYTHING)
def test_what_is_saved_cuts_texts_as_transformers_does(padded, saved, text):
    theirs = padded.inner.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert saved.encode(text) == padded.encode(text) == theirs


def test_what_is_saved_opens_without_the_import_of_transformers(padded, tmp_path):
    """Which takes seconds."""
    padded.save(tmp_path)
    program = (
        "import sys; from pathlib import Path; from arasuji.tokenizers import pretrained; "
        f"pretrained.load(Path({str(tmp_path)!r})).encode('The sea'); sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_a_base_the_option_to_give_is_named():
    with pytest.raises(OptionError, match="base"):
        pretrained.build(pretrained.Config(), [])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": 3}'])
def test_a_damaged_tokenizer_is_refused_in_one_line(gpt2, tmp_path, content):
    gpt2.save(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content, "utf-8")
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(BaseModelError) as caught:
        pretrained.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(BaseModelError):
        pretrained.load(tmp_path)


def test_a_tokenizer_without_an_end_is_refused(bpe, tmp_path):
    bpe.save(tmp_path)
    text = (tmp_path / "tokenizer.json").read_text("utf-8").replace(END, "<|other|>")
    (tmp_path / "tokenizer.json").write_text(text, "utf-8")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}', "utf-8")
    with pytest.raises(BaseModelError, match="no end-of-text token"):
        pretrained.load(tmp_path)


def test_a_folder_with_a_chat_models_eos_still_ends_texts_with_end_of_text(gpt2_folder, tmp_path):
    folder = tmp_path / "chat"
    shutil.copytree(gpt2_folder, folder)
    inner = pretrained.load(folder).inner
    inner.add_special_tokens({"eos_token": "<|im_end|>"})
    inner.save_pretrained(folder)
    loaded = pretrained.load(folder)
    assert loaded.end_id == 50256
    assert loaded.never_written == [50257]


def test_a_text_begins_with_what_its_model_has_always_read_before_one(llama, tmp_path):
    """Gemma and Llama learnt with a token of their own there; without it Gemma predicts badly."""
    assert llama.start_id == llama.end_id, "this one puts nothing before a text"
    start = llama.fast.token_to_id("<s>")
    llama.save(tmp_path)
    (tmp_path / "tokens.json").unlink()  # as it comes from a hub
    fast = llama.fast.from_file(str(tmp_path / "tokenizer.json"))
    ends = [("<s>", start), ("</s>", llama.end_id)]
    fast.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    fast.save(str(tmp_path / "tokenizer.json"))
    for _ in range(2):
        found = pretrained.load(tmp_path)
        assert (found.start_id, found.end_id) == (start, llama.end_id)
        assert start in found.never_written
        found.save(tmp_path)  # which is opened without transformers
    records = [Record(str(i), text) for i, text in enumerate(["the tea", "a hat"])]
    texts = [found.encode(record.text) for record in records]
    documents = [document_of(record, found) for record in records]
    assert [document.ids for document in documents] == [[start, *ids, found.end_id] for ids in texts]
    shots = drawn_shots(records, 2, 0, found)
    assert list(shots.ids) == [token for record in shots.records for token in document_of(record, found).ids]
    stream = Documents(documents, found.start_id)
    for place, ids in enumerate(texts):
        read, targets = stream.read(place, 100)
        assert read.tolist() == [start, *ids]
        assert targets.tolist() == [*ids, found.end_id]
