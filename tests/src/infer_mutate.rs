//! Files damaged in many ways, and what reading one has to hold.

use std::path::Path;

use infomark_core::{Point, Rng, Spacing};
use infomark_infer::{
    CocoIndex, DESCRIPTION_KEY, DataSet, Description, Encoder, ErrorCalibration, FORMAT, FORMAT_KEY,
    ImageContext, ItkGeometry, LandmarkFile, LandmarkNet, LandmarkStatus, ReadLimits, Scheme, Template,
    decode_image, decode_levels, parse_landmarks, parse_landmarks_of, sha256,
};
use prost::Message;
use serde_json::{Value as Json, json};
use tract_onnx::pb::{GraphProto, ModelProto};

use crate::infer_dicom::{Dicom, SECRET, Value, syntax};

/// What reading an image may cost in these tests, in bytes.
pub const MAX_BYTES: u64 = 64 << 20;

/// A copy of `whole` with bytes changed, cut off, left out, doubled or put in; the same for the same seed and index.
pub fn damaged(whole: &[u8], seed: u64, index: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, index);
    let mut bytes = whole.to_vec();
    for _ in 0..=rng.below(4) {
        let place = rng.below(bytes.len().max(1) as u64) as usize;
        // Headers decide more than pixels do.
        let place = if rng.below(2) == 0 { place % 64 } else { place };
        let place = place.min(bytes.len());
        let end = (place + 1 + rng.below(16) as usize).min(bytes.len());
        match rng.below(6) {
            0 => bytes.truncate(place),
            1 => drop(bytes.drain(place..end)),
            2 => drop(bytes.splice(place..place, [rng.next_u32() as u8; 3])),
            3 => bytes.extend_from_within(place..end),
            _ => {
                for byte in &mut bytes[place..end.min(place + 2)] {
                    *byte ^= 1 << rng.below(8);
                }
            }
        }
    }
    bytes
}

/// Reads bytes as an image: an image whose promises hold, or an error in one line; and as all of its levels, whose window is
/// that image. Whether there was an image.
pub fn image(bytes: &[u8]) -> bool {
    let limits = ReadLimits { max_side: 4096, max_bytes: MAX_BYTES, ..ReadLimits::default() };
    match (decode_image(bytes, "image", &limits), decode_levels(bytes, "image", &limits)) {
        (Ok(image), Ok(levels)) => {
            assert_eq!((image.width(), image.height()), (levels.width, levels.height));
            let [low, high] = levels.window;
            assert!(0.0 <= low && low < high && high <= 1.0, "{low} to {high}");
            // A level is half a step off, and a window of a step shows nothing between black and white.
            let worst = 0.51 / (65535.0 * (high - low)) + 1e-6;
            for (&pixel, &level) in image.pixels().iter().zip(&levels.levels) {
                let shown = ((f64::from(level) / 65535.0 - low) / (high - low)).clamp(0.0, 1.0);
                assert!((shown - f64::from(pixel)).abs() <= worst, "{pixel} is shown as {shown}");
            }
        }
        (_, Err(error)) => check_message(&error.to_string()),
        (Err(error), _) => check_message(&error.to_string()),
    }
    match decode_image(bytes, "image", &limits) {
        Ok(image) => {
            assert_eq!(image.pixels().len(), image.width() * image.height());
            assert!(image.pixels().iter().all(|v| (0.0..=1.0).contains(v)));
            assert!(image.spacing().is_none_or(|spacing| spacing.mm.x > 0.0 && spacing.mm.y > 0.0));
            true
        }
        Err(error) => {
            check_message(&error.to_string());
            false
        }
    }
}

/// Reads bytes as the compressed pixel data of a DICOM file of 40 x 36 pixels: the first byte chooses the transfer syntax and the depth.
pub fn compressed(bytes: &[u8]) {
    const SYNTAXES: [&str; 7] = [
        syntax::RLE,
        syntax::JPEG_BASELINE,
        syntax::JPEG_EXTENDED,
        syntax::JPEG_LOSSLESS,
        syntax::JPEG_LS,
        syntax::JPEG_LS_NEAR,
        syntax::JPEG_2000,
    ];
    let Some((&choice, code)) = bytes.split_first() else { return };
    let choice = usize::from(choice);
    let (syntax, stored) = (SYNTAXES[choice % SYNTAXES.len()], [8, 12, 16][choice / SYNTAXES.len() % 3]);
    let dicom = Dicom::new(40, 36, stored, Vec::new()).compressed(syntax, vec![code.to_vec()]);
    image(&dicom.encode());
}

