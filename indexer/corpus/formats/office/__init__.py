"""Readers of office documents and books."""
