"""CTranslate2, an engine that writes and scores on CPUs and GPUs, in 8 bits too. Its own converter makes the model.

The folder has model.bin, config.json and vocabulary.json of CTranslate2, and the tokenizer. Which architectures and
options the converter knows is not asked here: what it makes is read back, and refused where it computes something else.
"""

from __future__ import annotations

import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tokenizers as hf
import torch
from torch import Tensor

from arasuji.errors import OptionError, first_line, out_of_memory
from arasuji.exports import Format
from arasuji.exports._readback import require_same
from arasuji.files import read_json

KINDS = ("int8", "float16", "float32")
"""The types of the matrices. Where a processor cannot multiply one of them, CTranslate2 takes another when it opens the
model."""
COUNT = 48
"""The tokens that are written to compare, at most: a window that the converter ignores is seen where it is shorter."""
VOCABULARY_BYTES = 2**26


def write(model: Path, out: Path, kind: str) -> None:
    """Convert the transformers folder `model`.

    Raises OptionError, one line, where the package is missing, or for a model that CTranslate2 does not compute.
    """
    if not find_spec("ctranslate2"):
        raise OptionError("CTranslate2 is not installed: pip install 'arasuji[export]'")
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model, local_files_only=True, trust_remote_code=False)
    if config.model_type in ("qwen2", "qwen3") and config.sliding_window:  # longer than the text that is read back
        raise OptionError("CTranslate2 ignores the sliding window of a Qwen: say --to hf")
    with tempfile.TemporaryDirectory(dir=out) as passing:
        whole, made = Path(passing, "whole"), Path(passing, "made")
        try:
            converter = _converter(model, config)
            converter.convert(str(whole), quantization="float32")
            ours, theirs = _read_both(model, whole, config)
        except Exception as error:  # what a converter stumbles over in a model may be any error
            if out_of_memory(error):
                raise
            reason = first_line(error).split(" (")[0]
            raise OptionError(f"CTranslate2 cannot take a {config.model_type} ({reason}): say --to hf") from error
        require_same("CTranslate2", ours, theirs)  # of whole weights: those in 8 bits are off by rounding
        converter.convert(str(made), quantization=kind)
        for path in made.iterdir():
            path.rename(out / path.name)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(model / name, out / name)


def opening(out: Path) -> str:
    """See `Format`."""
    return (
        "import ctranslate2, tokenizers\n"
        'model, tokenizer = ctranslate2.Generator("."), tokenizers.Tokenizer.from_file("tokenizer.json")\n'
        'prompt = tokenizer.encode("After years").tokens  # the first one begins every text\n'
        "written = model.generate_batch([prompt], max_length=40, sampling_topk=50)[0].sequences_ids[0]\n"
        "print(tokenizer.decode(written))\n"
    )


FORMAT = Format(KINDS, write, opening)


def _converter(model: Path, config: Any) -> Any:
    """CTranslate2's converter of a folder. It is told what it asks of a tokenizer: a token for every row of the model,
    and our end token. It opens the weights in float32, since those of bfloat16 would be left so in an int8 file."""
    from ctranslate2.converters import TransformersConverter

    fast = hf.Tokenizer.from_file(str(model / "tokenizer.json"))
    end = fast.id_to_token(config.eos_token_id)
    tokens = {fast.id_to_token(i) or f"<no token {i}>": i for i in range(config.vocab_size)}
    start = fast.id_to_token(config.bos_token_id)
    told = SimpleNamespace(bos_token=start, eos_token=end, unk_token="", get_vocab=lambda: tokens)
    converter = TransformersConverter(str(model))
    converter.load_tokenizer = lambda *_: told
    converter.load_model = lambda kind, folder, **_: _network(folder, kind)
    return converter


def _network(model: Path | str, kind: Any) -> Any:
    """The model of a folder; `kind` is a class of transformers."""
    return kind.from_pretrained(
        model, dtype=torch.float32, local_files_only=True, use_safetensors=True, trust_remote_code=False
    )


@torch.inference_mode()
def _read_both(model: Path, made: Path, config: Any) -> tuple[Tensor, Tensor]:
    """The log-probabilities of the tokens of a random text, by transformers and by CTranslate2, which writes it."""
    import ctranslate2
    from transformers import AutoModelForCausalLM

    words = read_json(made / "vocabulary.json", VOCABULARY_BYTES)
    count = min(COUNT, getattr(config, "max_position_embeddings", COUNT) - 1)
    ctranslate2.set_random_seed(0)
    steps = ctranslate2.Generator(str(made), compute_type="float32").generate_tokens(
        [words[config.bos_token_id]], max_length=count, sampling_topk=0, end_token=[], return_log_prob=True
    )
    written = [(step.token_id, step.log_prob) for step in steps]
    ids = torch.tensor([config.bos_token_id, *(token for token, _ in written)])
    scores = _network(model, AutoModelForCausalLM).eval()(ids[None, :-1]).logits[0].log_softmax(-1)
    return scores.gather(1, ids[1:, None])[:, 0], torch.tensor([nats for _, nats in written])
