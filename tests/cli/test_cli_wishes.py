"""What `generate` and `title` are asked for in words, and what is refused in one line."""

from __future__ import annotations

import pytest

from arasuji.corpus.script import count_words, words_of
from arasuji.corpus.sentences import is_final


def texts(outcome) -> list[str]:
    assert outcome.code == 0, outcome.err
    return [sample["text"] for sample in outcome.json["samples"]]


def test_a_text_has_the_words_and_the_length_that_were_asked_for(arasuji_, run):
    asked = ("--with", "harbour", "--without", "the", "--words", "30..40")
    for text in texts(arasuji_("generate", run, "A baker", "-n", 3, *asked, "--json")):
        assert "harbour" in words_of(text)
        assert "the" not in words_of(text)
        assert 30 <= count_words(text) <= 40


def test_a_file_is_continued_with_the_same_wishes_only(arasuji_, run, tmp_path):
    line = ("generate", run, "A baker", "--words", "20..30", "--out", tmp_path / "texts.jsonl")
    assert arasuji_(*line).code == 0
    assert arasuji_(*line, "-n", 2, "--resume").code == 0
    assert "another 'wishes'" in arasuji_(*line, "-n", 3, "--resume", "--without", "sea").complaint


def test_a_file_of_somebody_else_without_a_last_line_break_is_left_as_it_is(arasuji_, run, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "mine"}', "utf-8")
    assert "choose another --out" in arasuji_("generate", run, "A baker", "--out", path, "--resume").complaint
    assert path.read_text("utf-8") == '{"prompt": "mine"}'


def test_a_prompt_that_is_longer_than_the_text_may_be_is_refused(arasuji_, run):
    complaint = arasuji_("generate", run, "A baker goes to sea in a small boat", "--words", "2..5").complaint
    assert "the prompt has 9 words" in complaint


def test_an_error_in_a_file_of_prompts_names_the_line(arasuji_, run, tmp_path):
    path = tmp_path / "prompts.jsonl"
    for line, said in (('{"studio": "Lamp"}', "trained without fields"), ('{"words": "2..3"}', "--words")):
        path.write_text('{"prompt": "A baker"}\n' + line, "utf-8")
        complaint = arasuji_("generate", run, "--prompts-file", path).complaint
        assert f"{path}, line 2: " in complaint
        assert said in complaint


def test_a_text_ends_with_a_sentence_unless_it_is_not_to_be_mended(arasuji_, run):
    line = ("generate", run, "A baker", "-n", 8, "--max-length", 30, "--json")
    mended, plain = texts(arasuji_(*line)), texts(arasuji_(*line, "--no-mend"))
    assert [text for text in mended if not is_final(text)] == []
    assert not all(is_final(text) for text in plain)


def test_a_variation_keeps_the_first_sentence(arasuji_, run):
    text = "The lamp went out. Nobody rowed home that night, and the keeper counted boats until the morning came back."
    for varied in texts(arasuji_("generate", run, "--variations", text, "-n", 2, "--no-known-names", "--json")):
        assert varied.startswith("The lamp went out.")
        assert 15 <= count_words(varied) <= 23


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--words", "120..80"), "the smaller number comes first"),
        (("--words", "80"), "such as 80..120"),
        (("--with", "..."), "holds no word"),
        (("--without", ""), "holds no word"),
        (("--with", "sea", "--without", "Sea"), "is not to"),
        (("--from", "One sentence."), "cannot fill"),
        (("--variations", "Short."), "needs a text of 8 words"),
        (("A baker", "--variations", "A text that has more words than eight of them."), "leave other prompts out"),
        (("--words", "8..9", "--max-length", "20"), "leave --max-length out"),
        (("--guidance", "2", "--num-beams", "3"), "guidance 2 is for texts that are drawn"),
    ],
)
def test_what_cannot_be_granted_is_refused_in_one_line(arasuji_, run, asked, said):
    outcome = arasuji_("generate", run, *asked)
    assert (outcome.code, said in outcome.complaint) == (2, True), outcome.err


def test_a_run_of_texts_proposes_no_titles(arasuji_, run):
    assert "proposes no titles" in arasuji_("title", run, "A text.").complaint


def test_guidance_without_fields_is_said_to_change_nothing(arasuji_, run):
    assert "changes nothing here" in arasuji_("generate", run, "A baker", "--guidance", "2", "--max-length", "5").err


def test_a_run_of_titles_or_middles_says_how_it_is_asked(arasuji_, corpus, tmp_path):
    small = ("--set", "embedding=16", "--set", "hidden=16", "--max-steps", 2)
    for what, format, said in (("title", "{text}", "arasuji title"), ("middle", "{from} | {to}", "--from SENTENCE")):
        chosen = ("--set", f"document.predicts={what}", "--set", f'document.format="{format}"')
        run = tmp_path / what
        assert arasuji_("train", "lstm-control", "--corpus", corpus, "--out", run, *small, *chosen).code == 0
        assert said in arasuji_("runs", run).out
    proposed = arasuji_("title", tmp_path / "title", "A lighthouse shines.", "A bell rings.", "-n", 2, "--json").json
    assert [len(of["titles"]) for of in proposed["texts"]] == [2, 2]
    assert "predicts titles" in arasuji_("compare", tmp_path / "title", tmp_path / "middle").complaint
