//! Views of images: affine maps of pixels and points. Nothing here allocates.

use infomark_core::{Affine, Border, IntensityJitter, Interpolation, Pixel, Point, View};

use crate::entry::entry;
use crate::memory::{Memory, place, value};
use crate::plane::{
    INFOMARK_F32, INFOMARK_U8, INFOMARK_U16, PixelKind, infomark_plane, infomark_plane_mut, infomark_point,
    plane, plane_mut,
};
use crate::status::infomark_status::INFOMARK_ARGUMENT;
use crate::status::{OrFail, Result, infomark_status, refused};

/// Affine map from a view to its source, in pixels: x' = a x + b y + c, y' = d x + e y + f.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct infomark_affine {
    /// Coefficient of x in x'.
    pub a: f64,
    /// Coefficient of y in x'.
    pub b: f64,
    /// Translation of x'.
    pub c: f64,
    /// Coefficient of x in y'.
    pub d: f64,
    /// Coefficient of y in y'.
    pub e: f64,
    /// Translation of y'.
    pub f: f64,
}

impl infomark_affine {
    fn map(self) -> Result<Affine<f64>> {
        let Self { a, b, c, d, e, f } = self;
        Affine::new([[a, b, c], [d, e, f]]).or_fail(INFOMARK_ARGUMENT)
    }

    fn of(map: &Affine<f64>) -> Self {
        let [[a, b, c], [d, e, f]] = map.matrix();
        Self { a, b, c, d, e, f }
    }
}

/// The map of a view of width by height pixels centred on the source's point centre, rotated by angle_rad (the view's x axis
/// points clockwise of the source's, on screen), with scale source pixels per view pixel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_affine_around(
    centre: infomark_point,
    angle_rad: f64,
    scale: f64,
    width: usize,
    height: usize,
    out: *mut infomark_affine,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms.
        let out = unsafe { place("out", out) }?;
        let turn = Affine::rotation(angle_rad).or_fail(INFOMARK_ARGUMENT)?;
        let map = Affine::scaling(scale, scale).and_then(|scaling| turn.then(&scaling));
        let map = map.or_fail(INFOMARK_ARGUMENT)?;
        let view = View::around(Point::new(centre.x, centre.y), &map, width, height);
        out.set(infomark_affine::of(&view.or_fail(INFOMARK_ARGUMENT)?.affine()));
        Ok(())
    })
}

/// Composition: the map of a view, second, of a view, first, to the first one's source. out may be one of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_affine_then(
    first: *const infomark_affine,
    second: *const infomark_affine,
    out: *mut infomark_affine,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let first = unsafe { value("first", first) }?.map()?;
        let second = unsafe { value("second", second) }?.map()?;
        let map = first.then(&second).or_fail(INFOMARK_ARGUMENT)?;
        unsafe { place("out", out) }?.set(infomark_affine::of(&map));
        Ok(())
    })
}

/// The inverse map, from source to view: with it infomark_affine_apply maps landmarks of the source to the view. out may be
/// the same as map.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_affine_inverse(
    map: *const infomark_affine,
    out: *mut infomark_affine,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let map = unsafe { value("map", map) }?.map()?;
        unsafe { place("out", out) }?.set(infomark_affine::of(&map.inverse()));
        Ok(())
    })
}

/// Maps points in place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_affine_apply(
    map: *const infomark_affine,
    points: *mut infomark_point,
    count: usize,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let map = unsafe { value("map", map) }?.map()?;
        let len = count.checked_mul(2).ok_or_else(|| refused("points: too many"))?;
        // A point is two consecutive numbers.
        let points = unsafe { memory.write("points", points.cast::<f64>(), len) }?;
        for point in points.chunks_exact_mut(2) {
            if let [x, y] = point {
                let to = map.pull(Point::new(*x, *y));
                (*x, *y) = (to.x, to.y);
            }
        }
        Ok(())
    })
}

