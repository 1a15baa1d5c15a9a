//! Template files: the same bits as from the image, and errors instead of panics.

use infomark_core::Point;
use infomark_infer::{
    Encoder, Landmark, MatchError, Matcher, Template, TemplateFileError, match_encoding, sha256,
};
use infomark_tests::infer_fixture::{encoder, texture};
use infomark_tests::infer_mutate::{self, damaged};

fn load(width: usize, height: usize) -> Encoder {
    Encoder::from_bytes(&encoder(width, height), "fixture.onnx").unwrap()
}

fn template(encoder: &Encoder) -> Template {
    let points = [("sella, or so", 44.0, 81.25), ("b", 20.5, 30.0)]
        .map(|(n, x, y)| Landmark::new(n, Point::new(x, y)));
    Template::new(encoder, &texture(4, 96, 128, 0, 0), &points).unwrap()
}

/// The file with its header changed, and the lengths and hash that belong to it.
fn with_header(bytes: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let change = |header: &[u8]| Some(change(std::str::from_utf8(header).ok()?).into_bytes());
    infer_mutate::with_header(bytes, change).unwrap()
}

fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    let hash = sha256(&content);
    content.extend((0..32).map(|i| u8::from_str_radix(&hash[2 * i..2 * i + 2], 16).unwrap()));
    content
}

#[test]
fn a_template_from_a_file_finds_the_same_to_the_bit() {
    let encoder = load(96, 128);
    let template = template(&encoder);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.template");
    template.save(&path).unwrap();
    let read = Template::load(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), template.to_bytes());
    assert_eq!(read.to_bytes(), template.to_bytes());
    assert_eq!(read.sha256(), sha256(&template.to_bytes()));
    assert_eq!((read.image(), read.landmarks()), (template.image(), template.landmarks()));
    assert_eq!((read.points(), read.model_sha256()), (template.points(), template.model_sha256()));
    let encoding = encoder.encode(&texture(5, 100, 120, 3, 9)).unwrap();
    let found = |template| match_encoding(template, &encoding, Default::default()).unwrap();
    assert_eq!(found(&read), found(&template));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn a_template_of_another_encoder_is_refused() {
    let template = Template::from_bytes(&template(&load(96, 128)).to_bytes(), "a.template").unwrap();
    let error = Matcher::new(load(128, 128), [template]).unwrap_err();
    assert!(matches!(error, MatchError::TemplateOfOther { .. }), "{error}");
    assert!(error.to_string().contains("fixture.onnx"), "{error}");
}

#[test]
fn damaged_and_cut_files_are_refused_and_named() {
    let whole = template(&load(96, 128)).to_bytes();
    for index in 0..1500 {
        let bytes = damaged(&whole, 41, index);
        match Template::from_bytes(&bytes, "a.template") {
            Ok(_) => assert_eq!(bytes, whole),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("a.template") && text.lines().count() == 1, "{text}");
            }
        }
    }
    for length in (0..whole.len()).step_by(997).chain(0..64).chain(whole.len() - 64..whole.len()) {
        let error = Template::from_bytes(&whole[..length], "a.template").unwrap_err();
        assert!(
            matches!(error, TemplateFileError::NotATemplate { .. } | TemplateFileError::Damaged { .. }),
            "{length}: {error}"
        );
    }
    let mut later = whole.clone();
    later[8] = 9;
    let error = Template::from_bytes(&later, "a.template").unwrap_err();
    assert!(matches!(error, TemplateFileError::Layout { found: 9, .. }), "{error}");
}

#[test]
fn what_was_written_on_purpose_is_checked_as_well() {
    let encoder = load(96, 128);
    let whole = template(&encoder).to_bytes();
    assert!(Template::from_bytes(&with_header(&whole, str::to_owned), "a").is_ok(), "the tool itself works");
    let refused = |bytes: &[u8], what: &str| {
        let error = Template::from_bytes(bytes, "a.template").unwrap_err();
        assert!(matches!(error, TemplateFileError::Content { .. }), "{what}: {error}");
    };
    for (from, to) in [
        ("\"channels\":32", "\"channels\":31"),
        ("\"channels\":32", "\"channels\":0"),
        ("\"channels\":32", "\"channels\":18446744073709551615"),
        ("\"levels\":2", "\"levels\":18446744073709551615"),
        ("\"levels\":2", "\"levels\":0"),
        ("\"ring\":[8,8]", "\"ring\":[8]"),
        ("\"ring\":[8,8]", "\"ring\":[18446744073709551615,2]"),
        ("\"ring\":[8,8]", "\"ring\":[8,8,99999999999]"),
        ("\"anchors\":", "\"anchors\":9999999999"),
        ("\"b\"", "\"sella, or so\""),
        ("{", "[{"),
        ("\"image\"", "\"other\""),
    ] {
        let changed = with_header(&whole, |header| header.replacen(from, to, 1));
        assert_ne!(changed, whole, "{from} is not in the header");
        refused(&changed, to);
    }
    // Values that are no place and no feature of length 1.
    let content = &whole[..whole.len() - 32];
    for value in [f32::NAN, f32::INFINITY, 3e38, 2.0] {
        let mut changed = content.to_vec();
        let end = changed.len();
        changed[end - 4..].copy_from_slice(&value.to_le_bytes());
        refused(&sealed(changed), "a feature");
    }
    // Whatever passes has to match, or be refused by name.
    let encoding = encoder.encode(&texture(5, 100, 120, 3, 9)).unwrap();
    for index in 0..400 {
        let changed = sealed(damaged(content, 42, index));
        if let Ok(template) = Template::from_bytes(&changed, "a.template") {
            let _ = match_encoding(&template, &encoding, Default::default());
        }
    }
}
