"""Values against naive twins in NumPy; layouts, types and what is refused."""

import pickle
import threading
import time

import numpy as np
import pytest

import infomark


def entropy_of(patch):
    counts = np.bincount(patch.ravel(), minlength=256)
    shares = counts[counts > 0] / patch.size
    return -(shares * np.log(shares)).sum()


def test_entropies_are_those_of_the_definition(noise):
    k = 5
    map_ = infomark.entropy_map(noise, k)
    for y, x in [(0, 0), (20, 25), (39, 49), (1, 48)]:
        patch = noise[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        assert abs(map_[y, x] - entropy_of(patch)) < 1e-5
    single = infomark.entropy_map(noise, k, dtype=np.float32)
    assert single.dtype == np.float32
    assert np.abs(single - map_).max() < 1e-5
    assert infomark.entropy_map(noise, k, step=3).shape == (14, 17)
    assert np.array_equal(infomark.entropy_map(noise, k, mask=np.ones(noise.shape, bool)), map_)


def test_strided_images_give_what_their_copies_do(noise):
    wide = np.zeros((40, 200), np.uint8)
    wide[:, ::4] = noise
    for view in (wide[:, ::4], np.asfortranarray(noise), noise[::-1][::-1]):
        assert np.array_equal(infomark.entropy_map(view), infomark.entropy_map(noise))
    levels = noise.astype(np.float32) / np.float32(255)
    assert np.array_equal(infomark.entropy_map(levels), infomark.entropy_map(noise))


def test_out_is_filled_and_returned(noise):
    out = np.full(noise.shape, np.nan)
    assert infomark.entropy_map(noise, out=out) is out
    assert np.array_equal(out, infomark.entropy_map(noise))
    with pytest.raises(ValueError):
        infomark.entropy_map(noise, out=np.empty((3, 3)))
    with pytest.raises(ValueError):
        infomark.entropy_map(noise, out=np.empty((40, 100))[:, ::2])
    # Contiguous, but column by column.
    with pytest.raises(ValueError, match="C-contiguous"):
        infomark.entropy_map(noise, out=np.empty(noise.shape, order="F"))
    with pytest.raises(ValueError, match="C-contiguous"):
        infomark.resample(noise, (20, 20), (20, 30), out=np.empty((20, 30), np.uint8, order="F"))


def test_arrays_of_the_other_byte_order_are_taken_and_not_written(noise):
    other = noise.astype(np.uint16).astype(">u2" if np.little_endian else "<u2")
    words = noise.astype(np.uint16)
    assert infomark.mutual_information(other, other, window=(0, 255)) == infomark.mutual_information(words, words, window=(0, 255))
    assert np.array_equal(infomark.entropy_map(other), infomark.entropy_map(words))
    entropy = infomark.entropy_map(noise)
    swapped = entropy.astype(entropy.dtype.newbyteorder())
    assert np.array_equal(infomark.tiers(swapped), infomark.tiers(entropy))
    with pytest.raises(TypeError, match="byte order"):
        infomark.entropy_map(noise, out=swapped)
    entropy.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        infomark.entropy_map(noise, out=entropy)


def test_points_off_their_map_are_refused():
    features = np.ones((2, 4, 5), np.float32)
    assert np.isfinite(infomark.info_nce(features, features, [(-0.5, 0)], [(19.4, 15.4)], 4))
    for point in [(-0.6, 0), (19.5, 0), (0, 15.5), (np.nan, 0), (1e30, 0)]:
        with pytest.raises(infomark.InfomarkError, match="point 0 of the view"):
            infomark.info_nce(features, features, [point], [(0, 0)], 4)
        with pytest.raises(infomark.InfomarkError, match="point 1 of the image"):
            infomark.info_nce_gradient(features, features, [(0, 0)] * 2, [(0, 0), point], 4)


def test_sizes_beyond_reason_are_refused(noise):
    for border in ("mirror", "clamp"):
        for shape in ("square", "disk"):
            with pytest.raises(infomark.InfomarkError, match="too large"):
                infomark.entropy_map(noise, 2**40, shape=shape, border=border)
    assert np.isfinite(infomark.entropy_map(noise, 2**40)).all()
    with pytest.raises(ValueError, match="at most"):
        infomark.sample_pixels(np.ones((5, 5)), 10**10, 0)
    huge = np.broadcast_to(np.uint8(7), (30000, 30000))
    with pytest.raises(ValueError, match="scale it down"):
        infomark.GuidedImage(huge)


@pytest.mark.parametrize(
    ("image", "kind", "words"),
    [
        (np.zeros((5, 5)), TypeError, "uint8, uint16 or float32"),
        (np.zeros((5, 5, 3), np.uint8), ValueError, "2 dimensions"),
        (np.full((5, 5), np.nan, np.float32), ValueError, r"\[0, 1\]"),
        (np.full((5, 5), 2, np.float32), ValueError, r"\[0, 1\]"),
        ([[1, 2]], TypeError, "NumPy array"),
    ],
)
def test_what_is_no_image_is_refused(image, kind, words):
    with pytest.raises(kind, match=words):
        infomark.entropy_map(image)


def test_refusals_have_the_words_of_the_core(noise):
    with pytest.raises(infomark.InfomarkError, match="side is 0 pixels"):
        infomark.entropy_map(noise, 0)
    with pytest.raises(infomark.InfomarkError, match="border"):
        infomark.entropy_map(noise, border="wrap")
    with pytest.raises(infomark.InfomarkError, match="not a finite number"):
        infomark.weight_map(np.full((3, 3), np.nan))
    with pytest.raises(infomark.InfomarkError, match="no pixel has a weight"):
        infomark.sample_pixels(np.zeros((3, 3)), 1, 0)


def test_tiers_and_weights_are_those_of_the_definition(noise):
    entropy = infomark.entropy_map(noise)
    thresholds = infomark.tier_thresholds(entropy, 0.25, 0.5)
    assert np.allclose(thresholds, np.quantile(entropy, [0.25, 0.5]), atol=1e-12)
    tiers = infomark.tiers(entropy, thresholds)
    assert np.array_equal(tiers, np.digitize(entropy, thresholds))
    assert np.allclose(infomark.weight_map(entropy, alpha=2), entropy**2)
    assert np.array_equal(infomark.weight_map(entropy, least=thresholds[1]), (entropy >= thresholds[1]) * 1.0)


def test_pixels_are_drawn_by_weight_and_by_seed():
    weights = np.zeros((6, 8))
    weights[2, 3], weights[4, 7] = 1, 3
    drawn = infomark.sample_pixels(weights, 4000, 5)
    assert {tuple(row) for row in drawn.tolist()} == {(3, 2), (7, 4)}
    assert abs((drawn[:, 0] == 7).mean() - 0.75) < 0.03
    assert np.array_equal(drawn, infomark.sample_pixels(weights, 4000, 5))
    rng = infomark.Rng(5)
    halves = [infomark.sample_pixels(weights, 2000, rng) for _ in range(2)]
    assert np.array_equal(np.concatenate(halves), drawn)
    generator = infomark.sample_pixels(weights, 9, np.random.default_rng(3))
    assert np.array_equal(generator, infomark.sample_pixels(weights, 9, np.random.default_rng(3)))
    apart = infomark.sample_pixels(np.ones((30, 30)), 10_000, 0, apart=6.0)
    distances = np.linalg.norm(apart[:, None] - apart[None], axis=2) + 99 * np.eye(len(apart))
    assert 5 < len(apart) < 40 and distances.min() >= 6


def test_random_numbers_go_on_after_pickling():
    rng = infomark.Rng(7, 3)
    rng.uniform()
    assert pickle.loads(pickle.dumps(rng)).uniform() == rng.uniform()


def test_mutual_information_is_that_of_the_definition():
    random = np.random.default_rng(1)
    a = random.integers(0, 8, (20, 30), dtype=np.uint8)
    b = (a + random.integers(0, 2, a.shape)).astype(np.uint8)
    table = np.histogram2d(a.ravel(), b.ravel(), bins=[np.arange(257)] * 2)[0] / a.size
    outer = table.sum(1)[:, None] * table.sum(0)[None]
    there = table > 0
    expected = (table[there] * np.log(table[there] / outer[there])).sum()
    assert abs(infomark.mutual_information(a, b) - expected) < 1e-5
    assert infomark.mutual_information(a, b) == infomark.mutual_information(b, a)
    words = infomark.mutual_information(a.astype(np.uint16), b.astype(np.uint16), window=(0, 255))
    assert words == infomark.mutual_information(a, b)
    with pytest.raises(infomark.InfomarkError, match="window"):
        infomark.mutual_information(a.astype(np.uint16), b.astype(np.uint16))
    with pytest.raises(infomark.InfomarkError, match="20 x 30|30 x 20"):
        infomark.mutual_information(a, b[:, :4])
    with pytest.raises(infomark.InfomarkError, match="bins"):
        infomark.mutual_information(a, b, bins=7)


def test_the_loss_and_its_gradient_are_those_of_the_definition():
    random = np.random.default_rng(2)
    view = random.normal(size=(3, 4, 5)).astype(np.float32)
    image = random.normal(size=(3, 6, 7)).astype(np.float32)
    at, to = [(1.0, 2.0), (17.0, 9.0)], [(3.0, 1.0), (20.0, 20.0)]

    def naive(view, image):
        total = 0.0
        for (x, y), (u, v) in zip(at, to):
            anchor = view[:, int((y + 0.5) // 4), int((x + 0.5) // 4)].astype(float)
            logits = np.tensordot(anchor, image.astype(float), 1) / 0.5
            total += np.log(np.exp(logits).sum()) - logits[int((v + 0.5) // 4), int((u + 0.5) // 4)]
        return total

    loss = infomark.info_nce(view, image, at, to, 4, temperature=0.5)
    assert abs(loss - naive(view, image)) < 1e-4
    again, of_view, of_image = infomark.info_nce_gradient(view, image, at, to, 4, temperature=0.5)
    assert again == loss
    for gradient, which in ((of_view, 0), (of_image, 1)):
        index = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        ends = []
        for change in (1e-3, -1e-3):
            maps = [view.astype(float), image.astype(float)]
            maps[which][index] += change
            ends.append(naive(*maps))
        assert abs((ends[0] - ends[1]) / 2e-3 - gradient[index]) < 1e-3
    infomark.info_nce_gradient(view, image, at, to, 4, temperature=0.5, out=(of_view, of_image))
    assert np.allclose(of_view, 2 * infomark.info_nce_gradient(view, image, at, to, 4, temperature=0.5)[1])
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        infomark.info_nce(view, image, [1, 2], to, 4)
    with pytest.raises(infomark.InfomarkError, match="temperature"):
        infomark.info_nce(view, image, at, to, 4, temperature=0)


def test_a_view_that_moves_nothing_is_the_image(noise):
    same = infomark.resample(noise, (24.5, 19.5), noise.shape)
    assert np.array_equal(same, noise)
    assert np.array_equal(infomark.tone(noise), noise)
    dark = infomark.tone(noise, brightness=0.5)
    assert abs(dark.astype(int) - noise / 2).max() <= 1


def test_other_threads_run_meanwhile():
    image = np.random.default_rng(0).integers(0, 256, (3000, 3000), dtype=np.uint8)
    took = []

    def work():
        start = time.perf_counter()
        infomark.entropy_map(image, 64)
        took.append((start, time.perf_counter()))

    thread = threading.Thread(target=work)
    thread.start()
    ticks = []
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    (start, end), = took
    inside = sum(start < tick < end for tick in ticks)
    assert inside > 10, f"{inside} ticks in {end - start:.3f} s"
