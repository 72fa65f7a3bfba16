"""The stages of dvc.yaml, each run as `python -m stages.NAME`.

What decides rounding is pinned before any of them. They import the library that stands beside them: `dvc exp run` with
`--queue` or `--temp` runs a copy of the project in another folder, while the project itself is installed.
"""

import os
import sys
from pathlib import Path

_SOURCE = str(Path(__file__).resolve().parent.parent / "src")
sys.path.insert(0, _SOURCE)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_SOURCE, os.environ.get("PYTHONPATH"))))  # of Ray's workers

from emofuse.core.numerics import pin  # noqa: E402 # from that folder

pin()
