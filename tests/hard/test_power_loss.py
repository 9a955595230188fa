"""What stands on the disk after the power has failed: states that the calls of the system allow are opened.

Of a short writing all states are tried that `power.states_of` makes, of a longer one as many as stand here."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hard.outages import EVERY, SEALED, allowed, problem, quietly, taken_for_whole, write_once
from hard.power import damaged, states_of
from hard.recorded import record
from hard.scenarios import Place


@pytest.fixture
def check(zygote, strace, cases, runs, corpus, tmp_path, monkeypatch) -> Callable[..., None]:
    monkeypatch.setenv("ARASUJI_HOME", str(tmp_path / "home"))

    def tried(name: str, most: int, every: int = 1) -> None:
        """Try the states of a scenario, `most` of them where there are more (all those after the writing had ended are
        among them); and what is written next in one of `every`."""
        place = Place(tmp_path / name / "in", runs, corpus)
        place.folder.mkdir(parents=True)
        began = zygote.run(function="hard.outages:begin", arguments=place.arguments(name), seconds=100)
        assert began.code == 0, began.err
        recording = record(zygote, place.folder, function="hard.outages:write", arguments=place.arguments(name))
        with quietly():
            assert EVERY[name].look(place) == "new"
        states = states_of(recording, cases.random)
        done = [state for state in states if state.done]
        drawn = [state for state in states if not state.done]
        drawn = cases.random.sample(drawn, min(len(drawn), most - len(done)))
        for number, state in enumerate(cases([*done, *drawn])):
            found = problem(EVERY[name], place, state, allowed(name, state), goes_on=number % every == 0)
            cases.saw(f"{name}, {state}", found)

    return tried


def test_a_checkpoint_is_the_old_one_or_the_new_one_after_a_power_loss(check):
    """After a loss of power at any moment, checkpoint and best model open as they were before, or as they are now."""
    check("last", 100)
    check("last, after a kill", 100)
    check("best", 250)


def test_a_folder_is_the_old_one_or_the_new_one_after_a_power_loss(check):
    """After a loss of power at any moment, a folder opens as it was before or as it is now, with all its files."""
    check("folder", 200)
    check("first folder", 200)


def test_the_log_of_a_run_is_as_long_as_its_checkpoint_after_a_power_loss(check):
    """After a loss of power at any moment of a training, its log reaches as far as its checkpoint, and it goes on."""
    check("steps", 250)


def test_a_corpus_is_the_old_one_or_the_new_one_after_a_power_loss(check):
    """After a loss of power at any moment of `prepare`, the corpus is the old one or the new one."""
    check("corpus", 400, every=4)
    check("removed texts", 200, every=4)


def test_a_file_is_the_old_one_or_the_new_one_after_a_power_loss(check):
    """After a loss of power at any moment, a file that is replaced is the old one or the new one."""
    check("sampling", 50)
    check("file", 100)
    check("first file", 100)


def test_texts_that_are_appended_go_on_after_a_power_loss(check):
    """After a loss of power at any moment, `generate --resume` completes its file as if nothing had happened."""
    check("texts", 100)
    check("more texts", 70)


def test_an_8_bit_form_is_whole_or_made_again_after_a_power_loss(check):
    """After a loss of power at any moment, the 8-bit form of a model is whole, or counts as missing and is made."""
    check("int8", 250, every=2)


def test_what_was_put_on_the_desk_stays_there_after_a_power_loss(check):
    """After a loss of power, the studio's databases hold all that was kept, and open."""
    check("desk", 80)
    check("arena", 100)


def test_a_training_is_resumed_to_the_byte_after_a_power_loss(check):
    """After a loss of power at any moment, a training goes on to the byte as if nothing had happened."""
    check("training", 50, every=50)


def test_a_damaged_file_is_never_taken_for_whole(cases, runs, corpus, tmp_path):
    """A folder in which the disk has changed a file, or lost a part of it, is refused."""
    for name in SEALED:
        place = write_once(name, tmp_path, runs, corpus)
        for state in cases(damaged(place.folder, cases.random)):
            cases.saw(f"{name}, {state}", taken_for_whole(name, place, state))
