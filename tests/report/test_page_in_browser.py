"""The page as a browser shows it."""

import re

import pytest

from pipeline.report.page import PAGE
from tests.support import finished
from tests.support.browser import browse, in_browser
from tests.support.html_page import page

pytestmark = pytest.mark.slow  # it starts a browser


@in_browser
def test_a_browser_has_nothing_to_complain_about(done, tmp_path):
    shown, console = browse(done[1] / PAGE, tmp_path)
    assert console == []
    assert shown.count("<section") == 14
    assert 'class="sorts"' in shown  # the script ran, under the page's policy


@in_browser
@pytest.mark.parametrize("wrong", ['<img src="https://example.org/x.png">', "<script>console.log(1)</script>"])
def test_the_page_forbids_requests_and_code_and_the_console_would_tell(done, tmp_path, wrong):
    (tmp_path / "page.html").write_text(done[2].replace("</main>", f"{wrong}</main>"))
    _, console = browse(tmp_path / "page.html", tmp_path / "profile")
    assert any("Content Security Policy" in line for line in console)


@in_browser
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(done, tmp_path, width):
    """A script is let in to measure, in a frame, since a window has a least width."""
    measure = "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script></body>"
    bare = re.sub(r"<meta http-equiv[^>]*>", "", done[2])
    (tmp_path / "page.html").write_text(bare.replace("</body>", measure))
    listen = "<script>onmessage = event => document.title = event.data</script>"
    frame = f'{listen}<iframe src="page.html" style="border:0;width:{width}px;height:800px"></iframe>'
    (tmp_path / "frame.html").write_text(frame)
    shown, _ = browse(tmp_path / "frame.html", tmp_path / "profile", "--window-size=1400,900")
    assert f"<title>{width}</title>" in shown


@in_browser
@pytest.mark.parametrize("width", [360, 500, 1280])
def test_a_name_of_up_to_24_letters_keeps_to_one_line(tmp_path, width):
    members = ("slowfast_11x8_r101", "tsn_inceptionresnetv2", "tin_r101_16f")  # the second stands in the head, too
    sources = finished.run(tmp_path, members=members)
    count = """<script>
        const style = one => parseFloat(getComputedStyle(one).fontSize)
        const broken = [...document.querySelectorAll(".whole")].filter(one => one.offsetHeight > 2 * style(one))
        parent.postMessage(`${document.querySelectorAll(".whole").length} names, ${broken.length} broken`, "*")
    </script></body>"""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page(sources, tmp_path / "report"))
    (tmp_path / "page.html").write_text(text.replace("</body>", count))
    listen = "<script>onmessage = event => document.title = event.data</script>"
    frame = f'{listen}<iframe src="page.html" style="border:0;width:{width}px;height:800px"></iframe>'
    (tmp_path / "frame.html").write_text(frame)
    shown, _ = browse(tmp_path / "frame.html", tmp_path / "profile", "--window-size=1400,900")
    assert re.search(r"<title>(\d+) names, 0 broken</title>", shown), shown[:200]
