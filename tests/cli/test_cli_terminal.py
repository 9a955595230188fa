"""Text on a terminal breaks between words, and is never changed where it is piped."""

from __future__ import annotations

import contextlib
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.cli import terminal

pieces = st.lists(st.text(alphabet="ab, \n", max_size=12), max_size=12)


def flowed(parts, width):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        flow = terminal.Flowing()
        flow.width = width
        for part in parts:
            flow.add(part)
        flow.end()
    return printed.getvalue()


@settings(deadline=None, derandomize=True, max_examples=200)
@given(pieces)
def test_every_word_is_printed_once_in_order_and_no_line_is_too_long(parts):
    shown = flowed(parts, 20)
    assert shown.split() == "".join(parts).split()
    assert all(len(line) <= 20 or " " not in line.strip() for line in shown.split("\n"))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(pieces)
def test_piped_text_is_left_as_it_is(parts):
    assert flowed(parts, 0) == "".join(parts) + "\n"
