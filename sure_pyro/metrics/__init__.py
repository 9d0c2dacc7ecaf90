"""Scores of predictions: arrays in, numbers out."""

from sure_pyro.metrics.labels import label_f1, label_metrics, predicted_labels
from sure_pyro.metrics.topk import top_k_accuracy

__all__ = ["label_f1", "label_metrics", "predicted_labels", "top_k_accuracy"]
