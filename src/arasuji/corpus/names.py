"""The names that columns usually have, in ten languages, and how near a name is to one of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache


def _names(*lines: str) -> list[str]:
    return [name for line in lines for name in line.split()]


# Of several columns, the one whose name stands first here wins; case, spaces and hyphens do not count. "sypnopsis" is
# how a well-known file spells it.
KNOWN: dict[str, list[str]] = {
    "text": _names(
        "synopsis sypnopsis text description overview plot plot_summary summary blurb story abstract completion",
        "content body",
        "synopses storyline story_line logline desc premise outline",
        "あらすじ 粗筋 荒筋 概要 ストーリー シノプシス 内容紹介 紹介文 説明 説明文 内容 本文",
        "剧情简介 劇情簡介 内容简介 內容簡介 简介 簡介 剧情 劇情 梗概 摘要 描述 內容 正文 文本",
        "줄거리 시놉시스 개요 요약 소개 설명 내용 본문",
        "sinopsis argumento trama resumen descripción texto",
        "sinopse enredo resumo descrição",
        "résumé intrigue histoire texte",
        "handlung inhaltsangabe inhalt klappentext zusammenfassung beschreibung kurzbeschreibung",
        "sinossi riassunto descrizione testo",
        "синопсис сюжет описание аннотация краткое_содержание содержание текст",
    ),
    "title": _names(
        "title anime_name name main_title title_romaji title_english",
        "タイトル 題名 題 作品名 作品タイトル 名前",
        "标题 標題 片名 书名 書名 名称 名稱",
        "제목 작품명 이름",
        "título nombre nome",
        "titre nom",
        "titel",
        "titolo",
        "название заголовок",
    ),
    "genres": _names(
        "genres genre", "ジャンル", "类型 類型 题材 題材", "장르", "género gênero genere generi", "жанр жанры"
    ),
    "year": _names(
        "year aired release_year start_year release_date start_date premiered released_year",
        "公開年 放送年 発売年 年",
        "年份 年代",
        "연도 년도",
        "año ano année jahr erscheinungsjahr",
        "anno",
        "год год_выпуска",
    ),
    "type": _names("type media_type format"),
    "id": _names("mal_id anime_id uid id"),
}

SPELLED, WRITTEN, QUALIFIED = range(3)
"""How near a name is to a known one: it is the same; it is the same but for camel case, accents and plurals; or it is
the same but for these and for qualifying words."""

LONGEST = 200
"""A longer name says nothing."""

# Words that say what a work is, or in which language, beside the name of what a column holds.
QUALIFIERS = (
    "anime manga movie film show series tv book novel game drama story work item media product text "
    "main original primary full long short official canonical clean cleaned raw "
    "english en eng us uk romaji native japanese ja jp chinese zh cn korean ko kr spanish es french fr german de "
    "italian it portuguese pt br russian ru"
)


def apart(names: Iterable[str]) -> list[str]:
    """The names, no two of which are the same: one that stood before has a number, as in "title (2)"."""
    times: dict[str, int] = {}
    found = []
    for name in names:
        free = name
        while free in times:
            times[name] += 1
            free = f"{name} ({times[name]})"
        times[free] = 1
        found.append(free)
    return found


def knows(what: str, name: str) -> bool:
    """Whether a name says, however it is written, that a column holds "text", "title" and so on."""
    near = nearness(what, name)
    return near is not None and near < (QUALIFIED, 0)


def nearness(what: str, name: str) -> tuple[int, int] | None:
    """How near a name is to the known names of `what`, and to which of them; less is nearer. None: to none."""
    if len(name) > LONGEST:
        return None
    plain = re.sub(r"[\s-]+", "_", name.strip().casefold())
    if plain in KNOWN[what]:
        return SPELLED, KNOWN[what].index(plain)
    if what in ("id", "type"):  # words such as `series_id` mean something else
        return None
    known = _keys(what)
    words = _words(name)
    if words in known:
        return WRITTEN, known[words]
    inner = _words(name.rpartition(".")[2])
    bare = tuple(word for word in words if word not in _qualifiers())
    found = [known[key] for key in (inner, bare) if key in known]
    return (QUALIFIED, min(found)) if found else None


@lru_cache
def _keys(what: str) -> dict[tuple[str, ...], int]:
    return {_words(name): place for place, name in reversed(list(enumerate(KNOWN[what])))}


@lru_cache
def _qualifiers() -> frozenset[str]:
    return frozenset(map(_singular, QUALIFIERS.split()))


def _words(name: str) -> tuple[str, ...]:
    """The words of a name without accents, in the singular; a repeated column's number is none of them.

    >>> _words("titleRomaji") == _words("Title_Romaji") == _words("titles romaji (2)")
    True
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", re.sub(r" \(\d+\)$", "", name))
    letters = unicodedata.normalize("NFKD", apart.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return tuple(map(_singular, re.findall(r"[^\W_]+", bare)))


def _singular(word: str) -> str:
    if not word.endswith("s") or len(word) < 4 or word.endswith("ss"):
        return word
    return word[:-3] + "y" if word.endswith("ies") else word[:-1]
