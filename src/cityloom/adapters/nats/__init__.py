"""A NATS JetStream cluster: it carries changes between the processes of a city."""
