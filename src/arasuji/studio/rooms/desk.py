"""The desk: texts that were kept, edited or rejected, in an SQLite file beside the runs, and what is made of them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from arasuji.corpus import prepare
from arasuji.corpus.folder import SPLITS
from arasuji.corpus.pipeline import MINIMUM_DOCUMENTS
from arasuji.errors import ArasujiError, CorpusError
from arasuji.studio.database import Database
from arasuji.studio.jobs import NAME

SCHEMA = """
CREATE TABLE IF NOT EXISTS texts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL,
    run TEXT NOT NULL,
    about TEXT NOT NULL,
    verdict TEXT NOT NULL,
    made TEXT NOT NULL,
    changed TEXT NOT NULL
)
"""
"""`about` is JSON: the prompt, the fields, the settings and the seed of a text, as its page knew them."""
MOST_TEXTS = 100_000
MOST_ABOUT, MOST_PARTS = 100_000, 200
"""What is kept about a text has at most these characters, and lists and mappings."""
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""With these a spreadsheet begins a formula (OWASP, CSV Injection)."""

Verdict = Literal["kept", "rejected"]
router = APIRouter(prefix="/api/desk")


class Kept(BaseModel):
    """A text for the desk."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: str = Field(min_length=1, max_length=50_000)
    run: str = Field("", max_length=300)
    about: dict[str, Any] = Field(default_factory=dict, max_length=100)
    verdict: Verdict = "kept"

    @field_validator("about")
    @classmethod
    def _can_be_kept(cls, about: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(about, ensure_ascii=False, allow_nan=False)
        text.encode()  # raises a ValueError for half of a pair of surrogates
        if len(text) > MOST_ABOUT or text.count("[") + text.count("{") > MOST_PARTS:
            raise ValueError("it is too large, or nested too deep")
        return about


class Change(BaseModel):
    """What is changed of one."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: str | None = Field(None, min_length=1, max_length=50_000)
    verdict: Verdict | None = None


class Desk:
    """The file. Each change is on the disk when its call returns."""

    def __init__(self, path: Path) -> None:
        self.path, self._database = path, Database(path, SCHEMA)

    def texts(self, verdict: Verdict | None = None) -> list[dict[str, Any]]:
        """All texts, or those of one verdict, the oldest first. Nothing is written where there is no file yet."""
        if not self.path.exists():
            return []
        where, values = (" WHERE verdict = ?", (verdict,)) if verdict else ("", ())
        rows = self._database.do(lambda c: c.execute(f"SELECT * FROM texts{where} ORDER BY id", values).fetchall())
        return [_row(row) for row in rows]

    def keep(self, kept: Kept) -> dict[str, Any]:
        """Put a text on the desk. Raises ValueError where it is full."""

        def work(connection: sqlite3.Connection) -> sqlite3.Row:
            (count,) = connection.execute("SELECT count(*) FROM texts").fetchone()
            if count >= MOST_TEXTS:
                raise ValueError(f"the desk holds {MOST_TEXTS:,} texts: export some, and delete them")
            values = kept.text, kept.run, json.dumps(kept.about, ensure_ascii=False), kept.verdict, _now(), _now()
            added = "INSERT INTO texts (text, run, about, verdict, made, changed) VALUES (?, ?, ?, ?, ?, ?) RETURNING *"
            row: sqlite3.Row = connection.execute(added, values).fetchone()
            return row

        return _row(self._database.do(work))

    def change(self, number: int, change: Change) -> dict[str, Any] | None:
        """Change a text; None where there is none of this number."""

        def work(connection: sqlite3.Connection) -> sqlite3.Row | None:
            values = change.text, change.verdict, _now(), number
            changed = (
                "UPDATE texts SET text = coalesce(?, text), verdict = coalesce(?, verdict), changed = ? "
                "WHERE id = ? RETURNING *"
            )
            row: sqlite3.Row | None = connection.execute(changed, values).fetchone()
            return row

        row = self._database.do(work)
        return _row(row) if row else None

    def delete(self, number: int) -> bool:
        """Whether there was a text of this number."""
        return self._database.do(lambda c: c.execute("DELETE FROM texts WHERE id = ?", (number,)).rowcount) > 0


def _row(row: sqlite3.Row) -> dict[str, Any]:
    return {**row, "about": json.loads(row["about"])}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@router.get("")
