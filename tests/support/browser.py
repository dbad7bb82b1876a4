"""A real browser without a screen: Debian's Chromium, driven by WebDriver."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from support.processes import PATIENCE

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"


def find_browser_obstacle() -> str | None:
    """Return why there is no browser here, or nothing."""
    if _find_browser() is None:
        return "chromium is not installed"
    return None if shutil.which(DRIVER) else "chromedriver is not installed (chromium-driver in Debian)"


def _find_browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


class Browser:
    """A browser with one window; what is waited for is what a person would look at.

    Args:
        driver: steers it.
    """

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Go somewhere."""
        self.driver.get(url)

    def find(self, selector: str) -> WebElement:
        """Return the first element that a CSS selector names, when it is there."""
        waiting = WebDriverWait(self.driver, PATIENCE)
        return waiting.until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector))

    def fill(self, **fields: str) -> None:
        """Type into fields by their ids, and send the form."""
        for name, text in fields.items():
            element = self.find(f"#{name}")
            element.clear()
            element.send_keys(text)
        self.press("main button")

    def press(self, selector: str) -> None:
        """Press a button or a link, and wait until the page is another one."""
        before = self.driver.find_element(By.TAG_NAME, "html")
        self.find(selector).click()
        WebDriverWait(self.driver, PATIENCE).until(lambda driver: before != driver.find_element(By.TAG_NAME, "html"))

    def wait_for_path(self, path: str) -> None:
        """Wait until the address has this path."""
        WebDriverWait(self.driver, PATIENCE).until(
            lambda driver: driver.execute_script("return location.pathname") == path
        )

    def wait_for_text(self, text: str) -> None:
        """Wait until a text is seen."""
        WebDriverWait(self.driver, PATIENCE).until(lambda driver: text in driver.find_element(By.TAG_NAME, "body").text)

    @property
    def text(self) -> str:
        """Return what is seen."""
        return self.find("body").text

    def list_complaints(self) -> list[str]:
        """Return what the browser itself complained of since the last call, as a policy that was violated.

        A page that is a refusal by its status is not among it.
        """
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium types the most, not all
        messages = [str(entry["message"]) for entry in entries]
        return [message for message in messages if "the server responded with a status of" not in message]


@contextmanager
def open_browser(folder: Path, *, resolve: str) -> Iterator[Browser]:
    """Open a browser that knows nothing yet and believes every certificate.

    Args:
        folder: where it keeps what it learns.
        resolve: names and addresses, as Chromium's `--host-resolver-rules` wants them.
    """
    options = ChromeOptions()
    options.binary_location = _find_browser() or ""
    options.accept_insecure_certs = True
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    flags = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--window-size=1000,900"]
    flags += [f"--user-data-dir={folder}", f"--host-resolver-rules={resolve}"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # which Chromium does not have for root
    for flag in flags:
        options.add_argument(flag)
    driver = Chrome(options=options, service=Service(shutil.which(DRIVER)))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
