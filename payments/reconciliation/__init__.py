"""Explanations of statement lines: by credits, by refunds, and by what people say."""
