"""What a GPU brings, and how far its features are from a processor's: `python -m benchmarks.gpu`, where there is one.

Networks have the sizes of the usual base encoders and random weights, since neither speed nor rounding asks what they
have learnt. Each setting runs in a process of its own, in native numerics. The figures are one more part of the page.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.numerics import CLASSES, ROWS, drawn_jobs
from benchmarks.page import RESULTS, write_page
from benchmarks.timing import Figure, seconds
from emofuse.core.device import available_cores
from emofuse.core.files import read_json, write_json
from emofuse.core.numerics import pin

TEXTS, SOUNDS, CLIPS, FACES = 4096, 128, 64, 8  # FACES a clip
WIDTHS = {"text": 2304, "audio": 400, "visual": 300}  # of what is trained on
TUNING = 2048  # texts of an epoch
PROCESSOR, GPU = "processor", "GPU"
SETTINGS = ((PROCESSOR, "fp32"), (GPU, "fp32"), (GPU, "bf16"), (GPU, "ray"))
ROUNDS = 2  # the second shows whether bytes repeat
VOCABULARY = 2000
TRAINED = " trained on"


def encoders(folder: Path) -> None:
    """Save an encoder of texts (BERT base), of sounds (wav2vec2 base) and of pictures (ViT base)."""
    import torch
    from transformers import (
        BertConfig,
        BertModel,
        BertTokenizer,
        ViTConfig,
        ViTModel,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Model,
    )

    torch.manual_seed(13)
    (folder / "words.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_vocabulary()]))
    BertTokenizer(str(folder / "words.txt")).save_pretrained(folder / "text")
    BertModel(BertConfig(vocab_size=VOCABULARY + 5)).save_pretrained(folder / "text")
    Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(folder / "audio")
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder / "audio")
    ViTModel(ViTConfig()).save_pretrained(folder / "visual")
    write_json(folder / "visual" / "preprocessor_config.json", {"size": {"height": 224, "width": 224}})


def _vocabulary() -> list[str]:
    return [f"word{number}" for number in range(VOCABULARY)]


def _texts(count: int) -> list[Any]:
    """Lines of about the lengths that lines of a dialogue have."""
    import numpy as np

    from emofuse.core.records import Utterance

    generator = np.random.default_rng(13)
    lengths = generator.geometric(1 / 9, count).clip(1, 60)
    words = _vocabulary()
    return [Utterance(text=" ".join(words[place] for place in generator.integers(VOCABULARY, size=n))) for n in lengths]


def works(folder: Path, precision: str) -> Iterator[tuple[str, int, Callable[[], Any]]]:
    """Name, how many, and what gives an array of each piece of work."""
    import numpy as np

    from emofuse.core.device import pick_device
    from emofuse.core.params import load_params
    from emofuse.features.audio.encoder import encoded_sounds
    from emofuse.features.text.extractor import TextExtractor
    from emofuse.features.visual.encoder import encoded

    params, generator = load_params(), np.random.default_rng(13)
    text = _encoding(params.text, folder / "text", precision, groups=["embedding"])
    extractor, rows = TextExtractor(text, pick_device()), _texts(TEXTS)
    extractor.warm_up()
    yield "texts, BERT base", TEXTS, lambda: _stacked(extractor.stream(rows))
    audio = _encoding(params.audio, folder / "audio", precision, combine="concat")
    lasts = generator.uniform(1, 6, SOUNDS)  # seconds
    sounds = [generator.normal(scale=0.1, size=round(16000 * last)).astype(np.float32) for last in lasts]
    yield "sounds of 1 to 6 s, wav2vec2 base", SOUNDS, lambda: np.stack(encoded_sounds(sounds, audio))
    visual = _encoding(params.visual, folder / "visual", precision)
    clips = [list(generator.integers(256, size=(FACES, 96, 96), dtype=np.uint8)) for _ in range(CLIPS)]
    yield f"clips of {FACES} faces, ViT base", CLIPS, lambda: np.stack(encoded(clips, visual))
    tuning = params.text.finetune.model_copy(update={"epochs": 1, "precision": precision})
    yield f"texts, BERT base{TRAINED} for an epoch", TUNING, partial(_finetune, params, text, tuning)
    if precision == "fp32":
        for name in ("early", "attention"):
            yield f"rows, {name} fusion{TRAINED}", ROWS, partial(_train, name, params)


def _encoding(section: Any, encoder: Path, precision: str, **change: Any) -> Any:
    """A modality's params with an encoder whose last layer's mean is taken."""
    own = {"encoder": str(encoder), "precision": precision, "layers": [-1], "pooling": ["mean"]}
    return section.model_copy(update=own | change)


def _stacked(rows: Iterable[tuple[Any, Any]]) -> Any:
    """The values of rows, in the order of their numbers or keys."""
    import numpy as np

    return np.stack([row.values for _, row in sorted(rows, key=lambda pair: pair[0])])


def _finetune(params: Any, text: Any, tuning: Any) -> Any:
    import numpy as np

    from emofuse.training.finetune import finetune
    from emofuse.training.folds import Origins

    origins = Origins([str(row // 10) for row in range(TUNING)])
    targets, text = np.arange(TUNING) % CLASSES, text.model_copy(update={"finetune": tuning})
    return next(finetune(_texts(TUNING), targets, CLASSES, origins, text, params.train, 13)).scores


def _train(fusion: str, params: Any) -> Any:
    from emofuse.training.loop import train_member

    return train_member(next(drawn_jobs(fusion, WIDTHS, params.train, 13))).answers


def _on_ray(folder: Path) -> dict[str, Any]:
    """Texts over Ray's workers, which share the GPUs, against this process."""
    import numpy as np
    import ray

    from emofuse.core.device import pick_device
    from emofuse.core.params import load_params
    from emofuse.core.records import Utterance
    from emofuse.extraction.engine import Engine
    from emofuse.features.registry import make_extractor

    params, rows = load_params(), _texts(TEXTS)
    text = _encoding(params.text, folder / "text", "fp32", groups=["embedding"])
    make = partial(make_extractor, text, pick_device())
    items = [(number.to_bytes(8, "big"), row) for number, row in enumerate(rows)]
    engine = Engine(params.extract.model_copy(update={"engine": "ray", "workers": None}), own_process=True, gpu=True)
    with ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR):
        one = [(b"", Utterance(text="one"))]
        start, again = (seconds(lambda: dict(engine.run(make, iter(one)))) for _ in range(2))
        answers: dict[bytes, Any] = {}
        taken = seconds(lambda: answers.update(engine.run(make, iter(items))))
        gpus = int(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]
    there = _stacked(answers.items())
    here = _stacked(make().stream(rows))
    apart = float(np.linalg.norm(there - here) / np.linalg.norm(here))
    return {"start": start, "again": again, "seconds": taken, "apart": apart, "gpus": gpus}


