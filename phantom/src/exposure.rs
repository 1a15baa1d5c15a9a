//! From attenuation to film: exposure, tone, noise, framing.

use infomark_core::Rng;

use crate::anatomy::Head;
use crate::attenuation::Attenuation;
use crate::texture::Texture;

/// How one picture was taken.
struct Setting {
    /// Film density per unit of attenuation.
    gain: f64,
    /// Fog: the density of unattenuated air.
    fog: f64,
    gamma: f64,
    /// Change of exposure from one side to the other, and from top to bottom (heel effect).
    tilt: (f64, f64),
    /// Standard deviation of the noise where nothing attenuates.
    noise: f64,
    scatter: f64,
}

/// Takes the picture: grey levels row by row, bone bright.
pub(crate) fn expose(rays: &Attenuation, head: &Head, rng: &mut Rng) -> Vec<u8> {
    let (width, height) = (rays.width, rays.height);
    let setting = Setting {
        gain: rng.uniform_in(1.4, 2.1),
        fog: rng.uniform_in(0.02, 0.09),
        gamma: rng.uniform_in(0.9, 1.25),
        tilt: (rng.uniform_in(-0.07, 0.07), rng.uniform_in(-0.07, 0.07)),
        noise: rng.uniform_in(0.006, 0.014),
        scatter: rng.uniform_in(0.01, 0.05),
    };
    let haze = Texture::draw(rng, width, height, 60.0 * head.unit());
    let mut film = vec![0.0; width * height];
    for (index, value) in film.iter_mut().enumerate() {
        let (x, y) = (index % width, index / width);
        let across = x as f64 / width as f64 - 0.5;
        let down = y as f64 / height as f64 - 0.5;
        let ray = (rays.values[index] + setting.tilt.0 * across + setting.tilt.1 * down).max(0.0);
        let density = 1.0 - libm::exp(-setting.gain * ray);
        let veil = setting.fog + setting.scatter * (1.0 + haze.at(x, y));
        *value = libm::pow(veil + (0.97 - veil) * density, setting.gamma);
    }
    add_noise(&mut film, rays, setting.noise, rng);
    frame(&mut film, head, rng);
    // Truncation of value * 255 + 0.5 rounds to the nearest grey level.
    film.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect()
}

/// Quantum noise: the fewer photons come through, the noisier; the detector smears it a little.
fn add_noise(film: &mut [f64], rays: &Attenuation, amount: f64, rng: &mut Rng) {
    let mut noise = Attenuation::new(rays.width, rays.height);
    for (value, ray) in noise.values.iter_mut().zip(&rays.values) {
        let normal: f64 = rng.normal();
        *value = normal * amount * (1.0 + ray);
    }
    noise.blur(0.1);
    for (value, noise) in film.iter_mut().zip(&noise.values) {
        *value += noise;
    }
}

/// A collimated border on some sides, and now and then a lead letter in a corner.
fn frame(film: &mut [f64], head: &Head, rng: &mut Rng) {
    let (width, height) = (head.width, head.height);
    let most = (head.clearance() - 8.0 * head.unit()).max(0.0);
    let shade = if rng.below(3) == 0 { 0.95 } else { 0.015 };
    let mut side = || {
        if rng.below(3) == 0 { rng.uniform_in(0.3, 1.0) * most.min(9.0 * head.unit()) } else { 0.0 }
    };
    let (left, right, top, bottom) = (side(), side(), side(), side());
    let slant = rng.uniform_in(-0.015, 0.015);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f64, y as f64);
            let edges = [
                (left, u + slant * v),
                (right, (width - 1) as f64 - u + slant * v),
                (top, v - slant * u),
                (bottom, (height - 1) as f64 - v - slant * u),
            ];
            if edges.iter().any(|&(size, at)| size > 0.0 && at < size) {
                film[y * width + x] = shade;
            }
        }
    }
    if rng.below(2) == 0 {
        letter(film, head, rng);
    }
}

/// A lead "L" or "R" in the free corner above the face.
fn letter(film: &mut [f64], head: &Head, rng: &mut Rng) {
    const L: [&[u8; 5]; 7] = [b"#    ", b"#    ", b"#    ", b"#    ", b"#    ", b"#    ", b"#####"];
    const R: [&[u8; 5]; 7] = [b"#### ", b"#   #", b"#   #", b"#### ", b"# #  ", b"#  # ", b"#   #"];
    let shape = if rng.below(2) == 0 { L } else { R };
    let cell = (2.0 * head.unit()).max(1.0);
    let left = head.width as f64 - rng.uniform_in(20.0, 36.0) * head.unit();
    let top = rng.uniform_in(14.0, 40.0) * head.unit();
    for y in 0..head.height {
        for x in 0..head.width {
            let (column, row) = ((x as f64 - left) / cell, (y as f64 - top) / cell);
            let inside = (0.0..5.0).contains(&column) && (0.0..7.0).contains(&row);
            if inside && shape[row as usize][column as usize] == b'#' {
                film[y * head.width + x] = 0.96;
            }
        }
    }
}
