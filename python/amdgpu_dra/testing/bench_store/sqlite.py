"""The other candidate: SQLite from the standard library, with a sum of our own in each row. Only for comparison."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress

from amdgpu_dra.api.checkpoint import CorruptRecordError, Loaded, Record, State, decode_record, encode_record


class SqliteRecords:
    """`<folder>/claims.db`. Fulfils `agent/ports.RecordStore`, but for errors."""

    def __init__(self, folder: str, journal: str) -> None:
        """`journal`: WAL or DELETE. Either is durable when a method returns; with WAL intents are not, as in files."""
        self._lock = threading.Lock()
        # Each statement is a transaction of its own.
        self._database = sqlite3.connect(f"{folder}/claims.db", autocommit=True, timeout=60, check_same_thread=False)
        self._intents = "NORMAL" if journal == "WAL" else "FULL"
        self._database.execute(f"PRAGMA journal_mode={journal}")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE IF NOT EXISTS claims (uid TEXT PRIMARY KEY, record BLOB) WITHOUT ROWID")

    def load(self) -> Loaded:
        """All of them that can be read, as far as SQLite gives rows; each has its sum, as a file has."""
        records = list[Record]()
        with suppress(sqlite3.DatabaseError):
            for (data,) in self._database.execute("SELECT record FROM claims"):
                with suppress(CorruptRecordError, TypeError):
                    records.append(decode_record(data))
        return Loaded(records=tuple(records), empty=not records)

    def save(self, record: Record) -> None:
        """Keeps one."""
        intent = record.state in (State.PREPARING, State.UNPREPARING)
        with self._lock:
            if intent:
                self._database.execute(f"PRAGMA synchronous={self._intents}")
            self._database.execute("INSERT OR REPLACE INTO claims VALUES (?, ?)", (record.uid, encode_record(record)))
            if intent:
                self._database.execute("PRAGMA synchronous=FULL")

    def sweep(self, may: Callable[[str], bool]) -> None:
        """Nothing is left half written: the journal sees to that."""

    def drop(self, uid: str) -> None:
        """Forgets one."""
        with self._lock:
            self._database.execute("DELETE FROM claims WHERE uid = ?", (uid,))