def main(device: str, precision: str, folder: Path) -> None:
    """Do the works of one setting, and print their seconds and bytes, a JSON object a line."""
    pin("native")
    import numpy as np

    from emofuse.core.device import make_deterministic, use_all_cores

    make_deterministic(13)
    if precision == "ray":
        print(json.dumps(_on_ray(folder)))
        return
    for number, (name, count, work) in enumerate(works(folder, precision)):
        use_all_cores()
        taken, digests = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            values = np.asarray(work())
            taken.append(time.perf_counter() - began)
            digests.append(hashlib.sha256(values.tobytes()).hexdigest())
        path = folder / f"{device}-{precision}-{number}.npy"
        np.save(path, values)
        record = {"name": name, "count": count, "seconds": min(taken), "same": len({*digests}) == 1, "file": str(path)}
        print(json.dumps(record), flush=True)


def _run(device: str, precision: str, folder: Path) -> list[dict[str, Any]]:
    env = dict(os.environ) | ({"CUDA_VISIBLE_DEVICES": ""} if device == PROCESSOR else {})
    command = [sys.executable, "-m", "benchmarks.gpu", device, precision, str(folder)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def measure() -> list[Figure]:
    """How many times faster a GPU is than all cores beside it, and how far their features are apart."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoders(folder)
        results = {(device, precision): _run(device, precision, folder) for device, precision in SETTINGS}
        base = {record["name"]: record for record in results[PROCESSOR, "fp32"]}
        figures = [
            _figure(base[record["name"]], record, precision)
            for precision in ("fp32", "bf16")
            for record in results[GPU, precision]
        ]
    for ray in results[GPU, "ray"]:
        rate, again = TEXTS / (ray["seconds"] - ray["again"]), ray["again"]
        detail = f"{ray['gpus']} GPU; a worker starts in {ray['start']:.1f} s, another run of it in {again:.1f}"
        figures.append(Figure("texts a second by Ray's worker on a GPU, its start left out", rate, "", detail))
        figures.append(Figure("the same, relative difference from one process on it", ray["apart"], "", ""))
    return figures


def _figure(base: dict[str, Any], record: dict[str, Any], precision: str) -> Figure:
    import numpy as np

    before, rate = (each["count"] / each["seconds"] for each in (base, record))
    details = [
        f"{rate:,.0f} a second against {before:,.0f}",
        f"{'the same' if record['same'] else 'other'} bytes again",
    ]
    if TRAINED not in record["name"]:  # what is trained goes ways of its own from the first rounding on
        one, other = np.load(base["file"]), np.load(record["file"])
        details.append(f"relative difference {np.linalg.norm(one - other) / np.linalg.norm(one):.0e}")
    return Figure(f"{record['name']}, {precision}: times faster", rate / before, "", "; ".join(details))


def write() -> None:
    """Measure, print, and write the figures beside those of the other parts."""
    import torch

    if not torch.cuda.is_available():
        sys.exit("found no GPU that torch can use; run this where there is one")
    figures = measure()
    results = read_json(RESULTS) if RESULTS.is_file() else {}
    on = f"one {torch.cuda.get_device_name()} against the processor beside it, drawn words, sounds and faces"
    results["gpu"] = {"on": on, "cores": available_cores(), "figures": [asdict(figure) for figure in figures]}
    write_json(RESULTS, results)
    write_page(results)
    for figure in figures:
        print(f"{figure.value:>8.3g}  {figure.name} ({figure.detail})")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    else:
        write()
