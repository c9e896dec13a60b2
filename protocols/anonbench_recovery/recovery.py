"""`recovery`: how far recovered images are from the originals, pixel by pixel and to the eye."""

import math

import numpy as np

from anonbench import registry
from anonbench.cards import ProtocolCard
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import no_metric, read_settings
from anonbench.measuring.embeddings import joined_counts, joined_embeddings
from anonbench.measuring.images import chosen, image_scores, mean_metric, used
from anonbench.metrics.image_quality import mean_absolute_error, mean_squared_error, psnr, ssim
from anonbench.metrics.verification import squared_distances
from anonbench.results.record import Counts, Metric, Reduction
from anonbench.values import Needs, Scores
from anonbench_recovery.options import RecoveryOptions

PIXELS = ("absolute", "squared", "ssim")
STORED = "images recovered from a stored latent"
BYTES = "bytes of latent kept per image"


class Recovery:
    """Images are published, recovered from what was published, and compared with the originals.

    Both are compared as aligned crops of the method's size. Pixels need no judge; the perceptual
    distance and the cosine of identities are a judge's. What a method recovers from more than the
    published image and the key is counted as such.

    Args:
        card: Its config has `images`, `ssim`, `bootstrap`, `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(RecoveryOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """The first `limit` images, recovered, and their references.

        Raises:
            BadData: The dataset has no pairs, but `images=probes`.
        """
        ids = chosen(dataset, self.options, limit)
        return Needs(reference=ids, recovered=ids)

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of N images.

        Returns:
            The arrays of `images.image_scores`; of a perceptual judge `distance`, of a recogniser
            `cosine` and the numbers of `embeddings.Joined.unseen_scores`, without a judge
            `absolute` and `squared` (mean errors in `[0, 1]`) and `ssim`; `needs_latent` of the
            method, and `latent_bytes`, how many are kept of each image.
        """
        latent = {
            "needs_latent": np.array(evidence.method.needs_latent),
            "latent_bytes": np.array(evidence.latent_bytes),
        }
        if not judge:
            return self._pixels(dataset, evidence) | latent
        if registry.judges.card(judge).kind == "recognition":
            ids = chosen(dataset, self.options, limit)
            return _cosines(dataset, evidence, judge, ids) | latent
        told = evidence.distances("recovered", judge)
        return image_scores(dataset, told.ids, told.failed, {"distance": told.values}) | latent

    def _pixels(self, dataset: Dataset, evidence: Evidence) -> Scores:
        ids, failed, rows = [], {}, []
        for crops in evidence.crops("original", "recovered"):
            if crops.failed:
                failed[crops.id] = crops.failed
                continue
            first, second = crops.images
            ids.append(crops.id)
            rows.append(
                (
                    mean_absolute_error(first, second),
                    mean_squared_error(first, second),
                    ssim(first, second, self.options.ssim),
                )
            )
        table = np.array(rows, dtype=np.float64).reshape(-1, len(PIXELS))
        return image_scores(dataset, ids, failed, dict(zip(PIXELS, table.T, strict=True)))

    def reduce(self, scores: Scores) -> Reduction:
        """MAE, PSNR and SSIM, or what a judge says, as means over images.

        Raises:
            BadData: No image could be recovered.
        """
        if "distance" in scores:
            metrics = [self._mean("lpips", scores, "distance")]
        elif "cosine" in scores:
            metrics = [self._mean("cosine-recovered", scores, "cosine")]
        else:
            metrics = [
                self._mean("mae", scores, "absolute", twice="of images in [-1, 1]"),
                self._psnr(scores),
                self._mean("ssim", scores, "ssim"),
            ]
        return Reduction(metrics=tuple(metrics), counts=_counts(scores))

    def _mean(self, name: str, scores: Scores, column: str, twice: str = "") -> Metric:
        values = scores[column].astype(np.float64)[used(scores)]
        detail = {twice: 2 * float(values.mean())} if twice else None
        return mean_metric(self.card, self.options, name, scores, values, detail=detail)

    def _psnr(self, scores: Scores) -> Metric:
        """The mean over images, and beside it the PSNR of their mean squared error."""
        squared = scores["squared"].astype(np.float64)[used(scores)]
        values = np.array([psnr(error) for error in squared])
        of_mean = psnr(float(squared.mean()))
        detail = {"of the mean squared error": of_mean} if math.isfinite(of_mean) else {}
        if exact := int(np.isinf(values).sum()):
            reason = f"infinite: {exact} of {len(values)} images are recovered exactly"
            return no_metric(self.card, "psnr", reason, detail)
        return mean_metric(self.card, self.options, "psnr", scores, values, detail=detail)


def _cosines(dataset: Dataset, evidence: Evidence, judge: str, ids: tuple[str, ...]) -> Scores:
    """Cosines between references and recovered images."""
    both = joined_embeddings(evidence, judge, ("reference", "recovered"), ids)
    apart = squared_distances(both.vectors["reference"], both.vectors["recovered"])
    columns: Scores = {"cosine": 1 - apart / 2}
    return image_scores(dataset, both.ids, both.failed, columns) | both.unseen_scores


def _counts(scores: Scores) -> Counts:
    """Also how many images came back only with the help of a latent that somebody stored."""
    counts = joined_counts(scores)
    if not bool(scores.get("needs_latent", False)):
        return counts
    stored = {STORED: counts.used, BYTES: int(scores["latent_bytes"])}
    return counts.model_copy(update={"detail": {**counts.detail, **stored}})
