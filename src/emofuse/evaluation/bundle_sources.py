"""Where a finished model comes from: a folder, an MLflow run, its registry, or a DVC revision."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from emofuse.core.errors import DataError
from emofuse.core.files import read_json
from emofuse.core.paths import MODELS_DIR, REPORTS_DIR
from emofuse.evaluation.sources import METRICS, RUN_ID, of_revision
from emofuse.inference.description import DESCRIPTION, bundle_version, read_reached

EVALUATION = REPORTS_DIR / "evaluation.json"
ASK = "expected a bundle folder, an MLflow run id of 32 characters, or a DVC revision, with `:MODEL` for another model"
Scores = dict[str, float]


@contextmanager
def opened_bundle(
    asked: str, run_bundle: Callable[[str], AbstractContextManager[tuple[Path, Scores]]]
) -> Iterator[tuple[Path, Scores]]:
    """The folder of a bundle, and what it reached on the test split of its own data where that is told beside it.

    Args:
        asked: as in `ASK`.
        run_bundle: gives the bundle and the test scores of an MLflow run.

    Raises:
        DataError: there is no such model.
    """
    path = Path(asked)
    if (path / DESCRIPTION).is_file():
        yield path, _test_scores(METRICS, path) if _is_measured(path) else read_reached(path).home.get("test", {})
    elif RUN_ID.fullmatch(asked):
        with run_bundle(asked) as (folder, scores):
            yield folder, scores
    elif path.exists():
        raise DataError(f"{asked}: found no {DESCRIPTION} in it; {ASK}")
    else:
        revision, _, model = asked.partition(":")
        with tempfile.TemporaryDirectory(prefix="emofuse-") as name:
            folder = of_revision(revision, MODELS_DIR / (model or "champion"), Path(name))
            yield folder, _test_scores(of_revision(revision, METRICS, Path(name)), folder)


def _is_measured(folder: Path) -> bool:
    """Whether the scores that lie here are those of this very bundle: one may have been trained since."""
    return EVALUATION.is_file() and bundle_version(folder) in read_json(EVALUATION)["versions"].values()


def _test_scores(metrics: Path, folder: Path) -> Scores:
    if not metrics.is_file():
        return {}
    scores, name = read_json(metrics), read_json(folder / DESCRIPTION)["model"]
    return dict(scores[name]["test"]) if name in scores else {}
