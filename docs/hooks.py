"""Puts files into the site that lie outside docs/, and turns links between the repository's folders into links of the
site, so that a page is right on a forge and in the site. Pictures follow the site's own switch between light and dark,
where a forge follows the system."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "notebooks/article.ipynb": "notebooks/article.ipynb",
    "src/arasuji/studio/page/seal.svg": "seal.svg",
}
"""Files of the repository, and where the site has them."""
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
PICTURE = re.compile(r'<picture>\n<source srcset=".+\n<img src="(\S+)-light\.png" (alt=".+")>\n</picture>')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    source = Path(str(page.file.abs_src_path)).relative_to(ROOT).as_posix()
    if source == "docs/log.md":  # its many numbers would stand before every answer
        page.meta["search"] = {"exclude": True}

    def in_site(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))
        place = OUTSIDE.get(target, target.removeprefix("docs/"))
        return "](" + posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".")

    return PICTURE.sub(themed, LINK.sub(in_site, markdown))


def themed(picture: re.Match[str]) -> str:
    """The light and the dark picture, of which the theme shows one; the studio's have forms for a phone."""
    place, alt = picture.groups()
    both = ""
    for scheme in ("light", "dark"):
        phone = f'<source media="(max-width: 30em)" srcset="{place.replace("-desktop", "-phone")}-{scheme}.png">'
        image = f'<img src="{place}-{scheme}.png#only-{scheme}" {alt}>'
        both += f"<picture>{phone if '-desktop' in place else ''}{image}</picture>\n"
    return both
