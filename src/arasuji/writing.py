"""Writes texts with a model: from prompts, as variations of a text, and titles for one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from arasuji import arguments, device
from arasuji.arguments import AnyPath
from arasuji.config import SamplingConfig, checked
from arasuji.corpus import Corpus
from arasuji.corpus.known_names import known_names
from arasuji.corpus.script import count_words
from arasuji.corpus.sentences import sentences
from arasuji.corpus.suffixes import suffixes_of
from arasuji.errors import CorpusError, OptionError, PromptError
from arasuji.generation.decode import Piece, Redrawn, decode
from arasuji.generation.engine import check_length
from arasuji.generation.explain import Explanation
from arasuji.generation.explain import explain as explain_request
from arasuji.generation.guard import forbidden_copies
from arasuji.generation.pieces import pieces_of
from arasuji.generation.texts import Options, Request, Sample, as_text, beginning_of
from arasuji.generation.wishes import Wishes, processors_for
from arasuji.runs import TrainedModel, corpus_of, open_model, told
from arasuji.speech import say

NO_WISHES = Wishes()
"""Nothing beside whole sentences, closed quotes and no doubled word."""
TOKENS_FOR_WORD = 4
"""A text that may have some words may have at least this many tokens for each."""
LEAST_VARIED = 8
"""A text of fewer words has hardly a beginning to keep."""
TITLE_DRAWS = 4
"""For each title that is asked for, at most this many are drawn."""
LONGEST_COPY, REDRAW = 8, 3
"""The defaults of `write`: the most words in a row that may stand in a training text, and how many times a text that is
very near to one is drawn again."""


def load(name: AnyPath, precision: device.Precision | None = None) -> TrainedModel:
    """A run folder's best model, or an untuned base model, on this machine's device.

    It is opened for writing, as `arasuji generate` does: in 8 bits on a CPU, which is fastest, at 0.5 to 1 % more bits
    per byte; in bfloat16 or float32 on a GPU ("auto"). A model without an 8-bit form is opened in float32.
    """
    trained = open_model(arguments.name(name), device.dtype(precision or device.for_writing()))
    trained.model.to(device.here())
    return trained


Prompts = str | Mapping[str, Any] | Iterable[str | Mapping[str, Any]]
"""The beginnings of texts, or a single one; a mapping has fields beside its "prompt"."""
Sampling = SamplingConfig | Mapping[str, Any] | None
"""All sampling settings, or those that differ from the run's own."""
Model = TrainedModel | AnyPath
"""An opened model, the folder of a run, or the name of a base model."""


def opened(model: Model) -> TrainedModel:
    return model if isinstance(model, TrainedModel) else load(model)


def write(
    trained: Model,
    prompts: Prompts,
    n: int = 1,
    seed: int = 0,
    sampling: Sampling = None,
    pieces: bool = False,
    skip: int = 0,
    fields: Mapping[str, Any] = MappingProxyType({}),
    longest_copy: int | None = LONGEST_COPY,
    redraw: int = REDRAW,
    corpus: AnyPath | None = None,
    any_genre: bool = False,
    wishes: Wishes = NO_WISHES,
) -> Iterator[Piece | Redrawn | Sample]:
    """Write `n` texts for each prompt, events as they come: text i of the call is seeded with `seed + i`. `sampling`
    has all settings, or those that differ from the run's: {"temperature": 0.9, "guidance": 2} (see `SamplingConfig`).

    `fields` is what the model is told of all these texts, such as {"title": "...", "genres": [...]}, if it was trained
    with them; a prompt that is a mapping has fields of its own, and its beginning under "prompt". A genre that no
    training text has is refused, unless `any_genre`.

    No more than `longest_copy` words stand in a row in the training split of `corpus`, by default that of the run, but
    for what a prompt holds and what 10 training texts have; case and punctuation do not count. With None any number
    may, no text is drawn again, and copies are looked for only where `corpus` is named. A text that shares many short
    sequences with one training text is drawn again, at most `redraw` times (see `texts.TOO_NEAR`). `Sample.copied`
    says what stands there. It is None for a base model without a corpus, and where the corpus of a run is gone, which
    is said on stderr.

    `wishes` are words that a text must or must not have, and how long it is; unless they say otherwise, quotes are
    closed, no word is doubled, and a text ends with a sentence where its length is used up.

    The first `skip` texts are left out, and the others are what they would be. Prompts are taken as there is room.

    Raises:
        PromptError: a prompt cannot be continued. All other texts are written first.
        OptionError: the model cannot be told a field, or its value; a number is out of range.
    """
    if n < 1 or skip < 0 or not 0 <= seed < 2**63:
        raise OptionError(f"n {n}, seed {seed}, skip {skip}: at least 1 text, a seed and texts to skip from 0 on")
    trained = opened(trained)
    options = options_of(trained, sampling, longest_copy, redraw, corpus, wishes)
    beginnings = (asked for asked in _asked(trained, prompts, fields, any_genre) for _ in range(n))
    requests = (Request(prompt, seed + i, own) for i, (prompt, own) in enumerate(beginnings))
    return decode(trained.model, options, islice(requests, skip, None), pieces)