/// Reads bytes as a landmark table: finite points, or an error in one line.
pub fn landmarks(bytes: &[u8]) {
    check_landmarks(parse_landmarks(bytes, "points"));
}

/// Images and categories that COCO results may refer to.
const COCO: &str =
    r#"{"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "keypoints": ["p0", "p1"]}]}"#;

/// Reads bytes as a landmark file of any format: finite points, or an error in one line.
pub fn any_landmarks(bytes: &[u8]) {
    let coco = CocoIndex::parse(COCO.as_bytes(), "coco").ok();
    let placement = Some(ItkGeometry::of_picture(0.5, 0.25));
    let subject =
        ImageContext { image: Some("a.png"), placement, coco: coco.as_ref(), ..ImageContext::default() };
    check_landmarks(parse_landmarks_of(bytes, "points", &subject));
}

fn check_landmarks(read: Result<LandmarkFile, impl std::fmt::Display>) {
    match read {
        Ok(file) => {
            for (image, landmarks) in file.images() {
                assert!(!landmarks.is_empty() || !file.absent(image).is_empty());
                assert!(landmarks.iter().all(|landmark| landmark.at.is_finite()));
            }
        }
        Err(error) => check_message(&error.to_string()),
    }
}

/// Reads bytes as a landmark scheme: finite values of any points, or an error in one line.
pub fn any_scheme(bytes: &[u8]) {
    let scheme = match Scheme::parse(&String::from_utf8_lossy(bytes), "scheme.toml") {
        Ok(scheme) => scheme,
        Err(error) => return check_message(&error.to_string()),
    };
    // On a coarse grid, where some points share a place; one in eight has no bound, and one is absent.
    let status = |name: &str| {
        let sum = name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let at = Point::new(f64::from(sum % 5), f64::from(sum / 5 % 5));
        let error_bound_px = (sum % 8 > 0).then(|| f64::from(sum % 16) / 8.0);
        Some(if sum % 11 == 0 {
            LandmarkStatus::Absent
        } else {
            LandmarkStatus::Placed { at, error_bound_px }
        })
    };
    for spacing in [None, Spacing::new(0.5, 0.25).ok()] {
        let measured = scheme.measure(status, spacing);
        assert_eq!(measured.len(), scheme.measurements().len());
        for value in measured.iter().filter_map(|measurement| measurement.outcome.as_ref().ok()) {
            assert!(value.value.is_finite(), "{value:?}");
            assert!(
                value.error_bound.as_ref().is_ok_and(|bound| *bound >= 0.0) || value.error_bound.is_err()
            );
        }
    }
}

/// Reads bytes as an encoder: one that can be asked for its description, or an error in one line.
pub fn model(bytes: &[u8]) -> Option<Encoder> {
    match Encoder::from_bytes(bytes, "model") {
        Ok(encoder) => {
            assert!(encoder.description().check().is_ok());
            Some(encoder)
        }
        Err(error) => {
            check_message(&error.to_string());
            None
        }
    }
}

/// Reads bytes as a landmark network: one that can be asked for its description, or an error in one line.
pub fn landmark_net(bytes: &[u8]) -> Option<LandmarkNet> {
    match LandmarkNet::from_bytes(bytes, "network") {
        Ok(net) => {
            assert!(net.description().check().is_ok());
            Some(net)
        }
        Err(error) => {
            check_message(&error.to_string());
            None
        }
    }
}

/// Reads bytes as a template: one whose points are finite, or an error in one line. Whether there was one.
pub fn template(bytes: &[u8]) -> bool {
    match Template::from_bytes(bytes, "template") {
        Ok(template) => {
            assert_eq!(template.points().len(), template.landmarks().len());
            assert!(template.points().iter().all(|point| point.is_finite()));
            true
        }
        Err(error) => {
            check_message(&error.to_string());
            false
        }
    }
}

