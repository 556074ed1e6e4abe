"""Outgoing webhooks: events of an organisation, posted to the addresses it names."""