def options_of(
    trained: TrainedModel,
    sampling: Sampling = None,
    longest_copy: int | None = LONGEST_COPY,
    redraw: int = REDRAW,
    corpus: AnyPath | None = None,
    wishes: Wishes = NO_WISHES,
) -> Options:
    """What `write` asks the engine for. Raises OptionError as it does."""
    if redraw < 0 or (longest_copy is not None and longest_copy < 1):
        raise OptionError(f"longest_copy {longest_copy}, redraw {redraw}: at least 1 word, or None; 0 times or more")
    looked_for = longest_copy is not None or corpus is not None or not wishes.names
    folder = corpus_of_copies(trained, corpus) if looked_for else None
    if folder is None and not wishes.names:
        raise OptionError(f"the names that {trained.name} has learnt are not known: name its corpus")
    training = suffixes_of(folder) if folder else None
    known_pieces, copies = pieces_of(trained.tokenizer), None
    if longest_copy is not None and training is not None:
        copies = forbidden_copies(training, known_pieces, longest_copy)
    names = known_names(folder) if folder and not wishes.names else ()
    given = sampling.model_dump() if isinstance(sampling, SamplingConfig) else dict(sampling or {})
    given = trained.sampling.model_dump() | given
    if wishes.words:
        given["max_length"] = max(given["max_length"], TOKENS_FOR_WORD * wishes.words[1])
    settings: SamplingConfig = checked(SamplingConfig, given, "sampling")
    return Options(
        trained.tokenizer,
        settings,
        trained.format,
        trained.shots,
        trained.predicts,
        tuple(processors_for(wishes, known_pieces, copies, training, names)),
        training,
        redraw if copies else 0,
    )


def corpus_of_copies(trained: TrainedModel, corpus: AnyPath | None = None) -> Path | None:
    """The folder of the corpus in which the copies of a model are looked for: by default that of its run. None for a
    base model; and where the corpus of the run is gone, or is another one by now, which is said on stderr."""
    if corpus is not None:
        return arguments.path(corpus)
    known = corpus_of(trained.source) if trained.source else {}
    if not known:
        return None
    folder = Path(known.get("folder", ""))
    try:
        if not known.get("folder"):
            raise CorpusError(f"{trained.name} knows the folder of no corpus")
        if Corpus.load(folder).hash != known["hash"]:
            raise CorpusError(f"{folder} is not the corpus that {trained.name} was trained on any more")
    except (CorpusError, OSError, ValueError) as error:  # the path may come from anyone
        say(f"note: copies of training texts are neither avoided nor found, unless --corpus names it: {error}")
        return None
    return folder


