import pytest
import torch
from torch import Tensor

from anonbench.errors import BadConfig
from anonbench_drdpgan.code_fit import fit_code, imbalance, measure
from anonbench_drdpgan.codes import Code, Ieee754, LearnedCode, above_mean

N = 8  # floats of an identity: 256 places, 16x16 in the image


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def codes() -> list[Code]:
    return [Ieee754(N), Ieee754(N, "raw"), LearnedCode(N, 32, 16), LearnedCode(N, 256, 16)]


@pytest.mark.parametrize("code", codes())
def test_bits_come_back_from_the_password(code: Code) -> None:
    bits = code.encode(torch.randn(3, N))
    assert bits.shape == (3, code.count)
    password = code.spread(bits)
    assert password.dtype == torch.bool
    assert password.shape == (3, N, 32)
    assert torch.equal(code.gather(password.float() * 6 - 3) > 0, bits)


def test_ieee_bits_are_exact_and_guarded() -> None:
    identity = torch.randn(5, N)
    code = Ieee754(N)
    assert torch.equal(code.decode(code.encode(identity)), identity)
    far = identity.clone()
    far[0, 0] = 1e20
    assert code.decode(code.encode(far))[0, 0] == 0
    assert torch.equal(Ieee754(N, "raw").decode(code.encode(far)), far)
    assert code.spread(code.encode(torch.tensor([[-0.0] + [0.0] * 7]))).nonzero().tolist() == [
        [0, 0, 0]
    ]


@pytest.mark.parametrize("count", [0, -4, 3, 96, 512])
def test_a_code_that_does_not_fill_the_password_is_refused(count: int) -> None:
    with pytest.raises(BadConfig, match="cannot be repeated to fill the 256 bits"):
        LearnedCode(N, count)


def test_a_wrong_minority_of_the_repeats_changes_nothing() -> None:
    code = LearnedCode(N, 32, 16)  # 8 repeats
    bits = code.encode(torch.randn(4, N))
    logits = (code.spread(bits).float() * 2 - 1).flatten(1)
    for row in logits:
        for places in code.places.T:  # other repeats of each bit
            row[places[torch.randperm(8)[:3]]] *= -1
    assert torch.equal(code.gather(logits.view(4, N, 32)) > 0, bits)
    expected = (bits.float() * 2 - 1) * (5 - 3) / 8
    torch.testing.assert_close(code.gather(logits.view(4, N, 32)), expected)


