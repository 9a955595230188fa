"""Records on disk are the records that were written, however they are asked for."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus import Record, Records
from arasuji.corpus import record as records_module

# Half of a surrogate pair is no text that UTF-8 can hold; reading a source replaces it.
text = st.text(st.characters(codec="utf-8") | st.sampled_from('\n\r\t\0"\\\u2028\u2029\x85\ufeff🙂'), max_size=40)
metadata = st.dictionaries(text, text | st.integers() | st.booleans() | st.lists(text, max_size=3), max_size=3)
records = st.lists(st.builds(Record, text, text, text, metadata), max_size=12)


def many(count: int, size: int = 1) -> list[Record]:
    return [Record(str(n), f"story {n} " * size, f"group {n % 3}", {"title": f"Lamp {n}"}) for n in range(count)]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(written=records)
def test_any_records_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[Record]
) -> None:
    path = tmp_path_factory.getbasetemp() / "records.jsonl"
    read = Records.write(path, iter(written))
    assert list(read) == written
    assert len(read) == len(written)
    assert [read[place] for place in range(len(written))] == written
    assert read == Records(path)
    lines = path.read_bytes().decode().removesuffix("\n").split("\n") if written else []
    assert b"\r" not in path.read_bytes()  # the file is the same on every system
    assert [json.loads(line) for line in lines] == [record.fields() for record in written]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(count=st.integers(0, 8), start=st.none() | st.integers(-10, 10), stop=st.none() | st.integers(-10, 10),
       step=st.sampled_from([None, 1, 2, -1, -3]), place=st.integers(-10, 10))  # fmt: skip
def test_places_and_slices_are_those_of_a_list(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    start: int | None,
    stop: int | None,
    step: int | None,
    place: int,
) -> None:
    written = many(count)
    read = Records.write(tmp_path_factory.getbasetemp() / "list.jsonl", written)
    assert read[start:stop:step] == written[start:stop:step]
    if -count <= place < count:
        assert read[place] == written[place]
    else:
        with pytest.raises(IndexError):
            read[place]


def test_reading_in_order_is_not_disturbed_by_reading_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "READ_AHEAD", 300)  # a few records, so that the file is read many times
    written, chance = many(200), random.Random(0)
    read = Records.write(tmp_path / "a.jsonl", written)
    seen = []
    for record, other in zip(read, read, strict=True):  # two readers side by side
        assert record == other
        seen.append(record)
        place = chance.randrange(200)
        assert read[place] == written[place]
    assert seen == written


def test_several_threads_read_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "READ_AHEAD", 1000)
    written = many(300, size=5)
    read = Records.write(tmp_path / "a.jsonl", written)

    def right(seed: int) -> bool:
        if seed % 2:
            return list(read) == written
        places = random.Random(seed).choices(range(300), k=600)
        return all(read[place] == written[place] for place in places)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(right, range(16))) == [True] * 16


def test_opened_records_stay_when_another_file_takes_their_place(tmp_path: Path) -> None:
    read = Records.write(tmp_path / "a.jsonl", many(50))
    Records.write(tmp_path / "b.jsonl", many(3, size=9))
    (tmp_path / "b.jsonl").replace(tmp_path / "a.jsonl")
    assert list(read) == many(50)
    assert read[-1] == many(50)[-1]
    assert list(Records(tmp_path / "a.jsonl")) == many(3, size=9)
    (tmp_path / "a.jsonl").unlink()
    assert list(read) == many(50)


def test_watch_is_told_how_far_reading_in_order_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "READ_AHEAD", 500)
    read = Records.write(tmp_path / "a.jsonl", many(100))
    told: list[int] = []
    read.watch = told.append
    list(read)
    assert told == sorted(set(told))
    assert told[-1] == 100
    assert len(told) > 3
    told.clear()
    assert read[7] == many(100)[7]
    assert told == []


def test_records_are_equal_that_hold_the_same_and_are_not_what_they_hold(tmp_path: Path) -> None:
    one, same, other = (Records.write(tmp_path / f"{n}.jsonl", many(5 + n // 2)) for n in range(3))
    assert one == same != other
    assert one != many(5)
    assert (many(5)[2] in one, Record("2", "") in one, one.index(many(5)[3])) == (True, False, 3)


def test_memory_holds_where_a_record_begins_and_not_its_text(tmp_path: Path) -> None:
    import tracemalloc

    Records.write(tmp_path / "a.jsonl", many(2000, size=200))
    size = (tmp_path / "a.jsonl").stat().st_size
    tracemalloc.start()
    read = Records(tmp_path / "a.jsonl")
    assert sum(1 for _ in read) == 2000
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 0.05 * size
    assert peak < 0.5 * size
