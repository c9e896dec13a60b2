"""DR-DPGAN as a method, on bundles of random weights: its promises hold whatever was trained."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from drdpgan_bundles import CODE_BITS, Spy, demo_card, small, write_bundle
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from anonbench import registry
from anonbench.errors import BadConfig, BadData
from anonbench.generative.models import key_stream
from anonbench.nets.float_bits import bits_to_floats, floats_to_bits
from anonbench.testing import check_method, failures
from anonbench.testing.inputs import synthetic_faces
from anonbench.values import sample_key
from anonbench_drdpgan.fake_identity import Range
from anonbench_drdpgan.method import DrDpgan
from anonbench_drdpgan.networks import Build

KEYS = [sample_key(0, name) for name in "ab"]
OTHER_KEYS = [sample_key(1, name) for name in "ab"]
BUILDS = {
    "full": small(),
    "learned": small(code="learned"),
    "no E_G": small({"fusion": False}),
    "no 3DPC": small({"geometry": 0}),
    "AdaIN": small({"editing": "adain"}),
    "unguided": small(guided=False),
}
CODES = ["full", "learned"]

Make = Callable[..., DrDpgan]


@pytest.fixture(scope="session")
def dlib(artefact: Callable[[str], Path]) -> None:
    artefact("dlib-resnet")


@pytest.fixture(scope="module")
def bundles(dlib: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("drdpgan")
    return {
        name: write_bundle(folder / f"{number}.safetensors", build)
        for number, (name, build) in enumerate(BUILDS.items())
    }


@pytest.fixture(scope="module")
def make(bundles: dict[str, Path]) -> Make:
    """Builds the method with a bundle, once for each set of settings."""
    made: dict[tuple[str, str], DrDpgan] = {}

    def get(name: str = "full", settings: str = "") -> DrDpgan:
        if (name, settings) not in made:
            card = demo_card(bundles[name], BUILDS[name], settings)
            made[name, settings] = DrDpgan(card, "cpu")
        return made[name, settings]

    return get


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return synthetic_faces(2, 128)


@pytest.fixture(scope="module")
def published(make: Make, faces: Tensor) -> dict[str, Tensor]:
    """8-bit pixels under both codes."""
    return {name: (make(name).anonymize(faces, KEYS) * 255).round() / 255 for name in CODES}


def signed(images: Tensor) -> Tensor:
    return (images - 0.5) / 0.5


def cosine(one: Tensor, other: Tensor) -> Tensor:
    return functional.cosine_similarity(one, other, dim=1)


# ---------------------------------------------------------------------------------- conformance
@pytest.mark.parametrize("name", CODES)
def test_it_keeps_the_promises_of_the_suite(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    card = demo_card(bundles[name], BUILDS[name])
    monkeypatch.setattr(registry.methods, "parse", lambda spec: card)
    checks = check_method("drdpgan")
    assert failures(checks) == []
    assert {"recover: honest", "hidden bits: extracted"} <= {c.name for c in checks if c.passed}


# ------------------------------------------------------------------------------- what is hidden
def test_what_is_hidden_is_the_recognisers_floats(make: Make, faces: Tensor) -> None:
    method = make()
    with Spy(method) as spy:
        method.anonymize(faces, KEYS)
    identity = torch.cat([method._model.identity.embed(signed(face[None])) for face in faces])
    assert torch.equal(spy.password, floats_to_bits(identity))
    assert torch.equal(method.hidden_bits(faces), floats_to_bits(identity).flatten(1))
    assert torch.equal(bits_to_floats(spy.password, "raw"), method.hidden_numbers(faces))


def test_a_learned_code_is_hidden_so_often_as_it_fits(make: Make, faces: Tensor) -> None:
    method = make("learned")
    with Spy(method) as spy:
        method.anonymize(faces, KEYS)
    bits, password = method.hidden_bits(faces), spy.password.flatten(1)
    assert bits.shape == (2, CODE_BITS)
    for one, row in zip(bits, password, strict=True):
        assert int(row.sum()) == int(one.sum()) * (4096 // CODE_BITS)
    for number in (0, CODE_BITS - 1):  # one bit changes all its repeats and nothing else
        changed = bits.clone()
        changed[:, number] ^= True
        other = method._code.spread(changed).flatten(1)
        assert (other != password).sum(dim=1).tolist() == [4096 // CODE_BITS] * 2
    decoded = method.decode_bits(bits)
    assert decoded.shape == method.hidden_numbers(faces).shape == (2, 128)
    read = method.extract_bits(faces)
    logits = method._model.extract(signed(faces)).flatten(1)
    torch.testing.assert_close(read.mean(dim=1), logits.mean(dim=1), rtol=1e-4, atol=1e-5)


# -------------------------------------------------------------------------------- fake identity
def test_fake_identities_come_from_the_key_and_the_original(make: Make, faces: Tensor) -> None:
    method, steering = make(), []
    mirrored = faces.flip(3)
    for images, keys in ((faces, KEYS), (faces, KEYS), (faces, OTHER_KEYS), (mirrored, KEYS)):
        with Spy(method) as spy:
            method.anonymize(images, keys)
        steering.append(spy.identity)
    same, again, other_keys, other_faces = steering
    assert torch.equal(same, again)
    assert (cosine(same, other_keys) < 0.99).all()
    assert (cosine(same, other_faces) < 1 - 1e-6).all()


def test_refined_identities_lie_in_the_range(make: Make, faces: Tensor) -> None:
    method = make()
    weights = {k: v.clone() for k, v in method._model.networks.state_dict().items()}
    with Spy(method) as spy:
        published, remarks = method.anonymize_with_remarks(faces, KEYS)
    kept = method._model.networks.state_dict()
    assert all(torch.equal(kept[key], value) for key, value in weights.items())
    assert set(remarks) == set(method.card.remarks)
    assert remarks["converged"].tolist() == [1, 1]
    distance = cosine(method.hidden_numbers(faces), spy.identity)
    torch.testing.assert_close(remarks["dummy_cosine"], distance, rtol=0, atol=1e-5)
    assert ((distance >= 0.1 - 1e-6) & (distance <= 0.4 + 1e-6)).all()
    assert (remarks["refinement_steps"] > 0).any()
    assert (remarks["refinement_steps"] == remarks["refinement_steps"].round()).all()
    assert torch.equal(published, method.anonymize(faces, KEYS))


@pytest.mark.parametrize(("name", "settings"), [("full", ":refine=false"), ("unguided", "")])
def test_without_refinement_it_is_what_the_generator_makes_of_noise(
    make: Make, faces: Tensor, name: str, settings: str
) -> None:
    method = make(name, settings)
    fake = method._model.networks.fake_identity
    with Spy(method) as spy:
        _, remarks = method.anonymize_with_remarks(faces, KEYS)
    with Spy(method) as other:
        method.anonymize(faces.flip(0), KEYS)
    assert torch.equal(spy.identity, other.identity)  # whoever the original is
    assert remarks["refinement_steps"].tolist() == [0, 0]
    distance = cosine(method.hidden_numbers(faces), spy.identity)
    inside = (distance >= 0.1) & (distance <= 0.4)
    assert torch.equal(remarks["converged"].bool(), inside)
    z = torch.stack([torch.randn(128, generator=key_stream(key, "z")) for key in KEYS])
    torch.testing.assert_close(spy.identity, fake(z) * math.sqrt(128), rtol=1e-5, atol=1e-5)


def test_refinement_starts_from_the_plain_output_and_stops_at_its_limit(
    make: Make, faces: Tensor
) -> None:
    plain, single = make(settings=":refine=false"), make(settings=":limit=1")
    nothing = make(settings=":limit=0")
    steering = []
    for method in (plain, nothing, single):
        with Spy(method) as spy:
            _, remarks = method.anonymize_with_remarks(faces, KEYS)
        steering.append(spy.identity)
        assert (remarks["refinement_steps"] <= (method is single)).all()
        inside = (remarks["dummy_cosine"] >= 0.1) & (remarks["dummy_cosine"] <= 0.4)
        assert torch.equal(remarks["converged"].bool(), inside)
    assert torch.equal(steering[0], steering[1])
    moved = (steering[0] != steering[2]).any(dim=1)
    assert torch.equal(moved, remarks["refinement_steps"] == 1)
    assert moved.any()


def test_the_range_is_the_bundles(dlib: None, tmp_path: Path, faces: Tensor) -> None:
    build = small(wanted=Range(-0.4, -0.3))
    method = DrDpgan(demo_card(write_bundle(tmp_path / "b.safetensors", build)), "cpu")
    _, remarks = method.anonymize_with_remarks(faces, KEYS)
    assert ((remarks["dummy_cosine"] >= -0.4) & (remarks["dummy_cosine"] <= -0.3)).all()
    assert remarks["converged"].tolist() == [1, 1]


# -------------------------------------------------------------------------------------- Eq. 1
@pytest.mark.parametrize("name", CODES)
def test_both_stages_are_steered_by_equal_lengths_and_their_own_coefficients(
    make: Make, faces: Tensor, published: dict[str, Tensor], name: str
) -> None:
    method, shown = make(name), published[name]
    for call, images in ((method.anonymize, faces), (method.recover, shown)):
        with Spy(method) as spy:
            call(images, KEYS)
        length = spy.identity.norm(dim=1)
        torch.testing.assert_close(length, torch.full((2,), math.sqrt(128)), rtol=1e-5, atol=0)
        assert torch.equal(spy.images, signed(images))
        coefficients = [method._model.geometry.coefficients(x[None]) for x in signed(images)]
        assert torch.equal(spy.geometry, torch.cat(coefficients))


# ------------------------------------------------------------------------------------- recovery
@pytest.mark.parametrize("name", CODES)
def test_recovery_takes_the_identity_from_the_pixels_and_a_placeholder_for_the_password(
    make: Make, faces: Tensor, published: dict[str, Tensor], name: str
) -> None:
    method, shown = make(name), published[name]
    with Spy(method) as spy:
        method.recover(shown, KEYS)
    extractor = method._model.networks.hiding_extractor
    logits = torch.cat([extractor(signed(image[None])) for image in shown])
    bits = method._code.gather(logits) > 0
    assert torch.equal(bits, method.extract_bits(shown) > 0)
    said = method.decode_bits(bits)
    direction = functional.normalize(said, dim=1) * math.sqrt(128)
    torch.testing.assert_close(spy.identity, direction, rtol=1e-5, atol=1e-6)
    hidden = method._code.spread(method.hidden_bits(faces))
    agreeing = (spy.password == hidden).float().mean(dim=(1, 2))
    torch.testing.assert_close(agreeing, torch.full((2,), 0.5), rtol=0, atol=0.06)


def test_recovery_shows_whom_the_extractor_names(make: Make, published: dict[str, Tensor]) -> None:
    method, shown = make(), published["full"]
    somebody = torch.randn(1, 128, generator=torch.Generator().manual_seed(3))
    said = floats_to_bits(somebody).float() * 20 - 10
    hook = method._model.networks.hiding_extractor.register_forward_hook(lambda *_: said)
    try:
        with Spy(method) as spy:
            method.recover(shown, KEYS)
    finally:
        hook.remove()
    torch.testing.assert_close(cosine(spy.identity, somebody), torch.ones(2), rtol=0, atol=1e-5)


def test_recovery_needs_nothing_but_pixels(
    bundles: dict[str, Path], make: Make, published: dict[str, Tensor]
) -> None:
    shown = published["full"]
    expected = make().recover(shown, KEYS)
    make().anonymize(synthetic_faces(2, 128, seed=5), OTHER_KEYS)
    assert torch.equal(make().recover(shown, KEYS), expected)
    assert torch.equal(DrDpgan(demo_card(bundles["full"]), "cpu").recover(shown, KEYS), expected)
    changed = shown.clone()
    changed[:, :, 60:68, 60:68] = 0
    difference = (make().recover(changed, KEYS) - expected).abs().amax(dim=(1, 2, 3))
    assert (difference > 1e-3).all()


@pytest.mark.parametrize("name", CODES)
def test_an_image_comes_out_the_same_in_any_company(
    make: Make, faces: Tensor, published: dict[str, Tensor], name: str
) -> None:
    method, shown = make(name), published[name]

    def alone(call: Callable[..., Tensor], images: Tensor, *others: Any) -> Tensor:
        rows = range(len(images))
        given = [[other[i : i + 1] for other in (images, *others)] for i in rows]
        return torch.cat([call(*one) for one in given])

    for call, images, *others in (
        (method.anonymize, faces, KEYS),
        (method.recover, shown, KEYS),
        (method.hidden_bits, faces),
        (method.hidden_numbers, faces),
        (method.extract_bits, shown),
        (method.decode_bits, method.hidden_bits(faces)),
    ):
        assert torch.equal(call(images, *others), alone(call, images, *others)), call


# ------------------------------------------------------------------------------------- settings
def test_noise_is_the_keys_or_never_the_same(make: Make, faces: Tensor) -> None:
    face, key = faces[:1], KEYS[:1]
    assert torch.equal(make().anonymize(face, key), make().anonymize(face, key))
    fresh = make(settings=":noise=fresh")
    one, two = fresh.anonymize(face, key), fresh.anonymize(face, key)
    assert not torch.allclose(one, two, atol=1e-3)


def test_the_guard_is_an_option(make: Make, published: dict[str, Tensor]) -> None:
    shown, raw = published["full"], make(settings=":guard=raw")
    bits = raw.extract_bits(shown) > 0
    said, guarded = raw.decode_bits(bits), make().decode_bits(bits)
    assert not bool((said.abs() <= 50).all())  # random networks say wild things
    assert guarded.abs().max() <= 50
    plausible = said.abs() <= 50
    assert torch.equal(guarded[plausible], said[plausible])
    assert raw.recover(shown, KEYS).isfinite().all()


# --------------------------------------------------------------------------------------- builds
@pytest.mark.parametrize("name", ["no E_G", "no 3DPC", "AdaIN"])
def test_other_builds_work_as_their_bundle_says(make: Make, faces: Tensor, name: str) -> None:
    method = make(name)
    with Spy(method) as spy:
        shown = method.anonymize(faces, KEYS)
    restored = method.recover(shown, KEYS)
    assert restored.shape == faces.shape and restored.isfinite().all()
    assert spy.geometry.shape == (2, 0 if name == "no 3DPC" else 8)
    full = make().anonymize(faces, KEYS)
    assert ((shown - full).abs().amax(dim=(1, 2, 3)) > 1e-3).all()
    assert torch.equal(method.hidden_bits(faces), make().hidden_bits(faces))
    keys = {"no E_G": "pyramid", "AdaIN": "convs.1.scale"}
    part = keys.get(name, "convs.1.conv.modulation")
    states = method._model.networks.anonymous_net.state_dict()
    assert any(key.startswith(part) for key in states) == (name != "no E_G")


# ---------------------------------------------------------------------------------------- cards
def test_the_suite_chooses_the_checkpoint_unless_the_user_does() -> None:
    parse = registry.methods.parse
    demo, trained = parse("drdpgan", "demo"), parse("drdpgan", "paper")
    assert (demo.template, demo.hidden_bits, demo.hidden_format) == ("ffhq-128", 4_096, "float32")
    assert (trained.template, trained.hidden_bits) == ("ffhq-256", 16_384)
    learned = parse("drdpgan:checkpoint=trained-learned")
    assert (learned.hidden_bits, learned.hidden_format) == (512, "learned")
    assert parse("drdpgan:checkpoint=demo", "paper").template == "ffhq-128"
    assert "dlib-resnet" in demo.white_box_judges
    assert trained.white_box_judges[0] == "arcface-r50-ms1mv3"
    with pytest.raises(BadConfig, match=r"no checkpoint 'mine'.*demo, demo-learned, trained"):
        parse("drdpgan:checkpoint=mine")


def test_own_weights_take_the_place_of_the_checkpoints() -> None:
    parse = registry.methods.parse
    assert parse("drdpgan:bundle=x.safetensors").files == ()
    for checkpoint in ("trained", "trained-learned"):
        own = parse(f"drdpgan:checkpoint={checkpoint}:bundle=x.safetensors")
        assert own.weights == ("arcface-r50-ms1mv3", "d3dfr")


def test_every_variant_of_the_card_can_be_built(bundles: dict[str, Path]) -> None:
    card = demo_card(bundles["full"])
    assert len(card.variants) == 4
    for settings in card.variants.values():
        written = "".join(f":{key}={value}" for key, value in settings.items())
        DrDpgan(demo_card(bundles["full"], settings=written.replace("False", "false")), "cpu")


# --------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (":guard=none", "guard must be clamp50 or raw, not 'none'"),
        (":noise=off", "noise must be key or fresh"),
        (":rate=0.0", "no way to refine.*rate above 0"),
        (":limit=-1", "no way to refine.*limit of at least 0"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(
    bundles: dict[str, Path], settings: str, message: str
) -> None:
    with pytest.raises(BadConfig, match=f"(?s){message}"):
        DrDpgan(demo_card(bundles["full"], settings=settings), "cpu")


def test_crops_of_another_size_are_refused(make: Make) -> None:
    with pytest.raises(BadData, match=r"128 x 128 pixels, not 3 x 64 x 64.*ffhq-128"):
        make().anonymize(synthetic_faces(2, 64), KEYS)


def test_a_bundle_of_another_code_is_refused(bundles: dict[str, Path]) -> None:
    with pytest.raises(BadConfig, match=r"128 pixels and 256 bits.*'demo' for 128 and 4096"):
        DrDpgan(demo_card(bundles["learned"]), "cpu")


def test_a_bundle_that_is_none_is_refused(
    bundles: dict[str, Path], dlib: None, tmp_path: Path
) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(BadData, match="is no bundle of DR-DPGAN weights"):
        DrDpgan(demo_card(path), "cpu")
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BadData, match=r"is no bundle.*anonbench train drdpgan"):
        DrDpgan(demo_card(path), "cpu")
    with pytest.raises(BadData, match="is no bundle"):
        DrDpgan(demo_card(tmp_path / "absent.safetensors"), "cpu")


def test_bundles_of_different_methods_are_not_confused(
    bundles: dict[str, Path], dlib: None, tmp_path: Path
) -> None:
    from g2face_bundles import write_bundle as write_g2face

    path = write_g2face(tmp_path / "g2face.safetensors")
    with pytest.raises(BadData, match=r"no bundle of DR-DPGAN weights.*another method"):
        DrDpgan(demo_card(path), "cpu")
    with pytest.raises(BadData, match=r"no bundle of G²Face weights.*another method.*code"):
        registry.methods.load("g2face")(
            registry.methods.parse(f"g2face:bundle={bundles['full']}"), "cpu"
        )


def test_a_bundle_without_priors_is_refused(dlib: None, tmp_path: Path) -> None:
    from drdpgan_bundles import random_networks

    from anonbench_drdpgan.checkpoints import BUNDLES

    path = tmp_path / "trained.safetensors"
    save_file(BUNDLES.pack(random_networks(small())), path)
    with pytest.raises(BadData, match=r"no fitted identity and no fitted geometry.*demo"):
        DrDpgan(demo_card(path), "cpu")


def test_a_build_knows_how_many_bits_it_hides() -> None:
    assert Build().hidden_bits == 16_384
    assert Build(code="learned").hidden_bits == 512
