"""NGSI-LD over HTTP (ETSI GS CIM 009, chapter 6): operations as data in `routes`, one ASGI application."""
