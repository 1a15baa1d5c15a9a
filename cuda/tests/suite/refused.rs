//! What does not fit is refused, with the operation and the shapes; nothing panics.

use super::{Outcome, Setting};
use infomark_core::{
    Affine, AugmentError, Elastic, InfoNce, IntensityJitter, IntensityRange, Negatives, PatchBorder, Point,
    SampleError, Thresholds, TierPolicy, View, Weighting, elastic_controls_len,
};
use infomark_cuda::{
    CudaError, Device, ElasticView, Features, Gradients, Images, Level, Patch, PointPair, SearchLevel,
    Similarities, ViewGuide, ViewPlan,
};

pub(crate) fn run(setting: &Setting<'_>) -> Outcome {
    let device = setting.device;
    shapes(device)?;
    entropy_and_information(device)?;
    sampling(device)?;
    views(device)?;
    elastic_views(device)?;
    loss(device)?;
    search(device)?;
    // None of that has harmed the device.
    assert_eq!(device.download(&device.upload(&[1u8, 2, 3])?)?, [1, 2, 3]);
    Ok(device.synchronize()?)
}

/// The operation refuses shapes that do not fit, and gives these of their numbers.
#[track_caller]
fn unfit<T>(result: Result<T, CudaError>, wanted: &str, numbers: &[usize]) {
    match result.err() {
        Some(CudaError::Shape { operation, reason }) if operation == wanted => {
            let given: Vec<&str> = reason.split(|c: char| !c.is_ascii_digit()).collect();
            let lacks = numbers.iter().find(|number| !given.contains(&number.to_string().as_str()));
            assert!(lacks.is_none(), "{reason:?} lacks some of {numbers:?}");
        }
        other => panic!("{wanted}: {other:?}"),
    }
}

/// A buffer of `found` elements is refused where `expected` are needed.
#[track_caller]
fn unfit_length<T>(result: Result<T, CudaError>, found: usize, expected: usize) {
    match result.err() {
        Some(CudaError::Length { len, needed, .. }) => assert_eq!((len, needed), (found, expected)),
        other => panic!("{other:?}"),
    }
}

/// The operation refuses the value of a parameter.
#[track_caller]
fn unusable<T>(result: Result<T, CudaError>, wanted: &str, parameter: &str, refused: f32) {
    match result.err() {
        Some(CudaError::Parameter { operation, name, value, .. }) => {
            assert_eq!((operation, name), (wanted, parameter));
            assert!(value == f64::from(refused) || value.is_nan() && refused.is_nan(), "{value}");
        }
        other => panic!("{wanted}: {other:?}"),
    }
}

fn shapes(device: &Device) -> Outcome {
    let bytes = device.zeros::<u8>(12)?;
    unfit_length(Images::new(&bytes, 1, 4, 4), 12, 16);
    unfit_length(Images::new(&bytes, 1, 2, 4), 12, 8);
    unfit(Images::with_stride(&bytes, 1, 4, 3, 3), "images", &[3, 4]);
    unfit_length(Images::with_stride(&bytes, 1, 3, 3, 5), 12, 13);
    unfit(Images::new(&bytes, 0, 1 << 24, 1), "images", &[1 << 24]);
    unfit(Images::new(&bytes, usize::MAX, 1, 1), "images", &[usize::MAX]);
    unfit_length(Images::with_stride(&bytes, 2, 1, 2, usize::MAX), 12, usize::MAX);
    // No pixels need no memory, however far apart they are.
    let no_views = device.upload_views(&[])?;
    for (count, width) in [(0, 3), (2, 0)] {
        let none = Images::with_stride(&bytes, count, width, 2, usize::MAX)?;
        assert!(device.entropy_map(none, 3, PatchBorder::Cut)?.is_empty());
        assert!(device.mutual_information(none, none, &[], 1, 1)?.is_empty());
        assert!(device.make_views(none, &no_views, 2, 2, 0.0)?.is_empty());
    }
    let row = Images::with_stride(&bytes, 1, 4, 1, usize::MAX)?;
    assert_eq!(device.download(&device.entropy_map(row, 3, PatchBorder::Clamp)?)?, [0.0; 4]);
    let floats = device.zeros::<f32>(12)?;
    unfit_length(Features::new(&floats, 1, 3, 2, 3, 4), 12, 18);
    unfit(Features::new(&floats, 1, 0, 2, 3, 4), "features", &[0, 2, 3, 4]);
    unfit(Features::new(&floats, 1, 1025, 2, 3, 4), "features", &[1025]);
    unfit(Features::new(&floats, 1, 2, 2, 3, 0), "features", &[0]);
    Ok(())
}

