"""Every action, as a person does it; the main ones without JavaScript, too."""

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from servers.service import Up
from stocktake.db.session import Database
from tests.browser.conftest import Open
from tests.browser.playing import PATIENCE_MS, Visit
from tests.browser.shop import Shop
from tests.faults.breaking import freeze_between_writes, thaw
from tests.security.routes import CONSOLE

expect.set_options(timeout=PATIENCE_MS)
#: What was sent by any of the windows here, as routes are written.
_played: set[str] = set()


@pytest.fixture(scope="module", params=["script", "no script"])
def either(windows: Open, request: pytest.FixtureRequest) -> Visit:
    """A window that has signed in, with JavaScript and without."""
    return _watched(windows(java_script_enabled=request.param == "script"))


@pytest.fixture(scope="module")
def scripted(windows: Open) -> Visit:
    return _watched(windows())


@pytest.fixture(autouse=True)
def _no_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"either", "scripted"} & set(request.fixturenames):
        window: Visit = request.getfixturevalue(name)
        assert window.faults == []


def _watched(window: Visit) -> Visit:
    window.page.on(
        "request",
        lambda sent: _played.add(_route(sent.url)) if sent.method == "POST" else None,
    )
    return window


def _route(url: str) -> str:
    path = re.sub(r"\?.*|^https?://[^/]+", "", url)
    names = {"tables": "table_id", "changes": "change_id", "jobs": "job_id"}
    names |= {"batches": "batch_id", "schedules": "schedule_id"}
    path = re.sub(r"/p/\d+", "/p/{project_id}", path)
    return re.sub(
        r"/(\w+)/[0-9a-f-]{36}|/schedules/\d+",
        lambda at: f"/{(at[1] or 'schedules')}/{{{names[at[1] or 'schedules']}}}",
        path,
    )


def _press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def _told(page: Page, words: str) -> None:
    expect(page.get_by_role("status").filter(has_text=words)).to_be_visible()


@pytest.fixture
def idle_workers(shop: Shop) -> Iterator[Shop]:
    """The stack, with workers that take nothing."""
    parts = psutil.Process(shop.up.pid).children(recursive=True)
    workers = [each for each in parts if {"celery", "worker"} <= set(each.cmdline())]
    assert workers
    database = Database(shop.database_url)
    freeze_between_writes(database, *workers)
    database.dispose()
    yield shop
    thaw(*workers)
    shop.wait_for_jobs()


def test_a_wrong_key_is_refused(windows: Open) -> None:
    window = windows(key="")
    window.go("/sign-in")
    window.page.get_by_label("API key").fill("stk_wrong")
    _press(window.page, "Sign in")
    expect(window.page.get_by_role("alert")).to_be_visible()


def test_a_table_is_refreshed(shop: Shop, either: Visit) -> None:
    page = either.page
    either.go(shop.path("/p/{project_id}/tables/{table_id}/jobs"))
    before = page.locator("tbody tr").count()
    _press(page, "Refresh")
    _told(page, "The refresh is queued")
    shop.wait_for_jobs()
    page.reload()
    assert page.locator("tbody tr").count() > before
    expect(page.locator("tbody tr").first).to_contain_text("succeeded")


def test_a_change_is_decided_and_undone(shop: Shop, either: Visit) -> None:
    page = either.page
    either.go(shop.path("/p/{project_id}/changes/{change_id}"))
    page.get_by_label("Decision for method").select_option("accept")
    _press(page, "Decide as chosen")
    _told(page, "Decided.")
    expect(page.locator("tr", has_text="method")).to_contain_text("accepted")
    _press(page, "Undo the decision")
    _told(page, "taken back")
    expect(page.get_by_label("Decision for method")).to_be_visible()


def test_a_job_is_retried(shop: Shop, either: Visit) -> None:
    page = either.page
    either.go(shop.path("a job that failed"))
    _press(page, "Try again")
    _told(page, "Queued once more")
    shop.wait_for_jobs()
    page.reload()
    expect(page.locator(".note.bad")).to_contain_text("source_not_found")


