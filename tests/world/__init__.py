"""Builders of the tests: one set, and each names only the facts that a test is about.

What is built, from the ground up:

- `constants`, `serials`: moments, people and banks; numbers and codes that nobody else has
- `waits`: waiting, with an end, for what others do
- `databases`: a cluster for the session, a migrated database for a test, or a clone of one with
  the stall or the market in it that conftest's `stall` and `market` give
- `organisations`, `payees`, `endpoints`: one row each, within a transaction of the test's
- `stalls`: what most tests start with, a payee that can be paid (`a_payable_stall`)
- `account_changes`: a payee's account proposed, approved, and tested by a transfer
- `parking_sessions`: a lot's gate with its attendant and tariff (`a_gate`), vehicles inside
- `passes`: passes of a lot with monthly prices, sold, paid and looked at
- `bills`: bills, and the requests for them
- `complaints`: complaints about a stay
- `lots`: lots that take vehicles (`a_lot`); `entries`: vehicles at their way in; `gates`: over HTTP
- `photos`: the row of a photo, or photos with their files
- `served_lots`: a lot that is run by the routes alone, from the way in to a complaint
- `notices`: what providers write (`sepay_body` …), stored, processed; `pay` does all of it
- `orders`: the orders in which reports of the same money can come
- `callbacks`: the same with its headers, signed as each provider signs
- `reads`: what became of it: bills, ledger, breaks, events, rows
- `polling`, `rails`: stalls whose provider is asked, or keeps their orders
- `tolls`: a lot whose drivers have toll wallets (`a_gate_of_today`, `a_toll_gate`)
- `lanes`: a lane that opens on command, and its controller
- `sandboxes`, `receivers`, `servers`: the outside world, and who hears from it
- `hubs`: the hub over HTTP in this process; `cities`, `markets`, `pages`: who uses it
- `installation`: hubs and workers as processes of their own, to be killed
- `running_city`: a hub and a sandbox as processes, for browsers
- `grown_tables`, `grown_books`, `plans`: tables of a real size, and how PostgreSQL reads them
"""
