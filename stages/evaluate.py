"""Stage evaluate: every model on dev and test, beside the majority class; the best on dev is named champion."""

from emofuse.core.errors import guard
from emofuse.core.params import load_params
from emofuse.core.paths import MODELS_DIR, PRETRAINED_DIR, REPORTS_DIR, TRANSCRIPTS_FILE
from emofuse.core.tables import read_all_features, read_manifest
from emofuse.datasets.transcripts import add_transcripts
from emofuse.evaluation.scoring import look_closely, score_models
from emofuse.fusion.names import PRETRAINED
from emofuse.inference.description import finished_models
from emofuse.inference.predictor import Predictor
from emofuse.reporting.model_files import write_evaluation


def main() -> None:
    """Write predictions and metrics of every model, and all that the report says of them."""
    params = load_params()
    manifest = add_transcripts(read_manifest(), TRANSCRIPTS_FILE, params.text.transcribe)
    tables = read_all_features(manifest)
    models = {name: Predictor.load(MODELS_DIR / name) for name in finished_models(MODELS_DIR)}
    own = {n: read_all_features(manifest, models[n].bundle.features, PRETRAINED_DIR) for n in models if n == PRETRAINED}
    scores = score_models(models, manifest, tables, params.evaluate.champion_metric, own)
    findings = look_closely(scores, models, manifest, tables, params.evaluate, params.seed, own)
    write_evaluation(REPORTS_DIR, scores, findings)
    print(scores.table())


if __name__ == "__main__":
    with guard():
        main()
