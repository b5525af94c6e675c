"""The language of ETSI NGSI-LD: entities, contexts, representations, queries. Pure: no input or output."""
