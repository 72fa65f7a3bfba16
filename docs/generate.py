"""Fill the generated parts of the documentation from the outs of the last `dvc repro`: `make docs`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
from fastapi.testclient import TestClient

from emofuse.core.errors import guard
from emofuse.core.files import read_json
from emofuse.core.params import load_params
from emofuse.core.tables import read_manifest
from emofuse.evaluation.measured import difference_of
from emofuse.inference.predictor import Predictor
from emofuse.reporting.pages import render, score, signed, spread
from emofuse.service.app import create_app
from emofuse.service.endpoints import Served

README, EVALUATION, ARCHITECTURE = Path("README.md"), Path("docs/evaluation.md"), Path("docs/architecture.md")
IMAGES = Path("docs/images")
CLIP = Path("data/corpus/output_repeated_splits_test/dia0_utt0.mp4")
METRICS, INTERVALS = Path("reports/metrics.json"), Path("reports/intervals.json")
# What the system that this project starts from claimed; the first of each pair is said to be the stronger.
CLAIM = "text is the strongest modality, then visual and audio, and metadata helps"
STRONGER = (("text", "visual"), ("text", "audio"), ("visual", "audio"))
HELPS = "metadata"
VERDICTS = {
    "holds": "These parts hold",
    "fails": "These are the other way round",
    "open": "These stay open, as the interval of the difference holds both signs",
}


def tables(metrics: Mapping[str, Any], intervals: Mapping[str, Any]) -> dict[Path, dict[str, str]]:
    """The parts of each page that come from the metric files, by the name between their markers."""
    return {
        README: {"results": results_table(metrics, intervals)},
        EVALUATION: {
            "measured": measured(intervals),
            "differences": differences_table(intervals),
            "subsets": subsets_table(intervals),
            "claim": claim(intervals),
        },
    }


def pictures(intervals: Mapping[str, Any]) -> dict[Path, str]:
    """The pictures that come from them, as SVG."""
    split, champion = intervals["on"]["split"], intervals["champion"]
    models = [
        {"name": name, "bold": name == champion, **intervals["scores"][split][name]["weighted_f1"]}
        for name in ranked(intervals)
    ]
    fusion = best_fusion(intervals)
    subsets = [
        {"name": " + ".join(each["modalities"]), "bold": False, **each}
        for each in sorted(intervals["subsets"][fusion], key=lambda each: -each["value"])
    ]
    return {
        IMAGES / "scores.svg": bars(f"Weighted F1 on {split}, with its 95% interval", models),
        IMAGES / "subsets.svg": bars(f"Weighted F1 on {split} of {fusion}, by the modalities it is given", subsets),
    }


def results_table(metrics: Mapping[str, Any], intervals: Mapping[str, Any]) -> str:
    """The scores of every model, best on dev first, as Markdown."""
    split = intervals["on"]["split"]
    lines = [
        f"| model | dev weighted F1 | {split} weighted F1 | 95% interval | less text alone | {split} macro F1 "
        f"| {split} unweighted recall | {split} accuracy |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ranked(intervals):
        dev, test = metrics[name]["dev"], metrics[name][split]
        shown = f"**{name}** (champion)" if name == intervals["champion"] else name
        interval = spread(intervals["scores"][split][name]["weighted_f1"])
        apart = difference_of(intervals["differences"], name, "text")
        less = "" if apart is None else f"{signed(apart['value'])} ({spread(apart, True)})"
        others = (score(test[metric]) for metric in ("macro_f1", "unweighted_recall", "accuracy"))
        cells = (score(dev["weighted_f1"]), score(test["weighted_f1"]), interval, less, *others)
        lines.append(f"| {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


def measured(intervals: Mapping[str, Any]) -> str:
    """What the tables below were measured on, in a sentence."""
    on = intervals["on"]
    return (
        f"Measured on the built-in corpus, which is synthetic: {on['rows']} utterances of the {on['split']} split in "
        f"{on['dialogues']} dialogues, {on['resamples']} resamples."
    )


def differences_table(intervals: Mapping[str, Any]) -> str:
    """Every model against text alone, as Markdown."""
    lines = ["| model | weighted F1 less that of text alone | 95% interval | better in |", "|---|---|---|---|"]
    for name in ranked(intervals):
        apart = difference_of(intervals["differences"], name, "text")
        if apart is not None:
            lines.append(f"| {name} | {signed(apart['value'])} | {spread(apart, True)} | {100 * apart['wins']:.0f}% |")
    return "\n".join(lines)


def subsets_table(intervals: Mapping[str, Any]) -> str:
    """What each fusion loses without each modality, as Markdown."""
    lines = ["| model | without | weighted F1 lost | 95% interval |", "|---|---|---|---|"]
    for name, subsets in intervals["subsets"].items():
        everything = subsets[0]["modalities"]
        for each in subsets:
            gone = [modality for modality in everything if modality not in each["modalities"]]
            if len(gone) == 1:
                lines.append(f"| {name} | {gone[0]} | {signed(each['lost']['value'])} | {spread(each['lost'], True)} |")
    return "\n".join(lines)


def dag() -> str:
    """The stages as `dvc dag` draws them, without the arrows that others imply, as a diagram that GitHub renders."""
    command = [sys.executable, "-m", "dvc", "dag", "--mermaid"]
    drawn = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = dict(re.findall(r'(node\d+)\["(.+?)"\]', drawn))
    arrows = nx.DiGraph((names[first], names[then]) for first, then in re.findall(r"(node\d+)-->(node\d+)", drawn))
    lines = [f"  {first} --> {then}" for first, then in sorted(nx.transitive_reduction(arrows).edges)]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def claim(intervals: Mapping[str, Any]) -> str:
    """What the original system claimed, each part with the difference of weighted F1 that speaks for it."""
    shown: dict[str, list[str]] = {kind: [] for kind in VERDICTS}
    parts = list(claimed(intervals))
    for words, apart in parts:
        low, high = apart["low"], apart["high"]
        kind = "holds" if low is not None and low > 0 else "fails" if high is not None and high < 0 else "open"
        shown[kind].append(f"{words} ({signed(apart['value'])} weighted F1)")
    if not parts:
        return "The claim can't be tested here: the modalities that it is about are not there."
    start = f"The original system's claim, that {CLAIM},"
    if len(shown["holds"]) == len(parts):
        return f"{start} holds here: {'; '.join(shown['holds'])}."
    sentences = [f"{VERDICTS[kind]}: {'; '.join(each)}" for kind, each in shown.items() if each]
    return f"{start} is not shown here as a whole. {'. '.join(sentences)}."


def claimed(intervals: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, float | None]]]:
    """Each part of the claim, in words, and the paired difference that it stands on."""
    for first, second in STRONGER:
        apart = difference_of(intervals["differences"], first, second)
        other = difference_of(intervals["differences"], second, first)
        if apart is None and other is not None:
            apart = {"value": -other["value"], "low": _negated(other["high"]), "high": _negated(other["low"])}
        if apart is not None:
            yield f"{first} alone is stronger than {second} alone", apart
    fusion = best_fusion(intervals)
    everything = set(intervals["subsets"][fusion][0]["modalities"])
    for subset in intervals["subsets"][fusion]:
        if everything - set(subset["modalities"]) == {HELPS}:
            yield f"{fusion} is better with {HELPS} than without", subset["lost"]


def _negated(bound: float | None) -> float | None:
    return None if bound is None else -bound


def ranked(intervals: Mapping[str, Any]) -> list[str]:
    """Models, the best weighted F1 on dev first."""
    return sorted(
        intervals["scores"]["dev"], key=lambda name: -intervals["scores"]["dev"][name]["weighted_f1"]["value"]
    )


def best_fusion(intervals: Mapping[str, Any]) -> str:
    """The fusion that is best on dev."""
    return next(name for name in ranked(intervals) if name in intervals["subsets"])


def bars(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Figures with their intervals as a picture that is readable on light and dark pages."""
    return render("bars.svg.j2", Path(__file__).parent, title=title, rows=rows)


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
        modality["faces"] = modality["faces"][:1]  # of one a frame
    for person in body["people"]:
        person["faces"] = person["faces"][:1]
    del body["seconds"]  # other in every run
    return "```json\n" + json.dumps(body, indent=2) + "\n```"


