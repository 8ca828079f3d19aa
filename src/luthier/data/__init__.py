"""Rows -> examples -> tokens -> batches, and the ledger of every row."""
