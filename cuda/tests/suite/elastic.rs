//! Elastic views and their points are the core's, through any affine map.

use super::view::{compare, describe_tone};
use super::{Outcome, Setting, image, same, same_bits, with_gaps};
use infomark_core::{
    Affine, Border, Elastic, IntensityJitter, Interpolation, Plane, PlaneMut, Point, Positive, Rng, View,
    elastic_controls_len,
};
use infomark_cuda::{ElasticView, Images};
use proptest::prelude::*;

const IMAGES: usize = 2;

/// Any map: turned, stretched along some axis, sheared, mirrored, and around a place that may lie outside.
fn describe_map(rng: &mut Rng, source: (usize, usize), size: (usize, usize)) -> Result<View<f32>, String> {
    let mut place = |size: usize| match rng.below(4) {
        // Half pixels are where outside begins.
        0 => rng.below(2 * size as u64) as f32 * 0.5 - 0.5,
        1 => rng.uniform_in(-40.0, size as f32 + 40.0),
        _ => rng.uniform_in(-2.0, size as f32 + 2.0),
    };
    let centre = Point::new(place(source.0), place(source.1));
    let mut map = || {
        let turn = Affine::rotation(rng.uniform_in(-3.2, 3.2))?;
        let stretch = Affine::scaling(rng.uniform_in(0.3, 3.0), rng.uniform_in(0.3, 3.0))?;
        let shear = Affine::shear(rng.uniform_in(-0.8, 0.8), rng.uniform_in(-0.8, 0.8))?;
        let mirror = if rng.below(2) == 0 { Affine::identity() } else { Affine::scaling(-1.0, 1.0)? };
        let map = match rng.below(4) {
            0 => Affine::identity(),
            1 => turn.then(&stretch)?,
            _ => turn.then(&stretch)?.then(&shear)?.then(&mirror)?,
        };
        View::around(centre, &map, size.0, size.1)
    };
    map().map_err(|error| error.to_string())
}

/// Displacements of none, random ones, and the steepest that are allowed.
fn describe_controls(rng: &mut Rng, size: (usize, usize), spacing: usize) -> Vec<Point<f32>> {
    let most = spacing as f32 / 5.0;
    let kind = rng.below(3);
    (0..elastic_controls_len(size.0, size.1, spacing))
        .map(|_| match kind {
            0 => Point::default(),
            1 => Point::new(rng.uniform_in(-most, most), rng.uniform_in(-most, most)),
            _ => {
                let mut end = || if rng.below(2) == 0 { -most } else { most };
                Point::new(end(), end())
            }
        })
        .collect()
}

struct Case {
    /// Width, height and elements between rows.
    source: (usize, usize, usize),
    size: (usize, usize),
    spacing: usize,
    views: usize,
    points: usize,
    seed: u64,
}