fn entropy_and_information(device: &Device) -> Outcome {
    let bytes = device.zeros::<u8>(12)?;
    let images = Images::new(&bytes, 1, 4, 3)?;
    for side in [0, 65] {
        unfit(device.entropy_map(images, side, PatchBorder::Clamp), "entropy map", &[side]);
    }
    let at = |image, x, y| Patch { image, x, y };
    let pair = |first, second| device.mutual_information(images, images, &[(first, second)], 3, 2).map(drop);
    assert_eq!(pair(at(0, 1, 1), at(0, 0, 0)), Ok(()));
    for wrong in [at(1, 0, 0), at(0, 2, 0), at(0, 0, 2), at(0, usize::MAX, 0)] {
        unfit(pair(wrong, at(0, 0, 0)), "mutual information", &[0, 3, 2, 4, 3]);
        unfit(pair(at(0, 0, 0), wrong), "mutual information", &[0, 3, 2, 4, 3]);
    }
    for (width, height) in [(0, 1), (65, 64), (usize::MAX, 2)] {
        let none = device.mutual_information(images, images, &[], width, height);
        unfit(none, "mutual information", &[width, height]);
    }
    Ok(())
}

fn sampling(device: &Device) -> Outcome {
    let weights = |values: &[f32]| device.upload(values);
    let map = weights(&[1.0, 2.0, f32::NAN, -1.0])?;
    let images = Images::new(&map, 2, 2, 1)?;
    let uniform = Weighting::Exponential { alpha: 0.0 };
    let value = |operation| Some(CudaError::Value { operation, image: 1, x: 0, y: 0 });
    assert_eq!(device.weight_map(images, uniform).err(), value("weight map"));
    assert_eq!(device.pixel_sampler(images).err(), value("pixel sampler"));
    unusable(
        device.weight_map(images, Weighting::Exponential { alpha: -0.5 }),
        "weight map",
        "exponent",
        -0.5,
    );
    let nan = device.weight_map(images, Weighting::Piecewise { threshold: f32::NAN });
    unusable(nan, "weight map", "threshold", f32::NAN);
    let gaps = weights(&[1.0; 7])?;
    let with_gaps = Images::with_stride(&gaps, 1, 3, 2, 4)?;
    unfit(device.weight_map(with_gaps, uniform), "weight map", &[4]);
    unfit(device.pixel_sampler(with_gaps), "pixel sampler", &[4]);
    let second_empty = weights(&[0.0, 1.0, 0.0, 0.0])?;
    let sampler = device.pixel_sampler(Images::new(&second_empty, 2, 2, 1)?).err();
    assert_eq!(sampler, Some(CudaError::Sample { image: 1, source: SampleError::Empty }));
    let nothing = weights(&[])?;
    let sampler = device.pixel_sampler(Images::new(&nothing, 0, 2, 1)?).err();
    assert_eq!(sampler, Some(CudaError::Sample { image: 0, source: SampleError::Empty }));
    let good = device.pixel_sampler(Images::new(&second_empty, 1, 4, 1)?)?;
    unfit(device.draw_pixels(&good, usize::MAX, 1, 2, 3), "draw pixels", &[usize::MAX]);
    assert!(device.draw_pixels(&good, 0, 1, 2, 3)?.is_empty());
    Ok(())
}

