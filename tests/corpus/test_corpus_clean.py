"""Rules: what each one does, that they are counted, and that a wrong rule set is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus import Record, RuleCount, mend
from arasuji.corpus.clean import RULE_SETS, Cleaning, RuleSet, Step, as_toml, load_rules
from arasuji.corpus.registry import RULES
from arasuji.errors import CorpusError, OptionError


def run(rule: str, *texts: str, **parameters: object) -> list[str | None]:
    """One rule on some texts."""
    records = [Record(str(number), text) for number, text in enumerate(texts)]
    return list(RULES[rule].function(records, **parameters))


def clean(records: list[Record], ruleset: RuleSet, folder: Path) -> tuple[list[Record], tuple[RuleCount, ...]]:
    """What is left of the records, and the counts."""
    cleaning = Cleaning(records, ruleset, folder)
    return list(cleaning), cleaning.counts


def run_default(text: str) -> str | None:
    """All rules of the default set that mend; no text is too short for them."""
    records = [Record("0", text)]
    for step in load_rules("default").steps:
        if step.rule not in ("words", "placeholders"):
            texts = RULES[step.rule].function(records, **step.parameters)
            records = [Record("0", text) for text in texts if text is not None]
    return records[0].text if records else None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A <b>bold</b> and <I class='x'>slanted</i> word", "A bold and slanted word"),
        ("one<br>two<br />three<p>four</p>", "one\ntwo\nthree\nfour\n"),
        ("cats &amp; dogs, &quot;said&quot; &#39;he&#x27;", "cats & dogs, \"said\" 'he'"),
        ("twice &amp;lt;i&amp;gt;escaped", "twice escaped"),
        ("a<!-- hidden -->b", "ab"),
        ("I <3 you, a < b > c, R&D, <The Glass Harbour>", "I <3 you, a < b > c, R&D, <The Glass Harbour>"),
    ],
)
def test_html_goes_and_angle_brackets_that_are_text_stay(before: str, after: str) -> None:
    assert run("html", before) == [after]


def test_repair_mends_encodings_and_leaves_typography_alone() -> None:
    assert run("repair", "donâ€™t", "cafÃ© noir") == ["don’t", "café noir"]
    good = ["“curly” ‘quotes’ … – —", "naïve Ōkami", "猫は「鳴く」。", "ＡＢＣ ﬁn"]  # wide letters, a ligature
    assert run("repair", *good) == good


def test_whitespace_keeps_paragraphs() -> None:
    assert run("whitespace", "  one \t two\r\n\r\n three\x00\ufeff ") == ["one two\nthree"]


@pytest.mark.parametrize(
    "note",
    [
        "(Source: Some Site)",
        "\n\n(Source: Some (old) Site, edited)",
        "[Written by A Fan]",
        "[Source: http://example.org]",
        "\nSource: Some Site",
        "\n(Source: Some Site",
        "（Source：Some Site）",
        "(Source: Some Site) [Written by A Fan]",
    ],
)
def test_source_note_goes(note: str) -> None:
    assert run("source-notes", f"The lamp goes out. {note}") == ["The lamp goes out."]


def test_source_as_a_word_of_the_story_stays() -> None:
    texts = ["They seek the source: a lamp that never goes out.", "A tale (written by the sea) of its source."]
    assert run("source-notes", *texts) == texts
    assert run("source-notes", "It ends. (Source: Site)\nNote: it returns.") == ["It ends.\nNote: it returns."]


def test_placeholders_go_and_a_story_that_begins_like_one_stays() -> None:
    parameters = next(step.parameters for step in load_rules("default").steps if step.rule == "placeholders")
    gone = ["", " n/a ", "TBA.", "There is currently no synopsis for this title.", "No synopsis yet."]
    story = "No plot is too wild for the keeper, " + "who plots and plots " * 10
    assert run("placeholders", *gone, story, **parameters) == [None] * len(gone) + [story]


def test_words_limits_are_inclusive_and_scripts_without_spaces_are_not_one_word() -> None:
    assert run("words", "a b", "a b c", "a b c d", "a b c d e", min=3, max=4) == [None, "a b c", "a b c d", None]
    japanese = "灯台守は嵐の夜に手紙を見つける。"
    assert run("words", japanese, min=5, max=10) == [None]
    assert run("words", japanese, min=5, max=10, characters_per_word=2) == [japanese]


def test_genres_match_whole_names_and_quote_nothing() -> None:
    records = [Record("0", "x", metadata={"genres": ["Kids"]}), Record("1", "y", metadata={"genres": ["Skids"]})]
    assert list(RULES["genres"].function(records, drop=["kids"])) == [None, "y"]
    assert not RULES["genres"].quotable


def test_first_of_equal_texts_stays() -> None:
    assert run("duplicates", "One  lamp", "one\nlamp", "two") == ["One  lamp", None, "two"]


def test_article_cleaner_drops_symbols_everywhere_and_its_lstm_twin_at_the_start() -> None:
    text = '"Don\'t (go)" é [Written by A] (Source: B) more'
    steps = {name: load_rules(name).steps[2] for name in ("article", "article-lstm")}
    assert run("article-cleaner", text, **steps["article"].parameters) == ["Dont go   [Written by A] "]
    assert run("article-cleaner", text, **steps["article-lstm"].parameters) == ["Don't go\"   [Written by A] "]


def test_every_step_is_counted_with_an_example(tmp_path: Path) -> None:
    words = "the keeper of the lamp walks home in the winter storm"
    texts = [words, f"<b>twice</b> as {words[::-1]}", "too short", words.upper(), f"{words} and sleeps"]
    left, counts = clean([Record(str(n), text) for n, text in enumerate(texts)], load_rules("default"), tmp_path)
    assert [record.id for record in left] == ["1", "4"]
    by_rule = {count.rule: count for count in counts}
    assert (counts[0].rule, counts[0].left) == ("all", 5)
    assert (by_rule["html"].changed, by_rule["html"].removed) == (1, 0)
    assert by_rule["html"].example == (texts[1], f"twice as {words[::-1]}")
    assert by_rule["words"].example == ("too short", "")
    assert (by_rule["duplicates"].removed, by_rule["duplicates"].left) == (1, 3)
    assert (by_rule["near-duplicates"].removed, by_rule["near-duplicates"].left) == (1, 2)


def test_examples_are_clipped_around_the_change(tmp_path: Path) -> None:
    text = "lamp " * 200 + "<b>here</b> " + "storm " * 200
    html = RuleSet("", (Step("html", {}, "html"),))
    _, counts = clean([Record("0", text)], html, tmp_path)
    before, after = counts[-1].example or ("", "")
    assert max(len(before), len(after)) <= 160
    assert "<b>here</b>" in before
    assert "here storm" in after


def test_a_rule_set_is_written_as_it_is_read(tmp_path: Path) -> None:
    odd = RuleSet(
        "",
        (
            Step("phrase", {"phrase": 'a "b" \\ \x7f \n ⏎ 🙂'}, "phrase"),
            Step("placeholders", {"equal": ["n/a"] * 40, "begin": [], "longest": 3}, "placeholders"),
            Step("near-duplicates", {"similarity": 0.75}, "near-duplicates"),
        ),
    )
    for ruleset in (odd, load_rules("default"), load_rules("article")):
        path = tmp_path / "my.toml"
        path.write_text("\n".join(as_toml(step.table) for step in ruleset.steps), "utf-8")
        assert load_rules(str(path)).steps == ruleset.steps


def test_rules_that_remove_everything_are_named(tmp_path: Path) -> None:
    records = [Record(str(n), "far too short") for n in range(120)]
    with pytest.raises(CorpusError, match=r"all 120 documents are gone: rule 'words' \(min 31, max 300\)"):
        clean(records, load_rules("article"), tmp_path)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[[rule]]\nname = 'wards'", "no rule 'wards': did you mean 'words'"),
        ("[[rule]]\nname = 'words'\nmin = 1\nmax = 2\nmixn = 3", "no parameter 'mixn'"),
        ("[[rule]]\nname = 'words'\nmin = 1", "needs a parameter 'max'"),
        ("[[rule]]\nname = 'words'\nmin = 1\nmax = 'ten'", "max = 'ten' is not a whole number"),
        ("[[rule]]\nname = 'genres'\ndrop = 'Kids'", "is not a list of texts"),
        ("[[rules]]\nname = 'words'", "nothing else"),
        ("[[rule]", "is not TOML"),
    ],
)
def test_wrong_rule_set_is_named(tmp_path: Path, toml: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(toml)
    with pytest.raises(OptionError) as caught:
        load_rules(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_rule_set_is_named_and_a_path_is_taken(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no rule set 'artcle': did you mean 'article'"):
        load_rules("artcle")
    path = tmp_path / "mine.toml"
    path.write_text((RULE_SETS / "default.toml").read_text("utf-8"), "utf-8")
    assert load_rules(str(path)) == load_rules("default")


PIECES = [
    *("<b>", "</b>", "<br>", "&amp;", "&lt;", "<3", "<", "&", "(Source: X)", "[Written by Y]", "Source: Z", "(", "]"),
    *("\n", "\n\n", "\t", "\x00", "\u2028", "\ufeff", "donâ€™t", "Ã©", "é", "“hi”", "猫", "ok.", "a"),
]
pieces = st.lists(st.sampled_from(PIECES), max_size=12)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=st.text() | pieces.map(" ".join) | pieces.map("".join))
def test_default_rules_never_crash_and_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = run_default(text)
    assert once is not None
    assert run_default(once) == once


def mistaken(text: str) -> str:
    """UTF-8 read as the encoding that Windows used."""
    return text.encode("utf-8").decode("cp1252", "replace")


foreign = st.text(st.characters(min_codepoint=0x80, max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=3)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(words=st.lists(foreign | foreign.map(mistaken) | st.sampled_from(["lamp", "café", "—", "à", "Ã", "it’s"])))
def test_no_text_that_ftfy_would_repair_is_passed_over(words: list[str]) -> None:
    for text in (" ".join(words), "".join(words)):
        if not mend._may_be_broken(text):
            assert mend._repaired(text) == text