def test_a_search_is_narrowed_and_widened(shop: Shop, either: Visit) -> None:
    page = either.page
    either.go("/p/1/tables")
    box = page.get_by_label("Search tables")
    box.fill("state:failing")
    box.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("link", name="failing").first.click()
    expect(page.locator("tbody tr")).not_to_have_count(3)


def test_a_type_is_set_and_cleared(shop: Shop, scripted: Visit) -> None:
    page = scripted.page
    scripted.go(shop.path("/p/{project_id}/tables/{table_id}"))
    page.get_by_label("Set the type of order_id").click()
    page.get_by_label("Type of order_id", exact=True).select_option("string")
    _press(page, "Set")
    _told(page, "The type is set")
    page.get_by_label("Set the type of order_id").click()
    page.get_by_label("Type of order_id", exact=True).select_option("")
    _press(page, "Set")
    _told(page, "the source's again")


def test_a_source_is_tried_and_a_refresh_planned(shop: Shop, scripted: Visit) -> None:
    page = scripted.page
    source = shop.path("/p/{project_id}/tables/{table_id}/source")
    scripted.go(source)
    _press(page, "Try the source")
    expect(page.get_by_role("heading", name="The source can be read")).to_be_visible()
    scripted.go(source)
    _press(page, "What would a refresh change?")
    expect(page.locator("#live")).to_contain_text("succeeded")
    scripted.go(source)
    page.get_by_label("Policy").select_option("manual")
    _press(page, "Set the policy")
    _told(page, "The policy is set")
    page.get_by_label("Policy").select_option("")
    _press(page, "Set the policy")


def test_ticked_tables_are_refreshed_as_a_batch(shop: Shop, scripted: Visit) -> None:
    page = scripted.page
    scripted.go("/p/1/tables?q=state:failing")
    page.get_by_label("Tick all of this page").check()
    _press(page, "Refresh")
    _told(page, "The batch is started")
    expect(page.get_by_role("button", name="Retry the failed")).to_be_visible()
    _press(page, "Retry the failed")
    expect(page).to_have_url(re.compile("/batches/"))
    shop.wait_for_jobs()


def test_a_batch_and_a_job_are_cancelled(idle_workers: Shop, scripted: Visit) -> None:
    shop, page = idle_workers, scripted.page
    scripted.go(shop.path("/p/{project_id}/tables/{table_id}"))
    _press(page, "Refresh")
    page.get_by_role("row", name="queued").get_by_role("link").first.click()
    _press(page, "Cancel")
    _told(page, "Asked to end")
    scripted.go("/p/1/tables")
    page.get_by_label("that match").check()
    _press(page, "Refresh")
    _told(page, "The batch is started")
    _press(page, "Cancel")
    _told(page, "Asked to end")
    expect(page.locator("#live")).to_contain_text("cancelled")


def test_a_schedule_lives(shop: Shop, scripted: Visit) -> None:
    page = scripted.page
    scripted.go("/p/1/schedules/new")
    page.get_by_label("Name").fill("Played")
    page.get_by_label("Cron rule").fill("0 6 * * *")
    page.get_by_label("Which tables").fill("returns")
    _press(page, "What would it do?")
    expect(page.get_by_text("1 table", exact=True)).to_be_visible()
    _press(page, "Save")
    _told(page, "Saved.")
    _press(page, "Pause")
    _told(page, "Paused.")
    _press(page, "Resume")
    _told(page, "It goes on")
    _press(page, "Edit")
    page.get_by_label("Name").fill("Played on")
    _press(page, "Save")
    expect(page.get_by_role("heading", name="Played on")).to_be_visible()
    address = page.url
    _press(page, "Run now")
    expect(page).to_have_url(re.compile("/batches/"))
    shop.wait_for_jobs()
    page.goto(address)
    page.get_by_label("Delete Played on").check()
    _press(page, "Delete the schedule")
    _told(page, "The schedule is deleted")


