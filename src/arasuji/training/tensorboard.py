"""Writes the events of a run for TensorBoard, if it is installed: `tensorboard --logdir runs` shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from arasuji.training.events import TrainEvent, Watched
from arasuji.training.loop import Stepped, Validated


def logged(events: Iterator[TrainEvent], folder: Path) -> Iterator[TrainEvent]:
    """Yield the events of a run, and write its figures and samples into `folder` if tensorboard can be imported."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except (ImportError, TypeError):  # TypeError: it does not work with the installed protobuf
        yield from events
        return
    writer, before = None, None
    try:
        for event in events:
            if isinstance(event, Stepped):
                if writer is None:
                    # TensorBoard hides what a killed run has logged from this step on. A new run says it too, since
                    # TensorBoard takes the first such mark in a folder for the beginning.
                    writer = SummaryWriter(folder, purge_step=event.step)
                writer.add_scalar("loss", event.loss, event.step)
                writer.add_scalar("learning_rate", event.learning_rate, event.step)
                if before:
                    rate = (event.tokens - before.tokens) / max(1e-6, event.seconds - before.seconds)
                    writer.add_scalar("tokens_per_second", rate, event.step)
            elif writer and isinstance(event, Validated):
                writer.add_scalar("bits_per_byte", event.bits_per_byte, event.step)
            elif writer and isinstance(event, Watched):
                for sample in event.samples:
                    writer.add_text(f"samples/{sample.prompt or 'no prompt'}", sample.text, event.step)
            before = (
                event if isinstance(event, Stepped) else None
            )  # a rate needs two steps with no validation between them
            yield event
    finally:
        if writer:
            writer.close()
