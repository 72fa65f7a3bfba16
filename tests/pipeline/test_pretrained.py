"""The whole pipeline with classifiers that nobody trains here, up to the service that answers with them."""

from __future__ import annotations

import json
import sqlite3
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from tests.classifiers import save_classifiers
from tests.pipeline.checkout import Checkout, served

WHO, DID, WHAT = ("Nobody", "Everyone", "My sister"), ("ruined", "loves", "painted"), ("the harbour", "a cake", "us")
ENDINGS = (".", "!", "?")
SHARPNESS = 200.0  # of what is taught


def lines() -> list[str]:
    return [f"{who} {did} {what}{end}" for who, did, what, end in product(WHO, DID, WHAT, ENDINGS)]


def teach(folder: str, texts: list[str]) -> list[str]:
    """Let a classifier of texts tell joy from anger by what differs most between them; gives what it says of each."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), BertForSequenceClassification.from_pretrained(folder)
    with torch.inference_mode():
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        pooled = model.bert(**inputs).pooler_output
        middle = pooled.median(dim=0).values
        direction = torch.linalg.svd(pooled - pooled.mean(dim=0)).Vh[0]
        model.classifier.weight.zero_()
        for label, sign in (("joy", 1), ("anger", -1)):
            number = model.config.label2id[label]
            model.classifier.weight[number] = sign * SHARPNESS * direction
            model.classifier.bias[number] = -sign * SHARPNESS * direction @ middle
        labels = [model.config.id2label[number] for number in model(**inputs).logits.argmax(dim=1).tolist()]
    model.save_pretrained(folder)
    return labels


@pytest.mark.slow
def test_classifiers_that_know_best_become_the_champion_that_is_served(tmp_path: Path) -> None:
    names = save_classifiers(tmp_path)
    table = pd.DataFrame({"text": lines()})
    table["label"] = teach(names["text"], lines())
    assert table["label"].value_counts().min() > 20 and table["label"].nunique() == 2
    table["dialogue"] = [number // 2 for number in range(len(table))]
    root = tmp_path / "lines"
    root.mkdir()
    table.to_csv(root / "table.csv", index=False)

    (tmp_path / "checkout").mkdir()
    checkout = Checkout(tmp_path / "checkout")
    columns = {"text": "text", "dialogue": "dialogue"}
    checkout.params(ingest={"layout": "table", "root": str(root), "table": columns}, pretrained={"text": names["text"]})
    done = checkout.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "champion: pretrained" in done.stdout
    scores = json.loads(checkout.read("reports/metrics/pretrained.json"))
    assert scores["test"]["accuracy"] == 1.0
    with sqlite3.connect(checkout.folder / "mlflow.db") as store:
        runs = {name for (name,) in store.execute("select name from runs")}
        [version] = store.execute("select run_id from model_versions").fetchall()
    assert {"pretrained", "early", "text"} <= runs and version
    described = json.loads(checkout.read("models/champion/bundle.json"))
    assert described["model"] == "pretrained"
    with served(checkout, checkout.folder, ".") as client:
        known = table.iloc[0]
        answer = client.post("/predict", json={"utterance": known["text"]}).json()
        learnt = client.get("/model").json()["learnt_from"]["classifiers"]
    assert answer["label"] == known["label"] and answer["modalities"]["text"]["present"]
    assert len(learnt) == 1
