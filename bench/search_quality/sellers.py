"""What sellers say of their products: honest words, words left out, words that are spam (pure)."""

import zlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np


@dataclass(frozen=True, slots=True)
class Scenario:
    """How sellers behave."""

    name: str
    kept: float = 1.0  #: the chance of each honest word to be said
    spammers: float = 0.0  #: the chance of each seller to be a spammer

    @property
    def drawn(self) -> bool:
        """Whether chance has a part in it."""
        return 0 < self.kept < 1 or self.spammers > 0


HONEST: Final = Scenario("honest")
SCENARIOS: Final = (
    HONEST,
    Scenario("half of the words", kept=0.5),
    Scenario("a fifth of the words", kept=0.2),
    Scenario("no words", kept=0.0),
    Scenario("a third of sellers spam", spammers=1 / 3),
    Scenario("all sellers spam", spammers=1.0),
    Scenario("half of the words, a third spam", kept=0.5, spammers=1 / 3),
    Scenario("a fifth of the words, all spam", kept=0.2, spammers=1.0),
)


def said(
    filed: Mapping[str, Collection[str]], scenario: Scenario, *, spam_words: int, seed: int
) -> dict[str, list[str]]:
    """The words of each product's seller.

    An honest seller says all that the product is filed under, and nothing else. A spammer adds
    words that it is not filed under, drawn without repetition and by popularity: as likely as
    there are products filed under them.

    The draws of a product depend on nothing but the seed and its name. So a scenario that keeps
    fewer words keeps none that another drops, and its spammers spam in all that have as many.

    Args:
        filed: product -> what it is filed under.
        scenario: how sellers behave.
        spam_words: how many a spammer adds, as far as there are any.
        seed: of the draws.
    """
    popular = Counter(word for words in filed.values() for word in words)
    names = sorted(popular)
    counts = np.array([popular[name] for name in names], np.float64)
    words: dict[str, list[str]] = {}
    for product, honest in filed.items():
        random = np.random.default_rng([seed, zlib.crc32(product.encode(errors="surrogatepass"))])
        spams = random.random() < scenario.spammers
        drops = random.random(len(honest))
        kept = [w for w, drop in zip(sorted(honest), drops, strict=True) if drop < scenario.kept]
        words[product] = kept
        if spams:
            chances = np.where([name in honest for name in names], 0, counts)
            count = min(spam_words, int((chances > 0).sum()))
            if count:
                spam = random.choice(
                    len(names), size=count, replace=False, p=chances / chances.sum()
                )
                words[product] = kept + [names[word] for word in spam]
    return words