def _asked(
    trained: TrainedModel, prompts: Prompts, fields: Mapping[str, Any], any_genre: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The beginning of each text, and what the model is told of it."""
    for prompt in [prompts] if isinstance(prompts, str | Mapping) else prompts:
        own = {"prompt": "", **prompt} if isinstance(prompt, Mapping) else {"prompt": prompt}
        beginning = own.pop("prompt")
        yield beginning, told(trained.name, trained.fields, {**fields, **own}, any_genre)


def check_prompts(
    trained: TrainedModel,
    prompts: Prompts,
    fields: Mapping[str, Any] = MappingProxyType({}),
    any_genre: bool = False,
) -> list[tuple[str, dict[str, Any]]]:
    """The beginning of each prompt, with what the model is told. Raises what `write` would raise of one of them, before
    anything is written."""
    asked = list(_asked(trained, prompts, fields, any_genre))
    for prompt, own in asked:
        document = beginning_of(prompt, own, trained.tokenizer, trained.format, trained.shots)
        check_length(trained.model, trained.tokenizer, document)
    return asked


def generate(
    trained: Model,
    prompts: Prompts = "",
    n: int = 1,
    seed: int = 0,
    sampling: Sampling = None,
    skip: int = 0,
    fields: Mapping[str, Any] = MappingProxyType({}),
    longest_copy: int | None = LONGEST_COPY,
    redraw: int = REDRAW,
    corpus: AnyPath | None = None,
    any_genre: bool = False,
    wishes: Wishes = NO_WISHES,
) -> Iterator[Sample]:
    """`write`, whole samples only, in the order of the prompts: `Sample.text` is the text with its prompt."""
    ready: dict[int, Sample] = {}
    following = 0
    try:
        more = longest_copy, redraw, corpus, any_genre, wishes
        for event in write(trained, prompts, n, seed, sampling, False, skip, fields, *more):
            if isinstance(event, Sample):
                ready[event.index] = event
            while following in ready:
                yield ready.pop(following)
                following += 1
    except PromptError:
        yield from (ready[index] for index in sorted(ready))  # texts after the one that cannot be written
        raise


def explain(
    trained: Model,
    prompt: str = "",
    seed: int = 0,
    sampling: Sampling = None,
    fields: Mapping[str, Any] = MappingProxyType({}),
    count: int = 12,
) -> Explanation:
    """How the token after a prompt is chosen where `write` is asked for one text without beams: the `count` likeliest
    candidates, and what the sampling settings do to them.

    Raises:
        PromptError: the prompt cannot be continued.
        OptionError: the model cannot be told a field, or its value; a setting is out of range.
    """
    trained = opened(trained)
    ((beginning, own),) = _asked(trained, prompt, fields, any_genre=False)
    options = options_of(trained, sampling)
    options = replace(options, sampling=options.sampling.model_copy(update={"num_beams": 1}))
    return explain_request(trained.model, trained.tokenizer, options.request(Request(beginning, seed, own)), count)


def variation_of(text: str) -> tuple[str, Wishes]:
    """The prompt and the wishes for a variation of a text, which `generate` takes: it begins with the first sentence
    (of a single one, with the first half of its words), is about as long, and speaks of the same.

    Raises:
        OptionError: the text has fewer than `LEAST_VARIED` words.
    """
    text = as_text(text).strip()
    words = count_words(text)
    if words < LEAST_VARIED:
        raise OptionError(f"a variation needs a text of {LEAST_VARIED} words or more, and {text!r} has {words:g}")
    places = sentences(text)
    first = text[: places[0][1]].strip() if len(places) > 1 else " ".join(text.split()[: len(text.split()) // 2])
    least = max(round(0.8 * words), round(count_words(first)) + 1)
    return first, Wishes(words=(least, max(least, round(1.2 * words))), like=text)


def titles(trained: Model, text: str, n: int = 5, seed: int = 0, sampling: Sampling = None) -> Iterator[Sample]:
    """Propose `n` different titles for a text, by a model that predicts titles. None is the title of a training text;
    there are fewer than `n` where the model finds no more in `TITLE_DRAWS` times as many draws.

    Raises:
        OptionError: the model predicts no titles, or there is no text.
    """
    trained, text = opened(trained), as_text(text)
    if not text:
        raise OptionError("a title needs a text: it is empty")
    if trained.predicts != "title":
        raise OptionError(f"{trained.name} proposes no titles: train pretrained-title")
    folder = corpus_of_copies(trained)
    known = {str(r.metadata.get("title", "")).casefold() for r in Corpus.load(folder).train} if folder else set()
    fields = {"text": text}
    for sample in generate(trained, "", TITLE_DRAWS * n, seed, sampling, fields=fields, longest_copy=None):
        title = sample.text.casefold()
        if title and title not in known:
            known.add(title)
            yield sample
            n -= 1
        if not n:
            return
