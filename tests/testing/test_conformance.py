"""The conformance suite accepts what keeps its promises and names the one that is broken."""

import json
import random
from importlib.metadata import EntryPoint

import conformance_toys as toys
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from anonbench import registry
from anonbench.cli.app import app
from anonbench.errors import BadConfig, MissingArtefact, UnknownName
from anonbench.testing import check_method, failures
from anonbench.testing.inputs import synthetic_faces

BREACHES = {
    "NoSource": "card: complete",
    "UnknownTemplate": "card: template",
    "UnknownWeights": "card: weights",
    "CannotBeBuilt": "object: built",
    "DropsItsCard": "object: built",
    "NoRecover": "object: abilities",
    "UnannouncedRecover": "object: abilities",
    "NoHiddenBits": "object: abilities",
    "NoCode": "object: abilities",
    "NoRemarks": "object: abilities",
    "UnannouncedRemarks": "object: abilities",
    "WrongShape": "anonymize: shape",
    "ReturnsArray": "anonymize: shape",
    "Raises": "anonymize: shape",
    "WrongDevice": "anonymize: device",
    "WrongDtype": "anonymize: dtype",
    "EightBit": "anonymize: dtype",
    "NotFinite": "anonymize: finite",
    "OutOfRange": "anonymize: range",
    "KeepsGraph": "anonymize: gradient",
    "ChangesInput": "anonymize: input kept",
    "CountsCalls": "anonymize: repeatable",
    "FreshEntropy": "anonymize: repeatable",
    "GlobalTorch": "anonymize: global randomness",
    "GlobalNumpy": "anonymize: global randomness",
    "GlobalPython": "anonymize: global randomness",
    "SeedsGlobally": "anonymize: global randomness",
    "PeeksGlobally": "anonymize: global randomness",
    "UsesPosition": "anonymize: batch order",
    "FirstKeyForAll": "anonymize: batch order",
    "SwapsNeighbours": "anonymize: batch order",
    "NotInEval": "anonymize: batch size",
    "IgnoresKey": "anonymize: keys",
    "HidesKeyUse": "anonymize: keys",
    "Remembers": "recover: honest",
    "RemembersQuietly": "recover: honest",
    "RecoverWrongShape": "recover: shape",
    "RecoverOutOfRange": "recover: range",
    "RecoverChangesInput": "recover: input kept",
    "RecoverGlobalTorch": "recover: global randomness",
    "RecoverBatchMean": "recover: batch size",
    "RecoverIgnoresPassword": "recover: keys",
    "TooFewBits": "hidden bits: embedded",
    "BitsAsNumbers": "hidden bits: embedded",
    "TooManyLogits": "hidden bits: extracted",
    "BoolLogits": "hidden bits: extracted",
    "InfiniteLogits": "hidden bits: extracted",
    "OneNumber": "hidden bits: numbers",
    "NumbersOfAnotherType": "hidden bits: numbers",
    "DecodesTooMany": "hidden bits: decoded",
    "DecodesNothing": "hidden bits: decoded",
    "CannotDecodeWhatItReads": "hidden bits: decoded",
    "RemarksUnlisted": "remarks: listed",
    "RemarksTooLittle": "remarks: listed",
    "RemarksOnce": "remarks: listed",
    "RemarksNothing": "remarks: listed",
    "RemarksOnOtherImages": "remarks: images",
    "RemarksOnTheBatch": "remarks: batch",
    "NoLatent": "object: abilities",
    "NoWrongBits": "object: abilities",
    "KeepsTooFew": "latent: shape",
    "KeepsDoubles": "latent: shape",
    "KeepsNothing": "latent: shape",
    "KeepsOfOtherImages": "latent: images",
    "KeepsGlobalNoise": "latent: repeatable",
    "KeepsTheBatch": "latent: batch",
    "KeepsInSecret": "recover_from_latent: honest",
    "FromLatentOutOfRange": "recover_from_latent: range",
    "FromLatentWithoutKey": "recover_from_latent: keys",
    "NeverRight": "wrong bits: none",
    "OneForAll": "wrong bits: each its own",
    "NeverWrong": "wrong bits: each its own",
}
GOOD = ("Good", "GoodVault", "GoodCoder", "GoodTalker", "GoodKeeper", "GoodLock")


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """Every toy is a registered method under its class name."""
    torch.set_num_threads(1)
    for name in (*GOOD, *BREACHES):
        point = EntryPoint(name, f"conformance_toys:{name}", "anonbench.methods")
        monkeypatch.setitem(registry.methods._points, name, [point])


