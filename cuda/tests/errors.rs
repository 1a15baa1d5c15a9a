//! What a driver or a device can't do is an error, and so is a buffer of another device.
#![cfg(not(feature = "gpu"))]

use infomark_core::{
    Affine, Elastic, InfoNce, IntensityJitter, IntensityRange, Negatives, PatchBorder, Point, Thresholds,
    TierPolicy, View, Weighting, elastic_controls_len,
};
use infomark_cuda::{
    Buffer, CudaError, Device, ElasticView, ElasticViews, Element, Features, Gradients, Images, Level, Patch,
    PointPair, SearchLevel, ViewGuide, ViewPlan,
};
use infomark_cuda_sim::{Kind, StandIn};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn drivers_devices_and_memory_that_will_not_do_are_errors() -> Outcome {
    let Some(stand_in) = StandIn::load(Kind::Plain)? else {
        return Ok(());
    };
    drivers_and_devices(stand_in)?;
    let device = Device::open()?;
    memory(stand_in, &device)?;
    buffers_of_another_device_are_refused(&device, &Device::open_at(1)?)?;
    every_call_that_fails_is_an_error(stand_in)?;
    // None of that has harmed the device.
    assert_eq!(device.download(&device.upload(&[1u8, 2, 3])?)?, [1, 2, 3]);
    Ok(device.synchronize()?)
}

fn drivers_and_devices(stand_in: StandIn) -> Outcome {
    stand_in.set_driver(12020, 9)?;
    assert_eq!(Device::open().err(), Some(CudaError::OldDriver { found: 12020, needed: 12040 }));
    stand_in.set_driver(12040, 7)?;
    assert_eq!(Device::open().err(), Some(CudaError::Capability { major: 7, minor: 0 }));
    stand_in.set_driver(13000, 9)?;
    assert!(matches!(Device::open_at(2), Err(CudaError::NoDevice { ordinal: 2, .. })));
    // A driver on a machine without a device.
    stand_in.set_failure(Some((0, 100)))?;
    assert!(matches!(Device::open(), Err(CudaError::NoDevice { ordinal: 0, .. })));
    stand_in.set_failure(None)?;
    Ok(())
}

fn memory(stand_in: StandIn, device: &Device) -> Outcome {
    stand_in.set_memory_limit(1 << 20)?;
    let full = |operation, bytes| Some(CudaError::OutOfMemory { operation, bytes });
    assert_eq!(device.zeros::<f32>(1 << 20).err(), full("zeros on the device", 4 << 20));
    assert_eq!(device.upload(&vec![0u8; 2 << 20]).err(), full("copy to the device", 2 << 20));
    assert_eq!(device.zeros::<f64>(usize::MAX).err(), full("zeros on the device", usize::MAX));
    let image = device.zeros::<u8>(600 * 600)?;
    let images = Images::new(&image, 1, 600, 600)?;
    assert_eq!(device.entropy_map(images, 9, PatchBorder::Cut).err(), full("entropy map", 1_440_000));
    stand_in.set_memory_limit(usize::MAX)?;
    device.entropy_map(images, 9, PatchBorder::Cut)?;
    Ok(())
}

/// Every operation's inputs, small. Those of one device are given to another.
struct Inputs {
    bytes: Buffer<u8>,
    floats: Buffer<f32>,
    indices: Buffer<u32>,
    pairs: Buffer<PointPair>,
    guide: ViewGuide,
    views: infomark_cuda::ViewPlans,
    elastic: ElasticViews,
    sampler: infomark_cuda::PixelSampler,
    maps: infomark_cuda::Similarities,
}

const SIDE: usize = 4;

fn features<T: infomark_cuda::Feature>(buffer: &Buffer<T>) -> Result<Features<'_, T>, CudaError> {
    Features::new(buffer, 1, 4, 2, 2, 2)
}

fn search_level(inputs: &Inputs) -> Result<SearchLevel<'_, f32>, CudaError> {
    Ok(SearchLevel { images: features(&inputs.floats)?, templates: &inputs.floats })
}

