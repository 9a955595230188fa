"""Near-duplicates: what is alike is found together, and nothing else, whatever the script."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus import SPLITS, Record, prepare
from arasuji.corpus.dedupe import drop_near_duplicates
from arasuji.corpus.near import SIMILARITY, clusters, shingles_of


def found(*texts: str, similarity: float = SIMILARITY) -> list[int]:
    return clusters([Record(str(n), text) for n, text in enumerate(texts)], similarity).tolist()


def left(*texts: str, **parameters: float) -> list[str | None]:
    records = [Record(str(n), text) for n, text in enumerate(texts)]
    return list(drop_near_duplicates(records, **parameters))


def words_of_ascii(text: str) -> list[str]:
    """What a word is in these tests' simple texts, said without the code under test."""
    return text.lower().split()


def jaccard(one: str, other: str) -> float:
    """The exact resemblance of two simple texts by the definition: common runs of three words / all different ones."""
    a, b = ({tuple(w[i : i + 3]) for i in range(max(1, len(w) - 2))} for w in map(words_of_ascii, (one, other)))
    return len(a & b) / len(a | b)


def connected(texts: list[str], threshold: float) -> list[int]:
    """Brute force: every pair compared, and for each text the first one it is connected with."""
    first = list(range(len(texts)))
    for i, j in combinations(range(len(texts)), 2):
        if jaccard(texts[i], texts[j]) >= threshold:
            old, new = sorted((first[i], first[j]), reverse=True)
            first = [new if place == old else place for place in first]
    return first


def rewritten(words: list[str], changes: int, chance: random.Random) -> list[str]:
    """The words with so many of them replaced by ones that stand nowhere else."""
    words = list(words)
    for place in chance.sample(range(len(words)), changes):
        words[place] = f"new{chance.randrange(10**9)}"
    return words


def unique(chance: random.Random, count: int) -> list[str]:
    return [f"w{chance.randrange(10**9)}" for _ in range(count)]


few_words = st.lists(st.sampled_from(["lamp", "storm", "harbour", "keeper", "letter"]), max_size=9).map(" ".join)
stories = st.integers(0, 5).map(lambda seed: unique(random.Random(seed), 30))
edited = st.builds(lambda words, changes, seed: " ".join(rewritten(words, changes, random.Random(seed))),
                   stories, st.integers(0, 6), st.integers(0, 9))  # fmt: skip


@settings(max_examples=80, deadline=None, derandomize=True)
@given(texts=st.lists(few_words | edited, max_size=30))
def test_every_likeness_of_eight_tenths_is_found_and_nothing_that_brute_force_does_not_find(texts: list[str]) -> None:
    numbers = found(*texts)
    least, most = connected(texts, 0.8), connected(texts, SIMILARITY)
    for i, j in combinations(range(len(texts)), 2):
        if least[i] == least[j]:
            assert numbers[i] == numbers[j], (texts[i], texts[j])
        if numbers[i] == numbers[j]:
            assert most[i] == most[j], (texts[i], texts[j])
    assert all(number == numbers.index(number) for number in numbers)  # it is the first member's place


@settings(max_examples=40, deadline=None, derandomize=True)
@given(texts=st.lists(few_words | edited, max_size=20), similarity=st.sampled_from([0.3, 0.65, 0.8, 1.0]))
def test_the_similarity_that_is_asked_for_is_the_one_that_joins(texts: list[str], similarity: float) -> None:
    numbers, most = found(*texts, similarity=similarity), connected(texts, similarity)
    for i, j in combinations(range(len(texts)), 2):
        if numbers[i] == numbers[j]:
            assert most[i] == most[j]


def test_of_pairs_that_are_just_like_enough_most_are_found() -> None:
    chance = random.Random(0)
    pairs = []
    while len(pairs) < 300:
        words = unique(chance, 60)
        other = rewritten(words, chance.randint(4, 7), chance)
        pair = (" ".join(words), " ".join(other))
        if SIMILARITY <= jaccard(*pair) <= 0.6:
            pairs.append(pair)
    numbers = found(*(text for pair in pairs for text in pair))
    together = [numbers[2 * n] == numbers[2 * n + 1] for n in range(len(pairs))]
    assert sum(together) >= 0.75 * len(pairs)
    assert len(set(numbers)) == 2 * len(pairs) - sum(together)  # and no two pairs were mixed


