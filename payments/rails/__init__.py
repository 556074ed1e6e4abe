"""Ways to be paid, one module each. VietQR direct is the only one so far."""
