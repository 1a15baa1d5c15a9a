//! The drawing itself: control points in design units, and what each part is made of.

use crate::attenuation::Attenuation;
use crate::outline::Outline;

use super::{CONDYLE, DENS, Head, SELLA};

pub(super) const NASION: (f64, f64) = (194.0, 113.0);
pub(super) const ORBITALE: (f64, f64) = (186.0, 142.0);
pub(super) const NASAL_SPINE: (f64, f64) = (211.0, 162.0);
pub(super) const UPPER_INCISOR: (f64, f64) = (212.0, 197.0);
pub(super) const POGONION: (f64, f64) = (205.0, 235.0);
pub(super) const GONION: (f64, f64) = (120.0, 208.0);
pub(super) const HYOID: (f64, f64) = (146.0, 254.0);

impl Head {
    pub(super) fn add_soft_tissue(&self, rays: &mut Attenuation) {
        let (nose, lips, chin) = (self.shape.nose, self.shape.lips, self.shape.chin);
        let skin = [
            (126.0, 10.0),
            (172.0, 25.0),
            (202.0, 60.0),
            (208.0, 92.0),
            (204.0, 112.0),
            (216.0 + 0.5 * nose, 134.0),
            (229.0 + nose, 154.0 + 0.5 * nose),
            (217.0 + 0.3 * nose, 167.0),
            (224.0 + lips, 183.0),
            (216.0, 192.0),
            (221.0 + lips, 203.0),
            (212.0 + 0.5 * chin, 216.0),
            (218.0 + chin, 236.0),
            (203.0 + chin, 255.0),
            (172.0, 263.0),
        ];
        let throat = [
            (157.0, 276.0),
            (154.0, 310.0),
            (162.0, 370.0),
            (100.0, 420.0),
            (-6.0, 370.0),
            (8.0, 300.0),
            (16.0, 240.0),
        ];
        let scalp = [(13.0, 190.0), (9.0, 120.0), (24.0, 60.0), (66.0, 20.0)];
        let face = skin.iter().chain(&scalp).map(|&at| self.skull(at));
        let neck = throat.iter().map(|&at| self.neck(at));
        let mut control: Vec<_> = face.collect();
        control.splice(skin.len()..skin.len(), neck);
        let skin = Outline::through(&control);
        let edges = [(0.27, 34.0 * self.unit), (0.04, 2.0 * self.unit)];
        rays.add_layers(&skin, &edges);
        let airway = [
            (188.0, 152.0, 3.0),
            (158.0, 158.0, 5.0),
            (142.0, 172.0, 6.0),
            (135.0, 200.0, 5.0),
            (131.0, 232.0, 6.0),
            (128.0, 262.0, 5.0),
            (131.0, 300.0, 7.0),
            (136.0, 360.0, 8.0),
        ];
        rays.add_channel(&self.tube_by(&airway, Self::throat), -0.22);
        let tongue =
            [(196.0, 196.0), (176.0, 178.0), (150.0, 182.0), (144.0, 214.0), (160.0, 238.0), (188.0, 222.0)];
        rays.add_tissue(&self.outline(&tongue), 0.10, 14.0 * self.unit);
    }

