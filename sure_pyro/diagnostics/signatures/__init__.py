"""Signs of failure (arXiv 2504.13465), one file each: a rule, its threshold, and the advice."""
