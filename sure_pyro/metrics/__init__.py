"""Scores of predictions: arrays in, numbers out."""

from sure_pyro.metrics.labels import label_f1, label_metrics, predicted_labels
from sure_pyro.metrics.sentiment import SENTIMENT, sentiment_metrics
from sure_pyro.metrics.topk import top_k_accuracy

__all__ = [
    "label_f1",
    "label_metrics",
    "predicted_labels",
    "SENTIMENT",
    "sentiment_metrics",
    "top_k_accuracy",
]
