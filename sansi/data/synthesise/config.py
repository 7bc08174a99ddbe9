"""What is asked for, of whom, and what of it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from sansi.base.config import Config, too_small
from sansi.base.errors import did_you_mean
from sansi.client.bulk import Budget, EndpointSettings
from sansi.data.problems.families import FAMILIES
from sansi.data.problems.seeds import TRAINING_STREAMS
from sansi.data.synthesise.prompts import PROMPTS


@dataclass(frozen=True)
class SynthesiseConfig(Config):
    """Documents made from seed documents by a model behind an endpoint, and worked problems made by Sansi itself."""

    endpoint: EndpointSettings | None = None
    """Of the model that writes; left out where only worked problems are made."""
    prompts: tuple[str, ...] = ("textbook", "questions", "rewrite")
    """What is made of each seed document: textbook, questions, code, rewrite."""
    budget: Budget = field(default_factory=Budget)
    """Of all requests."""
    documents: int | None = None
    """Most seed documents; left out: all that fit. They are chosen evenly by a hash of their ids."""
    samples: int = 1
    """Answers for each seed document and prompt."""
    min_characters: int = 400
    """Of a seed document; shorter ones say too little."""
    max_characters: int = 6000
    """Of a seed document that are shown, up to the end of a paragraph."""
    max_tokens: int = 2048
    """Of an answer."""
    temperature: float = 0.7
    """With which answers are drawn."""
    max_echo: float = 0.3
    """Share of an answer that may stand in its seed word for word (in runs of eight words); twice it for questions."""
    reasoning: int = 0
    """Worked problems, which need no endpoint."""
    families: tuple[str, ...] = ()
    """Of the worked problems; none: all."""
    stream: int = 0
    """Of their seeds, 0 to 999; evaluation draws from none of them. Give every stage its own."""

    def problems(self) -> list[str]:
        found = too_small(self, 1, "documents", "samples", "max_characters", "max_tokens")
        found += too_small(self, 0, "min_characters", "temperature", "max_echo", "reasoning", "stream")
        for name, given, known in (("prompts", self.prompts, PROMPTS), ("families", self.families, FAMILIES)):
            found += [f'"{name}" names "{each}"{did_you_mean(each, known)}' for each in given if each not in known]
        if self.stream >= TRAINING_STREAMS:
            found.append(f'"stream" must be below {TRAINING_STREAMS}, not {self.stream}')
        if self.endpoint is None and not self.reasoning:
            found.append('there is neither an "endpoint" nor a number of "reasoning" problems; give one of them')
        if self.endpoint is not None and not self.prompts:
            found.append('"prompts" is empty, and there is an "endpoint"; name what is to be made')
        return found