def test_a_pair_at_the_threshold_is_joined_and_one_below_it_is_not() -> None:
    chance = random.Random(0)
    stories = [unique(chance, 82) for _ in range(40)]  # 80 runs, of which the beginning has half
    pairs = [" ".join(words) for story in stories for words in (story, story[:42])]
    assert jaccard(pairs[0], pairs[1]) == 0.5
    assert len(set(found(*pairs, similarity=0.5))) < 50
    assert len(set(found(*pairs, similarity=0.501))) == 80


def test_equal_texts_are_together_among_a_thousand_that_share_a_formula() -> None:
    chance = random.Random(0)
    formula = unique(chance, 30)
    texts = [" ".join(formula + unique(chance, 20)) for _ in range(1000)]
    assert 0.3 < jaccard(texts[0], texts[1]) < SIMILARITY
    again = chance.sample(range(1000), 50)
    numbers = found(*texts, *(texts[place] for place in again))
    assert numbers == [*range(1000), *again]


def test_case_and_punctuation_do_not_tell_texts_apart_and_a_chain_is_one_cluster() -> None:
    assert found("The lamp, lit; burns.", "another", "the LAMP lit burns!", "the lamp\nlit “burns”") == [0, 1, 0, 0]
    words = unique(random.Random(0), 40)
    chain = [" ".join(words[start : start + 30]) for start in (0, 5, 10)]
    assert jaccard(chain[0], chain[2]) < SIMILARITY < jaccard(chain[0], chain[1])
    assert found(chain[0], chain[2]) == [0, 1]
    assert found(chain[0], chain[2], chain[1]) == [0, 0, 0]


def test_empty_and_very_short_texts_are_like_their_equals_alone() -> None:
    texts = ["", "lamp", "two lamps", "", "Lamp!", "lamps two", "…", "two  lamps"]
    assert found(*texts) == [0, 1, 2, 0, 1, 5, 6, 2]
    assert found() == []
    assert found("alone") == [0]


@pytest.mark.parametrize(
    ("text", "twin", "stranger"),
    [
        (
            "灯台守の少女は嵐の夜に一通の手紙を見つけ、海の向こうの兄を探す旅に出る。",
            "灯台守の少女は嵐の朝に一通の手紙を見つけ、海の向こうの兄を探す旅に出る。",
            "山奥の小さな食堂で、引退した力士が毎晩ふしぎな客のために鍋を煮る。",
        ),
        (
            "守灯塔的女孩在暴风雨之夜发现了一封信，于是出发去寻找海那边的哥哥。",
            "守灯塔的女孩在暴风雨之夜收到了一封信，于是出发去寻找海那边的哥哥。",
            "深山里的小饭馆，退役的相扑选手每晚为奇怪的客人煮一锅汤。",
        ),
        (
            "เด็กสาวผู้ดูแลประภาคารพบจดหมายในคืนพายุและออกเดินทางตามหาพี่ชายที่อยู่อีกฟากทะเล",
            "เด็กสาวผู้ดูแลประภาคารพบจดหมายในคืนฝนตกและออกเดินทางตามหาพี่ชายที่อยู่อีกฟากทะเล",
            "ในร้านอาหารเล็กๆ บนภูเขา นักมวยปล้ำที่เลิกแล้วต้มหม้อไฟให้แขกแปลกหน้าทุกคืน",
        ),
        (
            "Le gardien du phare rêvait d’un été où la mer serait calme, mais l’orage éclata à minuit près de la côte",
            "Le gardien du phare rêvait d’un été où la mer serait belle, mais l’orage éclata à minuit près de la côte",
            "Le gardien du phare revait d’un ete ou la mer serait calme, mais l’orage eclata a minuit pres de la cote",
        ),
    ],
    ids=["Japanese", "Chinese", "Thai", "accents"],
)
def test_near_duplicates_are_found_in_any_script(text: str, twin: str, stranger: str) -> None:
    assert found(text, stranger, twin) == [0, 1, 0]
    assert len(shingles_of(text)) > 10  # they are compared by their runs, not as one long word


