"""A process that is killed at any moment of its writing."""

from __future__ import annotations

import signal

from hard.calls import Call, Stage
from hard.scenarios import SCENARIOS

KILLED = -signal.SIGKILL
TRAININGS = 25
"""So many of the 300 calls of a training are drawn; each costs two seconds."""
WRITINGS = [name for name in SCENARIOS if name != "training"]


def killed(stage: Stage, call: Call) -> str:
    """What is wrong when a process is killed as it makes a call. Empty where all is well."""
    stage.set(call.scenario)
    ended = stage.traced(call.scenario, "-e", f"trace={call.name}", "-e", call.injection("signal=KILL"))
    if ended.code != KILLED:
        return f"it was not killed there: {ended}"
    return stage.afterwards(call.scenario)[1]


def test_a_kill_at_any_call_leaves_the_old_or_the_new_and_no_litter_after_the_next_write(cases, stage):
    """What is killed at any call of the system leaves the old or the new, whole, and the next write clears up.

    This holds for a checkpoint, a corpus, texts, a report, settings, an export, the 8-bit form, the desk, the arena.
    """
    for call in stage.all_calls(cases, WRITINGS):
        cases.saw(call, killed(stage, call))


def test_a_training_that_is_killed_at_a_call_goes_on_to_the_byte(cases, stage):
    """A training that is killed at one of all calls, drawn, goes on to the byte as if nothing had happened."""
    for call in cases.sample(stage.calls("training"), TRAININGS):
        cases.saw(call, killed(stage, call))