fn level<'a>(views: &'a Buffer<f32>, images: &'a Buffer<f32>) -> Result<Level<'a, f32>, CudaError> {
    let loss = InfoNce { negatives: Negatives::WholeMap, temperature: 0.1, exclusion_radius: 0 };
    Ok(Level { views: features(views)?, images: features(images)?, loss })
}

impl Inputs {
    fn new(device: &Device) -> Result<Self, Box<dyn std::error::Error>> {
        let floats = device.upload(&[0.5f32; SIDE * SIDE])?;
        let one = (1.0, 1.0);
        let plan = ViewPlan::new(0, Point::new(1.0, 1.0), 0.0, 1.0, IntensityJitter::identity())?;
        let controls = [Point::default(); elastic_controls_len(3, 2, 2)];
        let field = Elastic::new(View::new(Affine::identity(), 3, 2)?, 2, &controls)?;
        let elastic = ElasticView { image: 0, field, tone: IntensityJitter::identity() };
        Ok(Self {
            bytes: device.zeros(SIDE * SIDE)?,
            indices: device.zeros(2)?,
            pairs: device.upload(&[PointPair::NONE; 2])?,
            guide: ViewGuide {
                thresholds: Thresholds::new(1.0, 2.0)?,
                policy: TierPolicy::uniform(IntensityRange::new(one, one, one)?),
                rotation_rad: 0.1,
                scale: 1.2,
            },
            views: device.upload_views(&[plan; 2])?,
            elastic: device.upload_elastic_views(&[elastic; 2])?,
            sampler: device.pixel_sampler(Images::new(&floats, 1, SIDE, SIDE)?)?,
            maps: device
                .similarities(&[SearchLevel { images: features(&floats)?, templates: &floats }], 0.1)?,
            floats,
        })
    }

    fn images(&self) -> Result<Images<'_, u8>, CudaError> {
        Images::new(&self.bytes, 1, SIDE, SIDE)
    }

    fn map(&self) -> Result<Images<'_, f32>, CudaError> {
        Images::new(&self.floats, 1, SIDE, SIDE)
    }
}

/// The results of all operations; whether a call has failed meanwhile.
fn everything(stand_in: StandIn) -> Result<bool, Box<dyn std::error::Error>> {
    let device = Device::open()?;
    let inputs = Inputs::new(&device)?;
    let patch = Patch { image: 0, x: 0, y: 0 };
    let images = inputs.images()?;
    all(&device, &device.entropy_map(images, 3, PatchBorder::Cut)?)?;
    all(&device, &device.mutual_information(images, images, &[(patch, patch)], 2, 2)?)?;
    all(&device, &device.weight_map(inputs.map()?, Weighting::Exponential { alpha: 0.5 })?)?;
    all(&device, &device.draw_pixels(&inputs.sampler, 3, 1, 2, 3)?)?;
    device.download_views(&device.plan_views(inputs.map()?, &inputs.indices, &inputs.guide, 1, 2)?)?;
    all(&device, &device.make_views(images, &inputs.views, 3, 2, 0.0)?)?;
    all(&device, &device.push_points(&inputs.indices, &inputs.views, SIDE, 3, 2)?)?;
    all(&device, &device.make_elastic_views(images, &inputs.elastic, 0.0)?)?;
    all(&device, &device.push_elastic_points(&inputs.indices, &inputs.elastic, SIDE)?)?;
    let (mut views, mut images) = (device.zeros(SIDE * SIDE)?, device.zeros(SIDE * SIDE)?);
    let levels = [level(&inputs.floats, &inputs.floats)?];
    let mut gradients = [Gradients { views: &mut views, images: &mut images }];
    all(&device, &device.info_nce_backward(&levels, &inputs.pairs, &mut gradients, 1.0)?)?;
    device.search(&[search_level(&inputs)?], 0.1, 2)?;
    // A second stream waits for the first by events.
    let other = Device::on_stream(device.stream().context().new_stream()?)?;
    all(&other, &other.entropy_map(inputs.images()?, 3, PatchBorder::Cut)?)?;
    device.synchronize()?;
    let failed = stand_in.has_failed()?;
    // All has been computed: what fails in giving memory back harms nothing.
    stand_in.set_failure(None)?;
    Ok(failed)
}

