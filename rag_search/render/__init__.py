"""Render results for people and programs: tables, snippets, JSON, CSV, pictures."""
