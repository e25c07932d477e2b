"""Ways to weigh the terms of a loss against one another while they are trained on.

The package imports nothing by itself: only the process of a trial has torch.
"""
