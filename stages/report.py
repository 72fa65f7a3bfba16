"""Stage report: the page and the model card, from what the evaluation found."""

from __future__ import annotations

import pandas as pd

from emofuse.core.errors import guard
from emofuse.core.params import load_params
from emofuse.core.paths import MODELS_DIR, REPORTS_DIR
from emofuse.core.tables import read_json
from emofuse.fusion.names import MODELS, TRAINED
from emofuse.inference.description import bundle_version
from emofuse.reporting.report import Material, write_card, write_report
from emofuse.reporting.thumbnails import thumbnails


def main() -> None:
    """Write reports/report.html and reports/model_card.md."""
    params = load_params()
    found = read_json(REPORTS_DIR / "evaluation.json")
    clips = [mistake["clip"] for model in found["models"].values() for mistake in model["mistakes"]]
    material = Material(
        findings=found,
        data=read_json(REPORTS_DIR / "data.json"),
        params={name: value for name, value in params.of_results().items() if name != "ingest.root"},
        versions={name: bundle_version(MODELS_DIR / name) for name in MODELS},
        curves={name: pd.read_csv(REPORTS_DIR / "training" / name / "curve.csv") for name in TRAINED},
        pictures=thumbnails(clips, params.ingest.root),
    )
    write_report(REPORTS_DIR / "report.html", material)
    write_card(REPORTS_DIR / "model_card.md", material)
    print(f"see {REPORTS_DIR / 'report.html'}")


if __name__ == "__main__":
    with guard():
        main()
