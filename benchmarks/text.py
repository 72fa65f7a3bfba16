"""Text features against one text at a time without padding, and against the encoder on full batches."""

from __future__ import annotations

import torch

from benchmarks.timing import Figure, seconds, spent
from emofuse.core.params import TextParams
from emofuse.core.records import Utterance
from emofuse.features.text.encoder import load_encoder
from emofuse.features.text.extractor import BATCH, TextExtractor

ROUNDS = 3


def measure(texts: list[str], params: TextParams) -> list[Figure]:
    """The figures of text features on this machine's processor."""
    rows = [Utterance(text=text) for text in texts]
    tokenizer, model = load_encoder(params.encoder, "cpu")
    encoded = tokenizer(texts, truncation=True, max_length=params.max_tokens)["input_ids"]

    @torch.inference_mode()
    def run(tokens: list[list[int]]) -> None:
        states = model(input_ids=torch.tensor(tokens), output_hidden_states=True).hidden_states
        torch.cat([state.mean(dim=1) for state in states], dim=1).numpy()

    run(encoded[:1])
    typical = sorted(map(len, encoded))[len(encoded) // 2]
    full = [[101] * typical] * BATCH
    extractors = {name: TextExtractor(params.model_copy(update={"precision": name})) for name in ("fp32", "bf16")}
    for extractor in extractors.values():
        extractor.warm_up()
    single = floor = 0.0
    taken = dict.fromkeys(extractors, 0.0)
    for _ in range(ROUNDS):  # in turn, so that what disturbs the machine disturbs all
        single += seconds(lambda: [run([tokens]) for tokens in encoded])
        floor += seconds(lambda: [run(full) for _ in range(10)]) / 10 / BATCH * len(texts)
        for name, extractor in extractors.items():
            taken[name] += spent(extractor.stream(rows))
    count = ROUNDS * len(texts)
    each = {name: f"{count / time:.0f} texts/s against {count / single:.0f}" for name, time in taken.items()}
    return [
        Figure("text: times faster than one at a time, fp32", single / taken["fp32"], "at least 3.3", each["fp32"]),
        Figure("text: times faster than one at a time, bf16", single / taken["bf16"], "at least 8", each["bf16"]),
        Figure(
            "text: time against the encoder on full batches of the median length",
            taken["fp32"] / floor,
            "",
            f"{taken['fp32']:.2f} s against {floor:.2f} s, {len(texts)} texts {ROUNDS} times",
        ),
    ]
