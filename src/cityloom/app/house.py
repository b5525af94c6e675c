"""Builds the rooms of one city over their adapters, and starts and stops them in the river's order."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.access.accounts import Accounts, NewPassword
from cityloom.access.audit import AuditLog
from cityloom.access.entrance import Access
from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.npz.parameters import NpzParameterStore
from cityloom.adapters.sqlite.accounts import SqliteAccountStore
from cityloom.adapters.sqlite.audit import SqliteAuditStore
from cityloom.adapters.sqlite.device_records import SqliteDeviceStore
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.parked_readings import SqliteParkedStore
from cityloom.adapters.sqlite.records import Records
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.app.configuration import Configuration, class_of
from cityloom.app.folder import CityFolder
from cityloom.app.plugins import Plugin, find_plugins
from cityloom.context.broker import Broker
from cityloom.context.classes import ClassPolicy
from cityloom.history.follow import Lineage
from cityloom.history.queries import History
from cityloom.history.stage import HistoryStage
from cityloom.kernel.errors import BrokenPlugin
from cityloom.kernel.time import Clock
from cityloom.operations.alerts import Alerts
from cityloom.people.notices import Notices
from cityloom.sensing.devices import DeviceRegistry
from cityloom.sensing.host import ConnectorHost, ConnectorPlugin
from cityloom.sensing.models import DataModels, read_models
from cityloom.sensing.parked import ParkedReadings
from cityloom.services.host import ServiceHost
from cityloom.services.plugin import CityService, load_service
