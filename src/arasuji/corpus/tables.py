"""Rows of a table: CSV with any delimiter, and spreadsheets. The header names the columns, where there is one."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from arasuji.corpus import foreign
from arasuji.corpus.layout import SEEN_CHARACTERS, head
from arasuji.corpus.names import KNOWN, apart, knows
from arasuji.corpus.source import COLUMNS, NONE, Numbered, Source
from arasuji.errors import SourceError

LONGEST_FIELD = 2**31 - 1
"""A CSV field may have this many characters; the library's own limit is 131,072, which a text may exceed."""
SEEN = 200
"""The delimiter is found from this many lines at the beginning of a file."""
LONG = 15
"""A cell with at least this many words is a text and no name of a column; a question of a form may have some words."""
LONG_CHARACTERS = 60
"""In a script without spaces, a cell with at least this many characters is a text and no name of a column."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""The delimiters that are tried, and what they are called."""
NO_DELIMITER = "\x1f"
"""With this delimiter, a character that no text has, each line is one cell."""
HALF, ALMOST_ALL = 0.5, 0.99
"""Lines are not cut into cells if fewer rows than this share have as many cells as the header: the first number where
quotation marks or delimiters suggest a table, the second where nothing does."""

Cells = tuple[int, list[str]]
"""The line on which a row begins, and the cells of the row."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How a table's lines are cut into cells."""

    delimiter: str
    quoted: bool = True
    """A cell may stand between quotation marks; where not, they are letters."""
    spaced: bool = False
    """A blank follows each delimiter."""

    def reader(self, lines: Iterable[str]) -> Any:
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
            skipinitialspace=self.spaced,
            strict=True,
        )


def csv_rows(source: Source) -> Iterator[Numbered]:
    """The standard library's reader: it names the wrong line, and allows a quote inside a bare field."""
    csv.field_size_limit(LONGEST_FIELD)
    source.unit = "line"
    lines = source.lines()
    seen = head(lines, SEEN)
    named = _named_delimiter(seen[0])
    seen = seen[1:] if named else seen
    form = _form(source, seen, named)
    return _under_header(source, _cells(source, form, chain(seen, lines), above=1 if named else 0))


def excel_rows(source: Source) -> Iterator[Numbered]:
    """The rows of a workbook's first sheet that has any, each cell as text."""
    rows = foreign.lines(source, "workbook", "not a workbook that can be read: save the sheet as CSV (UTF-8)")
    full = next(rows)["sheets"]
    if not full:
        raise SourceError(f"{source.path}: there are no rows in it")
    if len(full) > 1:
        source.note(f"the sheet {full[0]!r} of {len(full)} is read; save another one as a file of its own")
    return _under_header(source, ((number, cells) for number, cells in enumerate(rows, start=1) if any(cells)))


def _named_delimiter(line: str) -> str:
    """The delimiter that a first line such as "sep=;" names, or ""."""
    said = line.strip("\r\n").strip('"')
    return said[4] if len(said) == 5 and said[:4].lower() == "sep=" else ""


def _cells(source: Source, form: _Form, lines: Iterable[str], above: int) -> Iterator[Cells]:
    """What a CSV's rows hold, with the line on which each begins; `above` lines stand before the first."""
    held = source.held(lines)
    reader = form.reader(held)
    while True:
        held.count = 0
        line = above + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):  # the rest of the file has been read as one cell: more than a row
                message = f"a quotation mark is opened on line {line} and never closed"
                raise SourceError(f"{source.path}: not a valid CSV: {message}") from error
            source.misfit(line, f"not a valid CSV: {error}")
            continue
        if cells:  # a blank line is no row
            yield line, cells


