//! The corpus of the fuzz targets, replayed.

use infomark_tests::core_fuzz;
use std::fs;
use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files = 0;
    for entry in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        body(&fs::read(entry.expect("readable").path()).expect("readable"));
        files += 1;
    }
    assert!(files >= 4, "{} holds {files} files", dir.display());
    // What a fuzzer starts with, and inputs that end early.
    body(&[]);
    for len in 1..64 {
        body(&vec![0xff; len]);
    }
}

#[test]
fn entropy_keeps_its_promises() {
    replay("entropy", core_fuzz::entropy);
}

#[test]
fn entropy_of_any_shape_keeps_its_promises() {
    replay("entropy_shapes", core_fuzz::entropy_shapes);
}

#[test]
fn warps_keep_their_promises() {
    replay("warp", core_fuzz::warp);
}

#[test]
fn the_loss_keeps_its_promises() {
    replay("info_nce", core_fuzz::info_nce);
}

#[test]
fn alignment_keeps_its_promises() {
    replay("align", core_fuzz::align);
}

#[test]
fn matching_keeps_its_promises() {
    replay("locate", core_fuzz::locate);
}

#[test]
fn tones_keep_their_promises() {
    replay("tone", core_fuzz::tone);
}

#[test]
fn affine_views_keep_their_promises() {
    replay("affine", core_fuzz::affine);
}

#[test]
fn elastic_views_keep_their_promises() {
    replay("elastic", core_fuzz::elastic);
}

#[test]
fn local_contrast_keeps_its_promises() {
    replay("contrast", core_fuzz::contrast);
}

#[test]
fn shared_information_keeps_its_promises() {
    replay("mutual", core_fuzz::mutual);
}

#[test]
fn curves_and_their_cuts_keep_their_promises() {
    replay("psi_cut", core_fuzz::psi_cut);
}

#[test]
fn samplers_keep_their_promises() {
    replay("samplers", core_fuzz::samplers);
}

#[test]
fn searches_of_intensity_keep_their_promises() {
    replay("intensity", core_fuzz::intensity);
}

#[test]
fn key_points_keep_their_promises() {
    replay("keypoints", core_fuzz::keypoints);
}
