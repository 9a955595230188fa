"""The Hugging Face hub: what its local cache holds of a model, and fetching what is missing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from arasuji.bases.checked import check, check_files, check_weights, weights_of
from arasuji.bases.known import KNOWN
from arasuji.errors import BaseModelError, StorageError, first_line

HUB_SECONDS = 3
"""The hub counts as unreachable when it has not answered for this long."""
SMALL = ("*.json", "*.txt", "*.model")
"""The files of a model except its weights: configuration and tokenizer."""
AGAIN = "say the same again, since whole files are not fetched twice"


class UnavailableError(BaseModelError):
    """The hub does not give a model that may be had elsewhere; `advice` is what can be done about the hub."""

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.advice = advice


def cached(name: str) -> Path | None:
    """The folder of a model in the hub's local cache; None where it is not there, or not with all its weights.

    Raises:
        BaseModelError: its files are refused (see `checked.check`).
    """
    try:
        folder = _folder(name, SMALL, offline=True)
    except Exception:  # the hub's client has a dozen errors for what is not there
        return None
    check_files(folder, folder.parents[1])
    if not all((folder / file).is_file() for file in weights_of(folder)):
        return None
    check(folder, folder.parents[1])
    return folder


def fetch(name: str) -> tuple[Path, str]:
    """Fetch a model into the hub's local cache, and return its folder and the name that the hub has for it now.

    The small files come first, and the weights only after those were checked. What is in the cache already is not
    fetched again; a file that was cut off is.

    Raises:
        UnavailableError: the hub cannot be reached, does not know the model, does not give it, or stops in the middle.
        BaseModelError: its files are refused.
        StorageError: the disk is full.
    """
    from huggingface_hub import HfApi

    with _one_line(name, "the Hugging Face hub cannot be reached or refuses"):
        info = HfApi().model_info(name, timeout=HUB_SECONDS)
    check_weights(name, (file.rfilename for file in info.siblings or ()))
    broken_off = "the connection to the Hugging Face hub broke off"
    with _one_line(name, broken_off, AGAIN):
        folder = _folder(name, SMALL)
    check_files(folder, folder.parents[1])
    with _one_line(name, broken_off, AGAIN):
        _folder(name, weights_of(folder))
    check(folder, folder.parents[1])
    return folder, info.id


def _folder(name: str, wanted: Iterable[str], offline: bool = False) -> Path:
    """A model's folder in the local cache, with all its files of these names; patterns stand for no folder's files."""
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            name,
            allow_patterns=list(wanted),
            ignore_patterns=["*/*"],
            local_files_only=offline,
            etag_timeout=HUB_SECONDS,
        )
    )


@contextmanager
def _one_line(name: str, otherwise: str, advice: str = "") -> Iterator[None]:
    """Turn what the hub's client raises into one line; `otherwise` stands before a reason that has no line of its
    own."""
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        yield
    except GatedRepoError as error:
        problem = f"its makers ask you to accept their terms at https://huggingface.co/{name}"
        raise UnavailableError(problem, "do so and run `hf auth login`, or set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        close = difflib.get_close_matches(name, [*KNOWN, *(base.hub for base in KNOWN.values())], n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        problem = f"the Hugging Face hub has no model {name}{hint}"
        raise UnavailableError(problem, "run `hf auth login` where it is private") from error
    except Exception as error:  # the hub's client raises errors of its own, of its network library, and of the system
        if getattr(error, "errno", None):
            full = f"cannot write {constants.HF_HUB_CACHE}: {getattr(error, 'strerror', error)}"
            raise StorageError(f"{full}; make room and {AGAIN}") from error
        if isinstance(error, HfHubHTTPError) and error.response.status_code == 401:
            advice = "run `hf auth login` again, or unset HF_TOKEN"
            raise UnavailableError("the Hugging Face hub does not accept your token", advice) from error
        cause = error.__cause__ or error
        reason = first_line(cause)
        raise UnavailableError(f"{otherwise} ({reason})", advice) from error