def _form(source: Source, lines: list[str], named: str) -> _Form:
    """The form that fits the first lines best, the one that the file's name says before others. What was decided is
    noted where it is another one."""
    option = source.reading.delimiter
    if option == NONE:
        return _Form(NO_DELIMITER, quoted=False)
    usual = "\t" if source.kind in ("tsv", "tab") else ","
    chosen = source.reading.separator or named
    forms = [_Form(chosen or usual)]
    if not chosen:
        forms += [_Form(delimiter) for delimiter in DELIMITERS if delimiter != usual]
        forms.append(_Form(NO_DELIMITER, quoted=False))
    if forms[0].delimiter == "\t" or not chosen:
        forms.append(_Form("\t", quoted=False))
    ranks = [_rank(form, lines, usual, source.reading.text_column) for form in forms]
    form = forms[ranks.index(max(ranks))]
    if form.delimiter == NO_DELIMITER:
        source.note("each of its lines is read as one cell; --delimiter names what parts them")
    elif not form.quoted:
        source.note("its cells are parted by tabs, and quotation marks are read as they stand")
    elif not option and form.delimiter != usual:
        parted = DELIMITERS.get(form.delimiter, repr(form.delimiter))
        source.note(f"its cells are parted by {parted}; --delimiter names something else")
    header = next((line for line in lines if line.strip()), "").split(form.delimiter)[1:]
    return replace(form, spaced=form.quoted and bool(header) and all(name[:1] == " " for name in header))


def _rank(form: _Form, lines: list[str], usual: str, option: str | None) -> tuple[bool, float, int]:
    """How well a form fits the first lines: whether the header names a column of texts, the share of rows with as many
    cells as the header, and how many those are. A form that cuts nothing fits where no other one does."""
    rows, wrong = [], 0
    cut = len(lines) == SEEN or sum(map(len, lines)) > SEEN_CHARACTERS
    reader = form.reader(lines)
    while True:
        try:
            rows.append(next(reader))
        except StopIteration:
            break
        except csv.Error as error:
            wrong += not (cut and "unexpected end" in str(error))  # of the last row
    header, *rows = [cells for cells in rows if cells] or [[]]
    if not header or (len(header) == 1 and form.delimiter not in (usual, NO_DELIMITER)):
        return False, 0.0, 0
    fitting = sum(len(cells) == len(header) for cells in rows) / max(len(rows) + wrong, 1)
    if form.delimiter == NO_DELIMITER:
        fitting = HALF if any(cells[0].startswith('"') for cells in rows) else ALMOST_ALL
    if len(header) == 1 and set(header[0]) & set(DELIMITERS):
        fitting *= HALF
    return any(knows("text", name) or name.strip() == option for name in header), fitting, len(header)


def _under_header(source: Source, rows: Iterator[Cells]) -> Iterator[Numbered]:
    """The rows by the names of their columns: those of the header, or numbers where there is none."""
    line, header = next(rows)
    if len(header) > COLUMNS * source.reading.megabytes:
        raise source.too_large(f"{source.unit} {line} has {len(header):,} columns")
    cells = [cell.strip() for cell in header]
    names = apart(cells)
    twice = [name for name, cell in zip(names, cells, strict=True) if cell not in ("", name)]
    if source.reading.no_header or _is_row(source, header):
        if not source.reading.no_header:
            source.note("its first line is read as a row, since it names no column and holds a text")
        names, rows = [str(number) for number in range(1, len(header) + 1)], chain([(line, header)], rows)
    elif twice:
        source.note(f"columns have the same name: later ones are called {', '.join(map(repr, twice))} here")
    for line, cells in rows:
        if len(cells) > len(names) and not any(cells[len(names) :]):
            cells = cells[: len(names)]  # ends in delimiters
        if len(cells) == len(names):
            yield line, dict(zip(names, cells, strict=True))
        else:
            source.misfit(line, f"{len(cells)} field{'s' * (len(cells) > 1)} under {len(names)} columns")


def _is_row(source: Source, header: list[str]) -> bool:
    """Whether what should be a header is a row: a long text stands in it, and no name of a column that is known or that
    an option names."""
    options = (source.reading.text_column, source.reading.title_column, source.reading.genre_column)
    if any(knows(what, name) for name in header for what in KNOWN) or any(name.strip() in options for name in header):
        return False
    return any(len(name.split()) >= LONG or (len(name) >= LONG_CHARACTERS and " " not in name) for name in header)
