"""Lesson 9, Other policies."""
