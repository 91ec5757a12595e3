"""Which CRF for which imagery: settings held against labels, on probabilities that are kept."""