/// Nearest neighbour.
pub const INFOMARK_NEAREST: u32 = 0;
/// Bilinear.
pub const INFOMARK_BILINEAR: u32 = 1;
/// Bicubic: cubic convolution of 16 pixels (Keys 1981, a = -1/2).
pub const INFOMARK_BICUBIC: u32 = 2;

/// Constant value outside the source.
pub const INFOMARK_BORDER_VALUE: u32 = 0;
/// The border pixels are replicated outside the source.
pub const INFOMARK_BORDER_CLAMP: u32 = 1;
/// The source is mirrored at the outer edges of its border pixels.
pub const INFOMARK_BORDER_MIRROR: u32 = 2;

/// Resamples a source of the same pixel type and of any size into a view; map goes from the view to the source.
///
/// fill is used with INFOMARK_BORDER_VALUE only, rounded and clamped to the pixel type. A view that maps pixels onto pixels copies them
/// exactly; there is no anti-aliasing filter for downscaling.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_view(
    source: *const infomark_plane,
    map: *const infomark_affine,
    interpolation: u32,
    border: u32,
    fill: f64,
    view: *const infomark_plane_mut,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let pixel = unsafe { value("view", view) }?.pixel;
        let map = unsafe { value("map", map) }?;
        let how = (map, interpolation, border);
        match pixel {
            INFOMARK_U8 => unsafe { resample::<u8>(source, how, fill.round() as u8, view) },
            // SAFETY: as above.
            INFOMARK_U16 => unsafe { resample::<u16>(source, how, fill.round() as u16, view) },
            // SAFETY: as above.
            INFOMARK_F32 => unsafe { resample::<f32>(source, how, fill as f32, view) },
            other => Err(refused(format_args!("view: {other} is no kind of pixel"))),
        }
    })
}

/// # Safety
/// The crate's terms.
unsafe fn resample<T: PixelKind + Pixel>(
    source: *const infomark_plane,
    (map, interpolation, border): (infomark_affine, u32, u32),
    fill: T,
    view: *const infomark_plane_mut,
) -> Result<()> {
    let mut memory = Memory::default();
    // SAFETY: the caller's terms, here and below.
    let source = unsafe { plane::<T>(&mut memory, "source", source) }?;
    let out = unsafe { plane_mut::<T>(&mut memory, "view", view) }?;
    let interpolation = match interpolation {
        INFOMARK_NEAREST => Interpolation::Nearest,
        INFOMARK_BILINEAR => Interpolation::Bilinear,
        INFOMARK_BICUBIC => Interpolation::Bicubic,
        other => {
            return Err(refused(format_args!(
                "interpolation {other}: use INFOMARK_NEAREST, INFOMARK_BILINEAR or INFOMARK_BICUBIC"
            )));
        }
    };
    let border = match border {
        INFOMARK_BORDER_VALUE => Border::Value(fill),
        INFOMARK_BORDER_CLAMP => Border::Clamp,
        INFOMARK_BORDER_MIRROR => Border::Mirror,
        other => {
            return Err(refused(format_args!(
                "border {other}: use INFOMARK_BORDER_VALUE, INFOMARK_BORDER_CLAMP or INFOMARK_BORDER_MIRROR"
            )));
        }
    };
    let view = View::new(map.map()?, out.width(), out.height()).or_fail(INFOMARK_ARGUMENT)?;
    view.resample(source, out, interpolation, border).or_fail(INFOMARK_ARGUMENT)
}

/// Brightness, contrast and gamma of an image of INFOMARK_F32 in [0, 1], in place: v brightness; then contrast v + (1 -
/// contrast) mean; then v^gamma; clamped to [0, 1] after each. Factors of 1 change nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_tone(
    image: *const infomark_plane_mut,
    brightness: f32,
    contrast: f32,
    gamma: f32,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms.
        let image = unsafe { plane_mut::<f32>(&mut Memory::default(), "image", image) }?;
        IntensityJitter { brightness, contrast, gamma }.apply_in_place(image).or_fail(INFOMARK_ARGUMENT)
    })
}
