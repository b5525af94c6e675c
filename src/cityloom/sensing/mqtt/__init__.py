"""MQTT 3.1.1 and 5.0 without input and output: the codec, topics, and the server's side of a connection."""
