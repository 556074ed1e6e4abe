"""Limits on how often people ask, one set for each process and each application in it."""

from dataclasses import dataclass, field

from core.rate_limit import RateLimit


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the surfaces count together: a stall's counter and its API are one."""

    # "Check the payment", for each payee: the provider is asked each time, and counts questions
    # too. Three at once, so that a double tap shows no error; then one every 3 seconds.
    checks: RateLimit = field(default_factory=lambda: RateLimit(3, per_s=9))
    # The public pages, for each network. A mobile network puts thousands of phones behind one
    # address, and each customer's phone loads a page, its code and its news; links that open
    # nothing are what a guesser sends.
    pay_views: RateLimit = field(default_factory=lambda: RateLimit(3_000, per_s=60))
    pay_misses: RateLimit = field(default_factory=lambda: RateLimit(60, per_s=60))
