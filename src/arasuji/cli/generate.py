"""`arasuji generate`: new texts from prompts."""

from __future__ import annotations

import json as json_
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Context, Option

from arasuji.cli.appending import Writer, check_resume, origin
from arasuji.cli.copied import CopyReport
from arasuji.cli.fields import AnyGenre, Field, Genre, Title, Type, Year, asked_fields, asked_wishes
from arasuji.cli.prompts import prompts_in
from arasuji.cli.shots import Shots, with_shots
from arasuji.cli.terminal import COLUMNS, Flowing, clipped, show_json, working
from arasuji.errors import ArasujiError, OptionError
from arasuji.speech import say, silence

if TYPE_CHECKING:
    from arasuji.config import SamplingConfig
    from arasuji.corpus import Corpus

KEYS = ("prompt", "completion", "text", "tokens", "finished", "seed", "redrawn")
"""The fields of a sample that are written into a JSONL file and printed by --json, before what is copied."""
Precision = Literal["auto", "fp32", "bf16", "int8"]


def generate(
    context: Context,
    run: Annotated[str, Argument(metavar="RUN", help="A run folder, or a base model's name")],
    prompts: Annotated[
        list[str] | None,
        Argument(metavar="[PROMPT]...", help="The beginnings of texts; none given is one empty prompt"),
    ] = None,
    prompts_file: Annotated[
        Path | None,
        Option(
            help="A file with a prompt on each line; in FILE.jsonl an object with the prompt and the fields that a run "
            'can be told, all of them optional: {"prompt": ..., "title": ..., "genres": [...]}'
        ),
    ] = None,
    shard: Annotated[
        str | None,
        Option(
            metavar="I/N", help="Write part I of N parts of that file; together they are what one call writes for all"
        ),
    ] = None,
    title: Title = None,
    genre: Genre = None,
    year: Year = None,
    type: Type = None,
    field: Field = None,
    any_genre: AnyGenre = False,
    first: Annotated[
        str | None, Option("--from", help="The first sentence, for a run that fills the middle (pretrained-fill)")
    ] = None,
    last: Annotated[
        str | None, Option("--to", help="The last sentence, for such a run; one of the two is enough")
    ] = None,
    required: Annotated[
        list[str] | None,
        Option("--with", metavar="WORD", help="A word or a phrase that the text must have; may be given several times"),
    ] = None,
    without: Annotated[
        list[str] | None,
        Option("--without", metavar="WORD", help="One that its new part must not have; may be given several times"),
    ] = None,
    words: Annotated[
        str | None, Option(metavar="A..B", help="The text ends by itself when it has A to B words, such as 80..120")
    ] = None,
    no_known_names: Annotated[
        bool, Option("--no-known-names", help="Write no title of a training text, and no name that few of them have")
    ] = False,
    variations: Annotated[
        str | None,
        Option(
            metavar="TEXT", help="Begin as TEXT does (its first sentence), write as many words, and some of its words"
        ),
    ] = None,
    mend: Annotated[
        bool,
        Option(
            "--mend/--no-mend", help="Close quotes, double no word, end with a sentence where the length is used up"
        ),
    ] = True,
    n: Annotated[int, Option("-n", min=1, help="Texts for each prompt")] = 1,
    min_length: Annotated[int | None, Option(help="The least number of new tokens before a text may end")] = None,
    max_length: Annotated[int | None, Option(help="The largest number of new tokens")] = None,
    temperature: Annotated[float | None, Option(help="0 always takes the most likely token")] = None,
    top_k: Annotated[int | None, Option(help="Draw among this number of most likely tokens; 0 is all")] = None,
    top_p: Annotated[
        float | None, Option(help="After top-k, keep the fewest tokens whose probabilities add up to this")
    ] = None,
    min_p: Annotated[
        float | None, Option(help="After top-p, keep the tokens with at least this share of the highest probability")
    ] = None,
    repetition_penalty: Annotated[
        float | None, Option(help="Makes tokens that stand in the text already less likely; 1 is off")
    ] = None,
    no_repeat_ngram_size: Annotated[
        int | None, Option(help="No sequence of this number of tokens occurs twice; 0 is off")
    ] = None,
    guidance: Annotated[
        float | None, Option(help="How strongly the text follows its fields; 1 is as the model was trained, 2 stronger")
    ] = None,
    num_beams: Annotated[
        int | None, Option(help="The number of texts that beam search continues at once; it gives the best one")
    ] = None,
    seed: Annotated[int, Option(min=0, max=2**32 - 1, help="Text i, counted from 0, is drawn with seed + i")] = 0,
    longest_copy: Annotated[
        int, Option(min=1, metavar="WORDS", help="No more words in a row than this are those of a training text")
    ] = 8,
    allow_copying: Annotated[bool, Option("--allow-copying", help="Write copies, too")] = False,
    redraw: Annotated[
        int,
        Option(min=0, metavar="TIMES", help="Draw a text again that shares many short sequences with a training text"),
    ] = 3,
    shots: Shots = 0,
    corpus: Annotated[
        Path | None, Option(help="The corpus folder of --shots and in which copies are looked for; default: the run's")
    ] = None,
    precision: Annotated[
        Precision,
        Option(help="The number format of the weights; auto is int8 on a CPU, and bf16 or fp32 elsewhere"),
    ] = "auto",
    out: Annotated[Path | None, Option(help="Append the texts to FILE.txt or FILE.jsonl")] = None,
    resume: Annotated[bool, Option("--resume", help="Continue where FILE.jsonl ends")] = False,
    json: Annotated[bool, Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Write new texts. A setting that is not given is that of the run."""
    given = {
        "min_length": min_length,
        "max_length": max_length,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "no_repeat_ngram_size": no_repeat_ngram_size,
        "guidance": guidance,
        "num_beams": num_beams,
    }
    if variations is not None and (prompts or prompts_file):
        raise OptionError("--variations begins with the first sentence of its text: leave other prompts out")
    if words is not None and max_length is not None:
        raise OptionError("--words says how long a text is: leave --max-length out")
    in_file = prompts_in(prompts_file) if prompts_file else {}
    first_seed = seed
    if shard is not None:
        if not prompts_file or prompts:
            raise OptionError("--shard is a part of the prompts of a file: say --prompts-file FILE, and no others")
        before, in_file = _part(in_file, shard)
        first_seed += n * before
    beginnings = [*(prompts or []), *in_file.values()] or [""]
    fields = asked_fields(title, genre, year, type, field)
    fields |= {name: text for name, text in (("from", first), ("to", last)) if text is not None}
    wishes = asked_wishes(required, without, words, no_known_names, mend)
    writer = Writer(out) if out else None
    if resume:
        check_resume(out)
    if out:
        from arasuji.locks import alone

        place = Path(os.path.realpath(out))  # two names of one file are one
        context.with_resource(alone(place.with_name(f".{place.name}.lock"), out, "generate"))
    if shard is not None and not in_file:
        from arasuji.files import append, make_folder

        say(f"note: part {shard} has no prompts, since the file has fewer prompts than parts")
        if out:
            make_folder(out.parent)
            append(out, "")
        if json:
            show_json({"samples": [], "shots": []})
        return
    sampling = _sampling(run, {name: value for name, value in given.items() if value is not None})
    if n > 1 and sampling.certain:
        say(f"note: with these settings nothing is drawn, so the {n} texts of a prompt are all the same")
    with working(f"opening {run}"):
        from arasuji import api
        from arasuji.corpus import Corpus
        from arasuji.corpus.suffixes import suffixes_of
        from arasuji.generation.ending import LEAST_ROOM
        from arasuji.writing import corpus_of_copies

        if variations is not None:
            prompt, varied = api.variation_of(variations)
            beginnings, wishes = [prompt], replace(wishes, words=wishes.words or varied.words, like=varied.like)
        opened = _corpus(run, corpus) if shots else None
        trained = with_shots(api.load(run, None if precision == "auto" else precision), opened, shots, seed)
    asked = _checked_prompts(api, trained, beginnings, fields, any_genre, prompts_file, [*in_file])
    if sampling.guidance != 1 and not any(own for _, own in asked):
        say("note: --guidance changes nothing here, since the model is told no fields")
    if trained.predicts == "title":
        say(f"note: {run} proposes titles: arasuji title {run} TEXT")
    if mend and max_length is not None and max_length < LEAST_ROOM:
        say(f"note: fewer than {LEAST_ROOM} tokens have no room for a sentence, so texts end in the middle of one")
    folder = corpus_of_copies(trained, corpus)
    with working("reading the training split"):
        known = Corpus.load(folder) if folder else None
        if folder:
            suffixes_of(folder)
    most = longest_copy if known and not allow_copying else None
    if writer and writer.path.suffix == ".jsonl":
        copying = {"corpus": known.hash, "longest": most, "redraw": redraw if most else 0} if known else {}
        wished = json_.loads(json_.dumps(asdict(wishes)))  # a tuple becomes a list
        writer.of = origin(trained, sampling, opened) | {"copying": copying, "wishes": wished}
    done = writer.written(asked, n, first_seed) if writer and resume else 0
    samples, count, copies = [], done, CopyReport(known.train if known else [], done)
    settings = {"n": n, "seed": first_seed, "sampling": sampling, "fields": fields, "any_genre": any_genre}
    settings |= {"longest_copy": most, "redraw": redraw, "corpus": folder, "wishes": wishes}
    for sample in _written(api, trained, beginnings, settings, done, silent=json, kept=writer is not None):
        content = {key: getattr(sample, key) for key in KEYS} | copies.of(sample)
        content["fields"] = dict(sample.fields)
        count += 1
        if writer:
            writer.add(content)
        if json:
            samples.append(content)
    if writer:
        writer.finish()
    if json:
        show_json({"samples": samples, "shots": [record.id for record in trained.shots.records]})
    copies.tell()
    if out:
        say(f"{count - done} appended to {out}")


def _part(prompts: dict[int, Any], shard: str) -> tuple[int, dict[int, Any]]:
    """How many prompts are before those of part "I/N", and these. Parts are in the order of the prompts, and differ by
    one prompt at most. Raises OptionError."""
    asked = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", shard)
    part, parts = map(int, asked.groups()) if asked else (0, 0)
    if not 1 <= part <= parts:
        raise OptionError(f"--shard {shard}: say which part of how many, from 1/4 to 4/4 for four")
    first, last = (len(prompts) * number // parts for number in (part - 1, part))
    return first, dict(islice(prompts.items(), first, last))


def _checked_prompts(
    api: Any,
    trained: Any,
    beginnings: list[Any],
    fields: dict[str, Any],
    any_genre: bool,
    path: Path | None,
    lines: list[int],
) -> list[tuple[str, dict[str, Any]]]:
    """`api.check_prompts`; an error names the line of the file with the prompt. The last prompts are those of its
    `lines`."""
    asked, first = [], len(beginnings) - len(lines)
    for i, prompt in enumerate(beginnings):
        try:
            asked += api.check_prompts(trained, prompt, fields, any_genre)
        except ArasujiError as error:
            if i < first:
                raise
            raise type(error)(f"{path}, line {lines[i - first]}: {error}") from error
    return asked


def _corpus(run: str, folder: Path | None) -> Corpus | None:
    """The corpus in `folder`, or else that of the run; None where the run knows none."""
    from arasuji import arguments
    from arasuji.corpus import Corpus
    from arasuji.runs import corpus_of, own_corpus

    if folder:
        return Corpus.load(folder)
    known = corpus_of(arguments.name(run)).get("folder")
    return own_corpus(Path(known)) if known else None


def _sampling(run: str, given: dict[str, Any]) -> SamplingConfig:
    """The sampling settings of the run with the given ones, checked before the model is opened."""
    from arasuji import arguments
    from arasuji.config import SamplingConfig, checked
    from arasuji.runs import sampling_of

    settings: SamplingConfig = checked(
        SamplingConfig, {**sampling_of(arguments.name(run)).model_dump(), **given}, "generate"
    )
    return settings


def _written(
    api: Any, trained: Any, beginnings: list[Any], settings: dict[str, Any], done: int, silent: bool, kept: bool
) -> Iterator[Any]:
    """Yield the samples after the first `done`, and print each unless `silent`. A single text is printed on a terminal
    while it is written. After stdout is closed (`| head`), only samples that are `kept` in a file are still written."""
    alone, number = len(beginnings) * settings["n"] == 1 and not done, done
    if alone and settings["sampling"].num_beams == 1 and sys.stdout.isatty() and not silent:
        yield _stream(api, trained, beginnings[0], settings)
        return
    for sample in api.generate(trained, beginnings, skip=done, **settings):
        number += 1
        if not silent:
            try:
                flow = Flowing()
                if flow.width and not alone:
                    flow.add(clipped(f"── {number} {_told(sample)}", COLUMNS) + "\n")
                flow.add(sample.text + "\n")
                flow.end()
            except BrokenPipeError:
                if not kept:
                    raise
                silence(sys.stdout.fileno())
        yield sample


def _told(sample: Any) -> str:
    """What the model was told of a text, in a line."""
    values = (value if isinstance(value, list) else [value] for value in sample.fields.values())
    return " · ".join(", ".join(map(str, several)) for several in values)


def _stream(api: Any, trained: Any, prompt: str | dict[str, Any], settings: dict[str, Any]) -> Any:
    """Write one text, and print it on the terminal while it is written."""
    from arasuji.generation.texts import as_text

    flow = Flowing()
    beginning = as_text(prompt if isinstance(prompt, str) else prompt.get("prompt", ""))
    flow.add(beginning)
    for event in api.write(trained, [prompt], pieces=True, **settings):
        if isinstance(event, api.Sample):
            flow.end()
            return event
        if isinstance(event, api.Redrawn):
            flow.end()
            share = 100 * event.copied.containment
            say(f"{share:.0f} % of its four-word sequences are of one training text, so it is drawn again:")
            flow.add(beginning)
        else:
            flow.add(event.text)
    raise AssertionError("a text always ends in a sample")
