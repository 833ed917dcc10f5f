"""Keep what was seen of a fault, with what libpq says to the same settings, as a case for the unit tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Protocol

import psycopg

from plugins.module_utils.diagnose_database import Answer
from tests.faults.database_parts import HOST, Authority, Settings


class Place(Protocol):
    """What is needed of the rig: addresses, a folder, the authority."""

    address: str
    name_server: str
    folder: Path
    authority: Authority


def record_case(path: Path, answer: Answer, settings: Settings, place: Place) -> None:
    """Write one case. Addresses become those of RFC 5737, so that recordings do not differ by machine."""
    diagnosis = answer.diagnosis
    case = {
        "verdict": diagnosis.verdict,
        "code": diagnosis.code,
        "databases": diagnosis.databases,
        "warnings": len(diagnosis.warnings),
        # What stops before the network has no counterpart there.
        "libpq": "" if diagnosis.verdict in ("configuration", "dns") else _libpq(settings, place),
        "seen": [one.as_dict() for one in answer.seen],
    }
    text = json.dumps(case, indent=1, ensure_ascii=False)
    for address, shown in ((place.address, "192.0.2.10"), (place.name_server, "192.0.2.53")):
        text = re.sub(rf"\b{re.escape(address)}\b", shown, text)
    network = place.address.rpartition(".")[0]
    path.write_text(re.sub(rf"\b{re.escape(network)}\.\d+", "192.0.2.7", text) + "\n", encoding="utf-8")


def _libpq(settings: Settings, place: Place) -> str:
    """What libpq says, from outside; empty when it gets in."""
    ca = place.folder / "libpq-ca.pem"
    ca.write_text(settings.ca or place.authority.pem, encoding="utf-8")
    try:
        psycopg.connect(
            host=settings.host or HOST,
            hostaddr=place.address,
            port=settings.port,
            user=settings.user,
            password=settings.password or "",
            dbname=settings.names.split(",")[0],
            sslmode=settings.tls,
            sslrootcert=str(ca),
            connect_timeout=2,
        ).close()
    except psycopg.Error as error:
        return str(error).strip()
    return ""