def statuses(checks):
    return {check.name: check.status for check in checks}


@pytest.mark.parametrize("name", BREACHES)
def test_a_broken_method_fails_exactly_the_check_it_breaks(name):
    failed = failures(check_method(name))
    assert [check.name for check in failed] == [BREACHES[name]]
    assert len(failed[0].detail) > 20


def test_every_toy_is_used():
    classes = {name for name, value in vars(toys).items() if isinstance(value, type)}
    assert classes - {"MethodCard"} == {*GOOD, *BREACHES}


def test_a_method_that_keeps_its_promises_passes():
    checks = check_method("Good")
    assert not failures(checks)
    assert {c.name for c in checks if c.skipped} == {"recover", "hidden bits", "remarks"}


def test_a_reversible_method_is_checked_in_full():
    checks = check_method("GoodVault")
    assert {c.name for c in checks if not c.passed} == {"remarks"}
    assert {"recover: honest", "recover: keys", "hidden bits: extracted"} <= set(statuses(checks))
    assert "hidden bits: decoded" not in statuses(checks)


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("GoodCoder", "hidden bits: decoded"),
        ("GoodTalker", "remarks: batch"),
        ("GoodKeeper", "latent: batch"),
        ("GoodKeeper", "recover: honest"),
        ("GoodKeeper", "recover_from_latent: batch size"),
        ("GoodLock", "wrong bits: each its own"),
    ],
)
def test_other_abilities_are_checked_where_there_are_any(name, check):
    checks = check_method(name)
    assert not failures(checks)
    assert statuses(checks)[check] == "passed"


def test_a_sibling_need_not_use_the_latents_and_bits_of_its_class(monkeypatch):
    for toy in (toys.GoodKeeper, toys.GoodLock):
        plain = toys.changed(toy.card, needs_latent=False, password_bits=0)
        monkeypatch.setattr(toy, "card", plain)
        monkeypatch.setattr(registry.methods, "_cards", {})
        checks = check_method(toy.__name__)
        assert not failures(checks)
        assert not any(check.name.startswith(("latent", "wrong")) for check in checks)


def test_a_code_may_stay_unused(monkeypatch):
    """As by a checkpoint that hides float32 patterns instead."""
    monkeypatch.setattr(
        toys.GoodCoder, "card", toys.changed(toys.GoodCoder.card, hidden_format="float32")
    )
    monkeypatch.setattr(registry.methods, "_cards", {})
    checks = check_method("GoodCoder")
    assert not failures(checks)
    assert "hidden bits: decoded" not in statuses(checks)


def test_a_public_seed_promises_nothing_for_recovery(monkeypatch):
    toy = toys.RecoverIgnoresPassword
    monkeypatch.setattr(toy, "card", toys.changed(toy.card, key="seed"))
    monkeypatch.setattr(registry.methods, "_cards", {})
    checks = check_method("RecoverIgnoresPassword")
    assert not failures(checks)
    assert statuses(checks)["recover: keys"] == "skipped"


def test_what_builds_on_a_failed_check_is_skipped_with_the_reason():
    checks = {check.name: check for check in check_method("WrongShape")}
    assert checks["anonymize: batch size"].skipped == "'anonymize: batch order' did not pass"
    assert checks["recover"].skipped == "'anonymize' must pass first"


