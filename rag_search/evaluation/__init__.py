"""Measure how often the right document comes first, on sets of questions and judgments."""
