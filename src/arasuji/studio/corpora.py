"""The corpora that the rooms know: in their own folder, beside the runs, and those that runs were trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from arasuji.corpus import Corpus
from arasuji.corpus.folder import is_corpus
from arasuji.errors import OptionError, RunError, nearest
from arasuji.folders import MANIFEST
from arasuji.runs import RunDirectory


class Corpora:
    """Finds corpora by name."""

    def __init__(self, folder: Path, runs: Path) -> None:
        self.folder, self.runs = folder, runs

    def places(self) -> dict[str, Path]:
        """The folder of each corpus, by its name. Of two with one name the second one gets a number."""
        found: dict[str, Path] = {}
        for path in dict.fromkeys(place.resolve() for place in self._candidates() if is_corpus(place)):
            plain = path.name.encode("utf-8", "replace").decode("utf-8")
            name, number = plain, 2
            while name in found:
                name, number = f"{plain}-{number}", number + 1
            found[name] = path
        return found

    def place(self, name: str) -> Path:
        """The folder of a corpus. Raises OptionError where there is none of this name."""
        known = self.places()
        if name not in known:
            raise OptionError(f"no corpus {name!r}; {nearest(name, list(known))}")
        return known[name]

    def open(self, name: str) -> Corpus:
        """A corpus by its name. Raises OptionError, and CorpusError where it is damaged."""
        return Corpus.load(self.place(name))

    def _candidates(self) -> Iterator[Path]:
        for folder in (self.folder, self.runs):
            if folder.is_dir():
                yield from sorted(path for path in folder.iterdir() if path.is_dir())
        if self.runs.is_dir():
            for run in sorted(self.runs.iterdir()):
                try:
                    if (run / MANIFEST).is_file() and (known := RunDirectory(run).facts.corpus.folder):
                        yield Path(known)
                except RunError:  # it is a corpus, or damaged
                    continue
