"""The errors of NGSI-LD (ETSI GS CIM 009, 5.5.2), as kinds of the house's errors.

`TYPE` is the last part of the URI by which the standard names the error.
"""

from __future__ import annotations

from typing import ClassVar

from cityloom.kernel.errors import BadInput, Conflict, NotFound, NotReady

#: What the names of the standard's error types begin with.
ERROR_TYPES = "https://uri.etsi.org/ngsi-ld/errors/"


class BadRequestData(BadInput):
    """The data do not meet the requirements of the operation."""

    TYPE: ClassVar[str] = "BadRequestData"


class InvalidRequest(BadInput):
    """The request is not well formed: no JSON, an unknown parameter value, a wrong query."""

    TYPE: ClassVar[str] = "InvalidRequest"


class AlreadyExists(Conflict):
    """The element is there already."""

    TYPE: ClassVar[str] = "AlreadyExists"


class ResourceNotFound(NotFound):
    """The element is not there, or not there for the asker."""

    TYPE: ClassVar[str] = "ResourceNotFound"


class LdContextNotAvailable(NotReady):
    """An @context that the request names cannot be had."""

    TYPE: ClassVar[str] = "LdContextNotAvailable"


class OperationNotSupported(BadInput):
    """The operation is not offered here."""

    TYPE: ClassVar[str] = "OperationNotSupported"


class TooComplexQuery(BadInput):
    """The query costs more than one asker may spend."""

    TYPE: ClassVar[str] = "TooComplexQuery"


class TooManyResults(BadInput):
    """The query matches more than can be given at once."""

    TYPE: ClassVar[str] = "TooManyResults"


class NonexistentTenant(NotFound):
    """The tenant that was named is not there."""

    TYPE: ClassVar[str] = "NonexistentTenant"


class NoMultiTenantSupport(BadInput):
    """This installation keeps one tenant."""

    TYPE: ClassVar[str] = "NoMultiTenantSupport"