def test_a_table_is_added_tried_and_deleted(shop: Shop, scripted: Visit) -> None:
    page = scripted.page
    scripted.go("/p/1/add")
    page.get_by_label("URL of a file").fill(f"file://{shop.up.sources}/returns/*.csv")
    _press(page, "Look at it")
    page.get_by_label("Name", exact=True).fill("returns_again")
    page.get_by_label("Format").first.select_option("CSVWithNames")
    _press(page, "Try it first")
    expect(page.get_by_role("heading", name="The source can be read")).to_be_visible()
    _press(page, "Save")
    _told(page, "The table is registered")
    shop.wait_for_jobs()
    page.get_by_role("link", name="Source").click()
    page.get_by_label("Delete returns_again").check()
    _press(page, "Delete the table")
    _told(page, "The table is deleted")


def test_a_file_is_uploaded(shop: Shop, scripted: Visit, tmp_path: Path) -> None:
    file = tmp_path / "leaflets.csv"
    file.write_text("id,title\n1,Autumn\n2,Winter\n")
    page = scripted.page
    scripted.go("/p/1/add")
    page.get_by_label("File", exact=True).set_input_files(file)
    _press(page, "Upload")
    _told(page, "The file is received")
    shop.wait_for_jobs()
    page.reload()
    expect(page.get_by_role("row", name="title")).to_be_visible()


def test_a_file_takes_the_place_of_a_source_and_that_is_taken_back(
    shop: Shop, scripted: Visit, tmp_path: Path
) -> None:
    (shop.folder("parcels") / "a.csv").write_text("id,weight\n1,2.5\n")
    table = shop.add("parcels", "CSVWithNames", "parcels/*.csv")
    shop.wait_for_jobs()
    file = tmp_path / "parcels.csv"
    file.write_text("id,town\n1,Ghent\n")
    page = scripted.page
    scripted.go("/p/1/add")
    page.get_by_label("File", exact=True).set_input_files(file)
    _press(page, "Upload")
    expect(page.locator("form output")).to_contain_text("would take the place of that")
    scripted.faults.clear()  # the browser's own console tells of the status
    page.get_by_label("take the place of that source").check()
    _press(page, "Upload")
    _told(page, "The file is received")
    shop.wait_for_jobs()
    scripted.go(f"/p/1/tables/{table}/source")
    _press(page, "Go back")
    _told(page, "reads its own source again")
    shop.wait_for_jobs()
    scripted.go(f"/p/1/tables/{table}")
    expect(page.get_by_role("row", name="weight")).to_be_visible()
    expect(page.get_by_role("row", name="town")).to_have_count(0)


