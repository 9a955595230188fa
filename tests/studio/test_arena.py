"""A pair says nothing of who wrote it until the vote, which is final; and the table says no more than the votes."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest

from arasuji.corpus import Corpus
from arasuji.corpus.originality import copied
from arasuji.corpus.script import words_of
from arasuji.corpus.suffixes import suffixes_of
from arasuji.evaluation.blind import beginnings_of
from arasuji.evaluation.report import Report
from arasuji.evaluation.task import prompt_of, rest_of
from arasuji.generation.texts import as_text
from arasuji.runs import CorpusFacts
from arasuji.studio.rooms.arena import Arena, Contestant, PairRequest, drawn
from arasuji.studio.rooms.ballots import PERSON, Side
from arasuji.studio.shelf import Shelf

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def arena(runs, serve, tmp_path_factory):
    """A server whose arena nobody else uses."""
    folder = tmp_path_factory.mktemp("arena") / "runs"
    shutil.copytree(runs, folder, ignore=shutil.ignore_patterns("*.sqlite"))
    with serve(folder) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        client.folder, client.server = folder, server
        yield client


@pytest.fixture
def own_runs(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs", ignore=shutil.ignore_patterns("*.sqlite"))
    return tmp_path / "runs"


def pair_of(client, question: str = "person", runs: tuple[str, ...] = ("ngram",)) -> dict:
    answer = client.post("/api/arena/pairs", json={"question": question, "runs": runs})
    assert answer.status_code == 200, answer.text
    return answer.json()


def voted(client, pair: dict, choice: str) -> httpx.Response:
    return client.post("/api/arena/votes", json={"pair": pair["pair"], "choice": choice})


def row_of(folder, pair: dict) -> sqlite3.Row:
    with closing(sqlite3.connect(folder / "arena.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT * FROM pairs WHERE id = ?", (pair["pair"],)).fetchone()


def count_of(folder) -> int:
    with closing(sqlite3.connect(folder / "arena.sqlite")) as connection:
        return connection.execute("SELECT count(*) FROM pairs").fetchone()[0]


def cast(folder, choices: str, question: str = "person", sides: tuple[str, str] = ("ngram", PERSON.name)) -> None:
    """Votes on pairs of these names, whose texts need not be written: l, r, t, p or v for each vote."""
    arena = Arena(Shelf(folder, 1))
    marks = {name: run.mark for name, run in arena.contestants()[0].items()}
    left, right = (Side(name, marks.get(name, "")) for name in sides)
    groups = {str(i): str(i) for i in range(200)}
    names = {choice[0]: choice for choice in ("left", "right", "tie", "poor", "void")}
    for choice in choices:
        pair, _ = arena.ballots.draw(question, "", groups, left, right)
        assert arena.ballots.vote(pair, names[choice])


def test_both_texts_go_on_from_one_beginning_are_equally_long_and_equally_clean(arena, corpus):
    held_out = beginnings_of(Corpus.load(corpus))
    for question, runs in (("person", ("told",)), ("person", ("ngram",)), ("read", ("told", "ngram"))):
        pair = pair_of(arena, question, runs)
        assert [*pair] == ["pair", "prompt", "left", "right"]
        assert pair["prompt"] in {as_text(prompt_of(record)) for record in held_out.records.values()}
        for text in (pair["left"], pair["right"]):
            assert len(words_of(text)) == held_out.words
            assert text == text.strip()
            assert text[-1].isalnum()
            assert "  " not in text


def test_who_wrote_a_text_is_said_by_the_vote_alone_and_is_true(arena, corpus):
    pair = pair_of(arena)
    row = row_of(arena.folder, pair)
    names = {"left": row["left_name"], "right": row["right_name"]}
    assert sorted(names.values()) == ["a person", "ngram"]
    around = {key: value for key, value in pair.items() if key not in names}  # a text may hold such a word itself
    assert not any(name in json.dumps(around) for name in ("ngram", "person", row["text"], row["left_mark"] or "ngram"))
    real = next(record for record in Corpus.load(corpus).test if record.id == row["text"])
    for side, name in names.items():
        text = " ".join(rest_of(real).split())
        assert text.startswith(" ".join(pair[side].split())) == (name == "a person")
    assert voted(arena, pair, "left").json() == names


def test_a_vote_is_final(arena):
    pair = pair_of(arena)
    assert voted(arena, pair, "left").status_code == 200
    for choice in ("left", "right", "void"):
        assert voted(arena, pair, choice).status_code == 409
    assert row_of(arena.folder, pair)["choice"] == "left"


def test_of_many_votes_at_once_the_first_one_counts(arena):
    pair = pair_of(arena)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: voted(arena, pair, "left").status_code, range(8)))
    assert Counter(answers) == {200: 1, 409: 7}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("votes", {"pair": "unknown", "choice": "left"}, 404),
        ("votes", {"pair": "a" * 101, "choice": "left"}, 400),
        ("votes", {"pair": "unknown", "choice": "best"}, 400),
        ("pairs", {"question": "best"}, 400),
        ("pairs", {"question": "read", "runs": []}, 400),
        ("pairs", {"question": "read", "runs": ["nothing"]}, 400),
        ("pairs", {"question": "read", "runs": ["../told"]}, 400),
        ("pairs", {"question": "read", "left": "told"}, 400),
    ],
)
def test_what_is_no_vote_and_no_pair_is_refused_in_one_line(arena, path, body, status):
    answer = arena.post(f"/api/arena/{path}", json=body)
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]["message"]


def test_both_poor_does_not_say_which_one_a_person_wrote(arena):
    pair = pair_of(arena)
    assert voted(arena, pair, "poor").status_code == 400
    assert voted(arena, pair, "tie").status_code == 200


def contestants(**corpora: str) -> dict[str, Contestant]:
    return {name: Contestant("", CorpusFacts(hash=corpus)) for name, corpus in corpora.items()}


def test_a_model_meets_people_and_others_of_its_corpus_on_either_side_and_never_itself():
    runs = contestants(a="one", b="one", c="another")
    asked = PairRequest(question="read")
    met = Counter(tuple(drawn(asked, runs)) for _ in range(4000))
    possible = [("a", "b"), *((name, PERSON.name) for name in runs)]
    assert {*met} == {*possible, *((right, left) for left, right in possible)}
    assert all(350 < times < 650 for times in met.values())  # 500, eight standard deviations apart


def test_a_person_takes_part_where_people_are_asked_for_and_only_runs_that_are_named():
    runs = contestants(a="one", b="one")
    for question, named in (("person", None), ("person", ["a"]), ("read", ["a"])):
        for _ in range(50):
            names = {*drawn(PairRequest(question=question, runs=named), runs)}
            assert PERSON.name in names
            assert names <= {PERSON.name, *(named or runs)}


def test_no_beginning_comes_again_before_all_have_come(own_runs, serve, corpus):
    beginnings = beginnings_of(Corpus.load(corpus)).records
    with serve(own_runs) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        with ThreadPoolExecutor(4) as pool:  # many ask at once
            pairs = list(pool.map(lambda _: pair_of(client), range(len(beginnings) // 2)))
        first = [row_of(own_runs, pair)["text"] for pair in pairs]
        assert len(set(first)) == len(first)
        with closing(sqlite3.connect(own_runs / "arena.sqlite")) as connection, connection:
            left_out = {*beginnings} - {text for (text,) in connection.execute("SELECT text FROM pairs")}
            copied_row = (
                "INSERT INTO pairs SELECT ?, question, corpus, ?, text_group, left_name, left_mark, right_name, "
            )
            copied_row += "right_mark, made, NULL, NULL FROM pairs LIMIT 1"
            *others, last = sorted(left_out)
            connection.executemany(copied_row, [(f"pair-{text}", text) for text in others])
        assert row_of(own_runs, pair_of(client))["text"] == last


def test_no_text_is_a_copy_of_a_training_text(arena, corpus):
    training = suffixes_of(corpus)
    for _ in range(6):
        pair = pair_of(arena)
        side = "left" if row_of(arena.folder, pair)["left_name"] == "ngram" else "right"
        assert copied(f"{pair['prompt']} {pair[side]}", training, len(pair["prompt"])).longest <= 8


def test_a_full_server_says_when_to_ask_again_and_the_beginning_is_not_used_up(arena):
    arena.server.until_idle()
    before = count_of(arena.folder)
    long = {"model": "told", "max_tokens": 4000, "min_tokens": 4000, "n": 32, "stream": True}
    with arena.stream("POST", "/v1/completions", json=long) as full:
        assert full.status_code == 200
        refused = arena.post("/api/arena/pairs", json={"question": "read"})
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "2")
    arena.server.until_idle()
    assert count_of(arena.folder) == before


def test_who_leaves_before_the_texts_are_written_takes_no_room(arena, calls):
    arena.server.until_idle()
    with pytest.raises(httpx.ReadTimeout):
        arena.post("/api/arena/pairs", json={"question": "read", "runs": ["told"]}, timeout=0.01)
    arena.server.until_idle()
    assert calls["cancel"] or not calls["step"]


def test_a_run_that_writes_too_little_is_named(own_runs, serve):
    (own_runs / "ngram" / "sampling.toml").write_text("max_length = 5\n", "utf-8")
    with serve(own_runs) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        answer = client.post("/api/arena/pairs", json={"question": "read", "runs": ["ngram"]})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith("ngram: ")


def test_votes_survive_the_server_and_a_pair_is_open_for_a_day(own_runs, serve):
    with serve(own_runs) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.get("/api/arena").json()["person"] == []
        assert not (own_runs / "arena.sqlite").exists()  # who only looks writes nothing
        pair, old = pair_of(client), pair_of(client)
    with closing(sqlite3.connect(own_runs / "arena.sqlite")) as connection, connection:
        connection.execute("UPDATE pairs SET made = '2020-01-01T00:00:00+00:00' WHERE id = ?", (old["pair"],))
    with serve(own_runs) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert voted(client, pair, "left").status_code == 200
        assert voted(client, old, "left").status_code == 404
        assert [row["votes"] for row in client.get("/api/arena").json()["person"]] == [1]


def table_of(serve, folder) -> dict:
    with serve(folder) as server, httpx.Client(base_url=server.url) as client:
        answer = client.get("/api/arena")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_table_counts_choices_ties_and_poor_ones_and_leaves_void_ones_out(own_runs, serve):
    cast(own_runs, "l" * 9 + "r" * 5 + "tttppv", "read", ("told", "ngram"))
    (row,) = table_of(serve, own_runs)["read"]["rows"]
    assert (row["first"], row["second"]) == ("told", "ngram")
    assert (row["votes"], row["wins"], row["tie"], row["poor"]) == (19, [9, 5], 3, 2)
    assert row["share"] == pytest.approx(9 / 14)
    assert 0.3 < row["low"] < row["share"] < row["high"] < 0.9


def test_of_few_votes_nothing_is_said(own_runs, serve):
    cast(own_runs, "l" * 9 + "t" * 5, "read", ("told", "ngram"))
    cast(own_runs, "l" * 9)
    table = table_of(serve, own_runs)
    assert table["read"]["rows"][0]["share"] is None
    assert table["read"]["strengths"] == []
    assert table["person"][0]["share"] is None
    assert table["person"][0]["judge"] is None


def test_three_contestants_are_ranked_also_where_one_always_wins(own_runs, serve):
    cast(own_runs, "l" * 12, "read", (PERSON.name, "told"))
    cast(own_runs, "l" * 8 + "r" * 4, "read", ("told", "ngram"))
    ranked = table_of(serve, own_runs)["read"]["strengths"]
    assert [row["name"] for row in ranked] == ["a person", "told", "ngram"]
    assert all(0 < row["low"] < row["share"] < row["high"] < 1 for row in ranked)


def test_a_text_is_taken_for_a_persons_where_it_is_chosen_and_half_where_nobody_can_tell(own_runs, serve):
    cast(own_runs, "lllllrrrrt")
    cast(own_runs, "lllllrrrrt", sides=(PERSON.name, "ngram"))
    (row,) = table_of(serve, own_runs)["person"]
    assert (row["name"], row["votes"], row["tie"], row["share"]) == ("ngram", 20, 2, 0.5)


def test_votes_on_a_model_that_the_run_has_not_any_more_are_left_out(own_runs, serve):
    cast(own_runs, "l" * 12)
    manifest = own_runs / "ngram" / "best" / "manifest.json"
    content = json.loads(manifest.read_text("utf-8"))
    content["files"]["config.json"] = {"bytes": 1, "sha256": "another"}
    manifest.write_text(json.dumps(content), "utf-8")
    assert table_of(serve, own_runs)["person"] == []


@pytest.mark.parametrize(
    ("choices", "verdict"),
    [("l" * 20 + "r" * 20, "less"), ("l" * 12 + "r" * 28, "agree"), ("r" * 40, "more"), ("lr", None)],
)
def test_what_the_judge_of_a_report_says_stands_beside_the_votes(own_runs, serve, corpus, choices, verdict):
    (own_runs / "reports").mkdir()
    (own_runs / "reports" / "broken.json").write_text("{", "utf-8")
    for name, hash in (("of-another-corpus", "0"), ("first", Corpus.load(corpus).hash)):
        (own_runs / "reports" / f"{name}.json").write_text(report_of(hash, ("ngram", "told")), "utf-8")
    cast(own_runs, choices)
    (row,) = table_of(serve, own_runs)["person"]
    assert row["judge"] == {"share": 0.69, "low": 0.63, "high": 0.75, "verdict": verdict}


def test_runs_that_cannot_take_part_are_named_and_an_empty_arena_says_what_it_needs(own_runs, serve, tmp_path):
    manifest = own_runs / "told" / "manifest.json"
    content = json.loads(manifest.read_text("utf-8"))
    content["corpus"]["folder"] = str(tmp_path / "gone")
    manifest.write_text(json.dumps(content), "utf-8")
    table = table_of(serve, own_runs)
    assert table["runs"] == ["ngram"]
    assert "corpus" in table["problems"]["told"]
    with serve(tmp_path / "empty") as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/api/arena").json()["runs"] == []
        refused = client.post("/api/arena/pairs", json={"question": "person"})
        assert (refused.status_code, "needs two models" in refused.text) == (400, True)


def test_a_damaged_file_of_votes_is_said_in_one_line(own_runs, serve):
    (own_runs / "arena.sqlite").write_bytes(b"no database at all, but some other thing" * 100)
    with serve(own_runs) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        for answer in (
            client.get("/api/arena"),
            client.post("/api/arena/pairs", json={"question": "read"}),
            client.post("/api/arena/votes", json={"pair": "unknown", "choice": "left"}),
        ):
            assert answer.status_code == 503
            assert "arena.sqlite" in answer.json()["error"]["message"]


def report_of(corpus: str, names: tuple[str, ...]) -> str:
    """A report with no more in it than it must have, and a judge."""
    judge = {"accuracy": 0.62, "low": 0.6, "high": 0.64, "auroc": 0.69, "auroc_low": 0.63, "auroc_high": 0.75}
    judged = {"reader": "smollm2-135m", "texts": 400, "words_accuracy": 0.5, "words_low": 0.4, "words_high": 0.6}
    judged |= judge | {"without_surprisal": judge, "telling": []}
    varied = ("distinct_1", "distinct_2", "distinct_3", "self_bleu", "repetition")
    samples = {name: None for one in varied for name in (one, f"{one}_range")}
    samples |= {"texts": 400, "words": 60, "long_enough": 0.9, "judge": judged}
    shares = dict.fromkeys(("share_4gram", "share_8gram", "share_13gram", "containment"))
    originality = {"longest_words": 8, "longest_words_range": (8, 8), "copying_texts": 0, **shares}
    bits = {"bits_per_byte": 1, "low": None, "high": None, "charge": 0, "scored": 1, "tokens_per_byte": 0.25}
    cost = dict.fromkeys(("disk_bytes", "tokens_per_second_alone", "tokens_per_second_together"), 1)
    cost |= {"bytes_per_second_together": 1, "memory_bytes": 1, "training_seconds": None, "training_tokens": None}
    empty = (
        "shots",
        "fields",
        "bits_by_position",
        "bits_by_frequency",
        "calibration",
        "curve",
        "texts",
        "shown_tokens",
    )
    model = bits | {name: [] for name in empty} | {"family": "lstm", "parameters": 1, "recent": None}
    model |= {"quantization_cost": 0, "calibration_error": 0, "samples": samples, "originality": originality}
    model |= {"cost": cost | {"from_cache": False}}
    model["documents"] = {"nll": [1], "charges": [0], "bytes": [1], "groups": ["a"], "tokens": 1}
    counts = ("seed", "seeds", "prompts", "prompt_words", "words", "documents", "recent", "calibration_documents")
    meta = dict.fromkeys((*counts, "training_documents"), 1) | {"layout": 6, "corpus": corpus, "real_texts": {}}
    meta |= dict.fromkeys(("command", "scored_in", "written_in", "without_judge", "machine"), "") | {"versions": {}}
    content = {"models": [{"name": name, **model} for name in names], "meta": meta, "nearest": {}}
    content |= {"real": {"samples": samples, "originality": originality}, "pairs": [], "shown": [], "prompts": []}
    return Report.model_validate(content).model_dump_json()
