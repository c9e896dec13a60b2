"""The report in a real browser: sorting, filtering, keyboard, colours, narrow screens."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from report_world import world

from anonbench.report.page import build, render

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
BOARD = "#t1"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render.html(build.build("All", world())), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("needs chromium and chromedriver (Debian: chromium-driver), not found here")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


@pytest.fixture
def page(chromium: Any, url: str) -> Iterator[Any]:
    """The page, freshly opened, wide, in light colours; it must not have complained at the end."""
    look(chromium, width=1440, scheme="light")
    chromium.get("about:blank")
    chromium.get(url)
    yield chromium
    assert chromium.get_log("browser") == []


def look(browser: Any, *, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def heading(page: Any, title: str) -> Any:
    heads = page.find_elements(By.CSS_SELECTOR, f"{BOARD} .columns > th")
    return next(head for head in heads if head.text.startswith(title))


def column(page: Any, title: str) -> list[str]:
    """What is shown in a column of the first table, from top to bottom; rows not shown left out."""
    return page.execute_script(
        """const [board, title] = arguments;
        const heads = [...document.querySelectorAll(board + ' .columns > th')];
        const at = heads.findIndex((head) => head.textContent.startsWith(title));
        return [...document.querySelectorAll(board + ' tbody tr')].filter((row) => !row.hidden)
          .map((row) => (row.cells[at].querySelector('data, .none') ?? row.cells[at]).textContent
            .replace(' best', '').trim());""",
        BOARD,
        title,
    )


def boards(page: Any) -> list[str]:
    shown = page.find_elements(By.CSS_SELECTOR, ".board")
    return [board.get_attribute("id") for board in shown if board.is_displayed()]


def choose(page: Any, name: str, value: str) -> None:
    Select(page.find_element(By.NAME, name)).select_by_value(value)


def count(page: Any) -> str:
    return page.find_element(By.ID, "count").text


# ----------------------------------------------------------------------------------------- sorting
def test_a_click_sorts_the_best_first_and_another_the_worst_what_is_missing_last(page: Any) -> None:
    values = ["0.050", "0.100", "0.300", "0.400", "0.990"]
    head = heading(page, "TAR, Dlib-Resnet")
    head.find_element(By.TAG_NAME, "button").click()
    found = column(page, "TAR, Dlib-Resnet")
    assert found[:5] == values and set(found[5:]) == {"failed", "–"}
    assert head.get_attribute("aria-sort") == "ascending"
    head.find_element(By.TAG_NAME, "button").click()
    found = column(page, "TAR, Dlib-Resnet")
    assert found[:5] == values[::-1] and set(found[5:]) == {"failed", "–"}
    assert head.get_attribute("aria-sort") == "descending"


def test_sorting_another_column_moves_whole_rows(page: Any) -> None:
    heading(page, "TAR, Fr-Feature").find_element(By.TAG_NAME, "button").click()
    assert column(page, "TAR, Fr-Feature")[:2] == ["0.010", "0.200"]
    assert column(page, "TAR, Dlib-Resnet")[:2] == ["0.300", "0.100"]
    assert len(page.find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1


def test_the_keyboard_reaches_a_heading_and_sorts(page: Any) -> None:
    for _ in range(80):
        page.switch_to.active_element.send_keys(Keys.TAB)
        focused = page.switch_to.active_element
        if focused.tag_name == "button" and focused.text.startswith("TAR, Fr-Feature"):
            break
    outline = focused.value_of_css_property("outline-style")
    assert focused.text.startswith("TAR, Fr-Feature") and outline == "solid"
    focused.send_keys(Keys.ENTER)
    assert column(page, "TAR, Fr-Feature")[:2] == ["0.010", "0.200"]
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element != focused  # no trap


def test_the_first_stop_of_the_keyboard_skips_to_the_leaderboard(page: Any) -> None:
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    focused = page.switch_to.active_element
    assert focused.text == "Skip to the leaderboard" and focused.is_displayed()


# --------------------------------------------------------------------------------------- filtering
def test_filters_narrow_what_is_shown_and_the_counter_says_so(page: Any) -> None:
    assert "Showing 3 of 3 tables" in count(page)
    choose(page, "channel", "float")
    assert len(boards(page)) == 1 and "Showing 1 of 3 tables" in count(page)
    choose(page, "channel", "")
    choose(page, "protocol", "recovery")
    assert "Showing 1 of 3 tables" in count(page)
    choose(page, "dataset", "orl")
    choose(page, "judge", "fr-feature")
    assert boards(page) == [] and "Nothing matches" in count(page)


def test_a_judge_leaves_its_own_columns_and_published_values_can_be_hidden(page: Any) -> None:
    choose(page, "judge", "fr-feature")
    assert not heading_shown(page, "TAR, Dlib-Resnet") and heading_shown(page, "TAR, Fr-Feature")
    assert page.find_elements(By.CSS_SELECTOR, f"{BOARD} td.published:not([hidden])")
    page.find_element(By.NAME, "published").click()
    assert not page.find_elements(By.CSS_SELECTOR, f"{BOARD} td.published:not([hidden])")
    assert len(column(page, "Method")) == 6


def heading_shown(page: Any, title: str) -> bool:
    heads = page.find_elements(By.CSS_SELECTOR, f"{BOARD} .columns > th:not([hidden])")
    return any(head.text.startswith(title) for head in heads)


def test_a_name_is_found_and_the_address_restores_the_view(page: Any, url: str) -> None:
    page.find_element(By.NAME, "q").send_keys("PIX")
    choose(page, "suite", "demo")
    heading(page, "TAR, Dlib-Resnet").find_element(By.TAG_NAME, "button").click()
    assert column(page, "TAR, Dlib-Resnet") == ["0.050"]
    address, said = page.current_url, count(page)
    page.get("about:blank")
    page.get(address)
    assert address != url and count(page) == said
    assert page.find_element(By.NAME, "q").get_attribute("value") == "pix"
    assert heading(page, "TAR, Dlib-Resnet").get_attribute("aria-sort") == "ascending"
    page.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    assert "Showing 3 of 3 tables" in count(page) and "=" not in page.current_url


# -------------------------------------------------------------------------------------- appearance
def test_light_and_dark_follow_the_system_and_the_button(page: Any) -> None:
    def colours() -> tuple[str, str]:
        body = page.find_element(By.TAG_NAME, "body")
        return body.value_of_css_property("background-color"), body.value_of_css_property("color")

    light = colours()
    look(page, width=1440, scheme="dark")
    dark = colours()
    assert all(a != b for a, b in zip(light, dark, strict=True))
    page.find_element(By.ID, "theme").click()
    assert colours() == light


@pytest.mark.parametrize("width", [320, 360, 1440])
def test_no_width_needs_sideways_scrolling_of_the_page(page: Any, width: int) -> None:
    look(page, width=width, scheme="light")
    page.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    needed = page.execute_script("return document.documentElement.scrollWidth")
    assert needed <= width
    box = page.find_element(By.CSS_SELECTOR, f"{BOARD} .scroll")
    inside = page.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
    assert inside is (width < 1000)
    before = page.find_element(By.CSS_SELECTOR, f"{BOARD} tbody th").location["x"]
    page.execute_script("arguments[0].scrollLeft = 200", box)
    assert page.find_element(By.CSS_SELECTOR, f"{BOARD} tbody th").location["x"] == before


def test_a_mark_at_a_number_leads_to_its_note(page: Any) -> None:
    mark = page.find_element(By.CSS_SELECTOR, f"{BOARD} tbody a.flag")
    mark.send_keys(Keys.ENTER)
    note = page.find_element(By.ID, mark.get_attribute("aria-describedby"))
    assert note.is_displayed() and note.text.startswith(mark.text)


def test_a_result_opens_when_its_link_is_followed(page: Any) -> None:
    link = page.find_element(By.CSS_SELECTOR, f"{BOARD} small.run a")
    link.send_keys(Keys.ENTER)
    run = page.find_element(By.ID, (link.get_attribute("href") or "").partition("#")[2])
    WebDriverWait(page, 5).until(lambda _: run.get_attribute("open"))
    assert "anonbench run --method" in run.text


def test_nothing_is_loaded_and_no_other_script_can_run(page: Any) -> None:
    loaded = page.execute_script(
        "return performance.getEntriesByType('resource').map((e) => e.name)"
    )
    assert [name for name in loaded if not name.startswith("data:")] == []
    page.execute_script(
        """const script = document.createElement('script');
        script.textContent = 'window.intruder = true'; document.body.append(script);
        document.body.append(new Image()); document.body.lastChild.src = 'http://127.0.0.1:9/';"""
    )
    assert page.execute_script("return window.intruder") is None
    refused = page.get_log("browser")
    assert len(refused) == 2 and all("Content Security Policy" in r["message"] for r in refused)