def test_the_longest_of_each_cluster_stays_and_of_equally_long_ones_the_first() -> None:
    story = "the keeper of the lamp walks home through the long winter storm and finds the door open"
    longer, as_long = f"{story} again", story.replace("winter", "summer")
    assert len(as_long) == len(story)
    assert left(story, longer, "another tale", as_long) == [None, longer, "another tale", None]
    assert left(as_long, "another tale", story) == [as_long, "another tale", None]
    assert left(story, as_long) == [story, None]


def test_similarity_is_a_parameter_of_the_rule(tmp_path: Path) -> None:
    chance = random.Random(1)
    words = unique(chance, 60)
    pair = [" ".join(words), " ".join(rewritten(words, 4, chance)) + " end"]
    assert 0.6 < jaccard(*pair) < 0.9
    assert left(*pair, similarity=0.6) == [None, pair[1]]
    assert left(*pair, similarity=0.9) == pair


FAMILIES, MEMBERS = 30, 4


@pytest.fixture
def families(tmp_path: Path) -> Path:
    """Families of near-duplicates with nothing else in common, not even a title."""
    chance = random.Random(7)
    lines = []
    for family in range(FAMILIES):
        words = unique(chance, 60)
        for member in range(MEMBERS):
            title = f"{chr(97 + family % 26)}{chr(97 + family // 26)}{chr(97 + member)}zu"
            lines.append(f"{title},family{family} {' '.join(rewritten(words, 2, chance))}")
    chance.shuffle(lines)
    path = tmp_path / "families.csv"
    path.write_text("\n".join(["title,synopsis", *lines]), "utf-8")
    return path


@pytest.mark.parametrize(
    "rules",
    ["article", "", "[[rule]]\nname = 'near-duplicates'\nsimilarity = 0.99\n"],
    ids=["article", "no rules", "only the nearly equal removed"],
)
def test_no_cluster_that_the_rules_leave_stands_in_two_splits(tmp_path: Path, families: Path, rules: str) -> None:
    if rules != "article":
        (tmp_path / "mine.toml").write_text(rules)
        rules = str(tmp_path / "mine.toml")
    for seed in range(3):
        corpus = prepare([families], tmp_path / "corpus", rules, seed)
        sides: dict[str, set[str]] = {}
        for name in SPLITS:
            for record in corpus.split(name):
                sides.setdefault(record.text.split()[0], set()).add(name)
        assert len(sides) == FAMILIES
        assert sum(len(corpus.split(name)) for name in SPLITS) == FAMILIES * MEMBERS
        assert all(len(places) == 1 for places in sides.values())
        assert len({record.group for record in corpus.train}) == sum(p == {"train"} for p in sides.values())


def test_texts_that_a_later_rule_makes_alike_are_kept_together_too(tmp_path: Path) -> None:
    chance = random.Random(3)
    lines = []
    for family in range(FAMILIES):
        words = [f"family{family}", *unique(chance, 59)]
        for member in range(2):  # "xx" in every run, in two ways
            apart = [f"{word} xx" if place % 2 == member else word for place, word in enumerate(words)]
            lines.append(f"{chr(97 + family % 26)}{chr(97 + family // 26)}{chr(97 + member)}zu,{' '.join(apart)}")
    assert jaccard(*(line.partition(",")[2] for line in lines[:2])) < 0.1
    (tmp_path / "pairs.csv").write_text("\n".join(["title,synopsis", *lines]))
    rules = tmp_path / "mine.toml"
    rules.write_text("[[rule]]\nname = 'near-duplicates'\n[[rule]]\nname = 'cut'\nphrase = 'xx'\n")
    corpus = prepare([tmp_path / "pairs.csv"], tmp_path / "corpus", str(rules))
    sides = {(record.text.split()[0], name) for name in SPLITS for record in corpus.split(name)}
    assert sum(count.removed for count in corpus.rules) == 0
    assert len(sides) == FAMILIES
