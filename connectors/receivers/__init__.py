"""Who is told of alerts: webhooks, Alertmanager, Slack, e-mail, the log. Each is a `Receiver`."""