fn all<T: Element>(device: &Device, buffer: &Buffer<T>) -> Result<(), CudaError> {
    device.download(buffer).map(drop)
}

fn every_call_that_fails_is_an_error(stand_in: StandIn) -> Outcome {
    let mut calls = 0;
    loop {
        // Unknown errors and full memory in turn.
        stand_in.set_failure(Some((calls, if calls % 2 == 0 { 999 } else { 2 })))?;
        match everything(stand_in) {
            Ok(failed) => {
                assert!(!failed, "call {calls} failed, and nobody has said so");
                break;
            }
            Err(_) => calls += 1,
        }
    }
    assert!(calls > 100, "only {calls} calls can fail");
    Ok(())
}

fn buffers_of_another_device_are_refused(device: &Device, other: &Device) -> Outcome {
    /// The operation says that a buffer is another device's.
    #[track_caller]
    fn foreign<T>(result: Result<T, CudaError>, operation: &'static str) {
        assert_eq!(result.err(), Some(CudaError::OtherDevice { operation }));
    }
    let (here, there) = (Inputs::new(device)?, Inputs::new(other)?);
    let (own, strange) = (here.images()?, there.images()?);
    let (map, strange_map) = (here.map()?, there.map()?);
    let patch = Patch { image: 0, x: 0, y: 0 };
    foreign(device.download(&there.floats), "copy from the device");
    foreign(device.entropy_map(strange, 3, PatchBorder::Cut), "entropy map");
    for (first, second) in [(strange, own), (own, strange)] {
        foreign(device.mutual_information(first, second, &[(patch, patch)], 2, 2), "mutual information");
    }
    foreign(device.weight_map(strange_map, Weighting::Piecewise { threshold: 1.0 }), "weight map");
    foreign(device.pixel_sampler(strange_map), "pixel sampler");
    foreign(device.draw_pixels(&there.sampler, 1, 1, 2, 3), "draw pixels");
    for (map, centres) in [(strange_map, &here.indices), (map, &there.indices)] {
        foreign(device.plan_views(map, centres, &here.guide, 1, 2), "draw views");
    }
    foreign(device.download_views(&there.views), "copy from the device");
    for (images, views) in [(strange, &here.views), (own, &there.views)] {
        foreign(device.make_views(images, views, 3, 2, 0.0), "make views");
    }
    for (points, views) in [(&there.indices, &here.views), (&here.indices, &there.views)] {
        foreign(device.push_points(points, views, SIDE, 3, 2), "push points");
    }
    for (images, views) in [(strange, &here.elastic), (own, &there.elastic)] {
        foreign(device.make_elastic_views(images, views, 0.0), "make elastic views");
    }
    for (points, views) in [(&there.indices, &here.elastic), (&here.indices, &there.elastic)] {
        foreign(device.push_elastic_points(points, views, SIDE), "push elastic points");
    }
    for (views, images, pairs) in [
        (&there.floats, &here.floats, &here.pairs),
        (&here.floats, &there.floats, &here.pairs),
        (&here.floats, &here.floats, &there.pairs),
    ] {
        foreign(device.info_nce(&[level(views, images)?], pairs), "InfoNCE");
    }
    let (mut own_grad, mut strange_grad) = (device.zeros::<f32>(16)?, other.zeros::<f32>(16)?);
    let levels = [level(&here.floats, &here.floats)?];
    let mut gradients = [Gradients { views: &mut own_grad, images: &mut strange_grad }];
    foreign(device.info_nce_backward(&levels, &here.pairs, &mut gradients, 1.0), "InfoNCE");
    let mut gradients = [Gradients { views: &mut strange_grad, images: &mut own_grad }];
    foreign(device.info_nce_backward(&levels, &here.pairs, &mut gradients, 1.0), "InfoNCE");
    for (images, templates) in [(&there.floats, &here.floats), (&here.floats, &there.floats)] {
        let level = SearchLevel { images: features(images)?, templates };
        foreign(device.search(&[level], 0.1, 1), "search");
    }
    foreign(device.highest(&there.maps, 1), "search");
    // Each is as good as ever on its own.
    assert_eq!(device.download(&here.floats)?, other.download(&there.floats)?);
    Ok(())
}
