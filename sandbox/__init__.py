"""A pretend world of banks and payment providers that speaks the real contracts over HTTP."""
