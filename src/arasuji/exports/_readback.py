"""An export is read back by the engine that it is for, before it is handed over.

Converters know the usual options of an architecture, and some ignore the others without a word: CTranslate2's takes
GPT-2's `layer_norm_epsilon` for 1e-5, and a Llama's `hidden_act` for SiLU.
"""

from __future__ import annotations

from torch import Tensor

from arasuji.errors import OptionError

TOLERANCE = 1e-3
"""By how much a number may differ, as a share of the largest of those it is compared with."""


def require_same(engine: str, ours: Tensor, theirs: Tensor) -> None:
    """Raise OptionError unless the engine has computed what the model does, up to the rounding of float32."""
    apart = float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1))
    if not apart <= TOLERANCE:  # NaN too
        raise OptionError(
            f"{engine} computes other numbers than this model ({apart:.1%} apart): the architecture has an option that "
            "does not reach the file; say --to hf"
        )
