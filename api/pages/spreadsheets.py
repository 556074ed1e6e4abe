"""Lists as files for a spreadsheet, as the pages send them (core/spreadsheets.py)."""

from core.spreadsheets import BOM, CSV_TYPE, XLSX_TYPE, Cell, Sheet, write_csv

__all__ = ["BOM", "CSV_TYPE", "XLSX_TYPE", "Cell", "Sheet", "write_csv"]
