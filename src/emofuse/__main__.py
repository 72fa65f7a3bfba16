"""`emofuse` and `python -m emofuse`: the command line, with what decides rounding pinned before anything is loaded."""

from emofuse.core.numerics import pin


def main() -> None:
    """Run the command line."""
    pin()
    from emofuse.cli import app

    app()


if __name__ == "__main__":
    main()
