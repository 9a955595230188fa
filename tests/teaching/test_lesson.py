"""What a student gets of its teacher, and that a run goes on wherever it was stopped."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from tiny_presets import small

from arasuji import api
from arasuji.corpus import Corpus
from arasuji.errors import OptionError, RunError, StorageError
from arasuji.teaching import reading, writing
from arasuji.teaching.lesson import Taught
from arasuji.training.loop import Stepped, Stopped

pytestmark = pytest.mark.slow

STEPS = 8
TEXTS = 40
NOTHING = ("embeddings=false", "weight=0", "minutes=0")
ALONE = {
    "tokens": NOTHING,
    "vectors": ("embeddings=true", *NOTHING[1:]),
    "distribution": (NOTHING[0], "weight=0.5", NOTHING[2]),
    "texts": (*NOTHING[:2], "minutes=5"),
}
"""What makes a student learn one thing alone."""


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """What is kept at once is little, so that there is something to continue."""
    monkeypatch.setattr(writing, "AT_ONCE", 10)
    monkeypatch.setattr(reading, "AT_ONCE", 20)


def settings(teacher, *more):
    small = ("embedding=16", "hidden=16", "batch_size=4", "train.max_length=20", "min_count=2", "draws=4",
             f"teaching.texts={TEXTS}", "validation_documents=4", "checkpoint_steps=3", "seed=3")  # fmt: skip
    return [f"teacher={teacher}", *small, *more]


def events_of(teacher, corpus, out, *more, **options):
    chosen = settings(teacher, *more)
    return api.train_events("lstm-distilled", corpus, out, max_steps=STEPS, settings=chosen, **options)


def outcome(run):
    """All that a run has learnt, as bytes."""
    tensors = load_file(run / "last/state.safetensors")
    return {name: tensor.reshape(-1).view(torch.uint8).numpy().tobytes() for name, tensor in tensors.items()}


def test_a_mark_that_is_a_link_to_nowhere_is_refused(teacher, corpus, tmp_path):
    (tmp_path / "run" / "teacher").mkdir(parents=True)
    (tmp_path / "run" / "teacher" / "teacher.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"teacher\.json: it is a link"):
        list(events_of(teacher, corpus, tmp_path / "run"))
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture(scope="module")
def taught(teacher, corpus, tmp_path_factory):
    """A run with everything, never disturbed, and its events. Not to be changed."""
    out = tmp_path_factory.mktemp("taught") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "AT_ONCE", 10)
        patch.setattr(reading, "AT_ONCE", 20)
        return out, list(events_of(teacher, corpus, out))


def test_the_teacher_writes_then_reads_and_then_the_student_learns(taught):
    out, events = taught
    stages = [event.stage for event in events if isinstance(event, Taught)]
    assert stages == sorted(stages, reverse=True)
    assert {*stages} == {"writes", "reads"}
    for stage in ("writes", "reads"):
        shares = [event.share for event in events if isinstance(event, Taught) and event.stage == stage]
        assert shares == sorted(shares)
        assert shares[-1] == 1
    assert [event.step for event in events if isinstance(event, Stepped)] == [*range(1, STEPS + 1)]
    assert api.load(out).facts["bits_per_byte"] > 0


def test_what_the_teacher_wrote_is_kept_beside_the_run_and_trained_on(taught, corpus):
    out, events = taught
    lines = [json.loads(line) for line in (out / "teacher/texts.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == TEXTS
    kept = [line for line in lines if not line.get("dropped")]
    assert 0 < len(kept) < TEXTS
    assert all(line["text"] for line in kept)
    started = next(event for event in events if type(event).__name__ == "Started")
    assert started.documents == len(Corpus.load(corpus).train) + len(kept)


@pytest.mark.parametrize("stage", ["writes", "reads"])
@pytest.mark.parametrize("politely", [True, False])
def test_a_run_that_is_stopped_while_the_teacher_works_goes_on_to_the_same(
    stage, politely, taught, teacher, corpus, tmp_path
):
    asked = []

    def stop():
        asked.append(1)
        return "enough" if len(asked) == (15 if stage == "writes" else TEXTS + 3) else ""

    *_, last = events_of(teacher, corpus, tmp_path / "run", should_stop=stop)
    assert isinstance(last, Stopped)
    assert last.progress.step == 0
    file = next((tmp_path / "run/teacher").glob("texts.jsonl" if stage == "writes" else "draws-*.bin"))
    assert 0 < file.stat().st_size < next((taught[0] / "teacher").glob(file.name)).stat().st_size
    if not politely:  # as a kill leaves a file
        file.write_bytes(file.read_bytes()[:-7])
    list(events_of(teacher, corpus, tmp_path / "run", resume=True))
    assert outcome(tmp_path / "run") == outcome(taught[0])


def test_a_run_that_is_killed_while_the_student_learns_goes_on_without_the_teacher(
    taught, teacher, corpus, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(teacher, "gone")
    for event in (events := events_of("gone", corpus, tmp_path / "run")):
        if isinstance(event, Stepped) and event.step == 5:
            events.close()
            break
    shutil.rmtree("gone")
    resumed = list(events_of("gone", corpus, tmp_path / "run", resume=True))
    assert not [event for event in resumed if isinstance(event, Taught)]
    assert outcome(tmp_path / "run") == outcome(taught[0])


@pytest.mark.parametrize("layout", ["stream", "documents"])
@pytest.mark.parametrize("part", ALONE)
def test_each_part_can_be_taught_alone(part, layout, teacher, corpus, tmp_path):
    events = list(events_of(teacher, corpus, tmp_path / "run", *ALONE[part], f"layout={layout}"))
    stages = {event.stage for event in events if isinstance(event, Taught)}
    assert stages == {"distribution": {"reads"}, "texts": {"writes"}}.get(part, set())
    assert isinstance(events[-1], Stopped)


def test_the_lessons_of_one_run_serve_another_one(taught, teacher, corpus, tmp_path):
    shutil.copytree(taught[0] / "teacher", tmp_path / "run/teacher")
    events = list(events_of(teacher, corpus, tmp_path / "run", "learning_rate=1e-3"))
    assert not [event for event in events if isinstance(event, Taught)]


def test_another_teacher_is_not_taken_for_the_one_that_has_begun(taught, corpus):
    with pytest.raises(OptionError, match=r"teaching\.teacher"):
        next(events_of(taught[0], corpus, taught[0], resume=True))


@pytest.mark.parametrize("part", ["vectors", "texts"])
def test_the_lessons_of_another_teacher_are_refused_and_nothing_is_left(part, taught, teacher, corpus, tmp_path):
    other = tmp_path / "other"
    list(api.train_events(small("gpt2-mini"), corpus, other, max_steps=2))
    shutil.copytree(taught[0] / "teacher", tmp_path / "run/teacher")
    with pytest.raises(RunError, match="another version"):
        list(events_of(other, corpus, tmp_path / "run", *ALONE[part]))
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name[0] != "."] == ["teacher"]


@pytest.mark.parametrize("part", ["vectors", "distribution"])
def test_tokens_that_are_not_the_teachers_are_refused_and_nothing_is_left(part, teacher, corpus, tmp_path):
    with pytest.raises(OptionError, match="pruned"):
        next(api.train_events("lstm-small", corpus, tmp_path / "run", settings=[f"teacher={teacher}", *ALONE[part]]))
    assert not (tmp_path / "run").exists()


def test_without_a_teacher_the_preset_says_what_it_needs(corpus, tmp_path):
    with pytest.raises(OptionError, match="--set teacher=RUN"):
        next(api.train_events("lstm-distilled", corpus, tmp_path / "run"))


def test_a_student_of_another_format_is_refused_in_words(teacher, corpus, tmp_path):
    with pytest.raises(OptionError, match=r"document\.format"):
        list(events_of(teacher, corpus, tmp_path / "run", "document.format={title} | "))
    assert not (tmp_path / "run").exists()


def test_lessons_that_are_damaged_are_refused_in_words(teacher, corpus, tmp_path):
    out = tmp_path / "run"
    list(events_of(teacher, corpus, out, should_stop=lambda: "enough"))
    (out / "teacher/texts.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match="writes again"):
        list(events_of(teacher, corpus, out, resume=True))


def test_the_trials_of_a_search_have_their_lessons_in_common(taught, teacher, corpus, tmp_path):
    chosen = [*settings(teacher), "learning_rate=1e-3|3e-3"]
    events = list(api.tune_events("lstm-distilled", corpus, tmp_path / "search", chosen, trials=2, max_steps=2))
    assert len([event for event in events if isinstance(event, Stepped)]) == 4
    read = [event.texts for event in events if isinstance(event, Taught) and event.stage == "reads"]
    assert read == sorted({*read})
    written = (tmp_path / "search/teacher/texts.jsonl").read_text("utf-8").splitlines()
    assert len(written) == TEXTS
    assert not [*(tmp_path / "search/trials").glob("*/teacher")]
