"""`recovery`: how far recovered images are from the originals, pixel by pixel and to the eye."""

import math

import numpy as np

from anonbench.cards import ProtocolCard
from anonbench.interfaces import Dataset, Evidence, Needs, Scores
from anonbench.measuring import no_metric, read_settings
from anonbench.measuring.images import chosen, image_counts, image_scores, mean_metric, used
from anonbench.metrics.image_quality import mean_absolute_error, mean_squared_error, psnr, ssim
from anonbench.results.record import Metric, Reduction
from anonbench_recovery.options import RecoveryOptions

PIXELS = ("absolute", "squared", "ssim")


class Recovery:
    """Images are published, recovered from what was published, and compared with the originals.

    Both are compared as aligned crops of the method's size. Pixels need no judge; the perceptual
    distance is a judge's.

    Args:
        card: Its config has `images`, `ssim`, `bootstrap`, `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(RecoveryOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """The first `limit` images, recovered.

        Raises:
            BadData: The dataset has no pairs, but `images=probes`.
        """
        return Needs(recovered=chosen(dataset, self.options, limit))

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of N images.

        Returns:
            The arrays of `images.image_scores`, and of a judge `distance`, without one
            `absolute` and `squared` (mean errors in `[0, 1]`) and `ssim`.
        """
        if judge:
            told = evidence.distances("recovered", judge)
            return image_scores(dataset, told.ids, told.failed, {"distance": told.values})
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
        """MAE, PSNR and SSIM, or the perceptual distance of a judge, as means over images.

        Raises:
            BadData: No image could be recovered.
        """
        if "distance" in scores:
            metrics = [self._mean("lpips", scores, "distance")]
        else:
            metrics = [
                self._mean("mae", scores, "absolute", twice="of images in [-1, 1]"),
                self._psnr(scores),
                self._mean("ssim", scores, "ssim"),
            ]
        return Reduction(metrics=tuple(metrics), counts=image_counts(scores))

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
