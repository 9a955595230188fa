"""What the word tokenizer promises."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji import tokenizers
from arasuji.errors import OptionError
from arasuji.tokenizers import word

ANYTHING = st.text(max_size=80)
WRITTEN = st.lists(
    st.sampled_from(["she", "doesn't", "(softly)", '"why?"', "cannot", "it's", ".", ",", "i", "…", "5%", "“no.”", "\n"])
).map(" ".join)
"""Texts of the parts that are cut and joined by rule."""
UNUSUAL = ["", " \n\t ", "<end>", "<unk> <pad>", "``''", "'", '"', "🌊 the 海", "İ", "\x00\x1c", "\ud800", "a" * 5000]


def made_of(*texts: str, min_count: int = 1) -> word.Word:
    return word.build(word.Config(min_count=min_count), texts)


@pytest.fixture(scope="module")
def tokenizer(starter_texts) -> word.Word:
    return made_of(*starter_texts[:20])


@settings(deadline=None, max_examples=150, derandomize=True)
@given(text=ANYTHING | WRITTEN)
def test_any_text_becomes_known_ids_and_these_become_a_text(text):
    tokenizer = made_of("she does n't know . i ask ( softly ) , cannot it 's")
    ids = tokenizer.encode(text)
    assert set(ids) <= set(range(tokenizer.vocabulary_size)) - {tokenizer.end_id, tokenizer.pad_id}
    assert isinstance(tokenizer.decode(ids), str)


@pytest.mark.parametrize("text", UNUSUAL)
def test_unusual_texts_become_known_ids(tokenizer, text):
    assert set(tokenizer.encode(text)) <= set(range(3, tokenizer.vocabulary_size)) | {tokenizer.unknown_id}


@settings(deadline=None, max_examples=150, derandomize=True)
@given(text=ANYTHING | WRITTEN)
def test_no_character_of_a_text_is_lost_among_its_words(text):
    """Only spaces go, and double quotes change their shape."""

    def bare(s: str) -> str:
        return "".join(s.replace("``", '"').replace("''", '"').split())

    assert bare("".join(word.words_of(text))) == bare(text.lower())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("She doesn't know.", "she does n't know ."),
        ("It's the girls' turn, isn't it?", "it 's the girls ' turn , is n't it ?"),
        ("Muffins cost $3.88 in New York.  Buy me two.", "muffins cost $ 3.88 in new york . buy me two ."),
        ("They'll save and invest more; we've 5%!", "they 'll save and invest more ; we 've 5 % !"),
        ("He cannot wait...", "he can not wait ..."),
        ('"Why?" I ask (softly).', "`` why ? '' i ask ( softly ) ."),
        ("He left. (She stayed.) Then: war!", "he left . ( she stayed . ) then : war !"),
        ('said:\n"No." And\n\n"Yes."', "said : `` no . '' and `` yes . ''"),
    ],
)  # fmt: skip
def test_words_are_cut_as_by_nltk_word_tokenize(text, words):
    assert word.words_of(text) == words.split()


def test_a_vocabulary_holds_the_words_of_the_texts_it_was_given_and_no_others():
    assert set(made_of("the sea", "the ship").index_of) == {"<end>", "<unk>", "<pad>", "the", "sea", "ship"}


def test_words_seen_less_often_than_min_count_become_unknown():
    tokenizer = made_of("sea sea sea", "ship ship", "storm", min_count=2)
    assert set(tokenizer.index_of) == {"<end>", "<unk>", "<pad>", "sea", "ship"}
    assert tokenizer.encode("Storm at sea") == [tokenizer.unknown_id] * 2 + [tokenizer.index_of["sea"]]


def test_the_order_of_the_texts_changes_nothing():
    texts = ["the sea", "a ship", "the storm"]
    assert made_of(*texts).word_at == made_of(*texts[::-1]).word_at


def test_the_pad_and_the_unknown_word_are_never_written_and_the_end_may_be(tokenizer):
    assert set(tokenizer.never_written) == {tokenizer.pad_id, tokenizer.unknown_id}
    assert len({tokenizer.end_id, tokenizer.pad_id, tokenizer.unknown_id}) == 3


@pytest.mark.parametrize("special", ["<unk>", "<end>", "<pad>"])
def test_special_tokens_typed_in_a_text_are_text(special):
    tokenizer = made_of("a sea", f"{special} {special}")
    ids = tokenizer.encode(f"a {special} sea")
    assert ids[0] == tokenizer.index_of["a"]
    assert ids[-1] == tokenizer.index_of["sea"]
    assert not {tokenizer.end_id, tokenizer.pad_id} & set(ids)


@pytest.mark.parametrize(
    "text",
    [
        'She doesn\'t know. "Why?" I ask (softly).',
        "He said (a lie.) Then “no.” Yes... and no.",
        "I cannot go; it's 5% of $10, they're [sic] #1!",
        "We're gonna wanna go. Isn't it so?",
        "The 'quoted' word.",
    ],
)
def test_decode_gives_natural_spacing_and_capitals(text):
    tokenizer = made_of(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(deadline=None, max_examples=100, derandomize=True)
@given(prompt=ANYTHING | WRITTEN, more=WRITTEN)
def test_a_continuation_is_what_it_adds_to_the_text_of_its_prompt(prompt, more):
    tokenizer = made_of("she does n't know . i ask ( softly ) , cannot it 's")
    before, after = tokenizer.encode(prompt), tokenizer.encode(more)
    assert tokenizer.decode(before) + tokenizer.continuation(before, after) == tokenizer.decode(before + after)


def test_a_continuation_keeps_its_space_its_apostrophe_and_its_case():
    tokenizer = made_of("she does n't know . she sees")
    encode = tokenizer.encode
    assert tokenizer.continuation(encode("She"), encode("sees.")) == " sees."
    assert tokenizer.continuation([tokenizer.index_of["does"]], [tokenizer.index_of["n't"]]) == "n't"
    assert tokenizer.continuation(encode("She sees."), encode("she")) == " She"
    assert tokenizer.continuation(encode("Zorblax"), encode("sees")) == " sees"
    assert tokenizer.continuation([], encode("she sees")) == "She sees"


def test_what_is_saved_loads_as_it_was_from_plain_json(tokenizer, starter_texts, tmp_path):
    tokenizer.save(tmp_path)
    loaded = word.load(tmp_path)
    assert loaded.word_at == tokenizer.word_at
    assert [loaded.encode(t) for t in starter_texts] == [tokenizer.encode(t) for t in starter_texts]
    assert [path.name for path in tmp_path.iterdir()] == ["words.json"]
    assert json.loads((tmp_path / "words.json").read_text("utf-8")) == list(tokenizer.word_at.values())


def test_a_vocabulary_of_hardly_any_words_is_noted_in_one_line(capsys):
    made_of(*["硝子の港。", "海の約束。"] * 2, "灯台守の娘は帰らない。", min_count=2)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "only 2 words, and 20 % of the training split's words are unknown" in line
    assert "take a preset of subwords, such as lstm-small" in line


def test_a_vocabulary_that_knows_less_than_half_of_its_texts_is_noted(capsys, starter_texts):
    made_of(*starter_texts[:100], min_count=20)
    assert "words are unknown" in capsys.readouterr().err


def test_nothing_is_noted_of_a_usual_vocabulary(capsys, starter_texts):
    made_of(*starter_texts[:20], min_count=2)
    assert capsys.readouterr().err == ""


def test_a_base_is_refused_since_words_come_from_the_corpus(tmp_path):
    with pytest.raises(OptionError, match="pretrained"):
        word.build(word.Config(), [], tmp_path)


def test_an_unknown_tokenizer_names_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'word'"):
        tokenizers.kind("words")
