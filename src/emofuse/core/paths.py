"""Where what crosses a stage lies."""

from pathlib import Path

MANIFEST_FILE = Path("data/manifest.parquet")
LEARNT_FILE = Path("data/learnt_from.json")
TRANSCRIPTS_FILE = Path("data/transcripts.csv")
FEATURES_DIR = Path("features")
SCALERS_FILE = Path("scalers/scalers.safetensors")
MODELS_DIR = Path("models")
FINETUNED_DIR = MODELS_DIR / "finetuned"
REPORTS_DIR = Path("reports")
PRETRAINED_DIR = REPORTS_DIR / "training" / "pretrained"  # what the classifiers say of every row
