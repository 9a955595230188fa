"""What a pretrained tokenizer that was cut down promises."""

from __future__ import annotations

import json

import pytest
import tokenizers as hf
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.errors import BaseModelError, OptionError
from arasuji.tokenizers import NO_ID
from arasuji.tokenizers import pruned as module

SPECIAL = [module.END, module.PAD]
ANYTHING = st.text(max_size=60) | st.lists(st.sampled_from([*SPECIAL, " ", "🌊", "\x13", "é", "海", " the"])).map(
    "".join
)


@pytest.fixture(scope="module")
def pruned(gpt2_folder, starter_texts):
    return module.build(module.Config(min_count=2), starter_texts, gpt2_folder)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(text=ANYTHING)
def test_any_text_survives_and_none_holds_the_end_or_the_pad(pruned, text):
    ids = pruned.encode(text)
    assert pruned.decode(ids) == text
    assert not {pruned.end_id, pruned.pad_id} & set(ids)


def test_each_token_has_the_bases_id_and_the_same_text_there(pruned, gpt2):
    assert gpt2.end_id == pruned.base_ids[pruned.end_id]
    assert pruned.base_ids[pruned.pad_id] == NO_ID
    rest = [i for i in range(pruned.vocabulary_size) if i not in (pruned.end_id, pruned.pad_id)]
    assert all(pruned.fast.id_to_token(i) == gpt2.fast.id_to_token(int(pruned.base_ids[i])) for i in rest)
    assert len({*pruned.base_ids.tolist()}) == pruned.vocabulary_size


def test_a_text_whose_tokens_are_all_kept_is_split_as_the_base_splits_it(gpt2_folder, gpt2, starter_texts):
    every = module.build(module.Config(min_count=1), starter_texts, gpt2_folder)
    for text in starter_texts:
        assert every.base_ids[every.encode(text)].tolist() == gpt2.encode(text)


def test_frequent_tokens_and_what_they_are_merged_from_stay_and_rare_ones_go(pruned, gpt2, starter_texts):
    counts: dict[int, int] = {}
    for text in starter_texts:
        for token in gpt2.encode(text):
            counts[token] = counts.get(token, 0) + 1
    kept = {*pruned.base_ids.tolist()}
    assert {token for token, count in counts.items() if count >= 2} <= kept
    assert pruned.vocabulary_size < len(counts)
    merges = json.loads(pruned.fast.to_str())["model"]["merges"]
    assert pruned.vocabulary_size == 2 + 256 + len(merges)


def test_bytes_that_the_base_lacks_are_there_without_an_id_of_it(tmp_path, starter_texts):
    alphabet = sorted(hf.pre_tokenizers.ByteLevel.alphabet())[:-30]
    inner = hf.Tokenizer(hf.models.BPE({token: i for i, token in enumerate(alphabet)}, []))
    inner.pre_tokenizer, inner.decoder = hf.pre_tokenizers.ByteLevel(False), hf.decoders.ByteLevel()
    inner.add_special_tokens([module.END])
    inner.save(str(tmp_path / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": module.END}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(names), "utf-8")
    small = module.build(module.Config(), starter_texts[:3], tmp_path)
    assert (small.base_ids == NO_ID).sum() == 30 + 1
    text = "".join(map(chr, range(400)))
    assert small.decode(small.encode(text)) == text


def test_what_is_saved_loads_as_it_was_from_plain_json(pruned, tmp_path, starter_texts):
    pruned.save(tmp_path)
    loaded = module.load(tmp_path)
    assert loaded.base_ids.tolist() == pruned.base_ids.tolist()
    for text in [*starter_texts[:10], "".join(SPECIAL), "👩‍🚀"]:
        assert loaded.encode(text) == pruned.encode(text)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json"}


def test_ids_that_do_not_fit_are_refused_in_words(pruned, tmp_path):
    pruned.save(tmp_path)
    for damaged in ([0], [*pruned.base_ids.tolist()[:-1], "7"], {}):
        (tmp_path / module.BASE_IDS).write_text(json.dumps(damaged))
        with pytest.raises(BaseModelError, match=module.BASE_IDS):
            module.load(tmp_path)


def test_without_a_teacher_it_is_refused():
    with pytest.raises(OptionError, match="--set teacher="):
        module.build(module.Config(), [])


def test_a_base_that_is_no_byte_level_bpe_is_refused(llama, tmp_path):
    llama.save(tmp_path)
    with pytest.raises(OptionError, match="byte-level"):
        module.build(module.Config(), [], tmp_path)
