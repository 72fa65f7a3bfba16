"""Attention fusion: a transformer over the modalities of an utterance, then over the lines around it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emofuse.core.linear import Linear
from emofuse.core.params import AttentionParams
from emofuse.fusion.base import Batch, Context, Fusion, balanced, perceptron


class Block(nn.Module):
    """A pre-norm transformer block (Vaswani et al., NeurIPS 2017; Xiong et al., ICML 2020)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm = nn.LayerNorm(width)
        self.query, self.key_value = Linear(width, width), Linear(width, 2 * width)
        self.out = Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            Linear(2 * width, width),
        )

    def forward(self, tokens: Tensor, mask: Tensor, num_queries: int) -> Tensor:
        """Let the first tokens look at all.

        Args:
            tokens: shape (n, t, width).
            mask: bool of shape (n, t): which may be looked at.
            num_queries: how many of the first tokens ask; only they are answered.

        Returns:
            Shape (n, num_queries, width).
        """
        n, _, width = tokens.shape
        normed = self.norm(tokens)
        query = self.query(normed[:, :num_queries]).view(n, num_queries, self.heads, -1).transpose(1, 2)
        key, value = self.key_value(normed).view(n, -1, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = (query @ key.transpose(2, 3)) / key.shape[3] ** 0.5
        weights = scores.masked_fill(~mask[:, None, None, :], float("-inf")).softmax(dim=3)
        weights = nn.functional.dropout(weights, self.dropout, self.training)
        mixed = self.out((weights @ value).transpose(1, 2).reshape(n, num_queries, width))
        tokens = tokens[:, :num_queries] + nn.functional.dropout(mixed, self.dropout, self.training)
        answer: Tensor = tokens + nn.functional.dropout(self.mlp(tokens), self.dropout, self.training)
        return answer


class Encoder(nn.Module):
    """Blocks over a few tokens, of which the first is wanted in the end."""

    def __init__(self, layers: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """From shape (n, t, width) and the mask of what may be looked at, shape (n, t), to shape (n, width)."""
        for number, block in enumerate(self.blocks, start=1):
            tokens = block(tokens, mask, tokens.shape[1] if number < len(self.blocks) else 1)
        return tokens[:, 0]


class AttentionFusion(Fusion):
    """Each modality present is a token beside a learned one, whose answer stands for the utterance.

    The lines around it pass the same encoder with their words alone; then the utterance looks at them, told how far off
    each is and whether the same speaker says it. What comes of that is added to the logits of the utterance alone, so
    that its own words need not be learned through the lines. Without lines, or without anything, the learned token
    still answers.
    """

    kind = "attention"

    def __init__(self, dims: Mapping[str, int], classes: int, params: AttentionParams, dropout: float) -> None:
        super().__init__(dims, classes)
        width = params.width
        self.reads_context = params.context != "none" and "text" in dims
        self.projections = nn.ModuleDict(
            {name: perceptron(size, [2 * width], width, dropout) for name, size in dims.items()}
        )
        self.learned = nn.Parameter(0.02 * torch.randn(width))
        self.utterance = Encoder(params.layers, width, params.heads, dropout)
        if self.reads_context:
            columns = params.window * (2 if params.context == "both" else 1)
            self.distance = nn.Parameter(0.02 * torch.randn(1 + columns, width))
            self.speaker = nn.Parameter(0.02 * torch.randn(3, width))
            self.dialogue = Encoder(params.layers, width, params.heads, dropout)
            self.around = _classifier(width, classes, dropout)
        self.classifier = _classifier(width, classes, dropout)

    def forward(self, batch: Batch) -> Tensor:
        """Logits of shape (n, classes)."""
        tokens = [self._token(name, batch.inputs[name]) for name in self.modalities]
        encoded = self._encode(torch.stack(tokens, dim=1), batch.mask)
        logits: Tensor = self.classifier(encoded)
        if self.reads_context:
            logits = logits + self.around(self._look(encoded, batch.context))
        return logits

    def _token(self, name: str, values: Tensor) -> Tensor:
        token: Tensor = self.projections[name](balanced(values))
        return token

    def _encode(self, tokens: Tensor, present: Tensor) -> Tensor:
        learned = self.learned.expand(len(tokens), 1, -1)
        always = torch.ones_like(present[:, :1])
        encoded: Tensor = self.utterance(torch.cat([learned, tokens], dim=1), torch.cat([always, present], dim=1))
        return encoded

    def _look(self, encoded: Tensor, context: Context | None) -> Tensor:
        tokens, mask = [encoded.unsqueeze(1) + self.distance[0]], [torch.ones_like(encoded[:, :1], dtype=torch.bool)]
        if context is not None and len(context.words):
            # A line is near several utterances of a batch: it is encoded once.
            used, where = torch.unique(context.index.clamp(min=0), return_inverse=True)
            words = self._token("text", context.words[used]).unsqueeze(1)
            lines = self._encode(words, context.has_text[used].unsqueeze(1))
            tokens.append(lines[where] + self.speaker[context.speaker] + self.distance[1:])
            mask.append(context.index >= 0)
        looked: Tensor = self.dialogue(torch.cat(tokens, dim=1), torch.cat(mask, dim=1))
        return looked


def _classifier(width: int, classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), Linear(width, classes))
