"""How likely overdue money does not come in by itself: a simple estimate from the account's own record.

Formula, in permille: of the account's settled items that lived at least into the age class of the item, the share that
was settled only in a later class, smoothed by `WEIGHT` imagined items with the share `PRIOR` of that class:
(1000 × later + WEIGHT × prior) / (reached + WEIGHT). Over 120 days the prior stands alone.
"""

from collections.abc import Sequence

from services.collections.domain.rows import AGE_CLASSES, age_class

PRIOR = (50, 150, 350, 550, 750, 900)
WEIGHT = 4


def not_by_itself_permille(lateness: Sequence[int], days_past_due: int) -> int:
    """`lateness` counts the account's settled items by the age class in which they were settled."""
    place = age_class(days_past_due)
    if place == AGE_CLASSES - 1:
        return PRIOR[place]
    reached, later = sum(lateness[place:]), sum(lateness[place + 1 :])
    return (1000 * later + WEIGHT * PRIOR[place]) // (reached + WEIGHT)