def test_recover_gets_published_pixels_in_another_object(monkeypatch):
    """Pixels of an 8-bit file, and at least one object that never anonymized."""
    anonymizers, recoverers, pixels = set(), set(), []
    anonymize, recover = toys.GoodVault.anonymize, toys.GoodVault.recover

    def record_anonymize(self, faces, keys):
        anonymizers.add(self)
        return anonymize(self, faces, keys)

    def record_recover(self, published, keys):
        recoverers.add(self)
        pixels.append(published * 255)
        return recover(self, published, keys)

    monkeypatch.setattr(toys.GoodVault, "anonymize", record_anonymize)
    monkeypatch.setattr(toys.GoodVault, "recover", record_recover)
    check_method("GoodVault")
    assert recoverers - anonymizers
    assert all(torch.allclose(image, image.round(), atol=1e-4) for image in pixels)


def test_the_suite_leaves_the_global_generators_alone():
    torch.manual_seed(4), np.random.seed(4), random.seed(4)
    expected = torch.rand(3).tolist(), np.random.rand(), random.random()
    torch.manual_seed(4), np.random.seed(4), random.seed(4)
    check_method("GlobalTorch"), check_method("GlobalNumpy"), check_method("GlobalPython")
    assert (torch.rand(3).tolist(), np.random.rand(), random.random()) == expected


def test_missing_weights_are_an_error_of_the_user_not_of_the_method(monkeypatch):
    def build(self, card, device):
        raise MissingArtefact("The weights are not here.", mend="anonbench fetch toy")

    monkeypatch.setattr(toys.Good, "__init__", build)
    with pytest.raises(MissingArtefact):
        check_method("Good")


def test_unknown_names_settings_and_devices_are_refused():
    with pytest.raises(UnknownName, match="Did you mean pixelate"):
        check_method("pixelatte")
    with pytest.raises(BadConfig, match="block must be at least 1"):
        check_method("pixelate:block=0")
    with pytest.raises(BadConfig, match="device 'abacus'"):
        check_method("pixelate", device="abacus")


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in registry.methods.names()
        if registry.methods._point(n).value.startswith("anonbench_obfuscation")
    ],
)
def test_the_classical_baselines_conform(name):
    checks = check_method(name, size=96)
    assert not failures(checks)
    assert statuses(checks)["anonymize: keys"] == "passed"


def test_synthetic_faces_are_distinct_smooth_crops_of_decoded_files():
    faces = synthetic_faces(4, 64, seed=1)
    assert faces.shape == (4, 3, 64, 64) and faces.dtype == torch.float32
    assert faces.min() >= 0 and faces.max() <= 1 and faces.std() > 0.1
    assert torch.equal(faces, synthetic_faces(4, 64, seed=1))
    assert all((faces[i] - faces[j]).abs().max() > 0.1 for i in range(4) for j in range(i))
    assert faces.diff(dim=-1).abs().mean() < 0.03


def test_command_prints_a_table_and_succeeds():
    result = CliRunner().invoke(app, ["test-method", "pixelate", "--size", "64"])
    assert result.exit_code == 0
    assert "anonymize: batch size" in result.stdout
    assert "pixelate: 17 passed, 0 failed, 3 skipped" in result.stdout


def test_command_exits_with_1_and_says_how_to_mend():
    result = CliRunner().invoke(app, ["test-method", "OutOfRange"])
    assert result.exit_code == 1
    assert "1 failed" in result.stdout and "clamp" in result.stdout


def test_command_prints_one_json_document():
    result = CliRunner().invoke(app, ["test-method", "IgnoresKey", "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["method"] == "IgnoresKey" and document["failed"] == 1
    broken = [row for row in document["checks"] if row["status"] == "failed"]
    assert [row["name"] for row in broken] == ["anonymize: keys"]
