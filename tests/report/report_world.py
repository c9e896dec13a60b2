"""Results for the tests of the report: small, and with everything that a page has to warn of."""

from typing import Any

from result_factory import make_method, make_metric, make_result

from anonbench.results.record import Counts, Interval, Metric, PluginRef, Result, Setup

HOSTILE = "</script><script>alert(1)</script>"


def tar(value: float | None, judge: str = "dlib-resnet", **changes: Any) -> Metric:
    fields = {"unit": "share of genuine pairs", **changes}
    return make_metric(value, judge, **fields)


def within(low: float, high: float) -> tuple[Interval, ...]:
    return (Interval(low=low, high=high, method="bootstrap"),)


def setup(channel: str) -> Setup:
    detector = PluginRef(name="dlib-hog", version=1)
    return Setup(seed=0, channel=channel, detector=detector, templates={"ffhq-256": 1})


def world() -> list[Result]:
    """Five methods by PNG, one of them hostile and one failed; one by float; another protocol."""
    none = "no image shows a face both before and after"
    psnr = make_metric(20.5, "", name="psnr", unit="dB", direction="higher", std=None)
    first = (tar(0.99, intervals=within(0.98, 1.0)), tar(0.97, "fr-feature"))
    wide = (tar(0.30, intervals=within(0.15, 0.45)), tar(0.01, "fr-feature"))
    narrow = (tar(0.05, intervals=within(0.03, 0.08)), tar(None, "fr-feature", reason=none))
    g2face = make_method("g2face", "G²Face", reversible=True)
    return [
        make_result("identity", first),
        make_result("blur", wide),
        make_result("pixelate", narrow),
        make_result(g2face, (tar(0.10, white_box=True), tar(0.20, "fr-feature", n=40))),
        make_result(make_method("hostile", HOSTILE), (tar(0.40), tar(0.5, "fr-feature"))),
        make_result("blackout", (tar(0.0), tar(0.6, "fr-feature")), status="failed", error="broke"),
        make_result("blur", (tar(0.31),), setup=setup("float")),
        make_result(
            "pixelate",
            (psnr,),
            protocol=PluginRef(name="recovery", version=1),
            judges=(),
            counts={"": Counts(unit="images", expected=360, used=360)},
        ),
    ]
