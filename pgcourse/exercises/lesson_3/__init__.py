"""Lesson 3, Sampled gradients: episodes from an environment, the estimate of ∇J from them, and how sure it is."""
