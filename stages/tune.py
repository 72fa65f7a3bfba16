"""Stage tune: a search over training params; its best as a file that `dvc exp run` takes."""

from __future__ import annotations

from pathlib import Path

from emofuse.core.errors import guard
from emofuse.core.params import Params, load_params
from emofuse.core.paths import REPORTS_DIR, SCALERS_FILE
from emofuse.core.tables import read_all_features, read_manifest
from emofuse.fusion.scaling import load_scalers
from emofuse.reporting.search_report import write_search
from emofuse.training.trial import SearchResult, Trial


def search(params: Params) -> SearchResult:
    """Search and track each trial as it ends; what this needs is imported where a trial is asked for."""
    from emofuse.tracking import track_trial
    from emofuse.training.dataset import training_set
    from emofuse.training.search import search_model

    def report(study: str, trial: Trial) -> None:
        track_trial(study, params.tune.model, trial)
        print(f"trial {trial.number}: {trial.score:.4f}{' pruned' if trial.pruned else ''}")

    manifest, scalers = read_manifest(), load_scalers(SCALERS_FILE)
    data = training_set(params.tune.model, manifest, read_all_features(manifest), scalers, params.train)
    return search_model(Path(".cache/tune.sqlite"), data, params.train, params.tune, params.seed, report)


def main() -> None:
    """Search as far as params.yaml asks; write what was tried, what mattered and what is best."""
    params = load_params()
    result = search(params) if params.tune.trials else SearchResult()
    write_search(REPORTS_DIR / "tune", params.tune.model, result)


if __name__ == "__main__":
    with guard():
        main()
