"""Fill the generated parts of README.md from the outs of the last `dvc repro`: `make docs`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fastapi.testclient import TestClient

from emofuse.errors import guard
from emofuse.params import load_params
from emofuse.predictor import Predictor
from emofuse.schema import read_json
from emofuse.service.app import Served, create_app

README = Path("README.md")
CLIP = Path("data/corpus/output_repeated_splits_test/dia0_utt0.mp4")


def results_table() -> str:
    """The scores of every model, best on dev first, as Markdown."""
    metrics = read_json(Path("reports/metrics.json"))
    champion = metrics.pop("champion")
    lines = ["| model | dev weighted F1 | test weighted F1 | test macro F1 | test accuracy |", "|---|---|---|---|---|"]
    for name in sorted(metrics, key=lambda name: -metrics[name]["dev"]["weighted_f1"]):
        dev, test = metrics[name]["dev"], metrics[name]["test"]
        shown = f"**{name}** (champion)" if name == champion else name
        cells = (dev["weighted_f1"], test["weighted_f1"], test["macro_f1"], test["accuracy"])
        lines.append(f"| {shown} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    return "\n".join(lines)


def answer() -> str:
    """What the champion answers to the request that the README prints."""
    predictor = Predictor.load(Path("models/champion"))
    with TestClient(create_app(lambda: Served(predictor), load_params().serve)) as client, CLIP.open("rb") as clip:
        data = {"utterance": "What a surprise!", "context": '{"position": 0, "dialogue_length": 9}'}
        body = client.post("/predict", files={"video": clip}, data=data).json()
    body["probabilities"] = {label: round(value, 4) for label, value in body["probabilities"].items()}
    for modality in body["modalities"].values():
        modality["weight"] = round(modality["weight"], 4)
        modality["probabilities"] = {
            label: round(value, 4) for label, value in (modality["probabilities"] or {}).items()
        }
    del body["seconds"]  # other in every run
    return "```json\n" + json.dumps(body, indent=2) + "\n```"


def filled(text: str, name: str, content: str) -> str:
    """The text with what stands between a part's markers replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(pattern, lambda match: f"{match[1]}{content}\n{match[2]}", text, flags=re.DOTALL)


if __name__ == "__main__":
    with guard():
        text = filled(README.read_text(encoding="utf-8"), "results", results_table())
        README.write_text(filled(text, "answer", answer()), encoding="utf-8")
