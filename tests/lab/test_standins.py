"""The stand-ins keep the contract of molecule/lab/standins/README.md, with a real database and cache."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import docker
import pytest
import requests

from tests.lab.standin_parts import BETTER, BROKEN, GOOD, HEALTH, App, Place, in_background, wait_for

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(docker.from_env(), tmp_path_factory.mktemp("secrets"))
    try:
        yield place
    finally:
        place.close()


def wait_for_request(app: App, in_flight: int) -> None:
    """Wait until the application says that so many requests are under way."""
    wait_for(lambda: app.get("/whoami").json()["in_flight"] == in_flight or None, f"{in_flight} requests in flight")


def refuses(app: App) -> bool | None:
    """True when nobody listens any more."""
    try:
        app.get("/whoami")
    except requests.ConnectionError:
        return True
    return None


# --- health ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", list(HEALTH))
def test_every_application_says_who_it_is_and_is_well(place: Place, profile: str) -> None:
    database = place.create_database()
    with place.app(profile, database=database) as app:
        body = app.wait_for_health(200)
        assert (body["status"], body["stack"], body["release"]) == ("pass", profile, GOOD)
        page = app.get("/", headers={"X-Request-Id": "from-the-edge.1"})
        assert page.status_code == 200
        assert (page.headers["X-Release"], page.headers["X-Stack"]) == (GOOD, profile)
        assert page.headers["X-Request-Id"] == "from-the-edge.1"
        assert GOOD in page.text
        assert app.container.exec_run(["python", "-m", "standin", "healthcheck"]) == (0, b"pass\n")


def test_health_fails_until_the_database_is_there(place: Place) -> None:
    name = f"later{os.urandom(3).hex()}"
    wait_for(place.connect, "PostgreSQL").close()
    with place.app("odoo18", database=name) as app:
        body = app.wait_for_health(503)
        assert body["failed"] == [f"database:{name}"]
        assert "does not exist" in body["reason"]
        code, out = app.container.exec_run(["python", "-m", "standin", "healthcheck"])
        assert code == 1
        assert b"does not exist" in out
        with place.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        assert app.wait_for_health(200)["parts"][f"database:{name}"]["schema"] == "0001_base"


def test_a_database_that_is_not_empty_is_not_initialised(place: Place) -> None:
    name = place.create_database()
    with place.connect(name) as connection:
        connection.execute("CREATE TABLE somebody_elses (id integer)")
    with place.app("odoo18", database=name) as app:
        assert "schema missing" in app.wait_for_health(503)["reason"]
        assert app.get("/").status_code == 500
    with place.connect(name) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == [("somebody_elses",)]


def test_a_lost_database_is_told_and_found_again(place: Place) -> None:
    with place.app("odoo18", database=place.create_database()) as app:
        app.wait_for_health(200)
        place.postgres.stop(timeout=10)
        try:
            assert app.wait_for_health(503)["failed"][0].startswith("database:")
            page = app.get("/")
            assert page.status_code == 500
            assert page.json()["error"].startswith("database: ")
            assert app.get("/whoami").status_code == 200
        finally:
            place.postgres.start()
        started = time.monotonic()
        app.wait_for_health(200)
        assert time.monotonic() - started < 10
        assert app.get("/").status_code == 200


def test_a_database_that_falls_silent_does_not_hang_health(place: Place) -> None:
    with place.app("odoo18", database=place.create_database(), DB_TIMEOUT_S="1") as app:
        app.wait_for_health(200)
        place.postgres.pause()
        try:
            started = time.monotonic()
            assert app.health().status_code == 503
            assert time.monotonic() - started < 6
        finally:
            place.postgres.unpause()
        app.wait_for_health(200)


def test_a_lost_cache_is_told_and_found_again(place: Place) -> None:
    with place.app("odoo18", database=place.create_database()) as app:
        app.wait_for_health(200)
        place.redis.stop(timeout=10)
        try:
            assert app.wait_for_health(503)["failed"] == ["cache"]
            assert app.get("/web/session").status_code == 500
        finally:
            place.redis.start()
        app.wait_for_health(200)


def test_ocr_needs_its_key(place: Place) -> None:
    with place.app("ocr", database=place.create_database(), GEMINI_API_KEY_FILE="/secrets/ABSENT") as app:
        # The database is initialised meanwhile; the key stays missing.
        wait_for(lambda: app.health().json()["failed"] == ["api-key"] or None, "only the key is missing")


def test_a_missing_setting_is_named(place: Place) -> None:
    code, _, told = place.run("odoo18", GOOD, "serve", database="acme", REDIS_HOST="")
    assert (code, json.loads(told)["error"]) == (2, "REDIS_HOST is not set")


# --- stopping -------------------------------------------------------------------------------------------------------


def test_a_stop_finishes_what_is_in_flight(place: Place) -> None:
    with place.app("www") as app:
        slow = in_background(app.get, "/slow?seconds=2")
        stream = in_background(app.get, "/stream?seconds=2")
        wait_for_request(app, 2)
        app.stop()
        wait_for(lambda: refuses(app), "new connections are refused", 1.5)
        answer = slow.result()
        assert (answer.status_code, answer.json()["waited_s"], answer.headers["Connection"]) == (
            200,
            2.0,
            "close",
        )
        assert stream.result().text.endswith("end\n")
        assert app.exit_code() == 0
        last = app.logs()[-1]
        assert (last["event"], last["finished"], last["cut"]) == ("stopped", 2, 0)


def test_a_stop_does_not_wait_for_ever(place: Place) -> None:
    with place.app("www", STOP_TIMEOUT_S="1") as app:
        slow = in_background(app.get, "/slow?seconds=60", timeout=90)
        wait_for_request(app, 1)
        started = time.monotonic()
        app.stop()
        assert app.exit_code() == 0
        assert 1 <= time.monotonic() - started < 4
        with pytest.raises(requests.RequestException):
            slow.result()
        last = app.logs()[-1]
        assert (last["event"], last["in_flight"], last["finished"], last["cut"]) == ("stopped", 1, 0, 1)


def test_an_idle_connection_does_not_delay_a_stop(place: Place) -> None:
    with place.app("www") as app, requests.Session() as session:
        assert session.get(app.url("/whoami"), timeout=5).headers.get("Connection") != "close"
        started = time.monotonic()
        app.stop()
        assert app.exit_code() == 0
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(("profile", "port", "path"), [("odoo18", 8072, "/websocket"), ("langbot", None, "/ws")])
def test_web_sockets_are_told_that_the_server_leaves(place: Place, profile: str, port: int | None, path: str) -> None:
    database = place.create_database() if profile == "odoo18" else ""

    async def talk(app: App) -> tuple[Any, ...]:
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(app.url(path, port), headers={"Host": "acme.erp.test.lab"}) as socket,
        ):
            greeting = await socket.receive_json(timeout=5)
            await socket.send_str("お元気ですか")
            echo = await socket.receive_json(timeout=5)
            app.stop()
            end = await socket.receive(timeout=5)
            return greeting["release"], echo["echo"], end.type, end.data

    with place.app(profile, database=database) as app:
        assert asyncio.run(talk(app)) == (GOOD, "お元気ですか", aiohttp.WSMsgType.CLOSE, 1001)
        assert app.exit_code() == 0
        assert app.logs()[-1]["web_sockets_closed"] == 1


# --- hardening ------------------------------------------------------------------------------------------------------


def test_nothing_is_written_to_the_root_and_no_secret_is_told(place: Place) -> None:
    with place.app("odoo18", database=place.create_database()) as app:
        app.wait_for_health(200)
        app.get("/?password=in-a-query")
        app.post("/web/upload?name=x.txt", data=b"x")
        app.container.reload()
        assert app.container.attrs["HostConfig"]["ReadonlyRootfs"] is True
        assert app.container.attrs["Config"]["User"] == "10001:10001"
        # The mount point of the tests' secrets is the engine's doing.
        assert [change["Path"] for change in app.container.diff() or []] == ["/secrets"]
        code, out = app.container.exec_run(["id", "-u"])
        assert (code, out) == (0, b"10001\n")
        told = json.dumps(app.container.attrs) + json.dumps(app.logs())
        assert place.password not in told
        assert "in-a-query" not in told
        assert {"time", "level", "stack", "release", "service", "event"} <= set.intersection(*map(set, app.logs()))


def test_a_wrong_password_is_told_without_the_password(place: Place) -> None:
    place.write_secret("WRONG", "not-the-password")
    told = {"DB_PASSWORD_FILE": "/secrets/WRONG"}
    with place.app("odoo18", database=place.create_database(), **told) as app:
        assert "password authentication failed" in app.wait_for_health(503)["reason"]
        assert "not-the-password" not in json.dumps(app.logs())
        place.write_secret("WRONG", place.password)
        app.wait_for_health(200)


# --- the applications' own ------------------------------------------------------------------------------------------


def test_files_are_kept_as_they_came(place: Place) -> None:
    body = os.urandom(20_000_000)
    digest = hashlib.sha256(body).hexdigest()
    database = place.create_database()
    with place.app("odoo18", database=database) as app:
        app.wait_for_health(200)
        assert app.post("/upload", data=body).json() == {"bytes": len(body), "sha256": digest}
        stored = app.post("/web/upload?name=領収書.pdf", data=body)
        assert (stored.status_code, stored.json()["sha256"]) == (201, digest)
        assert hashlib.sha256(app.get("/web/content/領収書.pdf").content).hexdigest() == digest
        assert app.get("/web/content/absent.pdf").status_code == 404
        assert app.post("/web/upload?name=../escape", data=b"x").status_code == 400
        with place.connect(database) as connection:
            rows = connection.execute("SELECT name, bytes, sha256 FROM ir_attachment").fetchall()
        assert rows == [("領収書.pdf", len(body), digest)]


def test_a_session_outlives_the_release_that_began_it(place: Place) -> None:
    database = place.create_database()
    with place.app("odoo18", database=database) as old, place.app("odoo18", BETTER, database=database) as new:
        old.wait_for_health(200)
        assert old.post("/web/login", data={"login": "nobody"}).status_code == 401
        login = old.post("/web/login", data={"login": "yuki"})
        assert login.status_code == 200
        cookie = {"session_id": login.cookies["session_id"]}
        session = new.get("/web/session", cookies=cookie)
        assert session.json() == {"tenant": database, "login": "yuki"}
        assert new.get("/web/session").status_code == 401


def test_tenants_are_kept_apart(place: Place) -> None:
    one, two = place.create_database(), place.create_database()
    with place.app("odoo18", database=f"{one},{two}") as app:
        app.wait_for_health(200)
        as_json = {"Accept": "application/json"}
        pages = {name: app.get("/", host=f"{name}.erp.test.lab", headers=as_json).json() for name in (one, two)}
        assert {name: page["tenant"] for name, page in pages.items()} == {one: one, two: two}
        assert app.get("/", headers=as_json).json() == pages[one]
        other = app.get("/", host="initech.erp.test.lab")
        assert (other.status_code, other.json()) == (404, {"error": "unknown tenant"})


def test_biznexus_asks_ocr(place: Place) -> None:
    with place.app("ocr", database=place.create_database()) as ocr:
        ocr.wait_for_health(200)
        told = {"OCR_URL": f"http://{ocr.container.name}:8000"}
        with place.app("biznexus", database=place.create_database(), **told) as app:
            app.wait_for_health(200)
            jobs = ocr.get("/v1/jobs").json()["jobs"]
            scan = app.post("/api/scan", data=b"a receipt")
            assert (scan.status_code, scan.json()["ocr"]["sha256"]) == (
                201,
                hashlib.sha256(b"a receipt").hexdigest(),
            )
            assert ocr.get("/v1/jobs").json()["jobs"] == jobs + 1
            ocr.stop()
            assert ocr.exit_code() == 0
            assert app.post("/api/scan", data=b"a receipt").status_code == 502
            assert app.health().status_code == 200


def test_an_asset_belongs_to_its_release(place: Place) -> None:
    with place.app("biznexus", database=place.create_database()) as app:
        assert GOOD in app.get(f"/_next/static/{GOOD}/app.js").text
        assert app.get(f"/_next/static/{BETTER}/app.js").status_code == 404


# --- failure on demand ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("breakage", "health", "page"),
    [(None, 503, 200), ("health", 503, 200), ("smoke", 200, 500), ("none", 200, 200)],
)
def test_how_a_broken_release_breaks(place: Place, breakage: str | None, health: int, page: int) -> None:
    told = {"BREAK": breakage} if breakage else {}
    with place.app("www", BROKEN, **told) as app:
        answer = app.health()
        assert answer.status_code == health
        assert (health == 200) or "broken on purpose" in answer.json()["reason"]
        assert app.get("/").status_code == page


def test_a_release_that_breaks_late(place: Place) -> None:
    with place.app("www", BROKEN, BREAK="late", BREAK_AFTER_S="2") as app:
        assert (app.health().status_code, app.get("/").status_code) == (200, 200)
        app.wait_for_health(503)
        assert app.get("/").status_code == 500


def test_on_demand(place: Place) -> None:
    with place.app("www") as app:
        assert app.get("/fail?status=418").status_code == 418
        assert app.get("/slow?seconds=many").status_code == 400
        echo = app.get("/echo?a=1", headers={"X-Forwarded-For": "10.0.0.9", "X-Forwarded-Proto": "https"}).json()
        assert (echo["client"], echo["scheme"], echo["path"]) == ("10.0.0.9", "https", "/echo?a=1")
        with pytest.raises(requests.ConnectionError):
            app.get("/crash")
        assert app.exit_code() == 70
    with place.app("www", ALLOW_FAULTS="0") as app:
        assert app.get("/crash").status_code == 404
