//! The side view of a head: where everything is, and how it varies.
//!
//! Shapes are drawn in design units: a canvas of 256 x 320 with the face to the right. [`Head`]
//! moves every control point by the same maps, so a landmark is a control point, moved.

use infomark_core::{Point, Rng};

use crate::attenuation::{Attenuation, Bone};
use crate::outline::{Outline, Ring, Tube};
use crate::texture::Texture;

mod parts;

/// The names of the landmarks, in the order in which images list them.
pub const LANDMARKS: [&str; 10] = [
    "sella",
    "nasion",
    "orbitale",
    "nasal_spine",
    "upper_incisor",
    "pogonion",
    "gonion",
    "condyle",
    "dens",
    "hyoid",
];

/// Size of the canvas on which the shapes are drawn.
const CANVAS: (f64, f64) = (256.0, 320.0);
/// The middle of the pituitary fossa: the shape of the head varies around it.
const SELLA: (f64, f64) = (139.0, 121.0);
const CONDYLE: (f64, f64) = (113.0, 150.0);
const DENS: (f64, f64) = (86.0, 181.0);
/// No landmark comes nearer to the border than this, in design units.
const MARGIN: f64 = 10.0;

/// A smooth bend of everything, `amount` design units along `(x, y)`.
#[derive(Debug, Clone, Copy)]
struct Wave {
    across: f64,
    down: f64,
    phase: f64,
    amount: (f64, f64),
}

/// How one head differs from the drawn one.
#[derive(Debug, Clone, Copy)]
struct Shape {
    vault_length: f64,
    vault_height: f64,
    face_depth: f64,
    face_height: f64,
    jaw_rad: f64,
    ramus: f64,
    chin: f64,
    neck_rad: f64,
    nose: f64,
    lips: f64,
    wall: f64,
    sinus: f64,
    waves: [Wave; 2],
}

/// One head in one image.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Pixels per design unit, the head's own size included.
    unit: f64,
    cos: f64,
    sin: f64,
    middle: Point<f64>,
    shape: Shape,
}

impl Head {
    pub(crate) fn draw(rng: &mut Rng, width: usize, height: usize) -> Self {
        let fit = (width as f64 / CANVAS.0).min(height as f64 / CANVAS.1);
        let mut around = |middle: f64, spread: f64| rng.uniform_in(middle - spread, middle + spread);
        let turn_rad = around(0.0, 10.0) * (core::f64::consts::PI / 180.0);
        let unit = fit * around(0.97, 0.07);
        let middle = Point {
            x: 0.5 * (width as f64 - 1.0) + fit * around(0.0, 10.0),
            y: 0.5 * (height as f64 - 1.0) + fit * around(0.0, 12.0),
        };
        let mut wave = |length: f64| Wave {
            across: around(0.0, 6.0) / length,
            down: around(0.0, 6.0) / length,
            phase: around(0.0, core::f64::consts::PI),
            amount: (around(0.0, 2.5), around(0.0, 2.5)),
        };
        let waves = [wave(260.0), wave(160.0)];
        let shape = Shape {
            vault_length: around(1.0, 0.07),
            vault_height: around(1.0, 0.07),
            face_depth: around(1.0, 0.06),
            face_height: around(1.0, 0.06),
            jaw_rad: around(0.01, 0.05),
            ramus: around(0.0, 5.0),
            chin: around(0.0, 5.0),
            neck_rad: around(0.0, 0.13),
            nose: around(0.0, 4.0),
            lips: around(0.0, 2.5),
            wall: around(1.0, 0.3),
            sinus: around(1.0, 0.35),
            waves,
        };
        let mut head =
            Self { width, height, unit, cos: libm::cos(turn_rad), sin: libm::sin(turn_rad), middle, shape };
        head.move_inside(fit * MARGIN);
        head
    }

    /// The landmarks in the order of [`LANDMARKS`], in pixels.
    pub(crate) fn landmarks(&self) -> Vec<(&'static str, Point<f64>)> {
        let at = [
            self.skull(SELLA),
            self.skull(parts::NASION),
            self.skull(parts::ORBITALE),
            self.skull(parts::NASAL_SPINE),
            self.skull(parts::UPPER_INCISOR),
            self.jaw(parts::POGONION),
            self.jaw(parts::GONION),
            self.jaw(CONDYLE),
            self.neck(DENS),
            self.skull(parts::HYOID),
        ];
        LANDMARKS.into_iter().zip(at).collect()
    }

    /// The attenuation of each ray through this head.
    pub(crate) fn attenuation(&self, rng: &mut Rng) -> Attenuation {
        let mut soft = Attenuation::new(self.width, self.height);
        let mut bone = Attenuation::new(self.width, self.height);
        self.add_soft_tissue(&mut soft);
        self.add_skull(&mut bone);
        self.add_face(&mut bone);
        self.add_jaw(&mut bone);
        self.add_neck(&mut bone);
        let mut texture =
            |cell: f64| Texture::draw(rng, self.width, self.height, (cell * self.unit).max(1.5));
        let (fine, middle, broad) = (texture(1.8), texture(4.5), texture(28.0));
        bone.modulate(|x, y| 1.0 + 0.07 * fine.at(x, y) + 0.10 * middle.at(x, y) + 0.10 * broad.at(x, y));
        soft.modulate(|x, y| 1.0 + 0.04 * middle.at(x, y) + 0.08 * broad.at(x, y));
        bone.add(&soft);
        bone.blur(0.17);
        bone
    }