    pub(super) fn add_skull(&self, rays: &mut Attenuation) {
        let vault = [
            NASION,
            (199.0, 100.0),
            (194.0, 70.0),
            (170.0, 38.0),
            (124.0, 20.0),
            (74.0, 29.0),
            (36.0, 62.0),
            (22.0, 108.0),
            (32.0, 146.0),
            (56.0, 165.0),
            (88.0, 167.0),
            (112.0, 148.0),
            (128.0, 128.0),
            (150.0, 119.0),
            (174.0, 114.0),
        ];
        let vault = self.outline(&vault);
        rays.add_bone(&vault, self.bone(0.024, 0.0040, 4.2, 75.0));
        let occiput = [(24.0, 108.0, 2.0), (31.0, 138.0, 4.5), (54.0, 160.0, 4.0), (84.0, 165.0, 2.0)];
        rays.add_tube(&self.tube(&occiput), self.bone(0.035, 0.022, 1.4, 0.0));
        let brow = [
            (168.0, 44.0, 1.4),
            (187.0, 70.0, 2.4),
            (193.0, 96.0, 3.2),
            (NASION.0 - 3.0, NASION.1 - 3.0, 3.0),
        ];
        rays.add_tube(&self.tube(&brow), self.bone(0.045, 0.030, 1.2, 0.0));
        let suture = [(118.0, 24.0, 0.9), (121.0, 44.0, 1.1), (113.0, 66.0, 1.0), (116.0, 92.0, 0.8)];
        rays.add_channel(&self.tube(&suture), -0.10);
        let vessel = [(112.0, 122.0, 1.2), (94.0, 96.0, 1.2), (82.0, 62.0, 1.0), (64.0, 40.0, 0.8)];
        rays.add_channel(&self.tube(&vessel), -0.06);

        // The floor of the front of the skull, the fossa with its two processes, the clivus.
        let floor = [(192.0, 118.0, 1.6), (174.0, 113.0, 1.9), (158.0, 115.5, 2.0), (149.0, 114.0, 2.3)];
        rays.add_tube(&self.tube(&floor), self.bone(0.14, 0.05, 0.9, 0.0));
        let (x, y) = SELLA;
        let fossa = [
            (x + 11.0, y - 7.5, 1.6),
            (x + 9.0, y + 0.5, 2.0),
            (x + 4.0, y + 7.5, 2.2),
            (x - 4.0, y + 7.5, 2.2),
            (x - 8.5, y + 0.5, 2.1),
            (x - 8.0, y - 8.5, 1.7),
        ];
        rays.add_tube(&self.tube(&fossa), self.bone(0.16, 0.10, 1.2, 0.0));
        let clivus = [
            (x - 8.5, y - 2.0, 2.6),
            (x - 16.0, y + 16.0, 4.0),
            (x - 33.0, y + 39.0, 3.6),
            (x - 40.0, y + 48.0, 1.8),
        ];
        rays.add_tube(&self.tube(&clivus), self.bone(0.09, 0.05, 1.2, 0.0));
        let sphenoid =
            [(152.0, 121.0), (166.0, 122.0), (164.0, 138.0), (146.0, 142.0), (133.0, 140.0), (138.0, 132.0)];
        rays.add_tissue(&self.outline(&sphenoid), -0.13 * self.shape.sinus, 5.0 * self.unit);

        // The petrous bones and the mastoid process: the densest part.
        let petrous = [
            (66.0, 142.0),
            (86.0, 128.0),
            (106.0, 132.0),
            (117.0, 143.0),
            (104.0, 152.0),
            (98.0, 168.0),
            (88.0, 177.0),
            (80.0, 162.0),
        ];
        rays.add_bone(&self.outline(&petrous), self.bone(0.026, 0.020, 2.5, 17.0));
        let canal = Outline::through(&[
            self.skull((98.0, 143.0)),
            self.skull((102.5, 147.5)),
            self.skull((98.0, 152.0)),
            self.skull((93.5, 147.5)),
        ]);
        rays.add_tissue(&canal, -0.30, 3.0 * self.unit);
        let frontal_sinus = [(193.0, 106.0), (196.5, 96.0), (193.0, 82.0), (188.0, 92.0), (187.0, 104.0)];
        let depth = -0.24 * self.shape.sinus;
        rays.add_tissue(&self.outline(&frontal_sinus), depth, 4.0 * self.unit);
    }

