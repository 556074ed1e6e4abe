"""Bank statements of what the sandbox's banks booked, in the formats that banks hand out."""
