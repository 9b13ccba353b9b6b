"""Chooses what a prompt leaves open, as Stride does before it draws."""

import numpy as np
import torch
import torch.nn as nn
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

from .stride_text_encoder import StrideTextEncoder

# An attribute with a value of at least this probability is told.
TOLD = 0.9
# The part of the strongest evidence that a plausible value has; the same where a prompt speaks of the attribute, and the
# evidence from which on it does.
PLAUSIBLE, PLAUSIBLE_OF_SPOKEN, SPOKEN = 0.4, 0.8, 4.0
# Examples as if two attributes had nothing to do with each other, beside those that are counted.
UNRELATED = 1.0


class StrideCompletion(ModelMixin, ConfigMixin):
    """Reads from a prompt what it says of every attribute, and adds phrases for the rest, which go together as they do in the
    examples: places of the values of all attributes."""

    @register_to_config
    def __init__(self, text_encoder_config, attributes, examples, token_rows):
        super().__init__()
        self.text_encoder = StrideTextEncoder(**text_encoder_config)
        width = text_encoder_config["hidden_size"]
        self.heads = nn.ModuleList(nn.Linear(width, len(attribute["values"])) for attribute in attributes)

    def forward(self, token_ids):
        """The probabilities of the values of every attribute, for one prompt [1, L]."""
        states, _, _ = self.text_encoder(token_ids)
        return [head(states[0, query]).softmax(0).double().cpu().numpy() for query, head in enumerate(self.heads)]

    def complete(self, prompt, token_ids, uniform):
        """The prompt with phrases for what it leaves open; `uniform()` draws from [0, 1)."""
        choices = self.choose(self(token_ids), uniform)
        phrases = self.phrases(choices)
        return ", ".join([text for text in (prompt.rstrip(" .,"), *phrases) if text]) if phrases else prompt

    def choose(self, posteriors, uniform):
        """A value for every attribute, and whether the prompt left it open."""
        examples = np.array(self.config.examples)
        choices, drawn = [], []
        for of, posterior in enumerate(posteriors):
            fraction = uniform()
            if posterior.max() >= TOLD:
                choices.append((int(posterior.argmax()), False))
                continue
            among_all = np.bincount(examples[:, of], minlength=len(posterior)) / len(examples)
            evidence = divide(posterior, among_all)
            part = PLAUSIBLE if evidence.max() < SPOKEN else PLAUSIBLE_OF_SPOKEN
            weights = np.where(evidence >= part * evidence.max(), posterior, 0)
            for other, value in drawn:
                alike = examples[examples[:, other] == value, of]
                together = np.bincount(alike, minlength=len(posterior))
                weights = weights * divide(together + UNRELATED * among_all, (len(alike) + UNRELATED) * among_all)
            value = draw(weights, fraction)
            drawn.append((of, value))
            choices.append((value, True))
        return choices

    def phrases(self, choices):
        """The phrases for what was left open; none twice, alone and as a part of another."""
        attributes = self.config.attributes
        own = {f"{{{of['name']}}}": of["phrases"][value] for of, (value, _) in zip(attributes, choices)}
        said = [name for name, (_, is_open) in zip(own, choices) if is_open]
        whole = [own[name] for name in said if not any(name in own[other] for other in said)]
        for name, phrase in own.items():
            whole = [text.replace(name, phrase) for text in whole]
        return [text.strip() for text in whole if text.strip()]


def divide(a, b):
    """The quotient, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(b), where=b > 0)


def draw(weights, fraction):
    """The place to which a fraction of the sum of the weights leads; the last if all are zero."""
    found = np.flatnonzero(np.cumsum(weights) > fraction * weights.sum())
    return int(found[0]) if len(found) else len(weights) - 1