def unfamiliar(champion: str) -> str:
    """How many rows that look like its training rows the champion marks all the same."""
    shares, rows = read_json(Path("reports/evaluation.json"))["unfamiliar"][champion], read_manifest()["split"]
    dev, test = (f"{shares[name] * (rows == name).sum():.0f} of {(rows == name).sum()}" for name in ("dev", "test"))
    return f"With the built-in corpus, {champion} marks {dev} rows of dev and {test} of test, without a cause."


def curve() -> str:
    """The picture of a film that the README's first commands make."""
    with tempfile.TemporaryDirectory() as name:
        film = Path(name) / "film.mp4"
        subprocess.run([sys.executable, "-m", "examples.make_film", str(film)], check=True)
        words, drawn = film.with_suffix(".srt"), film.with_suffix(".svg")
        answer_it = ["timeline", str(film), "--transcript", str(words), "--out", str(drawn)]
        subprocess.run([sys.executable, "-m", "emofuse", *answer_it], check=True, stdout=subprocess.DEVNULL)
        return drawn.read_text(encoding="utf-8")


def filled(text: str, name: str, content: str) -> str:
    """The text with what stands between a part's markers replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(pattern, lambda match: f"{match[1]}{content}\n{match[2]}", text, flags=re.DOTALL)


def main() -> None:
    """Write every generated part and picture."""
    metrics, intervals = read_json(METRICS), read_json(INTERVALS)
    pages, stages = tables(metrics, intervals), dag()
    pages[README] |= {"answer": answer(), "dag": stages}
    pages[ARCHITECTURE] = {"dag": stages}
    pages[EVALUATION]["unfamiliar"] = unfamiliar(intervals["champion"])
    for page, parts in pages.items():
        text = page.read_text(encoding="utf-8")
        for name, content in parts.items():
            text = filled(text, name, content)
        page.write_text(text, encoding="utf-8")
    for path, drawn in {**pictures(intervals), IMAGES / "curve.svg": curve()}.items():
        path.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    with guard():
        main()
