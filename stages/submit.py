"""Stage submit: the champion's answers for the rows that only get predictions."""

import pyarrow as pa

from emofuse.core.errors import guard
from emofuse.core.files import read_json
from emofuse.core.params import load_params
from emofuse.core.paths import REPORTS_DIR
from emofuse.core.tables import read_manifest, read_table, write_csv, write_table
from emofuse.evaluation.submission import submission_names, submission_rows


def main() -> None:
    """Write submission.csv (row id and label, in the order of the user's table) and a fuller predictions.parquet."""
    champion = read_json(REPORTS_DIR / "metrics.json")["champion"]
    rows = submission_rows(read_manifest(), read_table(REPORTS_DIR / "predictions.parquet").to_pandas(), champion)
    folder = REPORTS_DIR / "submission"
    write_table(folder / "predictions.parquet", pa.Table.from_pandas(rows, preserve_index=False))
    named = submission_names(load_params().ingest.id)
    write_csv(folder / "submission.csv", rows[list(named)].rename(columns=named))
    print(f"{len(rows)} rows predicted by {champion}")


if __name__ == "__main__":
    with guard():
        main()
