//! U-Net (Ronneberger et al., MICCAI 2015) of all networks.

use infomark_core::Rng;
use infomark_kernels::planes::Planes;
use infomark_kernels::resample;

use super::layers::{Convolution, Kept, Layer, Weights};
use super::{Parameters, Scratch, add, sized};

/// Number of stages of the contracting path.
pub(crate) const STAGES: usize = 5;

/// Five stages down, each of half the size of the previous one, and up to four stages up; a stage is two layers.
#[derive(Clone, Debug)]
pub(crate) struct UNet {
    pub(crate) down: [[Layer; 2]; STAGES],
    /// Stages up, finest first: that of level `finest`, and the coarser ones.
    pub(crate) up: Vec<[Layer; 2]>,
    /// The finest level of the network, 0 to 4.
    pub(crate) finest: usize,
}

impl UNet {
    /// A network with initial weights, whose stages have these channels and whose input has four.
    pub(crate) fn new(
        name: &str,
        channels: [usize; STAGES],
        finest: usize,
        (parameters, rng): (&mut Parameters, &mut Rng),
    ) -> Self {
        let mut inputs = 4;
        let mut place = 0;
        let mut stage = |name: String, inputs, outputs, parameters: &mut Parameters, rng: &mut Rng| {
            let mut layer = |which: usize, inputs| {
                let layer =
                    Layer::new(&format!("{name}.{which}"), place, [inputs, outputs], (parameters, rng));
                place += 1;
                layer
            };
            [layer(0, inputs), layer(1, outputs)]
        };
        let down = std::array::from_fn(|level| {
            let stage = stage(format!("{name}down.{level}"), inputs, channels[level], parameters, rng);
            inputs = channels[level];
            stage
        });
        // Omitted stages draw their weights, too, so that those of the others do not depend on them.
        let mut without = Parameters::default();
        let mut up = Vec::new();
        for level in 0..STAGES - 1 {
            let inputs = channels[level] + channels[level + 1];
            if level < finest {
                for (which, inputs) in [inputs, channels[level]].into_iter().enumerate() {
                    Layer::new(&which.to_string(), 0, [inputs, channels[level]], (&mut without, rng));
                }
            } else {
                up.push(stage(format!("{name}up.{level}"), inputs, channels[level], parameters, rng));
            }
        }
        Self { down, up, finest }
    }

