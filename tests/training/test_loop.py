"""The loop: what a step weighs, when it stops, what it leaves alone."""

from __future__ import annotations

import time

import pytest
import torch
from conftest import small_model
from tiny_presets import small

from arasuji import api
from arasuji.config import TrainConfig
from arasuji.documents import Document
from arasuji.runs import RunDirectory
from arasuji.training import plan as plans
from arasuji.training.batches import Batch, epoch_batches
from arasuji.training.documents import Documents
from arasuji.training.loop import Saved, Stepped, Stopped, Trainer, Validated
from arasuji.training.plan import Plan, make_plan


def config(**values) -> TrainConfig:
    given = {"precision": "fp32", "epochs": 2, "batch_size": 2, "learning_rate": 1e-2, **values}
    return TrainConfig.model_validate(given)


def documents(bpe, texts, count=12):
    encoded = (bpe.encode(text)[: 10 + 3 * i] for i, text in enumerate(texts[:count]))
    return Documents((Document([bpe.end_id, *ids, bpe.end_id], 1) for ids in encoded), bpe.end_id)


def trainer(model, train: TrainConfig, batches, steps, validate=lambda: 1.0, every=100, **hooks) -> Trainer:
    plan = Plan(steps, len(batches), every, sum(b.counted for b in batches), 0.0, 0)
    given = {
        "save_best": lambda at: None,
        "save_last": lambda tensors, state: None,
        "should_stop": lambda: "",
        "epoch_batches": lambda epoch: batches,
        **hooks,
    }
    return Trainer(model, train, plan, bf16=False, validate=validate, **given)


def test_accumulated_unequal_batches_weigh_as_one_batch(bpe, starter_texts):
    texts = documents(bpe, starter_texts, 4)
    apart = epoch_batches(texts, config(batch_size=1), 0, bpe.pad_id)
    together = epoch_batches(texts, config(batch_size=4), 0, bpe.pad_id)
    learnt, losses = [], []
    for train, batches in ((config(accumulate=4, batch_size=1), apart), (config(batch_size=4), together)):
        model = small_model("transformer", bpe)
        events = list(trainer(model, train, batches, 1).run())
        learnt.append(model.learned())
        losses.append(next(e.loss for e in events if isinstance(e, Stepped)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, tensor in learnt[0].items():
        torch.testing.assert_close(tensor, learnt[1][name], atol=2e-4, rtol=1e-3)


def test_training_lowers_the_loss(bpe, starter_texts):
    batches = epoch_batches(documents(bpe, starter_texts), config(), 0, bpe.pad_id)
    losses = [e.loss for e in trainer(small_model("lstm", bpe), config(), batches, 60).run() if isinstance(e, Stepped)]
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])


def test_it_stops_early_when_validation_stands_still(bpe, starter_texts):
    batches = epoch_batches(documents(bpe, starter_texts), config(), 0, bpe.pad_id)
    scores = iter([3.0, 2.0, 2.5, 2.1, 1.0])
    saved = []
    run = trainer(
        small_model("lstm", bpe), config(patience=2), batches, 50, lambda: next(scores), every=2,
        save_best=lambda at: saved.append((at.step, at.best_bits)),
    ).run()  # fmt: skip
    events = list(run)
    assert [e.best for e in events if isinstance(e, Validated)] == [True, True, False, False]
    assert saved == [(2, 3.0), (4, 2.0)], "the best model is the one with the best validation score"
    assert isinstance(events[-1], Stopped)
    assert events[-1].progress.step == 8
    assert "no better score" in events[-1].reason


def test_the_rate_reaches_zero_with_the_last_step_that_is_run(bpe, starter_texts):
    batches = epoch_batches(documents(bpe, starter_texts), config(), 0, bpe.pad_id)
    train = config(schedule="linear", warmup_steps=2)
    rates = [
        e.learning_rate for e in trainer(small_model("lstm", bpe), train, batches, 7).run() if isinstance(e, Stepped)
    ]
    assert len(rates) == 7
    assert rates[:3] == pytest.approx([0.005, 0.01, 0.01])
    assert rates[-1] == pytest.approx(0.01 / 5), "one step before zero"


