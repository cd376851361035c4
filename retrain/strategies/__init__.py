"""Ways from labelled texts to heads on an encoder; `retrain.job.Strategy` says what each takes and gives."""