    pub(super) fn add_face(&self, rays: &mut Attenuation) {
        let nasal = [(NASION.0, NASION.1, 2.2), (201.0, 123.0, 1.9), (211.0, 138.0, 0.7)];
        rays.add_tube(&self.tube(&nasal), self.bone(0.13, 0.08, 0.9, 0.0));
        let orbit = [
            (192.0, 119.0, 1.4),
            (180.0, 117.0, 1.3),
            (170.5, 123.0, 1.6),
            (170.0, 134.0, 2.2),
            (177.0, 141.5, 2.2),
            (ORBITALE.0, ORBITALE.1, 1.5),
        ];
        rays.add_tube(&self.tube(&orbit), self.bone(0.13, 0.09, 0.9, 0.0));
        // The honeycomb between the orbits, and the wall behind it.
        let ethmoid =
            [(158.0, 118.0), (188.0, 118.0), (190.0, 132.0), (182.0, 148.0), (164.0, 150.0), (156.0, 138.0)];
        rays.add_tissue(&self.outline(&ethmoid), 0.16, 15.0 * self.unit);
        let cells = [(168.0, 128.0), (176.0, 126.0), (181.0, 133.0), (174.0, 138.0), (167.0, 135.0)];
        rays.add_tissue(&self.outline(&cells), -0.12 * self.shape.sinus, 3.0 * self.unit);
        let pterygoid = [(157.0, 140.0, 1.6), (154.0, 156.0, 2.2), (157.0, 176.0, 1.6)];
        rays.add_tube(&self.tube(&pterygoid), self.bone(0.07, 0.04, 0.9, 0.0));
        // The cheekbone's root: a dense wedge below the orbit.
        let zygoma = [(177.0, 142.0, 4.0), (176.0, 151.0, 3.4), (179.0, 163.0, 1.4)];
        rays.add_tube(&self.tube(&zygoma), self.bone(0.06, 0.04, 1.1, 0.0));
        let arch = [(172.0, 145.0, 2.2), (150.0, 146.0, 1.8), (126.0, 143.0, 2.0)];
        rays.add_tube(&self.tube(&arch), self.bone(0.055, 0.03, 0.8, 0.0));

        let maxilla = [
            (206.0, 163.0),
            (203.5, 171.0),
            (208.0, 183.0),
            (194.0, 187.0),
            (166.0, 185.0),
            (156.0, 172.0),
            (157.0, 158.0),
            (168.0, 146.0),
            (186.0, 146.0),
            (195.0, 154.0),
        ];
        rays.add_bone(&self.outline(&maxilla), self.bone(0.030, 0.011, 1.8, 16.0));
        let antrum =
            [(190.0, 156.0), (184.0, 168.0), (165.0, 170.0), (160.0, 160.0), (170.0, 149.0), (184.0, 149.0)];
        let depth = -0.20 * self.shape.sinus;
        rays.add_tissue(&self.outline(&antrum), depth, 7.0 * self.unit);
        let palate = [
            (152.0, 161.0, 1.0),
            (168.0, 163.0, 1.6),
            (190.0, 163.0, 2.0),
            (203.0, 162.5, 2.0),
            (NASAL_SPINE.0, NASAL_SPINE.1, 0.6),
        ];
        rays.add_tube(&self.tube(&palate), self.bone(0.17, 0.10, 1.0, 0.0));

        let (x, y) = UPPER_INCISOR;
        let incisor =
            [(x - 11.0, y - 27.0, 0.9), (x - 6.0, y - 15.0, 2.5), (x - 3.0, y - 7.0, 3.0), (x, y, 0.6)];
        rays.add_tube(&self.tube(&incisor), self.bone(0.17, 0.09, 1.2, 0.0));
        for (x, y, half) in
            [(196.0, 190.0, 2.6), (186.5, 190.5, 3.4), (176.5, 190.5, 4.3), (165.5, 189.5, 4.0)]
        {
            self.add_molar(rays, (x, y), half, -1.0, Self::skull);
        }
    }

    pub(super) fn add_jaw(&self, rays: &mut Attenuation) {
        let mandible = [
            CONDYLE,
            (118.5, 153.0),
            (119.0, 160.0),
            (128.0, 166.0),
            (137.0, 162.0),
            (145.0, 152.0),
            (147.0, 168.0),
            (150.0, 190.0),
            (164.0, 203.0),
            (184.0, 206.0),
            (199.0, 208.0),
            (197.5, 220.0),
            POGONION,
            (197.0, 245.0),
            (178.0, 240.0),
            (150.0, 227.0),
            (130.0, 218.0),
            GONION,
            (115.5, 190.0),
            (111.0, 168.0),
            (107.5, 154.0),
        ]
        .map(|at| self.jaw(at));
        let mandible = Outline::through(&mandible);
        rays.add_bone(&mandible, self.bone(0.038, 0.016, 2.2, 13.0));
        let canal = [(128.0, 178.0, 1.5), (136.0, 202.0, 1.5), (158.0, 217.0, 1.4), (184.0, 222.0, 1.1)];
        rays.add_channel(&self.tube_by(&canal, Self::jaw), -0.07);
        let symphysis = [(197.0, 212.0, 3.0), (197.0, 228.0, 5.0), (197.0, 238.0, 5.0)];
        let dense = self.bone(0.030, 0.012, 1.3, 0.0);
        rays.add_tube(&self.tube_by(&symphysis, Self::jaw), dense);
        let incisor = [(197.0, 226.0, 0.9), (201.0, 213.0, 2.2), (204.0, 205.0, 2.5), (208.0, 198.0, 0.6)];
        let enamel = self.bone(0.15, 0.08, 1.1, 0.0);
        rays.add_tube(&self.tube_by(&incisor, Self::jaw), enamel);
        for (x, y, half) in [(194.0, 201.0, 2.6), (183.5, 201.5, 3.6), (172.5, 200.5, 4.4)] {
            self.add_molar(rays, (x, y), half, 1.0, Self::jaw);
        }
    }

