"""Predictions for many callers at once: a bounded queue, threads that work it off, and what either may take."""
