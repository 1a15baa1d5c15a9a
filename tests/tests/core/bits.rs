//! The bits of all kinds of views.

use infomark_core::{
    Affine, Border, Elastic, IntensityJitter, Interpolation, Plane, PlaneMut, Point, Rng, View,
    elastic_controls_len,
};

/// FNV-1a over the bits of all pixels.
fn hash(pixels: &[f32]) -> u64 {
    let bytes = pixels.iter().flat_map(|v| v.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn a_seed_gives_the_same_bits_on_every_machine() {
    const SIDE: usize = 40;
    let mut rng = Rng::new(11, 0);
    let pixels: Vec<f32> = (0..SIDE * SIDE).map(|_| rng.uniform()).collect();
    let src = Plane::new(&pixels, SIDE, SIDE).expect("fits");
    let turn = Affine::rotation(0.4f32).expect("finite");
    let view = View::around(Point::new(18.0, 22.0), &turn, SIDE, SIDE).expect("near");
    let mut controls = vec![Point::new(0.0, 0.0); elastic_controls_len(SIDE, SIDE, 12)];
    let elastic = Elastic::draw(view, 12, 2.0, &mut rng, &mut controls).expect("smooth");
    let mut hashes = Vec::new();
    let mut out = vec![0.0; SIDE * SIDE];
    for interpolation in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
        let dst = PlaneMut::new(&mut out, SIDE, SIDE).expect("fits");
        view.resample(src, dst, interpolation, Border::Mirror).expect("good sizes");
        hashes.push(hash(&out));
        let dst = PlaneMut::new(&mut out, SIDE, SIDE).expect("fits");
        elastic.resample(src, dst, interpolation, Border::Value(0.5)).expect("good sizes");
        hashes.push(hash(&out));
    }
    let tone = IntensityJitter { brightness: 1.3, contrast: 0.7, gamma: 1.1 };
    tone.apply_in_place(PlaneMut::new(&mut out, SIDE, SIDE).expect("fits")).expect("good factors");
    hashes.push(hash(&out));
    let expected: [u64; 7] = [
        0x042c_12be_3978_685f,
        0x3c4f_178b_2b40_9fe6,
        0xba81_9fe8_62df_6e0a,
        0x597c_6ae8_2db7_3ae8,
        0x4515_9dd0_244d_3c35,
        0x0e27_04ec_4bae_4497,
        0xd4e2_8942_763a_03e6,
    ];
    assert_eq!(hashes, expected);
}
