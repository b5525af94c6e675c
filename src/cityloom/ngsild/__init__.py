"""The language of ETSI NGSI-LD: entities, contexts, representations, query languages. Pure, without input or output."""