    /// The layers, by index.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.down.iter().chain(&self.up).flatten()
    }

    /// The convolutions, by index.
    pub(crate) fn convolutions(&self) -> impl Iterator<Item = &Convolution> {
        self.layers().map(|layer| &layer.convolution)
    }

    /// Number of layers.
    pub(crate) fn len(&self) -> usize {
        2 * (STAGES + self.up.len())
    }

    /// The last layer of each level of the network, finest first, and its index.
    fn ends(&self) -> impl DoubleEndedIterator<Item = (&Layer, usize)> + ExactSizeIterator {
        let up = self.up.iter().enumerate().map(|(k, [_, last])| (last, 2 * (STAGES + k) + 1));
        let coarsest = [(&self.down[STAGES - 1][1], 2 * STAGES - 1)];
        up.chain(coarsest).collect::<Vec<_>>().into_iter()
    }

    /// Passes an image of four planes of `width x height`, multiples of 16, through the network; layers store activations in
    /// `kept`. `each` receives the level (0 to 4) and its features, from the coarsest to the finest.
    pub(crate) fn forward(
        &self,
        weights: &Weights<'_>,
        image: &[f32],
        (width, height): (usize, usize),
        kept: &mut [Kept],
        scratch: &mut Scratch,
        mut each: impl FnMut(usize, &[f32]),
    ) {
        let Scratch { workspace, fine, coarse, .. } = scratch;
        for (level, [a, b]) in self.down.iter().enumerate() {
            let (width, height) = (width >> level, height >> level);
            let inputs = a.convolution.inputs;
            let source = if level == 0 {
                image
            } else {
                let pooled = sized(fine, inputs * width * height);
                resample::max_pool(coarse, 2 * width, pooled);
                pooled
            };
            a.forward(weights, &Planes::new(source, inputs, width, height), workspace, &mut kept[2 * level]);
            let source = a.output(weights, &kept[2 * level], coarse);
            let source = Planes::new(source, a.outputs(), width, height);
            b.forward(weights, &source, workspace, &mut kept[2 * level + 1]);
            b.output(weights, &kept[2 * level + 1], coarse);
        }
        each(STAGES - 1, coarse);
        for (k, [a, b]) in self.up.iter().enumerate().rev() {
            let level = self.finest + k;
            let (width, height) = (width >> level, height >> level);
            let (place, skipped) = (2 * (STAGES + k), &self.down[level][1]);
            skipped.output(weights, &kept[2 * level + 1], fine);
            a.forward(weights, &self.joined(k, [fine, coarse], width, height), workspace, &mut kept[place]);
            let source = a.output(weights, &kept[place], fine);
            let source = Planes::new(source, a.outputs(), width, height);
            b.forward(weights, &source, workspace, &mut kept[place + 1]);
            each(level, b.output(weights, &kept[place + 1], coarse));
        }
    }

    /// Input of a stage up: the features of the stage down that it is joined with, and those of the coarser level.
    fn joined<'p>(
        &self,
        k: usize,
        [fine, coarse]: [&'p [f32]; 2],
        width: usize,
        height: usize,
    ) -> Planes<'p> {
        let kept = self.down[self.finest + k][1].outputs();
        Planes::joined(fine, kept, coarse, self.up[k][0].convolution.inputs - kept, width, height)
    }

    /// The features of a level, as in the forward pass; `end` counts from the finest.
    pub(crate) fn features<'o>(
        &self,
        weights: &Weights<'_>,
        kept: &[Kept],
        end: usize,
        out: &'o mut Vec<f32>,
    ) -> &'o [f32] {
        match self.ends().nth(end) {
            Some((layer, place)) => layer.output(weights, &kept[place], out),
            None => &[],
        }
    }

    /// Adds the gradient with respect to the weights to `gradient`, given those of the features of each level in `scratch.levels`, finest
    /// first (empty where there is none); they are overwritten. `image` and `kept` are those of the forward pass.
    pub(crate) fn backward(
        &self,
        weights: &Weights<'_>,
        image: &[f32],
        (width, height): (usize, usize),
        kept: &[Kept],
        gradient: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let Scratch { workspace, fine, coarse, back, levels, skips } = scratch;
        skips.resize_with(self.up.len(), Vec::new);
        for (k, [a, b]) in self.up.iter().enumerate() {
            let level = self.finest + k;
            let (width, height) = (width >> level, height >> level);
            let place = 2 * (STAGES + k);
            let [own, below] = &mut levels[k..=k + 1] else { return };
            let source = a.output(weights, &kept[place], fine);
            let source = Planes::new(source, a.outputs(), width, height);
            b.backward(weights, &source, &kept[place + 1], own, gradient, workspace, Some(back));
            let skipped = &self.down[level][1];
            skipped.output(weights, &kept[2 * level + 1], fine);
            self.features(weights, kept, k + 1, coarse);
            let source = self.joined(k, [fine, coarse], width, height);
            a.backward(weights, &source, &kept[place], back, gradient, workspace, Some(own));
            let (of_fine, of_coarse) = own.split_at(fine.len());
            sized(&mut skips[k], of_fine.len()).copy_from_slice(of_fine);
            resample::double_backward(of_coarse, width / 2, sized(back, coarse.len()));
            add(sized(below, back.len()), back);
        }
        let Some(own) = levels.last_mut() else { return };
        for (level, [a, b]) in self.down.iter().enumerate().rev() {
            let (width, height) = (width >> level, height >> level);
            let source = a.output(weights, &kept[2 * level], fine);
            let source = Planes::new(source, a.outputs(), width, height);
            b.backward(weights, &source, &kept[2 * level + 1], own, gradient, workspace, Some(back));
            let inputs = a.convolution.inputs;
            let Some(above) = level.checked_sub(1) else {
                let source = Planes::new(image, inputs, width, height);
                a.backward(weights, &source, &kept[0], back, gradient, workspace, None);
                return;
            };
            self.down[above][1].output(weights, &kept[2 * above + 1], fine);
            let pooled = sized(coarse, inputs * width * height);
            resample::max_pool(fine, 2 * width, pooled);
            let source = Planes::new(pooled, inputs, width, height);
            a.backward(weights, &source, &kept[2 * level], back, gradient, workspace, Some(own));
            std::mem::swap(own, back);
            resample::max_pool_backward(fine, 2 * width, back, sized(own, fine.len()));
            if let Some(skip) = above.checked_sub(self.finest).and_then(|k| skips.get(k)) {
                add(own, skip);
            }
        }
    }
}