def test_the_carried_state_is_zeroed_at_each_epoch_and_kept_between_batches():
    seen = []

    class Scripted(torch.nn.Module):
        """Writes down the state that it is given."""

        def learned(self):
            return {}

        def parameter_groups(self, train):
            return []

        def forward(self, ids, targets, state=None, loss=None):
            seen.append(None if state is None else state.value)
            return torch.zeros(targets.shape), State(len(seen))

    class State:
        def __init__(self, value):
            self.value = value

        def detach(self):
            return self

        def tensors(self):
            return {"value": torch.tensor(self.value)}

    ids = torch.zeros(1, 2, dtype=torch.int64)
    batches = [Batch(ids, ids, continues=i > 0) for i in range(3)]
    list(trainer(Scripted(), config(layout="stream"), batches, 6).run())
    assert seen == [None, 1, 2, None, 4, 5]


def test_asked_to_stop_it_saves_first_and_then_scores(bpe, starter_texts):
    batches = epoch_batches(documents(bpe, starter_texts), config(), 0, bpe.pad_id)
    run = trainer(small_model("lstm", bpe), config(), batches, 50, should_stop=lambda: "enough").run()
    kinds = [type(event) for event in run]
    assert kinds == [Stepped, Saved, Validated, Stopped]


def test_planning_changes_neither_the_model_nor_the_generators(bpe, starter_texts):
    for family, optimizer in (("ngram", "adamw"), ("lstm", "adamw"), ("transformer", "muon")):
        model = small_model(family, bpe).train()
        chosen = config(optimizer=optimizer, weight_decay=0.1)
        batches = epoch_batches(documents(bpe, starter_texts), chosen, 0, bpe.pad_id)
        before = {n: t.clone() for n, t in model.learned().items()}
        torch.manual_seed(5)
        make_plan(model, batches, chosen, False, 0.1, None, None)
        drawn = torch.rand(1)
        torch.manual_seed(5)
        assert torch.equal(drawn, torch.rand(1))
        for name, tensor in model.learned().items():
            assert torch.equal(tensor, before[name])
        assert all(p.grad is None for p in model.parameters())


def test_a_plan_counts_the_time_of_the_optimizer(bpe, starter_texts, monkeypatch):
    monkeypatch.setattr(plans, "update", lambda *arguments, **options: time.sleep(0.02))
    batches = epoch_batches(documents(bpe, starter_texts), config(), 0, bpe.pad_id)
    plan = make_plan(small_model("lstm", bpe), batches, config(), False, 0.0, None, None)
    assert plan.seconds > 0.02 * plan.steps


def test_the_estimate_holds_what_saving_the_best_model_takes(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(RunDirectory, "saving_seconds", lambda self, model, tokenizer: 1e6)
    plan = next(api.train_events(small("lstm-small"), corpus, tmp_path / "run", max_steps=4)).plan
    assert plan.seconds > 1e6 * plan.steps / plan.validate_every


def test_saving_is_tried_for_real_and_leaves_nothing_behind(bpe, tmp_path, monkeypatch):
    saved, model = [], small_model("transformer", bpe)
    monkeypatch.setattr(model, "save", lambda folder: saved.append((folder / "weights").write_text("x")))
    assert RunDirectory(tmp_path).saving_seconds(model, bpe) > 0
    assert saved
    assert list(tmp_path.iterdir()) == []


def test_a_plan_fits_the_steps_asked_for_and_the_time_there_is(bpe, starter_texts):
    model = small_model("lstm", bpe)
    batches = epoch_batches(documents(bpe, starter_texts), config(), 0, bpe.pad_id)

    def plan(steps=None, seconds=None, validation=0.0001):
        deadline = time.monotonic() + seconds if seconds is not None else None
        return make_plan(model, batches, config(), False, validation, steps, deadline)

    assert plan().steps == 2 * len(batches)
    assert plan(steps=5).steps == 5
    assert plan(seconds=0).steps == 1
    assert plan(seconds=1e9).steps == 2 * len(batches)
    assert plan(steps=8).validate_every == 2, "a short run is validated four times"
    costly = plan(seconds=10.0, validation=3.0)
    assert costly.steps // costly.validate_every * 3.0 < 10, "validations do not eat a short run"