/// Reads a file as a calibration, and asks it for bounds: numbers above 0, or an error in one line. Whether it was one.
pub fn calibration(path: &Path) -> bool {
    match ErrorCalibration::load(path) {
        Ok(calibration) => {
            match calibration.bounds(0.9) {
                Ok(bounds) => assert!(bounds.iter().all(|bound| bound.factor >= 0.0)),
                Err(error) => check_message(&error.to_string()),
            }
            true
        }
        Err(error) => {
            check_message(&error.to_string());
            false
        }
    }
}

/// Opens a data folder: one whose spacing and points are usable, or an error in one line. Whether it was one.
pub fn data_folder(path: &Path) -> bool {
    match DataSet::open(path) {
        Ok(data) => {
            assert!(data.spacing.x > 0.0 && data.spacing.y > 0.0 && !data.landmarks.is_empty());
            true
        }
        Err(error) => {
            check_message(&error.to_string());
            false
        }
    }
}

/// A template file with another header, and the lengths and hash that belong to it; none if it is no template file.
pub fn with_header(whole: &[u8], change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let length = u32::from_le_bytes(whole.get(12..16)?.try_into().ok()?) as usize;
    let header = change(whole.get(16..16 + length)?)?;
    let mut changed = whole.get(..12)?.to_vec();
    changed.extend(u32::try_from(header.len()).ok()?.to_le_bytes());
    changed.extend(header);
    changed.extend(whole.get(16 + length..whole.len() - 32)?);
    let hash = sha256(&changed);
    changed.extend((0..32).filter_map(|byte| u8::from_str_radix(hash.get(2 * byte..2 * byte + 2)?, 16).ok()));
    Some(changed)
}

/// A model whose description, JSON among the metadata of the file, has other values; none if it has no description.
pub fn redescribed(model: &ModelProto, seed: u64, index: u64) -> Option<Vec<u8>> {
    let mut model = model.clone();
    let description = model.metadata_props.iter_mut().find(|entry| entry.key == DESCRIPTION_KEY)?;
    description.value = String::from_utf8(retold(description.value.as_bytes(), seed, index)?).ok()?;
    Some(model.encode_to_vec())
}

/// Reads bytes as the description in an encoder's metadata, and as a whole encoder file.
pub fn any_model(bytes: &[u8]) {
    let json = String::from_utf8_lossy(bytes);
    match Description::from_properties([(FORMAT_KEY, FORMAT), (DESCRIPTION_KEY, &json)]) {
        Ok(description) => assert!(description.check().is_ok() && description.to_properties().is_ok()),
        Err(error) => check_message(&error.to_string()),
    }
    model(bytes);
}

fn check_message(text: &str) {
    assert!(text.contains(';'), "no fix in: {text}");
    assert!(!text.contains(SECRET), "a patient's name in: {text}");
    assert!(text.len() < 1000, "a message of {} bytes", text.len());
}

/// A data set whose elements, not its bytes, are changed: numbers, texts, kinds, what is there; the same for the same seed and
/// index.
pub fn rewritten(dicom: &Dicom, seed: u64, index: u64) -> Dicom {
    const WORDS: [u16; 10] = [0, 1, 2, 8, 15, 16, 33, 4096, 0x7FFF, 0xFFFF];
    const TEXTS: [&str; 12] = [
        "",
        "0",
        "-1",
        "1e308",
        "1e-308",
        "nan",
        "inf\\inf",
        "1\\2\\3",
        "\\",
        "LINEAR",
        "MONOCHROME1",
        SECRET,
    ];
    const KINDS: [&str; 8] = ["US", "SS", "DS", "SQ", "OB", "UN", "PN", "zz"];
    let mut rng = Rng::new(seed, index);
    let mut dicom = dicom.clone();
    for _ in 0..=rng.below(3) {
        let mut pick = |length: usize| rng.below(length.max(1) as u64) as usize;
        let tags: Vec<_> = dicom.elements.keys().copied().collect();
        let tag = tags[pick(tags.len())];
        let (word, text, kind) =
            (WORDS[pick(WORDS.len())], TEXTS[pick(TEXTS.len())], KINDS[pick(KINDS.len())]);
        match pick(6) {
            0 => drop(dicom.elements.remove(&tag)),
            1 => dicom = dicom.text(tag, "DS", text),
            2 => drop(dicom.elements.entry(tag).and_modify(|(vr, _)| *vr = kind)),
            3 => dicom.fragments.iter_mut().for_each(|fragment| *fragment = damaged(fragment, seed, index)),
            _ => match dicom.elements.get_mut(&tag) {
                Some((_, Value::Words(words))) => words.fill(word),
                Some((_, Value::Text(old))) => *old = text.to_owned(),
                _ => dicom = dicom.words(tag, "US", &[word; 3]),
            },
        }
    }
    dicom
}

