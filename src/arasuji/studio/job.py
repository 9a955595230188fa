"""`python -m arasuji.studio.job CODE VERB ...`: a verb, whose exit code is written into the file CODE at its end."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from arasuji.files import write_text


def main() -> None:
    """Run the verb as `arasuji` would."""
    place, *arguments = sys.argv[1:]
    sys.argv = ["arasuji", *arguments]
    code: object = 1
    try:
        runpy.run_module("arasuji", run_name="__main__")
    except SystemExit as ended:
        code = ended.code
        raise
    finally:
        write_text(Path(place), str(code if isinstance(code, int) else int(code is not None)))


if __name__ == "__main__":
    main()
