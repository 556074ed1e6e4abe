"""The rail "toll account": a driver's toll wallet is charged by plate or tag (docs/toll.md).

No operator's contract is known: the protocol is our own, and only the sandbox speaks it.
"""