    /// A crown with two roots; `root` is the direction in which they grow, down or up.
    fn add_molar(
        &self,
        rays: &mut Attenuation,
        (x, y): (f64, f64),
        half: f64,
        root: f64,
        place: fn(&Self, (f64, f64)) -> infomark_core::Point<f64>,
    ) {
        let crown = [
            (x - half, y - 3.0),
            (x, y - 3.6),
            (x + half, y - 3.0),
            (x + half, y + 3.0),
            (x, y + 3.6),
            (x - half, y + 3.0),
        ]
        .map(|at| place(self, at));
        let enamel = self.bone(0.11, 0.075, 1.0, 4.0);
        rays.add_bone(&Outline::through(&crown), enamel);
        for side in [-0.55, 0.55] {
            let roots = [
                (x + side * half, y + 3.0 * root, 0.40 * half),
                (x + 1.2 * side * half - 1.0, y + 15.0 * root, 0.5),
            ];
            let dentine = self.bone(0.07, 0.045, 0.7, 0.0);
            rays.add_tube(&self.tube_by(&roots, place), dentine);
        }
    }

    pub(super) fn add_neck(&self, rays: &mut Attenuation) {
        let spongy = self.bone(0.062, 0.026, 1.3, 8.0);
        // The first vertebra: front arch, back arch.
        let front = [(97.0, 184.0, 2.0), (98.5, 190.0, 3.4), (97.0, 196.0, 1.8)];
        rays.add_tube(&self.tube_by(&front, Self::neck), self.bone(0.07, 0.035, 1.2, 0.0));
        let back = [(84.0, 190.0, 2.6), (66.0, 187.0, 2.4), (48.0, 188.0, 4.0), (42.0, 191.0, 3.0)];
        rays.add_tube(&self.tube_by(&back, Self::neck), self.bone(0.07, 0.03, 1.1, 0.0));
        // The second: its tooth-like peak is the landmark.
        let axis = [
            DENS,
            (91.0, 184.5),
            (92.0, 195.0),
            (95.0, 203.0),
            (96.5, 218.0),
            (87.0, 219.0),
            (77.5, 216.0),
            (79.0, 202.0),
            (81.5, 194.0),
            (82.0, 184.5),
        ]
        .map(|at| self.neck(at));
        rays.add_bone(&Outline::through(&axis), spongy);
        let spine = [(80.0, 207.0, 3.2), (60.0, 210.0, 4.2), (38.0, 220.0, 5.2), (31.0, 226.0, 3.0)];
        rays.add_tube(&self.tube_by(&spine, Self::neck), self.bone(0.06, 0.03, 1.1, 0.0));
        for level in 0..7 {
            let step = f64::from(level);
            let (x, y) = (86.5 - 0.6 * step, 231.5 + 22.5 * step);
            let half = 9.5 + 0.5 * step;
            let body = [
                (x - half, y - 9.0),
                (x, y - 7.5),
                (x + half - 1.0, y - 8.0),
                (x + half - 1.5, y),
                (x + half + 1.0, y + 9.0),
                (x, y + 8.0),
                (x - half, y + 7.5),
                (x - half + 1.5, y),
            ]
            .map(|at| self.neck(at));
            rays.add_bone(&Outline::through(&body), spongy);
            let reach = 30.0 + 4.0 * step;
            let process =
                [(x - half, y - 3.0, 3.4), (x - half - 10.0, y + 1.0, 3.2), (x - half - reach, y + 9.0, 3.0)];
            let bone = self.bone(0.055, 0.028, 1.0, 0.0);
            rays.add_tube(&self.tube_by(&process, Self::neck), bone);
        }
        let horn = [(118.0, 243.0, 1.3), (130.0, 249.0, 1.5), (139.0, 252.0, 2.4), (HYOID.0, HYOID.1, 1.0)];
        rays.add_tube(&self.tube(&horn), self.bone(0.12, 0.05, 0.9, 0.0));
    }
}
