"""Values of indicators as files bring them: long tables, workbooks, SDMX-CSV and JSON-stat."""
