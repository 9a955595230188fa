"""Short programs that open a graph of ONNX with its tokenizer and write 30 tokens, the likeliest each time."""

from __future__ import annotations

from pathlib import Path

from arasuji.files import read_json

WITH_CACHE = """\
import numpy as np, onnxruntime, tokenizers
model, tokenizer = onnxruntime.InferenceSession("FILE"), tokenizers.Tokenizer.from_file("tokenizer.json")
ids, read = tokenizer.encode("After years").ids, 0  # the first one begins every text
past = {i.name: np.zeros((1, i.shape[1], 0, i.shape[3]), np.float32) for i in model.get_inputs()[3:]}
for _ in range(30):
    new = {"input_ids": ids[read:], "attention_mask": [1] * len(ids), "position_ids": range(read, len(ids))}
    logits, *present = model.run(None, past | {name: np.array([row]) for name, row in new.items()})
    past, read = dict(zip(past, present)), len(ids)
    ids.append(int(logits[0, -1].argmax()))
print(tokenizer.decode(ids))
"""
STEPS = """\
state = {i.name: np.zeros((i.shape[0], 1, i.shape[2]), np.float32) for i in model.get_inputs()[1:]}
for place in range(30):
    logits, *after = model.run(None, {"input_ids": np.array([[ids[place]]]), **state})
    state = dict(zip(state, after))
    logits[0, never] = -np.inf
    if place + 1 == len(ids):
        ids.append(int(logits[0].argmax()))
"""
"""How a graph of one step reads `ids` and continues them."""
STEPS_OF_TOKENS = f"""\
import numpy as np, onnxruntime, tokenizers
model, tokenizer = onnxruntime.InferenceSession("FILE"), tokenizers.Tokenizer.from_file("tokenizer.json")
ids = [tokenizer.token_to_id("END"), *tokenizer.encode("After years", add_special_tokens=False).ids]
never = [ids[0]]  # no end
{STEPS}print(tokenizer.decode(ids))
"""
STEPS_OF_WORDS = f"""\
import json, numpy as np, onnxruntime
model, words = onnxruntime.InferenceSession("FILE"), json.load(open("words.json", encoding="utf-8"))
# nltk.tokenize.NLTKWordTokenizer finds the words of a text, in small letters, one sentence at a time.
ids = [words.index(word if word in words else "<unk>") for word in ("<end>", "after", "years")]
never = [words.index("<unk>")]
{STEPS}print(" ".join(words[i] for i in ids))
"""


def program(out: Path, file: str) -> str:
    """The program for the graph at `file` in the folder `out`, from where it is to be started."""
    if (out / "config.json").exists():  # a transformers folder
        return WITH_CACHE.replace("FILE", file)
    if (out / "words.json").exists():
        return STEPS_OF_WORDS.replace("FILE", file)
    end = read_json(out / "tokenizer_config.json")["eos_token"]
    return STEPS_OF_TOKENS.replace("FILE", file).replace("END", end)