fn views(device: &Device) -> Outcome {
    let (middle, tone) = (Point::new(1.0, 1.0), IntensityJitter::identity());
    assert!(ViewPlan::new(0, middle, 0.0, 0.0, tone).is_err());
    assert!(ViewPlan::new(0, Point::new(f32::NAN, 0.0), 0.0, 1.0, tone).is_err());
    let dark = ViewPlan::new(0, middle, 0.0, 1.0, IntensityJitter { gamma: 0.0, ..tone });
    unusable(dark, "plan a view", "gamma", 0.0);
    assert!(ViewPlan::new(usize::MAX, middle, 0.0, 1.0, tone).is_err());
    let bytes = device.zeros::<u8>(12)?;
    let images = Images::new(&bytes, 1, 4, 3)?;
    let second = device.upload_views(&[ViewPlan::new(1, middle, 0.0, 1.0, tone)?])?;
    unfit(device.make_views(images, &second, 2, 2, 0.0), "make views", &[2, 1, 4, 3]);
    let first = device.upload_views(&[ViewPlan::new(0, middle, 0.0, 1.0, tone)?])?;
    for (width, height) in [(0, 2), (2, 0), (1 << 16, 1 << 16), (usize::MAX, 2)] {
        unfit(device.make_views(images, &first, width, height, 0.0), "make views", &[width, height]);
    }
    let empty = Images::new(&bytes, 12, 1, 1)?;
    assert!(device.make_views(empty, &first, 2, 2, 0.0).is_ok());
    let none = device.zeros::<u8>(0)?;
    unfit(device.make_views(Images::new(&none, 1, 0, 3)?, &first, 2, 2, 0.0), "make views", &[0, 3]);

    let points = device.zeros::<u32>(3)?;
    let two = device.upload_views(&[ViewPlan::new(0, middle, 0.0, 1.0, tone)?; 2])?;
    unfit(device.push_points(&points, &two, 4, 2, 2), "push points", &[3, 2]);
    unfit(device.push_points(&points, &first, 0, 2, 2), "push points", &[0]);
    let no_views = device.upload_views(&[])?;
    unfit(device.push_points(&points, &no_views, 4, 2, 2), "push points", &[0]);

    let entropy = device.zeros::<f32>(12)?;
    let maps = Images::new(&entropy, 2, 3, 2)?;
    let one = (1.0, 1.0);
    let range = IntensityRange::new(one, one, one)?;
    let (thresholds, policy) = (Thresholds::new(1.0, 2.0)?, TierPolicy::uniform(range));
    let guide = ViewGuide { thresholds, policy, rotation_rad: 0.1, scale: 1.2 };
    unfit(device.plan_views(maps, &points, &guide, 1, 2), "draw views", &[3, 2]);
    let centres = device.zeros::<u32>(4)?;
    let plan = |guide| device.plan_views(maps, &centres, &guide, 1, 2);
    unusable(plan(ViewGuide { rotation_rad: f32::NAN, ..guide }), "draw views", "rotation", f32::NAN);
    unusable(plan(ViewGuide { scale: 0.5, ..guide }), "draw views", "scale", 0.5);
    let mut wrong = policy;
    wrong.high.gamma = (0.0, 1.0);
    assert!(matches!(
        plan(ViewGuide { policy: wrong, ..guide }),
        Err(CudaError::Augment(AugmentError::Range { name: "gamma", .. }))
    ));
    assert_eq!(plan(guide)?.len(), 4);
    Ok(())
}

fn elastic_views(device: &Device) -> Outcome {
    let controls = [Point::default(); elastic_controls_len(6, 4, 2)];
    let field = |width, height, spacing| -> Result<_, infomark_core::AugmentError> {
        let view = View::new(Affine::identity(), width, height)?;
        Elastic::new(view, spacing, &controls[..elastic_controls_len(width, height, spacing)])
    };
    let good = ElasticView { image: 0, field: field(4, 4, 2)?, tone: IntensityJitter::identity() };
    let upload = |second: ElasticView<'_>| device.upload_elastic_views(&[good, second]);
    for other in [field(5, 4, 2)?, field(4, 3, 2)?, field(4, 4, 3)?] {
        unfit(upload(ElasticView { field: other, ..good }), "elastic views", &[1, 4, 4, 2]);
    }
    for gamma in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let tone = IntensityJitter { gamma, ..good.tone };
        unusable(upload(ElasticView { tone, ..good }), "elastic views", "gamma", gamma);
    }
    let bright = IntensityJitter { brightness: f32::NAN, ..good.tone };
    unusable(upload(ElasticView { tone: bright, ..good }), "elastic views", "brightness", f32::NAN);
    unfit(upload(ElasticView { image: usize::MAX, ..good }), "elastic views", &[usize::MAX]);
    // The core allows sizes whose pixels nobody can hold.
    let point = [Point::default(); 16];
    let far = |side: usize| -> Result<_, infomark_core::AugmentError> {
        let view = View::new(Affine::scaling(1e-12, 1e-12)?, side, side)?;
        Elastic::new(view, usize::MAX, &point)
    };
    for side in [1 << 16, 1 << 24, usize::MAX >> 1] {
        let large = ElasticView { field: far(side)?, ..good };
        unfit(device.upload_elastic_views(&[large]), "elastic views", &[side]);
    }

    let bytes = device.zeros::<u8>(12)?;
    let images = Images::new(&bytes, 1, 4, 3)?;
    let second = upload(ElasticView { image: 1, ..good })?;
    let make = |images, views| device.make_elastic_views(images, views, 0.0);
    unfit(make(images, &second), "make elastic views", &[2, 1, 4, 3]);
    let first = device.upload_elastic_views(&[good])?;
    let none = device.zeros::<u8>(0)?;
    unfit(make(Images::new(&none, 1, 0, 3)?, &first), "make elastic views", &[0, 3]);
    assert_eq!(make(images, &first)?.len(), 16);
    let no_views = device.upload_elastic_views(&[])?;
    assert!(make(images, &no_views)?.is_empty());

    let points = device.zeros::<u32>(3)?;
    let push = |views, width| device.push_elastic_points(&points, views, width);
    unfit(push(&second, 4), "push elastic points", &[3, 2]);
    unfit(push(&first, 0), "push elastic points", &[0]);
    unfit(push(&first, 1 << 32), "push elastic points", &[1 << 32]);
    unfit(push(&no_views, 4), "push elastic points", &[0]);
    // Not a number anywhere: a border of NaN counts as 0, as in the core.
    let controls = vec![Point::default(); elastic_controls_len(4, 4, 2)];
    let away = View::new(Affine::translation(100.0, 0.0)?, 4, 4)?;
    let away = ElasticView { field: Elastic::new(away, 2, &controls)?, ..good };
    let made = device.make_elastic_views(images, &device.upload_elastic_views(&[away])?, f32::NAN)?;
    assert_eq!(device.download(&made)?, [0.0; 16]);
    // Points past the image are points too.
    let past = device.upload(&[u32::MAX, 12, 3])?;
    let pushed = device.download(&device.push_elastic_points(&past, &first, 4)?)?;
    let shown: Vec<_> = pushed.iter().map(|pair| pair.positive().is_some()).collect();
    assert_eq!(shown, [false, true, true]);
    Ok(())
}

