"""Comparisons on several tasks, and on a task of your own."""
