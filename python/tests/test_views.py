"""Guided views, the data set, and processes."""

import multiprocessing
import pickle

import numpy as np
import pytest

import infomark

SMALL = {"view_size": 64, "pixels": 12}


def test_tracked_points_show_the_same_pixels(image):
    quiet = infomark.TierPolicy(*[((1, 1), (1, 1), (1, 1))] * 3)
    view = quiet.view(image, 3, rotation_deg=0, scale=1, **SMALL)
    assert view.image.shape == (64, 64) and view.tone == (1, 1, 1)
    assert len(view.view_points) == len(view.image_points) == 12
    for (x, y), (u, v) in zip(view.view_points, view.image_points):
        if 0 <= x <= 63 and 0 <= y <= 63:
            assert abs(view.image[round(float(y)), round(float(x))] - image[int(v), int(u)] / 255) < 0.35
    exact = [
        view.image[int(y), int(x)] == image[int(v), int(u)] / np.float32(255)
        for (x, y), (u, v) in zip(view.view_points, view.image_points)
        if float(x).is_integer() and float(y).is_integer()
    ]
    assert all(exact)


def test_views_follow_the_seed_and_the_tier(image):
    policy = infomark.TierPolicy.published()
    guided = infomark.GuidedImage(image)
    views = policy.views(guided, 5, 1, **SMALL)
    again = policy.views(guided, 5, infomark.Rng(1), **SMALL)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(views, again))
    assert not np.array_equal(views[0].image, policy.view(guided, 2, **SMALL).image)
    with pytest.raises(TypeError, match="patch"):
        policy.view(guided, 1, patch=3)
    for view in views:
        brightness, contrast, gamma = policy.ranges[view.tier]
        assert brightness[0] <= view.tone[0] <= brightness[1] and contrast[0] <= view.tone[1] <= contrast[1]
        medium, high = guided.thresholds
        served = infomark.tiers(np.float32(view.entropies)[None], (medium, high))
        # The low and the medium tier of this policy differ from the high one.
        assert (served == view.tier).all()


def test_policies_are_pickled_and_compared():
    policy = infomark.TierPolicy.published()
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert policy != infomark.TierPolicy.of_config()
    with pytest.raises(infomark.InfomarkError, match="brightness"):
        infomark.TierPolicy(((2, 1), (1, 1), (1, 1)), *[((1, 1),) * 3] * 2)
    with pytest.raises(infomark.InfomarkError, match="unknown option"):
        infomark.TierPolicy.of_config({"intensty": 1})


def dataset(image):
    return infomark.GuidedViews([image, image[::-1]], shape=(128, 96), seed=4, **SMALL)


def worker(arguments):
    data, index = arguments
    map_ = infomark.entropy_map(np.ascontiguousarray(data.images[0]))
    return data[index], float(map_.sum())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_items_are_the_same_in_other_processes(image, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    data = dataset(image)
    here = [worker((data, index)) for index in range(2)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        there = pool.map_async(worker, [(data, index) for index in range(2)]).get(timeout=120)
    for (a, first), (b, second) in zip(here, there):
        assert first == second
        for key in a:
            assert np.array_equal(a[key], b[key]), key


def test_items_have_fixed_shapes(image):
    data = dataset(image)
    item = data[1]
    assert item["view"].shape == (1, 64, 64) and item["image"].shape == (1, 128, 96)
    assert item["view_points"].shape == item["image_points"].shape == (12, 2)
    assert item["valid"].any()
    before = data[0]["view"]
    data.set_epoch(1)
    assert not np.array_equal(before, data[0]["view"])
    with pytest.raises(IndexError):
        data[2]


def test_torch_makes_batches_with_workers(image):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its DataLoader is not tried")
    loader = torch.utils.data.DataLoader(dataset(image), batch_size=2, num_workers=2)
    (batch,) = loader
    assert batch["view"].shape == (2, 1, 64, 64) and batch["view"].dtype == torch.float32
    assert np.array_equal(batch["view"][1], dataset(image)[1]["view"])


def test_monai_composes_it(image):
    transforms = pytest.importorskip("monai.transforms", reason="MONAI is not installed: its transform is not tried")
    from infomark.monai import GuidedViewd

    def run():
        chain = transforms.Compose([transforms.EnsureChannelFirstd("x", channel_dim="no_channel"), GuidedViewd("x", **SMALL)])
        chain.set_random_state(seed=3)
        return chain({"x": image.astype(np.float32) / 255})

    first, second = run(), run()
    assert first["x_view"].shape == (1, 64, 64)
    assert np.array_equal(first["x_view"], second["x_view"])
    assert first["x_view_points"].shape == first["x_image_points"].shape