/// JSON of which a few values, wherever they are, are others; none if the bytes are no JSON.
pub fn retold(whole: &[u8], seed: u64, index: u64) -> Option<Vec<u8>> {
    let mut json: Json = serde_json::from_slice(whole).ok()?;
    let mut rng = Rng::new(seed, index);
    for _ in 0..=rng.below(3) {
        replace(&mut json, &mut rng);
    }
    serde_json::to_vec(&json).ok()
}

/// Puts another value in the place of some leaf, or not quite a leaf.
fn replace(json: &mut Json, rng: &mut Rng) {
    let inner = match json {
        _ if rng.below(8) == 0 => None,
        Json::Array(items) => {
            let place = rng.below(items.len().max(1) as u64) as usize;
            items.get_mut(place)
        }
        Json::Object(fields) => {
            let place = rng.below(fields.len().max(1) as u64) as usize;
            fields.values_mut().nth(place)
        }
        _ => None,
    };
    if let Some(inner) = inner {
        return replace(inner, rng);
    }
    *json = match rng.below(9) {
        0 => Json::Null,
        1 => json!(-1),
        2 => json!(1e308),
        3 => json!(u64::MAX),
        4 => json!(""),
        5 => json!([]),
        6 => json!({}),
        7 => json!([[1.0, 2.0], [3.0]]),
        _ => json!("RAS"),
    };
}

/// An encoder whose graph, not its bytes, is changed: numbers, names, operators, shapes; the same for the same seed and index.
pub fn rewired(model: &ModelProto, seed: u64, index: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, index);
    let mut model = model.clone();
    if let Some(graph) = &mut model.graph {
        for _ in 0..=rng.below(3) {
            rewire(graph, &mut rng);
        }
    }
    model.encode_to_vec()
}

fn rewire(graph: &mut GraphProto, rng: &mut Rng) {
    const NUMBERS: [i64; 12] = [0, 1, -1, 2, 3, 7, 64, 1 << 16, 1 << 33, 1 << 62, i64::MIN, i64::MAX];
    const OPERATORS: [&str; 14] = [
        "Add",
        "Concat",
        "Conv",
        "Gather",
        "InstanceNormalization",
        "MatMul",
        "MaxPool",
        "Mul",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Split",
        "Transpose",
    ];
    let mut pick = |length: usize| rng.below(length.max(1) as u64) as usize;
    let number = NUMBERS[pick(NUMBERS.len())];
    let names: Vec<String> = graph.node.iter().flat_map(|node| node.output.clone()).collect();
    let Some(name) = names.get(pick(names.len())).cloned() else {
        return;
    };
    let (at, inner) = (pick(graph.node.len()), pick(4));
    let what = pick(9);
    let tensor = pick(graph.initializer.len());
    let node = &mut graph.node[at];
    match what {
        0 | 1 => {
            for attribute in &mut node.attribute {
                attribute.i = number;
                if let Some(value) = attribute.ints.get_mut(inner) {
                    *value = number;
                }
            }
        }
        2 => node.op_type = OPERATORS[pick(OPERATORS.len())].to_owned(),
        3 => {
            if let Some(input) = node.input.get_mut(inner) {
                *input = name;
            }
        }
        4 => drop(node.input.pop()),
        5 => drop(node.attribute.pop()),
        6 => {
            if let Some(size) = graph.initializer[tensor].dims.get_mut(inner) {
                *size = number;
            }
        }
        7 => graph.initializer[tensor].data_type = number as i32 & 31,
        _ => drop(graph.node.remove(at)),
    }
}
