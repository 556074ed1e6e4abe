"""The monthly export of parking transactions for the tax office ("dữ liệu cho 01/TTGD")."""