async def texts(request: Request, verdict: Verdict | None = None) -> list[dict[str, Any]]:
    """The texts on the desk."""
    return await asyncio.to_thread(request.app.state.desk.texts, verdict)


@router.post("", status_code=201)
async def keep(kept: Kept, request: Request) -> dict[str, Any]:
    """Put a text on the desk."""
    try:
        return await asyncio.to_thread(request.app.state.desk.keep, kept)
    except ValueError as error:
        raise HTTPException(409, str(error)) from error


@router.patch("/{number:int}")
async def change(number: Annotated[int, Field(ge=1, lt=2**63)], change: Change, request: Request) -> dict[str, Any]:
    """Edit a text, or change its verdict."""
    changed: dict[str, Any] | None = await asyncio.to_thread(request.app.state.desk.change, number, change)
    if changed is None:
        raise HTTPException(404, f"no text {number} on the desk")
    return changed


@router.delete("/{number:int}", status_code=204)
async def delete(number: Annotated[int, Field(ge=1, lt=2**63)], request: Request) -> None:
    """Take a text off the desk."""
    if not await asyncio.to_thread(request.app.state.desk.delete, number):
        raise HTTPException(404, f"no text {number} on the desk")


class NewCorpus(BaseModel):
    """What a corpus of the texts is called."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=f"^{NAME}$")


@router.post("/corpus", status_code=201)
async def corpus(asked: NewCorpus, request: Request) -> dict[str, Any]:
    """Prepare a corpus of the texts that were kept, in the folder of corpora: a new training set."""
    desk: Desk = request.app.state.desk
    out = request.app.state.corpora.folder / asked.name
    if os.path.lexists(out):
        raise HTTPException(409, f"{out} exists already: choose another name")

    def work() -> dict[str, Any]:
        kept = desk.texts("kept")
        if len(kept) < MINIMUM_DOCUMENTS:
            raise CorpusError(f"a corpus needs {MINIMUM_DOCUMENTS} texts, and {len(kept)} are kept")
        with TemporaryDirectory() as folder:
            source = Path(folder) / "desk.jsonl"
            source.write_text(_as_jsonl(kept)[0], "utf-8")
            try:
                made = prepare([source], out)
            except CorpusError:  # texts of one title stay together, and these may have few titles
                made = prepare([source], out, title_column="none")
        return {"name": asked.name, "folder": str(out), "documents": {name: len(made.split(name)) for name in SPLITS}}

    try:
        return await asyncio.to_thread(work)
    except ArasujiError as error:
        raise HTTPException(400, str(error)) from error


@router.get("/export")
async def export(request: Request, format: Literal["txt", "csv", "jsonl"]) -> Response:
    """The texts that were kept. The CSV and the JSONL can be prepared as a new corpus: `arasuji prepare FILE`."""
    kept = await asyncio.to_thread(request.app.state.desk.texts, "kept")
    content, kind = EXPORTS[format](kept)
    headers = {"Content-Disposition": f'attachment; filename="desk.{format}"'}
    return Response(content.encode(), media_type=f"{kind}; charset=utf-8", headers=headers)


def _as_txt(kept: list[dict[str, Any]]) -> tuple[str, str]:
    return "".join(f"{row['text'].strip()}\n\n" for row in kept), "text/plain"


def _as_csv(kept: list[dict[str, Any]]) -> tuple[str, str]:
    """As `prepare` reads it. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)  # also where a spreadsheet takes a semicolon for the delimiter
    writer.writerow(["title", "genres", "synopsis", "run"])
    for row in kept:
        fields = _fields(row)
        genres = fields.get("genres", [])
        cells = [fields.get("title", ""), ", ".join(map(str, genres)) if isinstance(genres, list) else genres]
        writer.writerow([_harmless(str(cell)) for cell in (*cells, row["text"], row["run"])])
    return file.getvalue(), "text/csv"


def _as_jsonl(kept: list[dict[str, Any]]) -> tuple[str, str]:
    lines = [{**_fields(row), "synopsis": row["text"], "run": row["run"], "made": row["made"]} for row in kept]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "application/jsonl"


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    """What the model was told of a text."""
    fields = row["about"].get("fields", {})
    return fields if isinstance(fields, dict) else {}


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


EXPORTS: dict[str, Callable[[list[dict[str, Any]]], tuple[str, str]]] = {
    "txt": _as_txt,
    "csv": _as_csv,
    "jsonl": _as_jsonl,
}
