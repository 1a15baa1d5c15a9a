//! Backbones joined to trained encoders.

use infomark_infer::{Backbone, BackboneError, Encoder, ModelError, read_image};

use super::common::{Outcome, phantoms, small};
use super::train_once;

fn problem<T>(result: Result<T, ModelError>) -> Option<BackboneError> {
    match result {
        Err(ModelError::Backbone { problem, .. }) => Some(problem),
        _ => None,
    }
}

#[test]
fn a_backbone_joined_in_training_is_the_one_joined_afterwards() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 3)?;
    let config = |weight: f32| small(2).with(|o| o.model.backbone_weight = weight);
    let plain = train_once(root.path(), "plain", &config(0.0))?;
    let joined = train_once(root.path(), "joined", &config(2.0))?;
    let backbone = infomark_models::backbone()?;
    assert!(backbone.join(&plain, "plain", 2.0)? == joined);
    // An encoder that has it serves as its file.
    assert!(Backbone::from_bytes(&joined, "joined")?.join(&plain, "plain", 2.0)? == joined);
    let (plain_encoder, encoder) =
        (Encoder::from_bytes(&plain, "plain")?, Encoder::from_bytes(&joined, "joined")?);
    assert_eq!(encoder.runtime(), "infomark");
    let recorded = encoder.description().backbone.clone().ok_or("no backbone")?;
    assert_eq!((recorded.weight, &recorded.network), (2.0, backbone.description()));

    let image = read_image(root.path().join("images/00.pgm"))?;
    let (plain_encoding, encoding) = (plain_encoder.encode(&image)?, encoder.encode(&image)?);
    let levels = &recorded.network.levels;
    assert!(!levels.is_empty());
    for (plain, joined) in plain_encoding.levels().iter().zip(encoding.levels()) {
        let (cells, length) = (plain.cells(), plain.data().len());
        let Some(level) = levels.iter().find(|level| level.stride == plain.stride()) else {
            assert_eq!(plain.data(), joined.data());
            continue;
        };
        assert_eq!(joined.channels(), plain.channels() + level.channels);
        // cos^2 of the trained part is 1 / 3, that of the backbone 2 / 3.
        let (trained, added) = joined.data().split_at(length);
        let scaled = |(a, b): (&f32, &f32)| (a * (1.0_f32 / 3.0).sqrt() - b).abs() < 1e-6;
        assert!(plain.data().iter().zip(trained).all(scaled));
        for cell in 0..cells {
            let squares: f32 = added.iter().skip(cell).step_by(cells).map(|v| v * v).sum();
            assert!((squares - 2.0 / 3.0).abs() < 1e-4, "{squares} at stride {}", plain.stride());
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_joined_is_refused() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 2)?;
    let plain = train_once(root.path(), "plain", &small(1).with(|o| o.model.backbone_weight = 0.0))?;
    let backbone = infomark_models::backbone()?;
    let joined = backbone.join(&plain, "plain", 3.0)?;
    let name = backbone.description().name.clone();
    assert_eq!(problem(backbone.join(&joined, "joined", 3.0)), Some(BackboneError::Present { name }));
    assert_eq!(problem(Backbone::from_bytes(&plain, "plain")), Some(BackboneError::Missing));
    for found in [0.0, -1.0, f32::INFINITY] {
        assert_eq!(problem(backbone.join(&plain, "plain", found)), Some(BackboneError::Weight { found }));
    }
    assert!(matches!(problem(backbone.join(&plain, "plain", f32::NAN)), Some(BackboneError::Weight { .. })));
    assert!(matches!(backbone.join(b"no model", "text", 3.0), Err(ModelError::NotOnnx { .. })));
    assert!(matches!(
        Backbone::from_bytes(&joined[..joined.len() / 2], "cut"),
        Err(ModelError::NotOnnx { .. })
    ));
    let mut damaged = joined;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert!(matches!(
        Backbone::from_bytes(&damaged, "damaged"),
        Err(ModelError::Damaged { .. } | ModelError::NotOnnx { .. })
    ));
    Ok(())
}