    /// The nearest distance a landmark keeps from the image's border, in pixels.
    pub(crate) fn clearance(&self) -> f64 {
        let (right, bottom) = (self.width as f64 - 1.0, self.height as f64 - 1.0);
        self.landmarks()
            .iter()
            .flat_map(|(_, at)| [at.x, at.y, right - at.x, bottom - at.y])
            .fold(f64::INFINITY, f64::min)
    }

    /// Pixels per design unit.
    pub(crate) fn unit(&self) -> f64 {
        self.unit
    }

    /// Shifts the head so that no landmark is nearer than `margin` pixels to the border.
    fn move_inside(&mut self, margin: f64) {
        let limits = (self.width as f64 - 1.0, self.height as f64 - 1.0);
        let landmarks = self.landmarks();
        let shift = |coordinate: fn(Point<f64>) -> f64, limit: f64| {
            let values = landmarks.iter().map(|&(_, at)| coordinate(at));
            let low = values.clone().fold(f64::INFINITY, f64::min);
            let high = values.fold(f64::NEG_INFINITY, f64::max);
            (margin - low).max(0.0) - (high - (limit - margin)).max(0.0)
        };
        let (dx, dy) = (shift(|at| at.x, limits.0), shift(|at| at.y, limits.1));
        self.middle.x += dx;
        self.middle.y += dy;
    }

    /// Where a point of the skull's drawing lies in the image.
    fn skull(&self, (x, y): (f64, f64)) -> Point<f64> {
        let shape = &self.shape;
        let stretch =
            |offset: f64, before: f64, after: f64| offset * if offset < 0.0 { before } else { after };
        let x = SELLA.0 + stretch(x - SELLA.0, shape.vault_length, shape.face_depth);
        let y = SELLA.1 + stretch(y - SELLA.1, shape.vault_height, shape.face_height);
        let (mut dx, mut dy) = (x - 0.5 * CANVAS.0, y - 0.5 * CANVAS.1);
        for wave in &shape.waves {
            let swing = libm::sin(wave.across * x + wave.down * y + wave.phase);
            dx += wave.amount.0 * swing;
            dy += wave.amount.1 * swing;
        }
        Point {
            x: self.middle.x + self.unit * (self.cos * dx - self.sin * dy),
            y: self.middle.y + self.unit * (self.sin * dx + self.cos * dy),
        }
    }

    /// The same for the lower jaw, which turns about the condyle and has lengths of its own.
    fn jaw(&self, (x, y): (f64, f64)) -> Point<f64> {
        let shape = &self.shape;
        let down = ((y - CONDYLE.1) / 60.0).clamp(0.0, 1.0);
        let front = ((x - 150.0) / 50.0).clamp(0.0, 1.0) * ((y - 205.0) / 25.0).clamp(0.0, 1.0);
        let along = (1.0 - (x - 122.0) / 80.0).clamp(0.0, 1.0);
        let bent = (x + shape.chin * front, y + shape.ramus * down * along);
        self.skull(turned(bent, CONDYLE, shape.jaw_rad))
    }

    /// The same for the neck, which bends more the further down.
    fn neck(&self, (x, y): (f64, f64)) -> Point<f64> {
        let bend = self.shape.neck_rad * ((y - DENS.1) / 70.0).clamp(0.0, 1.5);
        self.skull(turned((x, y), DENS, bend))
    }

    /// The same for the airway: the skull's above, the neck's below.
    fn throat(&self, at: (f64, f64)) -> Point<f64> {
        if at.1 < 240.0 { self.skull(at) } else { self.neck(at) }
    }

    /// Bone of so much cortex and inside per design unit, walls and edges in design units.
    fn bone(&self, cortex: f64, inside: f64, wall: f64, edge: f64) -> Bone {
        Bone {
            cortex: cortex / self.unit,
            inside: inside / self.unit,
            wall: wall * self.unit * self.shape.wall,
            edge: edge * self.unit,
        }
    }

    fn outline(&self, control: &[(f64, f64)]) -> Outline {
        let moved: Vec<_> = control.iter().map(|&at| self.skull(at)).collect();
        Outline::through(&moved)
    }

    fn tube(&self, rings: &[(f64, f64, f64)]) -> Tube {
        self.tube_by(rings, Self::skull)
    }

    fn tube_by(&self, rings: &[(f64, f64, f64)], place: fn(&Self, (f64, f64)) -> Point<f64>) -> Tube {
        let moved: Vec<_> = rings
            .iter()
            .map(|&(x, y, radius)| Ring { at: place(self, (x, y)), radius: radius * self.unit })
            .collect();
        Tube::through(&moved)
    }
}

fn turned((x, y): (f64, f64), about: (f64, f64), angle_rad: f64) -> (f64, f64) {
    let (cos, sin) = (libm::cos(angle_rad), libm::sin(angle_rad));
    let (dx, dy) = (x - about.0, y - about.1);
    (about.0 + cos * dx - sin * dy, about.1 + sin * dx + cos * dy)
}