def test_how_much_of_a_file_is_sent_is_told(shop: Shop, scripted: Visit, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.csv"
    file.write_text("id,title\n" + "1,Autumn\n" * 400_000)
    page = scripted.page
    scripted.go("/p/1/add")
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    line.send("Network.emulateNetworkConditions", slow)
    page.get_by_label("File", exact=True).set_input_files(file)
    _press(page, "Upload")
    bar = page.get_by_role("progressbar", name="How much of the file is sent")
    expect(bar).to_be_visible()
    expect(page.locator("form output")).to_contain_text(re.compile(r"[1-9]\d? % of 3\.\d MB"))
    assert 0 < bar.evaluate("it => it.value / it.max") < 1
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_disabled()
    line.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    _told(page, "The file is received")
    shop.wait_for_jobs()


def test_a_file_that_is_refused_leaves_the_form(scripted: Visit, tmp_path: Path) -> None:
    file = tmp_path / "leaflets.csv"
    file.write_text("id,title\n1,Autumn\n")
    scripted.go("/p/1/add")
    page = scripted.page
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_label("Name of the table").fill("not a name!")
    _press(page, "Upload")
    expect(page.locator("form output")).to_contain_text("name")
    expect(page.get_by_role("progressbar")).to_be_hidden()
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_enabled()
    scripted.faults.clear()  # the browser's own console tells of the status


def test_workers_are_named_when_they_have_answered(either: Visit) -> None:
    page = either.page
    either.go("/p/1/health")
    link = page.get_by_role("link", name="Ask the workers")
    row = page.locator("#workers tbody th")
    expect(link.or_(row).first).to_be_visible()
    if not page.evaluate("typeof htmx === 'object'"):
        link.click()
    expect(row).to_contain_text("worker@")


def test_the_box_of_the_jobs_finds_jobs(shop: Shop, either: Visit) -> None:
    page = either.page
    either.go("/p/1/jobs")
    typed = "state:failed code:source_not_found table:sessions"
    page.get_by_label("Search jobs").fill(typed)
    page.get_by_label("Search jobs").press("Enter")
    expect(page).to_have_url(re.compile("state=failed&code=source_not_found&table="))
    expect(page.get_by_label("Search jobs")).to_have_value(typed)
    expect(page.locator("tbody tr").first).to_contain_text("sessions")


def test_settings_are_saved(scripted: Visit) -> None:
    page = scripted.page
    scripted.go("/p/1/settings")
    page.get_by_label("A table is stale").fill("48")
    _press(page, "Save")
    _told(page, "Saved.")
    page.get_by_label("A table is stale").fill("")
    _press(page, "Save")
    _told(page, "Saved.")


def test_rows_are_looked_at(shop: Shop, scripted: Visit) -> None:
    page = scripted.page
    scripted.go("/p/1/settings")
    page.get_by_label("Rows of the tables' files").select_option("on")
    _press(page, "Save")
    _told(page, "Saved.")
    scripted.go(shop.path("/p/{project_id}/tables/{table_id}/data"))
    _press(page, "Show its first rows")
    expect(page.locator("#live table")).to_contain_text("order_id")


def test_keys_do_what_the_list_says(scripted: Visit) -> None:
    page = scripted.page
    scripted.go("/p/1")
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page).to_have_url(re.compile("/tables$"))
    page.locator("tbody tr").first.wait_for()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("tbody tr").nth(1).get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/tables/[0-9a-f-]{36}$"))
    page.keyboard.press("/")
    expect(page.get_by_label("Search tables")).to_be_focused()
    page.keyboard.type("g")  # a letter, where text is typed
    page.get_by_label("Search tables").blur()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Single keys").uncheck()
    _press(page, "Close")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.evaluate("localStorage.clear()")


def test_what_a_worker_does_is_shown_without_looking_anew(shop: Shop, scripted: Visit) -> None:
    page = scripted.page
    scripted.go(shop.path("/p/{project_id}/tables/{table_id}/jobs"))
    before = page.locator("tbody tr").count()
    shop.refresh(shop.ids["table_id"])
    expect(page.locator("tbody tr")).to_have_count(before + 1)


def test_every_action_is_played(request: pytest.FixtureRequest) -> None:
    """What the tests above have sent is all that the console takes."""
    here = [item for item in request.session.items if item.path == request.path]
    if len({item.name for item in here}) < 15:
        pytest.skip("only some of the plays were asked for")
    wanted = {each.removeprefix("POST ") for each in CONSOLE if each.startswith("POST ")}
    assert wanted - _played == set()


def test_a_server_that_stops_leaves_the_page_as_it_was(windows: Open, tmp_path: Path) -> None:
    with Up(tmp_path) as up:
        window = _watched(windows(up=up))
        page = window.page
        for name in ("tables", "changes", "jobs", "batches", "schedules", ""):
            window.go(f"/p/1/{name}".rstrip("/"))
            assert window.accessibility_faults() == [], name
            window.faults.clear()
        expect(page.get_by_text("No tables yet")).to_be_visible()
        expect(page.locator("#lost p")).to_be_hidden()
        up.stop()
        expect(page.locator("#lost p")).to_be_visible()
        expect(page.locator("#lost p")).to_contain_text("What you see stays as it was at")
        expect(page.get_by_text("No tables yet")).to_be_visible()
    _sign_out_of_another(windows)


def _sign_out_of_another(windows: Open) -> None:
    window = windows()
    window.go("/p/1")
    _press(window.page, "Sign out")
    expect(window.page.get_by_label("API key")).to_be_visible()
