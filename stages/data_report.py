"""Stage data_report: all that is odd about the data, as reports/data.json and reports/data.html."""

from emofuse.core.errors import guard
from emofuse.core.files import read_json, write_json
from emofuse.core.params import load_params
from emofuse.core.paths import MANIFEST_FILE, REPORTS_DIR, TRANSCRIPTS_FILE
from emofuse.core.tables import read_all_features, read_manifest
from emofuse.datasets.data_findings import data_findings
from emofuse.datasets.transcripts import transcript_findings
from emofuse.reporting.contact_sheet import contact_sheet
from emofuse.reporting.data_report import write_page


def main() -> None:
    """Report on the manifest and on what extraction found."""
    params, manifest = load_params(), read_manifest()
    ingest, tables, notes = params.ingest, read_all_features(manifest), read_json(MANIFEST_FILE.with_name("notes.json"))
    heard = transcript_findings(manifest, TRANSCRIPTS_FILE, params.text)
    report = data_findings(manifest, tables, notes, ingest.layout, ingest.root.name, params.train.folds, heard)
    write_json(REPORTS_DIR / "data.json", report)
    sheet = contact_sheet(manifest, tables["visual"], ingest.root, params.visual)
    write_page(REPORTS_DIR / "data.html", report, manifest, sheet)
    print(*(f"warning: {warning}" for warning in report["warnings"]), "see reports/data.html", sep="\n")


if __name__ == "__main__":
    with guard():
        main()
