"""Stage package: the champion to models/champion/ and the BentoML store, every model to MLflow."""

from emofuse.core.errors import guard
from emofuse.core.files import read_json, write_json
from emofuse.core.params import load_params
from emofuse.core.paths import REPORTS_DIR
from emofuse.reporting.model_runs import champion_labels, model_runs, package_champion, tracked_data
from emofuse.service.store import store_bundle
from emofuse.tracking import runs_page, track


def main() -> None:
    """Copy the champion with its card and scores, track all models, store the champion for serving."""
    params = load_params()
    champion = read_json(REPORTS_DIR / "metrics.json")["champion"]
    target = package_champion(champion)
    ids = track(list(model_runs(params)), champion, tracked_data())
    labels = champion_labels(target, champion)
    print(f"champion: {champion}, stored as {store_bundle(target, {**labels, 'mlflow_run': ids[champion]})}")
    print(f"the models side by side (start `make ui` for the local store): {runs_page()}")
    # An out that no other stage makes. The champion's files are those of a trained model, so that in a fresh clone DVC
    # would find all outs of this stage in its cache, skip it, and nothing would be tracked.
    write_json(REPORTS_DIR / "champion.json", labels)


if __name__ == "__main__":
    with guard():
        main()
