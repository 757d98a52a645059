"""The picture of a run."""

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from pulumi_koreai.report import gantt
from pulumi_koreai.report.gantt import Bar
from tests.report.test_markdown import texts

SVG = "{http://www.w3.org/2000/svg}"

bars = st.lists(
    st.builds(
        lambda name, kind, begun, length: Bar(name, kind, "deploy", begun, begun + length, float(length)),
        texts,
        st.sampled_from(["deploy", "undeploy", "failed"]),
        st.integers(1_700_000_000, 1_700_010_000),
        st.integers(0, 5000),
    ),
    max_size=90,
)


@given(bars)
def test_mermaid_has_only_lines_of_the_grammar_and_no_more_than_it_can_draw(given_bars: list[Bar]) -> None:
    fence, kind, *lines = gantt.mermaid(given_bars).split("\n")
    assert (fence, kind) == ("```mermaid", "gantt")
    end = lines.index("```")
    for line in lines[4:end]:
        assert re.fullmatch(r"  section [\w .-]*|  deploy \w+ :(active|done|crit), \d+, \d+", line), line
    assert sum(":" in line for line in lines[4:end]) == min(len(given_bars), 60)
    assert bool(lines[end + 1 :]) == (len(given_bars) > 60)


@given(bars)
def test_the_svg_is_well_formed_and_has_each_bar_inside_of_it(given_bars: list[Bar]) -> None:
    root = ET.fromstring(gantt.svg(given_bars))
    drawn = [rect for rect in root.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None]
    assert len(drawn) == len(given_bars)
    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "rect", "text", "line")
    }
    height = float(root.attrib["height"])
    for rect in drawn:
        assert 240 <= float(rect.attrib["x"]) <= 1000
        assert float(rect.attrib["x"]) + float(rect.attrib["width"]) <= 1000
        assert float(rect.attrib["y"]) < height


def test_bars_are_as_long_as_the_jobs_and_those_of_a_model_share_a_row() -> None:
    drawn = gantt.svg(
        [
            Bar("b", "deploy", "a job", 110, 130, 20.0),
            Bar("a", "undeploy", "a job", 100, 110, 10.0),
            Bar("a", "failed", "a job", 110, 200, 90.0),
        ]
    )
    rects = [
        (rect.findtext(f"{SVG}title"), *(float(rect.attrib[key]) for key in ("x", "y", "width")))
        for rect in ET.fromstring(drawn).iter(f"{SVG}rect")
        if rect.find(f"{SVG}title") is not None
    ]
    assert rects == [
        ("a: a job, 10s", 240, 47, 74),
        ("a: a job, 1m30s", 314, 47, 666),
        ("b: a job, 20s", 314, 69, 148),
    ]


def test_a_job_s_duration_is_the_one_that_is_known_exactly() -> None:
    bar = Bar("chat", "deploy", "deploy", 100, 101, 0.3)
    assert "  deploy 0s :active" in gantt.mermaid([bar])
    assert "<title>chat: deploy, 0s</title>" in gantt.svg([bar])


@given(bars)
def test_no_label_of_an_axis_is_there_twice_and_there_are_few(given_bars: list[Bar]) -> None:
    root = ET.fromstring(gantt.svg(given_bars))
    labels = [text.text for text in root.iter(f"{SVG}text") if text.attrib.get("text-anchor") == "middle"]
    assert len(set(labels)) == len(labels) <= 9
    (interval,) = re.findall(r"^  tickInterval (\d+)second$", gantt.mermaid(given_bars), re.MULTILINE)
    assert int(interval) >= 1, "below a second two labels are the same"
