"""Stage report: the page and the model card, from what the evaluation found."""

from emofuse.core.errors import guard
from emofuse.core.params import load_params
from emofuse.core.paths import REPORTS_DIR
from emofuse.reporting.report import read_material, write_card, write_report


def main() -> None:
    """Write reports/report.html and reports/model_card.md."""
    material = read_material(load_params())
    write_report(REPORTS_DIR / "report.html", material)
    write_card(REPORTS_DIR / "model_card.md", material)
    print(f"see {REPORTS_DIR / 'report.html'}")


if __name__ == "__main__":
    with guard():
        main()
