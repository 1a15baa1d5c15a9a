//! One image on several threads.

#![cfg(feature = "threads")]
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use infomark_core::Point;
use infomark_infer::{Encoder, Landmark, MatchOptions, Template, match_image};
use infomark_tests::infer_fixture::{encoder, texture};

#[test]
fn threads_do_not_change_a_bit() {
    let one = Encoder::from_bytes(&encoder(96, 128), "encoder.onnx").unwrap();
    let three = Encoder::from_bytes(&encoder(96, 128), "encoder.onnx").unwrap().with_threads(3).unwrap();
    let image = texture(1, 96, 128, 0, 0);
    let at = |name: &str, x, y| Landmark::new(name, Point::new(x, y));
    let landmarks = [at("a", 30.0, 40.5), at("b", 60.0, 90.0), at("c", 10.0, 100.0)];
    let found = |encoder: &Encoder| {
        let template = Template::new(encoder, &image, &landmarks).unwrap();
        match_image(encoder, &template, &image, MatchOptions::default()).unwrap()
    };
    assert_eq!(found(&one), found(&three));
    let (a, b) = (one.encode(&image).unwrap(), three.encode(&image).unwrap());
    for (a, b) in a.levels().iter().zip(b.levels()) {
        assert_eq!(a.data(), b.data());
    }
    // Many callers share one encoder that has threads of its own.
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| found(&three))).collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap(), found(&one));
        }
    });
}