fn agree(setting: &Setting<'_>, case: &Case) -> Outcome {
    let &Case { source: (width, height, gap), size, spacing, views, points, seed } = case;
    let device = setting.device;
    let mut rng = Rng::new(seed, 6);
    let bytes: Vec<u8> = (0..IMAGES).flat_map(|_| image(&mut rng, width, height)).collect();
    let floats: Vec<f32> = bytes.iter().map(|&v| f32::from(v) / 255.0).collect();
    let border = [0.0, 0.25][seed as usize % 2];
    let controls: Vec<_> = (0..views).map(|_| describe_controls(&mut rng, size, spacing)).collect();
    let mut described = Vec::new();
    for controls in &controls {
        let field = Elastic::new(describe_map(&mut rng, (width, height), size)?, spacing, controls)?;
        let image = rng.below(IMAGES as u64) as usize;
        described.push(ElasticView { image, field, tone: describe_tone(&mut rng) });
    }
    let there = device.upload_elastic_views(&described)?;
    same("views", &(there.len(), there.is_empty()), &(views, views == 0))?;
    let bytes_there = device.upload(&with_gaps(&bytes, width, width + gap, |i| i as u8))?;
    let floats_there = device.upload(&floats)?;
    let from_bytes = Images::with_stride(&bytes_there, IMAGES, width, height, width + gap)?;
    let from_floats = Images::new(&floats_there, IMAGES, width, height)?;
    let a = device.download(&device.make_elastic_views(from_bytes, &there, border)?)?;
    let b = device.download(&device.make_elastic_views(from_floats, &there, border)?)?;
    same_bits("elastic views of bytes and of floats", &a, &b)?;
    same("pixels", &a.len(), &(views * size.0 * size.1))?;
    setting.see_floats(&a);
    for (ElasticView { image, field, tone }, found) in described.iter().zip(a.chunks_exact(size.0 * size.1)) {
        let source = Plane::new(&floats[image * width * height..][..width * height], width, height)?;
        let mut expected = vec![0f32; size.0 * size.1];
        let mut plane = PlaneMut::new(&mut expected, size.0, size.1)?;
        field.resample(source, plane.reborrow(), Interpolation::Bilinear, Border::Value(border))?;
        tone.apply_in_place(plane)?;
        compare(&format!("{tone:?} of {field:?}"), *tone, found, &expected)?;
    }

    let indices: Vec<u32> = (0..points * views).map(|_| rng.below((width * height) as u64) as u32).collect();
    let pushed = device.push_elastic_points(&device.upload(&indices)?, &there, width)?;
    let mut bits = Vec::new();
    for (i, pair) in device.download(&pushed)?.into_iter().enumerate() {
        let (x, y) = (indices[i] as usize % width, indices[i] as usize / width);
        let at = Point::new(x as f32, y as f32);
        let view = described[i / points].field.push(at);
        same("pushed point", &pair.positive(), &view.map(|view| Positive { view, image: at }))?;
        bits.extend(view.map_or([0; 2], |view| [view.x.to_bits(), view.y.to_bits()]));
    }
    setting.see(bits);
    Ok(())
}

/// A view that moves no pixel shows the image's own, and is the identity for its points.
fn the_whole_image(setting: &Setting<'_>) -> Outcome {
    let (width, height, spacing) = (7, 5, 3);
    let device = setting.device;
    let pixels: Vec<f32> = (0..width * height).map(|i| i as f32 / 64.0).collect();
    let there = device.upload(&pixels)?;
    let controls = vec![Point::default(); elastic_controls_len(width, height, spacing)];
    let field = Elastic::new(View::new(Affine::identity(), width, height)?, spacing, &controls)?;
    let view = ElasticView { image: 0, field, tone: IntensityJitter::identity() };
    let views = device.upload_elastic_views(&[view])?;
    same("size", &(views.width(), views.height()), &(width, height))?;
    let made = device.make_elastic_views(Images::new(&there, 1, width, height)?, &views, 0.5)?;
    same_bits("the image itself", &device.download(&made)?, &pixels)?;
    let points: Vec<u32> = (0..(width * height) as u32).collect();
    let pushed = device.push_elastic_points(&device.upload(&points)?, &views, width)?;
    for pair in device.download(&pushed)? {
        let positive = pair.positive();
        same("a point at its place", &positive.map(|p| p.view), &positive.map(|p| p.image))?;
        same("shown", &positive.is_some(), &true)?;
    }
    Ok(())
}

pub(crate) fn run(setting: &Setting<'_>) -> Outcome {
    the_whole_image(setting)?;
    let case =
        |source, size, spacing, views, points, seed| Case { source, size, spacing, views, points, seed };
    agree(setting, &case((1, 1, 0), (1, 1), 1, 3, 2, 1))?;
    agree(setting, &case((5, 4, 1), (3, 2), 2, 0, 4, 2))?;
    // Control points so far apart that one cell holds the view.
    agree(setting, &case((9, 4, 0), (4, 6), usize::MAX, 2, 5, 3))?;
    if setting.large {
        // More than one tile a view, the last of which is not full.
        agree(setting, &case((90, 70, 0), (67, 53), 14, 4, 200, 4))?;
    }
    let cases =
        (1usize..14, 1usize..14, 0usize..3, 1usize..12, 1usize..12, 1usize..9, 1usize..4, any::<u64>());
    setting.holds(&cases, |(width, height, gap, view_width, view_height, spacing, views, seed)| {
        agree(setting, &case((width, height, gap), (view_width, view_height), spacing, views, 6, seed))
    })
}