fn loss(device: &Device) -> Outcome {
    let loss = InfoNce { negatives: Negatives::WholeMap, temperature: 0.1, exclusion_radius: 0 };
    let map = device.zeros::<f32>(24)?;
    let features = |count, channels, width| Features::new(&map, count, channels, width, 2, 4);
    let level = |views, images| Level { views, images, loss };
    let pairs = device.upload(&[PointPair::NONE; 4])?;
    let two = || -> Result<_, CudaError> { Ok(level(features(2, 3, 2)?, features(1, 3, 4)?)) };
    assert_eq!(device.download(&device.info_nce(&[two()?], &pairs)?)?, [0.0]);
    unfit(device.info_nce::<f32>(&[], &pairs), "InfoNCE", &[0]);
    let nine = (0..9).map(|_| two()).collect::<Result<Vec<_>, _>>()?;
    unfit(device.info_nce(&nine, &pairs), "InfoNCE", &[9]);
    let wrong = level(features(1, 3, 4)?, features(2, 3, 2)?);
    unfit(device.info_nce(&[wrong], &pairs), "InfoNCE", &[1, 2]);
    let wrong = level(features(2, 3, 2)?, features(2, 2, 3)?);
    unfit(device.info_nce(&[wrong], &pairs), "InfoNCE", &[0, 3, 2]);
    unfit(device.info_nce(&[two()?], &device.upload(&[PointPair::NONE; 3])?), "InfoNCE", &[3, 2]);
    let other = level(features(1, 3, 4)?, features(1, 3, 4)?);
    unfit(device.info_nce(&[two()?, other], &pairs), "InfoNCE", &[1, 2]);
    for temperature in [0.0, f32::NAN, f32::INFINITY] {
        let mut level = two()?;
        level.loss.temperature = temperature;
        unusable(device.info_nce(&[level], &pairs), "InfoNCE", "temperature", temperature);
    }
    let (mut right, mut short) = (device.zeros::<f32>(24)?, device.zeros::<f32>(23)?);
    let mut wrong = [Gradients { views: &mut right, images: &mut short }];
    unfit_length(device.info_nce_backward(&[two()?], &pairs, &mut wrong, 1.0), 23, 24);
    unfit(device.info_nce_backward(&[two()?], &pairs, &mut [], 1.0), "InfoNCE gradient", &[0, 1]);
    let mut also = device.zeros::<f32>(24)?;
    let mut good = [Gradients { views: &mut right, images: &mut also }];
    let scaled = device.info_nce_backward(&[two()?], &pairs, &mut good, f32::NAN);
    unusable(scaled, "InfoNCE gradient", "scale", f32::NAN);
    Ok(())
}

fn search(device: &Device) -> Outcome {
    let (map, templates) = (device.zeros::<f32>(24)?, device.zeros::<f32>(6)?);
    let level = |channels| -> Result<_, CudaError> {
        let images = Features::new(&map, 1, channels, 2, 12 / channels, 4)?;
        Ok(SearchLevel { images, templates: &templates })
    };
    unfit(device.similarities::<f32>(&[], 0.1), "search", &[0]);
    unusable(device.similarities(&[level(3)?], 0.0), "search", "temperature", 0.0);
    unfit(device.similarities(&[level(4)?], 0.1), "search", &[6, 4]);
    unfit(device.similarities(&[level(3)?, level(2)?], 0.1), "search", &[1]);
    let maps = device.similarities(&[level(3)?], 0.1)?;
    unfit(device.highest(&maps, 1025), "search", &[1025]);
    assert_eq!(device.highest(&maps, 0)?, vec![Vec::new(); 2]);
    let mut wrong = Similarities { width: 3, ..maps };
    unfit_length(device.highest(&wrong, 1), 16, 24);
    for (images, width) in [(0, usize::MAX), (usize::MAX, 3)] {
        (wrong.images, wrong.width) = (images, width);
        unfit(device.highest(&wrong, 1), "search", &[]);
    }
    Ok(())
}