@pytest.mark.parametrize(("count", "least"), [(128, 6.0), (256, 8.0), (512, 16.0), (1024, 25.0)])
def test_repeats_lie_far_apart_in_the_image(count: int, least: float) -> None:
    places = LearnedCode(128, count, 4).places  # the 64x64 positions of a 128-pixel image
    assert torch.equal(places.flatten().sort().values, torch.arange(4096))
    for repeats in places.T[:: count // 16]:
        points = torch.stack([repeats // 64, repeats % 64], dim=1).float()
        assert torch.pdist(points).min() >= least


def test_the_threshold_is_the_mean_of_the_vector() -> None:
    values = torch.tensor([[0.1, 0.2, 0.9, 0.0], [0.5, 0.5, 0.5, 0.5], [0.0, 1.0, 0.5, 0.5]])
    expected = [[False, False, True, False], [True] * 4, [False, True, True, True]]
    assert above_mean(values).tolist() == expected


def test_encoding_thresholds_the_sigmoid() -> None:
    code = LearnedCode(N, 32, 16).eval()
    identity = torch.randn(3, N)
    values = code.mapping(identity)
    assert ((values > 0) & (values < 1)).all()
    assert torch.equal(code.encode(identity), values >= values.mean(dim=1, keepdim=True))


def test_the_gradient_passes_the_threshold_unchanged() -> None:
    code = LearnedCode(N, 32, 16).eval()
    identity, slope = torch.randn(3, N), torch.randn(3, 32)
    bits = code.quantised(identity)
    assert set(bits.detach().unique().tolist()) == {0.0, 1.0}
    weights = list(code.mapping.parameters())
    found = torch.autograd.grad((bits * slope).sum(), weights)
    expected = torch.autograd.grad((code.mapping(identity) * slope).sum(), weights)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_pretraining_reaches_mapping_and_decoder() -> None:
    code = LearnedCode(N, 32, 16)
    before = {name: value.detach().clone() for name, value in code.named_parameters()}
    fit_code(code, torch.randn(64, N), steps=4, settling=0, batch=16)
    moved = {name for name, value in code.named_parameters() if not value.equal(before[name])}
    assert moved == before.keys()


def test_settling_moves_the_decoder_alone() -> None:
    code = LearnedCode(N, 32, 16)
    before = {name: value.detach().clone() for name, value in code.named_parameters()}
    fit_code(code, torch.randn(64, N), steps=0, settling=3, batch=16)
    moved = {name for name, value in code.named_parameters() if not value.equal(before[name])}
    assert moved == {name for name in before if name.startswith("decoder.")}


def test_an_untrained_mapping_projects_its_input() -> None:
    layers = LearnedCode(N, 32, 16).eval().mapping[:-1]
    a, b = torch.randn(2, 5, N)
    torch.testing.assert_close(layers(2 * a - b), 2 * layers(a) - layers(b))
    torch.testing.assert_close(layers(a).norm(dim=1), a.norm(dim=1))  # no direction is lost
    with pytest.raises(BadConfig, match="cannot be 15 wide"):
        LearnedCode(N, 32, 15)


def test_dropout_disturbs_training_only() -> None:
    code, identity = LearnedCode(N, 32, 16), torch.randn(20, N)
    assert not torch.equal(code.encode(identity), code.encode(identity))
    code.eval()
    assert torch.equal(code.encode(identity), code.encode(identity))


def low_rank(count: int) -> Tensor:
    """Identities that vary in three directions, each value with variance one."""
    basis = torch.nn.functional.normalize(torch.randn(3, N), dim=0)
    return torch.randn(count, 3) @ basis


def test_a_fitted_code_keeps_identities_and_its_bits_are_balanced() -> None:
    embeddings = low_rank(1200)
    code = LearnedCode(N, 64, 48, dropout=0.2)
    projections = LearnedCode(N, 64, 48)
    fit_code(projections, embeddings[:1000], steps=0, settling=0)
    fit_code(code, embeddings[:1000], steps=150, settling=100, batch=64, rate=5e-3)
    assert not code.training
    fitted, projected = (measure(each, embeddings[1000:]) for each in (code, projections))
    variance = float((embeddings[1000:] - embeddings[:1000].mean(dim=0)).square().mean())
    assert fitted.fmse < projected.fmse < 0.25 * variance
    # Signs of projections keep directions but no lengths; training buys lengths with directions.
    assert projected.cosine > 0.95
    assert fitted.cosine > 0.85
    assert fitted.imbalance < 0.1
    wrong = measure(code, embeddings[1000:], flips=0.1)
    assert fitted.fmse < wrong.fmse < variance


def test_no_wrong_bit_leaves_the_error_of_the_decoder_itself() -> None:
    identity = torch.randn(6, N)
    code = LearnedCode(N, 32, 16).eval()
    read = code.gather(code.spread(code.encode(identity)).float() - 0.5) > 0
    own = code.decoder((code.mapping(identity) >= code.mapping(identity).mean(1, True)) * 2.0 - 1)
    expected = (own - identity).square().mean().item()
    assert (code.decode(read) - identity).square().mean().item() == expected
    assert measure(code, identity).fmse == expected
    assert measure(Ieee754(N), identity).fmse == 0


def test_imbalance_counts_bits_that_never_vary() -> None:
    bits = torch.tensor([[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]])
    assert imbalance(bits).item() == pytest.approx(0.5)
