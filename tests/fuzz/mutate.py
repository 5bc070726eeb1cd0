"""Makes the inputs of a campaign: each is fixed by the campaign's number and its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate

from fuzz.corpus import Seed
from fuzz.sites import Site, sites
from fuzz.steps import STEPS, Draft

ROUNDS = (1, 1, 1, 1, 2, 2, 3, 6)  # mutations of one input
SHORTEST = 16  # bytes; shorter drafts are left as they are


def key(site: Site) -> tuple[int, str]:
    return site.offset, site.format


class Mutator:
    """Input number `index` is the same whenever it is made, so findings need no more than that number."""

    def __init__(self, seeds: Sequence[Seed], campaign: int) -> None:
        self.seeds, self.campaign = seeds, campaign
        self.cumulative = list(accumulate(s.weight for s in seeds))
        self.steps, self.step_weights = list(STEPS), list(accumulate(STEPS.values()))
        # In a fixed order: sets of them are not.
        self.sites = [[sorted(part, key=key) for part in sites(seed.data)] for seed in seeds]

    def start(self, index: int) -> tuple[random.Random, int]:
        """The random numbers of an input, and the seed that they choose."""
        rng = random.Random((self.campaign << 40) + index)
        return rng, rng.choices(range(len(self.seeds)), cum_weights=self.cumulative)[0]

    def origin(self, index: int) -> Seed:
        """The seed that input `index` comes from."""
        return self.seeds[self.start(index)[1]]

    def input(self, index: int) -> bytes:
        """Input `index` of the campaign."""
        rng, chosen = self.start(index)
        fields, integers = self.sites[chosen]
        draft = Draft(bytearray(self.seeds[chosen].data), fields, integers, self.seeds)
        for _ in range(rng.choice(ROUNDS)):
            if len(draft.data) >= SHORTEST:
                rng.choices(self.steps, cum_weights=self.step_weights)[0](rng, draft)
        return bytes(draft.data)
