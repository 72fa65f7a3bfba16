"""Stage submit: the champion's answers for the rows that only get predictions."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from emofuse.core.errors import guard
from emofuse.core.params import load_params
from emofuse.core.paths import REPORTS_DIR
from emofuse.core.records import KEY, PREDICT
from emofuse.core.tables import read_json, read_manifest, read_table, write_csv, write_table

FOLDER = REPORTS_DIR / "submission"


def main() -> None:
    """Write submission.csv (row id and label, in the order of the user's table) and a fuller predictions.parquet."""
    params = load_params().ingest
    manifest = read_manifest()
    champion = read_json(REPORTS_DIR / "metrics.json")["champion"]
    answers = read_table(REPORTS_DIR / "predictions.parquet").to_pandas()
    answers = answers[answers["model"] == champion].drop(columns=["model", "label"])
    wanted = manifest.loc[manifest["split"] == PREDICT, [*KEY, "source", "row", "row_id"]].sort_values(
        ["source", "row"]
    )
    rows = wanted.merge(answers, on=KEY, how="left", validate="one_to_one")
    submission = pd.DataFrame({params.id or "row": rows["row_id"], "label": rows["predicted"]})

    write_table(FOLDER / "predictions.parquet", pa.Table.from_pandas(rows, preserve_index=False))
    write_csv(FOLDER / "submission.csv", submission)
    print(f"{len(submission)} rows predicted by {champion}")


if __name__ == "__main__":
    with guard():
        main()
