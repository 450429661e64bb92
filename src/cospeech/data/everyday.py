"""Sentences that ask for no motion, for whoever learns to tell them from those that do. Written for this project."""

from collections.abc import Iterator

import numpy as np

_WHO = (
    *("the weather", "my brother", "our neighbour", "the company", "a friend of mine", "the government", "this book"),
    *("the train", "her phone", "the kitchen", "the price of oil", "a good recipe", "their holiday", "the new museum"),
    *(
        "his garden",
        "the internet",
        "an old song",
        "the bank",
        "the manager",
        "my grandmother",
        "the doctor",
        "a lawyer",
    ),
    *(
        "the computer",
        "the meeting",
        "breakfast",
        "the river",
        "a teacher",
        "the city council",
        "the film",
        "the report",
    ),
)
_DOES = (
    *(
        "was expensive",
        "is getting better",
        "closes at six",
        "costs twenty euros",
        "has been cancelled",
        "tastes of lemon",
    ),
    *(
        "belongs to the museum",
        "was written in 1920",
        "needs a new battery",
        "is too loud",
        "sounds familiar",
        "made me laugh",
    ),
    *(
        "is about a lost letter",
        "grew by four percent",
        "should be cheaper",
        "is famous for its cheese",
        "was late again",
    ),
    *(
        "has three bedrooms",
        "works on weekends",
        "is out of order",
        "will be rebuilt next year",
        "knows everybody here",
    ),
    *(
        "reminds me of summer",
        "is written in blue ink",
        "depends on the weather",
        "was invented in Italy",
        "has no answer",
    ),
)
_WHEN = (
    "",
    "",
    "",
    "yesterday",
    "in the morning",
    "every year",
    "as far as I know",
    "I think",
    "of course",
    "these days",
)
_ASKS = (
    *("what is the capital of {}", "how do I cook {}", "tell me about {}", "write an email about {}", "translate {}"),
    *("where can I buy {}", "who invented {}", "why is {} so popular", "is {} healthy", "explain {} to a child"),
    *(
        "the history of {}",
        "{} for beginners",
        "I love {}",
        "{} and its enemies",
        "a poem about {}",
        "ten facts about {}",
    ),
)
_WHAT = (
    *("Portugal", "rice", "the moon", "quantum physics", "coffee", "the tax office", "spinach", "jazz", "democracy"),
    *(
        "the weather",
        "potatoes",
        "a mortgage",
        "chess",
        "football",
        "the Roman Empire",
        "marketing",
        "vitamin C",
        "tea",
    ),
    *(
        "insurance",
        "the stock market",
        "volcanoes",
        "poetry",
        "your mother",
        "love",
        "the alphabet",
        "colours",
        "Monday",
    ),
    *("apple pie", "the king of Spain", "computers", "a red bicycle", "numbers", "happiness", "my homework", "traffic"),
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def sentences(rng: np.random.Generator) -> Iterator[str]:
    """Statements, questions, and now and then letters that are no words, without end."""
    while True:
        kind = rng.random()
        if kind < 0.5:
            yield " ".join(filter(None, (rng.choice(_WHO), rng.choice(_DOES), rng.choice(_WHEN))))
        elif kind < 0.95:
            yield str(rng.choice(_ASKS)).format(rng.choice(_WHAT))
        else:
            lengths = rng.integers(2, 9, size=rng.integers(1, 5))
            yield " ".join("".join(rng.choice(list(_LETTERS), size=length)) for length in lengths)
