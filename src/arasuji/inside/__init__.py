"""What happens inside a model as it reads a text: the attention of a transformer, the gates and the memory of an LSTM.

The studio shows these figures, and a notebook draws them: each has a picture, `_repr_svg_`.
"""

from __future__ import annotations

from arasuji.inside.attention import Attention, attention
from arasuji.inside.memory import Memory, memory
from arasuji.inside.reading import Reading, reading
from arasuji.inside.reset import Reset, reset

__all__ = ["Attention", "Memory", "Reading", "Reset", "attention", "memory", "reading", "reset"]
