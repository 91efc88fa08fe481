"""Emotion data sets in their publishers' own layouts."""
