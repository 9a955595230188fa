"""`python -m arasuji.studio.job CODE RESULT VERB ...`: a verb, whose exit code is written into CODE at its end.

Where it ends well, what it has printed is copied to RESULT before, unless that is empty.
"""

from __future__ import annotations

import runpy
import signal
import sys
from pathlib import Path

from arasuji.files import write_text


def main() -> None:
    """Run the verb as `arasuji` would."""
    place, result, *arguments = sys.argv[1:]
    sys.argv = ["arasuji", *arguments]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a verb that is asked to end tidies up, as after Ctrl-C
    code: object = 1
    try:
        runpy.run_module("arasuji", run_name="__main__")
    except SystemExit as ended:
        code = ended.code
        raise
    finally:
        number = code if isinstance(code, int) else int(code is not None)
        if result and not number:
            write_text(Path(result), Path(place).with_suffix(".out").read_text("utf-8"))
        write_text(Path(place), str(number))


if __name__ == "__main__":
    main()
