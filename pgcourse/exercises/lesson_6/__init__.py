"""Lesson 6, Causality: the table of terms, rewards to go, and what a discount makes of them."""
