//! Export of the network to an ONNX file with a description.

use infomark_infer::LandmarkDescription;

use super::net::Net;
use crate::TrainError;
use crate::export::{Graph, finish};
use infomark_infer::onnx::ValueInfo;

/// The bytes of a network's ONNX file with these weights.
pub(crate) fn onnx(
    net: &Net,
    values: &[f32],
    description: &LandmarkDescription,
) -> Result<Vec<u8>, TrainError> {
    let (width, height, stride) = (description.input.width(), description.input.height(), description.stride);
    let mut graph = Graph::default();
    let levels = graph.levels(&net.body, values, (width, height), |_, _, _| {});
    let (width, height, count) = (width / stride, height / stride, description.landmarks.len());
    let hidden = graph.layer(&levels, &net.hidden, values, height, width);
    let inputs = net.maps.inputs;
    let (heat, offset) = values[net.maps.weight.clone()].split_at(count * inputs * 9);
    let (heat_name, offset_name) = (LandmarkDescription::HEAT_NAME, LandmarkDescription::OFFSET_NAME);
    graph.convolution(&hidden, [count, inputs], heat, heat_name);
    graph.convolution(&hidden, [2 * count, inputs], offset, offset_name);
    let outputs = vec![
        ValueInfo::floats(heat_name, Some(&[1, count, height, width])),
        ValueInfo::floats(offset_name, Some(&[1, 2 * count, height, width])),
    ];
    finish(graph, "infomark landmarks", description.input, outputs, |graph| {
        description.to_sealed_properties(graph)
    })
}

#[cfg(test)]
mod tests {
    use super::super::LandmarkConfig;
    use super::super::data::unshuffled;
    use super::*;
    use crate::network::{Pass, Scratch};
    use crate::testing::noise;
    use half::f16;
    use infomark_infer::{Image, InputSize, LabelSource, LandmarkNet};

    #[test]
    fn the_exported_network_finds_what_the_trained_one_says() -> Result<(), Box<dyn std::error::Error>> {
        let (width, height) = (96, 64);
        for stride in [2, 4] {
            let config = LandmarkConfig::default().with(|o| {
                o.model.channels = [8, 8, 16, 16, 16];
                o.model.hidden = 8;
                o.model.stride = stride;
                o.seed = 3;
            });
            let (net, mut parameters) = Net::new(&config, 3);
            // The file stores weights in half precision. Larger ones in the maps give peaks.
            parameters.values[net.maps.weight.clone()].iter_mut().for_each(|v| *v *= 50.0);
            parameters.values.iter_mut().for_each(|v| *v = f16::from_f32(*v).to_f32());
            let description = LandmarkDescription {
                input: InputSize::new(width, height)?,
                input_policy: Default::default(),
                normalisation: Default::default(),
                stride,
                landmarks: ["a", "b", "c"].map(str::to_owned).to_vec(),
                encoder_sha256: None,
                labels: LabelSource::Annotated,
                labels_sha256: "0".repeat(64),
                training_data_sha256: "0".repeat(64),
                training_images: 2,
                steps: 1,
                seed: 3,
                version: "0.0.0".into(),
            };
            let loaded =
                LandmarkNet::from_bytes(&onnx(&net, &parameters.values, &description)?, "test.onnx")?;
            assert_eq!(loaded.description(), &description);
            let pixels: Vec<f32> = noise(width * height, 1).iter().map(|v| v * 0.5 + 0.5).collect();
            let (input, weights) = (unshuffled(&pixels, width), net.weights(&parameters.values));
            let (pass, scratch, mut maps) = (
                &mut Pass::default(),
                &mut Scratch::default(),
                vec![0.0; 9 * width * height / (stride * stride)],
            );
            net.forward(&weights, &input, (width / 2, height / 2), pass, scratch, &mut maps);
            let found = loaded.find(&Image::new("noise", width, height, pixels)?)?;
            let (columns, area) = (width / stride, width * height / (stride * stride));
            for (k, found) in found.iter().enumerate() {
                // No other point has a smaller expected distance from the positions that the cells predict.
                let heat = &maps[k * area..][..area];
                let peak = (0..area).max_by(|a, b| heat[*a].total_cmp(&heat[*b])).unwrap_or(0);
                let near = |i: &usize| {
                    (i % columns).abs_diff(peak % columns) <= 2 && (i / columns).abs_diff(peak / columns) <= 2
                };
                let weight = |i: usize| f64::from(heat[i] - heat[peak]).exp();
                let all: f64 = (0..area).map(weight).sum();
                let around: f64 = (0..area).filter(near).map(weight).sum();
                let place = |axis: usize, i: usize| {
                    let cell = if axis == 0 { i % columns } else { i / columns };
                    let offset = f64::from(maps[(3 + 2 * k + axis) * area + i]);
                    (cell as f64 + 0.5 + offset) * stride as f64 - 0.5
                };
                let distance = |x: f64, y: f64| -> f64 {
                    (0..area).map(|i| weight(i) * (place(0, i) - x).hypot(place(1, i) - y)).sum::<f64>() / all
                };
                let (x, y) = (found.at.x, found.at.y);
                for (dx, dy) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)] {
                    let (other_x, other_y) = (x + dx, y + dy);
                    let inside =
                        (0.0..width as f64).contains(&other_x) && (0.0..height as f64).contains(&other_y);
                    assert!(
                        !inside || distance(x, y) < distance(other_x, other_y) + 1e-3,
                        "{found:?}: {} against {} at {other_x}, {other_y}",
                        distance(x, y),
                        distance(other_x, other_y)
                    );
                }
                assert!((found.probability - around / all).abs() < 1e-3, "{found:?}: {}", around / all);
            }
        }
        Ok(())
    }
}
