import re

from PIL import Image
from unite_core.curves import curves_svg, plot_curves

LOG = [
    {"step": 1, "total": 3.0, "gap": -1.0},
    {"step": 2, "total": 2.0},
    {"step": 3, "total": 1.5, "gap": 1.0},
]


def test_every_value_has_a_panel():
    svg = curves_svg(LOG)
    assert ">total<" in svg
    assert ">gap<" in svg


def test_curves_are_a_picture(tmp_path):
    path = tmp_path / "curves.png"
    plot_curves(LOG, path)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 100


def test_svg_names_no_address():
    svg = curves_svg(LOG)
    root = svg[svg.index("<svg") :]
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", root)
