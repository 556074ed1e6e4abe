"""Orders in which reports of the same money can come."""

from itertools import permutations

import pytest

# Two transfers that two providers report: A and B by one, a and b by the other. Each fourth order
# is for every day, the others are slow together.
ORDERS_OF_FOUR = [
    pytest.param(order, id="".join(order), marks=() if number % 4 == 0 else pytest.mark.slow)
    for number, order in enumerate(sorted(permutations("ABab")))
]
